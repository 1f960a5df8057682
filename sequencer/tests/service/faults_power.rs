//! Power loss: what was not synced is gone.
//!
//! The model, from strace's log of a real process: names are durable at once (the worst order for
//! "write, then rename"), and a file keeps the bytes it had when its last successful fsync or
//! fdatasync began, or a random part of what came after them. The watermark, which is written in
//! place, gets the image of its last sync, with a torn slot if a later one was under way. What a
//! process finds at its start counts as synced. `sync_file_range` promises nothing and counts for
//! nothing. A sync that strace answers in the kernel's place (`retval=0`) is a missing sync: the
//! suite must notice.

use crate::child::{Site, seed};
use crate::faults::{can_trace, strace};
use crate::told::{Told, Unsound, audit, check, load};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CALLS: &str = "openat,write,pwrite64,ftruncate,rename,unlink,fsync,fdatasync";

/// Bytes of a file, and how many of them a power loss leaves.
#[derive(Default, Clone)]
struct Bytes {
    length: u64,
    synced: u64,
}

/// The data directory as a disk holds it.
struct Disk {
    files: HashMap<String, Bytes>,
    /// The watermark as written and as synced.
    live: Vec<u8>,
    durable: Vec<u8>,
    syncs: u64,
    missing: u64,
}

/// A call as logged: name, arguments, what a sync began with.
struct Call {
    name: String,
    arguments: String,
    began: (u64, Vec<u8>),
}

fn quoted(text: &str) -> Vec<Vec<u8>> {
    let (mut out, mut bytes) = (Vec::new(), text.bytes().peekable());
    while bytes.by_ref().any(|byte| byte == b'"') {
        let mut string = Vec::new();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => match bytes.next().unwrap() {
                    b'n' => string.push(b'\n'),
                    b't' => string.push(b'\t'),
                    b'r' => string.push(b'\r'),
                    b'v' => string.push(11),
                    b'f' => string.push(12),
                    digit @ b'0'..=b'7' => {
                        let mut value = u32::from(digit - b'0');
                        for _ in 0..2 {
                            let Some(digit @ b'0'..=b'7') = bytes.peek().copied() else { break };
                            value = value * 8 + u32::from(digit - b'0');
                            bytes.next();
                        }
                        string.push(u8::try_from(value).unwrap());
                    }
                    other => string.push(other),
                },
                other => string.push(other),
            }
        }
        out.push(string);
    }
    out
}

impl Disk {
    /// As it is before a process starts.
    fn new(directory: &Path) -> Self {
        let mut files = HashMap::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let length = entry.metadata().unwrap().len();
            let path = entry.path().display().to_string();
            files.insert(path, Bytes { length, synced: length });
        }
        let live = std::fs::read(directory.join("watermark")).unwrap();
        Self { files, durable: live.clone(), live, syncs: 0, missing: 0 }
    }
    /// Follows the calls of a log.
    fn follow(&mut self, directory: &Path, log: &str) {
        let mut open: HashMap<&str, Call> = HashMap::new();
        let inside = directory.display().to_string();
        for line in log.lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            let (call, rest) = if rest.starts_with("<...") {
                let Some(call) = open.remove(thread) else { continue };
                (call, rest)
            } else {
                let Some((name, arguments)) = rest.split_once('(') else { continue };
                let (name, arguments) = (name.to_owned(), arguments.to_owned());
                let bytes = self.files.get(descriptor(&arguments)).cloned().unwrap_or_default();
                let began = (bytes.length, self.live.clone());
                (Call { name, arguments, began }, rest)
            };
            if rest.contains("<unfinished ...>") {
                open.insert(thread, call);
                continue;
            }
            let Some((_, result)) = rest.rsplit_once(" = ") else { continue };
            let result = result.trim();
            if call.arguments.contains(&inside)
                && !result.starts_with('-')
                && !result.starts_with('?')
            {
                self.done(&call, result);
            }
        }
    }
    fn done(&mut self, call: &Call, result: &str) {
        let path = descriptor(&call.arguments).to_owned();
        let watermark = path.ends_with("/watermark");
        let strings = || quoted(&call.arguments);
        let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match call.name.as_str() {
            "openat" if call.arguments.contains("O_TRUNC") => {
                self.files.insert(name(&strings()[0]), Bytes::default());
            }
            "write" => {
                let count: u64 = number(result);
                self.files.entry(path).or_default().length += count;
            }
            "pwrite64" if watermark => {
                let data = &strings()[0];
                // Behind the data, which may hold anything: `, length, offset) = …`.
                let behind = call.arguments.rsplit('"').next().unwrap();
                let offset = number(behind.split(", ").nth(2).unwrap()) as usize;
                self.live[offset..offset + data.len()].copy_from_slice(data);
            }
            "ftruncate" => {
                let length = number(call.arguments.split(", ").nth(1).unwrap());
                let bytes = self.files.entry(path).or_default();
                bytes.length = length;
                bytes.synced = bytes.synced.min(length);
            }
            "rename" => {
                let names = strings();
                let bytes = self.files.remove(&name(&names[0])).unwrap_or_default();
                self.files.insert(name(&names[1]), bytes);
            }
            "unlink" => {
                self.files.remove(&name(&strings()[0]));
            }
            "fsync" | "fdatasync" if result.contains("INJECTED") => self.missing += 1,
            "fsync" | "fdatasync" => {
                self.syncs += 1;
                if watermark {
                    self.durable = call.began.1.clone();
                }
                if let Some(bytes) = self.files.get_mut(&path) {
                    bytes.synced = bytes.synced.max(call.began.0);
                }
            }
            _ => {}
        }
    }
    /// Takes the power away, with all that was not synced or with some of it.
    fn lose(&self, directory: &Path, rng: &mut StdRng, all: bool) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let length = std::fs::metadata(&path).unwrap().len();
            let Some(bytes) = self.files.get(&path.display().to_string()) else { continue };
            if path.ends_with("watermark") || bytes.synced >= length {
                continue;
            }
            let keep = if all { bytes.synced } else { rng.gen_range(bytes.synced..=length) };
            std::fs::File::options().write(true).open(&path).unwrap().set_len(keep).unwrap();
        }
        let mut image = self.durable.clone();
        for (byte, live) in image.iter_mut().zip(&self.live) {
            if !all && byte != live && rng.r#gen::<bool>() {
                *byte = *live;
            }
        }
        std::fs::write(directory.join("watermark"), image).unwrap();
    }
}

