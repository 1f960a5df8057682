//! Opening the database within a limit.
//!
//! RocksDB's reader of logs can run in circles for ever on some damaged ones (seen with 11.8: flipped
//! bits in a record's length). A start that neither serves nor refuses helps nobody. The thread that
//! opens cannot be cancelled: it is left behind, and the process has to end.

use super::StartError;
use crate::config::Config;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Does `work`, which opens the database, unless it takes longer than the configured limit.
pub fn within_limit<T: Send + 'static>(
    config: &Config,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    let limit_ms = config.open_limit_ms;
    let (done, opened) = channel();
    let thread = std::thread::Builder::new().name("kerros-open".to_owned());
    // Fails if nobody waits any more.
    let started = thread.spawn(move || done.send(work()).is_ok());
    started.map_err(StartError::OpenThread)?;
    opened.recv_timeout(Duration::from_millis(limit_ms)).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            let path = config.data_dir.display().to_string();
            StartError::OpenLimit { path, limit_ms }
        }
        // It panicked.
        RecvTimeoutError::Disconnected => StartError::Cancelled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;
    use kerros_protocol::account::{AccountKey, Address};

    #[test]
    fn an_opening_that_never_ends_is_refused_with_the_database_and_what_to_do() {
        let key = AccountKey::new(Fr::from(1u64)).expect("not 0");
        let address = Address([1; 20]);
        let mut config = Config::new("/data/kerros".into(), address, key, address);
        config.open_limit_ms = 100;
        let stuck = within_limit::<()>(&config, || {
            loop {
                std::thread::park();
            }
        });
        let said = stuck.expect_err("it never opens").to_string();
        assert!(said.contains("/data/kerros did not open within 100 ms"), "{said}");
        assert!(said.contains("--open-limit-ms"), "{said}");
        assert_eq!(within_limit(&config, || 7).expect("at once"), 7);
    }
}
