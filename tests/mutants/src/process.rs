//! One run of a test executable.

use crate::table::Executable;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Address space of one test process, in KiB: a mutant must not eat the machine.
const MEMORY: &str = "12000000";

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every test passed.
    Passed,
    /// This test failed, or the process died.
    Failed(String),
    /// The deadline passed.
    TimedOut,
}

fn command(executable: &Executable, environment: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -v {MEMORY}; ulimit -c 0; exec \"$0\" \"$@\"")])
        .arg(&executable.path)
        .current_dir(&executable.directory)
        .env("CARGO_MANIFEST_DIR", &executable.directory)
        .env("RUST_BACKTRACE", "0")
        .envs(environment)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        // Its own group: what a test starts ends with it.
        .process_group(0);
    command
}

/// The names of an executable's tests.
pub fn list(
    executable: &Executable,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let mut listing = command(executable, environment);
    let output = listing.args(["--list", "--format", "terse"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(String::from).collect())
}

fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Runs these tests, one after another, until one fails.
pub fn run(
    executable: &Executable,
    tests: &[&str],
    environment: &BTreeMap<String, String>,
    deadline: Duration,
) -> Result<Ending> {
    let started = Instant::now();
    let mut child = command(executable, environment)
        .args(["--test-threads=1", "--exact"])
        .args(tests)
        .stdout(Stdio::piped())
        .spawn()
        .context(executable.name.clone())?;
    let stdout = child.stdout.take().context("a test's output")?;
    let (send, receive) = channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n') {
            let Ok(line) = line else { break };
            if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let (mut ending, mut current) = (Ending::Passed, String::new());
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        match receive.recv_timeout(left) {
            Ok(line) => {
                let name = line.strip_prefix("test ").and_then(|rest| rest.split(" ... ").next());
                current = name.unwrap_or(&current).to_owned();
                if line.ends_with("FAILED") && !line.starts_with("test result") {
                    ending = Ending::Failed(current.clone());
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                ending = Ending::TimedOut;
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if ending != Ending::Passed {
        end(&mut child);
    }
    let status = child.wait()?;
    end(&mut child);
    drop(receive);
    let _ = reader.join();
    if ending == Ending::Passed && !status.success() {
        let name = if tests.len() == 1 { tests[0] } else { current.as_str() };
        ending = Ending::Failed(name.to_owned());
    }
    Ok(ending)
}

/// Reads what a traced run reached.
pub fn reached(path: &std::path::Path) -> Result<Vec<u32>> {
    let mut text = String::new();
    match std::fs::File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    let mut ids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
