//! The log on standard error: one event a line, for people or as JSON.

use clap::ValueEnum;
use std::error::Error;
use tracing_subscriber::EnvFilter;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object with `timestamp`, `level`, `target`, `message` and the event's own fields.
    Json,
}

/// Checks a filter; gives it back.
pub fn filter(text: &str) -> Result<String, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(text).map(|_| text.to_owned())
}

/// From here on the process logs.
pub fn start(format: LogFormat, filter: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    // It names the node's URL in its spans, and URLs of nodes carry keys.
    let silent = "alloy_transport_http=off".parse()?;
    let filter = EnvFilter::try_new(filter)?.add_directive(silent);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => {
            // The default hook writes several lines of text.
            std::panic::set_hook(Box::new(|panic| {
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                let what = panic.payload_as_str().unwrap_or("no message");
                tracing::error!(place, what, "panicked");
            }));
            let json = subscriber.json().flatten_event(true);
            json.with_current_span(false).with_span_list(false).try_init()
        }
    }
}
