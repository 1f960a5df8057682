//! Arguments of the `kerros-prover` service; each can come from the environment.

use clap::{Parser, ValueEnum};
use kerros_kernels::Path;
use std::net::SocketAddr;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Example:
  kerros-prover --sequencer http://10.0.0.5:7400 --keys /var/lib/kerros/keys --metrics 0.0.0.0:9465

The key directory holds srs.bin, verification.key and proving.key. Any number of provers may work
for one sequencer. SIGINT and SIGTERM release the lease and end the service.
Exit codes: 0 stopped, 1 failed, 2 wrong arguments.";

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object with `timestamp`, `level`, `target`, `message` and the event's own fields.
    Json,
}

/// Proves batches of a Kerros sequencer.
#[derive(Debug, Clone, Parser)]
#[command(name = "kerros-prover", version, about, after_help = AFTER_HELP)]
pub struct Config {
    /// The sequencer's gRPC endpoint.
    #[arg(long, env = "KERROS_SEQUENCER", default_value = "http://127.0.0.1:7400")]
    pub sequencer: String,
    /// Directory with srs.bin, verification.key and proving.key.
    #[arg(long, env = "KERROS_KEYS")]
    pub keys: PathBuf,
    /// Name under which leases are taken, 1 to 64 bytes; host name and process id if absent.
    #[arg(long, env = "KERROS_PROVER_ID")]
    pub id: Option<String>,
    /// Where to serve Prometheus metrics; nowhere if absent.
    #[arg(long, env = "KERROS_PROVER_METRICS")]
    pub metrics: Option<SocketAddr>,
    /// Accept keys of a development setup, whose secrets somebody may know.
    #[arg(long, env = "KERROS_DEVELOPMENT_KEYS")]
    pub development_keys: bool,
    /// Code that computes: ifma (AVX-512) or portable; the best that the processor has if absent.
    #[arg(long, env = "KERROS_PROVER_PATH")]
    pub path: Option<Path>,
    /// How a line of the log looks.
    #[arg(long, env = "KERROS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

impl Config {
    /// The name given, or one that is likely to be unique.
    pub fn prover_id(&self) -> String {
        self.id.clone().unwrap_or_else(|| {
            let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
            let host: String = host.trim().chars().take(40).collect();
            format!("{host}-{}", std::process::id())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ID_BYTES_MAX;

    #[test]
    fn the_name_given_wins_and_the_default_fits() {
        let line = ["kerros-prover", "--keys", "k", "--id", "p1"];
        assert_eq!(Config::try_parse_from(line).expect("parses").prover_id(), "p1");
        let path = |path| Config::try_parse_from(line.iter().copied().chain(["--path", path]));
        assert_eq!(path("portable").expect("parses").path, Some(Path::Portable));
        assert!(path("fast").is_err());
        let default = Config::try_parse_from(["kerros-prover", "--keys", "k"]).expect("parses");
        assert!((1..=ID_BYTES_MAX).contains(&default.prover_id().len()));
    }
}