/// The number that a text starts with.
fn number(text: &str) -> u64 {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// The path behind the first descriptor.
fn descriptor(arguments: &str) -> &str {
    let path = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path.map_or("", |(path, _)| path)
}

/// One life that ends with the power; `faults` are strace's.
async fn life(site: &Site, told: &Arc<Mutex<Told>>, rng: &mut StdRng, faults: &[String]) -> Disk {
    let log = site.path().join("trace");
    let mut disk = Disk::new(&site.data());
    let process = site.start_under(&strace(&log, CALLS, faults, true)).unwrap();
    let known = told.lock().unwrap().clone();
    check(&process, &known, 0).await.unwrap();
    let payers = load(site, &process, told).await;
    tokio::time::sleep(Duration::from_millis(rng.gen_range(50..400))).await;
    process.kill();
    for payer in payers {
        payer.await.unwrap();
    }
    disk.follow(&site.data(), &std::fs::read_to_string(&log).unwrap());
    // Slots torn at random would only hide a missing sync behind a damaged watermark.
    let all = !faults.is_empty() || rng.r#gen::<bool>();
    disk.lose(&site.data(), rng, all);
    disk
}

/// A site whose sequencer has made its files, and what its clients were told.
async fn settled() -> (Site, Arc<Mutex<Told>>) {
    let site = Site::new().await;
    let process = site.start();
    check(&process, &Told::default(), 0).await.unwrap();
    process.kill();
    (site, Arc::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_loss_takes_nothing_that_was_acknowledged() {
    if !can_trace() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let (site, told) = settled().await;
    for _ in 0..12 {
        let disk = life(&site, &told, &mut rng, &[]).await;
        assert!(disk.syncs > 10 && disk.missing == 0);
    }
    let process = site.start();
    let known = told.lock().unwrap().clone();
    check(&process, &known, 0).await.unwrap();
    process.kill();
    audit(&site, &known);
    assert!(known.transactions.len() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_power_loss_test_notices_a_sync_that_is_missing() {
    if !can_trace() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    for (fault, refused) in [
        // Neither the log nor the watermark is synced any more: only the oracle can tell.
        ("fdatasync:retval=0:when=21+", false),
        // The log is not, the watermark is: the start is refused. Each comes every second time.
        ("fdatasync:retval=0:when=21+2", true),
    ] {
        let mut noticed = false;
        for _ in 0..5 {
            let (mut site, told) = settled().await;
            // No seal comes between.
            site.arguments = ["--batch-age-ms", "3600000"].map(str::to_owned).to_vec();
            let disk = life(&site, &told, &mut rng, &[fault.to_owned()]).await;
            assert!(disk.missing > 0, "strace has answered syncs");
            let known = told.lock().unwrap().clone();
            match site.start_under(&[]) {
                Ok(process) => match check(&process, &known, 0).await {
                    Err(Unsound::Lost(what)) => {
                        println!("{fault}: noticed by the oracle: {what}");
                        assert!(!refused, "the watermark should have refused");
                        noticed = true;
                    }
                    other => println!("{fault}: {other:?}"),
                },
                Err(said) => {
                    println!("{fault}: {said}");
                    assert!(refused, "an old watermark refuses nothing");
                    assert!(said.contains("acknowledged operations are missing"), "{said}");
                    noticed = true;
                }
            }
            if noticed {
                break;
            }
        }
        assert!(noticed, "{fault} went by unnoticed");
    }
}
