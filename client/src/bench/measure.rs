//! What a process has cost so far: processor time of its threads from `/proc`, counters from the
//! sequencer's Prometheus page.

use super::{BenchError, io_at};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Microseconds of a tick of `/proc`: Linux shows all programs ticks of 10 ms. Threads have a better
/// clock, `schedstat`, in kernels that count it.
const TICK_US: u64 = 10_000;

/// Threads by the beginning of their names (Linux keeps 15 bytes), and what they do.
const GROUPS: [(&str, &str); 5] = [
    ("kerros-checker", "checker"),
    ("kerros-writer", "writer"),
    ("kerros-seal", "seal"),
    ("tokio-", "runtime"),
    ("rocksdb", "rocksdb"),
];

/// Counters of the page: synced writes of groups, seals and the seconds they took.
const GROUP_WRITES: &str = "kerros_group_write_seconds_count";
const GROUP_SECONDS: &str = "kerros_group_write_seconds_sum";
const SEALS: &str = "kerros_seal_seconds_count";
const SEAL_SECONDS: &str = "kerros_seal_seconds_sum";

/// Processor time since a process began, in microseconds.
#[derive(Debug, Clone, Default)]
struct Processor {
    all_us: u64,
    kernel_us: u64,
    groups_us: BTreeMap<&'static str, u64>,
}

/// Fields of a `stat` file: user and system time of a process, and of those it waited for.
const OWN: usize = 14;
const ENDED: usize = 16;

/// User and system time of a `stat` file.
fn times_us(path: &str, field: usize) -> Result<(u64, u64), BenchError> {
    let text = fs::read_to_string(path).map_err(io_at(path))?;
    stat_us(&text, field).ok_or(BenchError::Measure("a stat file of /proc has another form"))
}

fn stat_us(text: &str, field: usize) -> Option<(u64, u64)> {
    // The name, in parentheses, may contain anything; the first field after it is number 3.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(field - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user * TICK_US, system * TICK_US))
}

/// Processor time of one thread.
fn thread_us(task: &str) -> Result<u64, BenchError> {
    let fine = fs::read_to_string(format!("{task}/schedstat")).ok();
    let ns = fine.and_then(|text| text.split_ascii_whitespace().next()?.parse::<u64>().ok());
    match ns {
        // 0 is also what a kernel shows that does not count.
        Some(ns) if ns > 0 => Ok(ns / 1_000),
        _ => times_us(&format!("{task}/stat"), OWN).map(|(user, system)| user + system),
    }
}

fn group(name: &str) -> &'static str {
    let known = GROUPS.iter().find(|(prefix, _)| name.starts_with(prefix));
    known.map_or("other", |(_, group)| *group)
}

impl Processor {
    fn of(process: &str) -> Result<Self, BenchError> {
        let (user, kernel_us) = times_us(&format!("/proc/{process}/stat"), OWN)?;
        let mut groups_us = BTreeMap::new();
        let tasks = format!("/proc/{process}/task");
        for task in fs::read_dir(&tasks).map_err(io_at(&tasks))? {
            let task = task.map_err(io_at(&tasks))?.path().display().to_string();
            // A thread may end while we look.
            let name = fs::read_to_string(format!("{task}/comm"));
            if let (Ok(name), Ok(us)) = (name, thread_us(&task)) {
                *groups_us.entry(group(&name)).or_default() += us;
            }
        }
        Ok(Self { all_us: user + kernel_us, kernel_us, groups_us })
    }
}

/// Processor time of this process so far, in microseconds.
pub(super) fn own_us() -> Result<u64, BenchError> {
    Ok(Processor::of("self")?.all_us)
}

/// Processor time of a process so far, in microseconds.
pub(super) fn process_us(process: u32) -> Result<u64, BenchError> {
    let (user, system) = times_us(&format!("/proc/{process}/stat"), OWN)?;
    Ok(user + system)
}

/// Processor time of all processes that this one started and saw end, in microseconds.
pub(super) fn ended_us() -> Result<u64, BenchError> {
    let (user, system) = times_us("/proc/self/stat", ENDED)?;
    Ok(user + system)
}

