//! The log on standard error: one event a line, for people or as JSON.

use clap::ValueEnum;
use std::error::Error;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

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

/// Names the node's URL in its spans, and URLs of nodes carry keys: no directive brings it back.
const SILENT: &str = "alloy_transport_http";

/// From here on the process logs.
pub fn start(format: LogFormat, filter: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            let json = lines.json().flatten_event(true);
            json.with_current_span(false).with_span_list(false).boxed()
        }
    };
    let lines = lines.with_filter(filter_fn(|event| !event.target().starts_with(SILENT)));
    let filter = EnvFilter::try_new(filter)?;
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    if format == LogFormat::Json {
        // The default hook writes several lines of text.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let what = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(place, what, "panicked");
        }));
    }
    Ok(())
}