/// Forgets the greatest resident memory of this process so far.
pub(super) fn forget_peak() -> Result<(), BenchError> {
    let path = "/proc/self/clear_refs";
    fs::write(path, "5").map_err(io_at(path))
}

/// The greatest resident memory of a process so far.
pub(super) fn peak_bytes(process: u32) -> Result<u64, BenchError> {
    status_bytes(process, "VmHWM:")
}

/// The resident memory of a process now.
pub(super) fn resident_bytes(process: u32) -> Result<u64, BenchError> {
    status_bytes(process, "VmRSS:")
}

fn status_bytes(process: u32, name: &str) -> Result<u64, BenchError> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).map_err(io_at(&path))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1_024).ok_or(BenchError::Measure("resident memory is missing"))
}

/// Plain values of the metrics page.
async fn page(address: SocketAddr) -> Result<BTreeMap<String, f64>, BenchError> {
    let at = || io_at(format!("metrics {address}"));
    let mut stream = TcpStream::connect(address).await.map_err(at())?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(at())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.map_err(at())?;
    let value = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    Ok(text.lines().filter_map(value).collect())
}

/// Everything that is read before and after a phase.
pub(super) struct Reading {
    server: Processor,
    client: Processor,
    counters: BTreeMap<String, f64>,
}

impl Reading {
    /// Now.
    pub async fn now(process: u32, metrics: SocketAddr) -> Result<Self, BenchError> {
        let counters = page(metrics).await?;
        let server = Processor::of(&process.to_string())?;
        Ok(Self { server, client: Processor::of("self")?, counters })
    }
}

/// What a phase cost.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Processor time by what was done: `server`, `server_kernel` (part of it), each group of the
    /// server's threads, and `client`; in microseconds.
    pub cpu_us: BTreeMap<&'static str, u64>,
    /// Group writes and seals, each one synced write.
    pub synced_writes: u64,
    /// Batches sealed.
    pub sealed: u64,
    /// Time of all group writes, in seconds.
    pub write_seconds: f64,
    /// Time of all seals, in seconds.
    pub seal_seconds: f64,
}

impl Cost {
    /// Adds another phase's.
    pub(super) fn add(&mut self, other: &Self) {
        for (group, us) in &other.cpu_us {
            *self.cpu_us.entry(group).or_default() += us;
        }
        self.synced_writes += other.synced_writes;
        self.sealed += other.sealed;
        self.write_seconds += other.write_seconds;
        self.seal_seconds += other.seal_seconds;
    }
    /// Of what happened between two readings.
    pub(super) fn between(before: &Reading, after: &Reading) -> Self {
        let counter = |name| {
            let value = |reading: &Reading| reading.counters.get(name).copied().unwrap_or(0.0);
            value(after) - value(before)
        };
        let mut cpu_us = BTreeMap::new();
        cpu_us.insert("server", after.server.all_us.saturating_sub(before.server.all_us));
        let kernel_us = after.server.kernel_us.saturating_sub(before.server.kernel_us);
        cpu_us.insert("server_kernel", kernel_us);
        cpu_us.insert("client", after.client.all_us.saturating_sub(before.client.all_us));
        for (group, us) in &after.server.groups_us {
            let earlier = before.server.groups_us.get(group).copied().unwrap_or(0);
            cpu_us.insert(group, us.saturating_sub(earlier));
        }
        // Counters are whole numbers far below 2^53.
        let (writes, sealed) = (counter(GROUP_WRITES) as u64, counter(SEALS) as u64);
        Self {
            cpu_us,
            synced_writes: writes + sealed,
            sealed,
            write_seconds: counter(GROUP_SECONDS),
            seal_seconds: counter(SEAL_SECONDS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_name() {
        let line = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 31 7 3 20 0";
        assert_eq!(stat_us(line, OWN), Some((2_500_000, 310_000)));
        assert_eq!(stat_us(line, ENDED), Some((70_000, 30_000)));
        assert_eq!(stat_us("42 (short) S 1", OWN), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let own = Processor::of("self").expect("Linux");
        assert!(own.all_us >= own.kernel_us);
        assert!(peak_bytes(std::process::id()).expect("Linux") > 0);
        assert_eq!([group("kerros-checker\n"), group("x")], ["checker", "other"]);
    }
}
