//! System calls of the real binary that never come to their end (SIGKILL on entry) or fail (EIO):
//! injected by strace, counted in each thread for itself.

use crate::child::{Site, seed, skipped};
use crate::told::{Told, Unsound, audit, check, load};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kills in a usual run, beside those of `kill`; KERROS_KILLS asks for more.
const KILLS: u32 = 160;

/// Whether strace is there and may trace; without it these tests show nothing.
pub fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        skipped("strace is missing or may not trace");
    }
    can
}

/// A command line that traces `calls` into `log` and injects `faults`. `quick` leaves other calls
/// alone, but then injected signals are never delivered.
pub fn strace(log: &Path, calls: &str, faults: &[String], quick: bool) -> Vec<String> {
    let log = log.display().to_string();
    let line = ["strace", "-f", "-qq", "-y", "-s", "128", "-o", &log, "-e"];
    let mut line: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
    line.push(format!("trace={calls}"));
    if quick {
        line.insert(1, "--seccomp-bpf".to_owned());
    }
    for fault in faults {
        line.extend(["-e".to_owned(), format!("inject={fault}")]);
    }
    line
}

/// What strace writes of a call that failed so; the name alone may be in the data of a write.
const INJECTED: &str = " = -1 EIO ";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_system_call_loses_nothing_that_was_acknowledged() {
    if !can_trace() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let kills = std::env::var("KERROS_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: u32 = kills.unwrap_or(KILLS);
    let site = Site::new().await;
    let told = Arc::new(Mutex::new(Told::default()));
    let (mut checked, mut at_start, mut at_call) = (0, 0, 0);
    for _ in 0..kills {
        let call = ["write", "pwrite64", "fdatasync", "fsync", "rename"][rng.gen_range(0..5)];
        let most = match call {
            "write" | "fdatasync" => 300,
            "pwrite64" => 100,
            _ => 12,
        };
        // Small numbers as often as great ones: the start has its own calls.
        let nth = f64::from(most).powf(rng.r#gen::<f64>()).ceil();
        let fault = format!("{call}:signal=SIGKILL:when={nth}");
        let tracer = strace(Path::new("/dev/null"), call, &[fault], false);
        let Ok(mut process) = site.start_under(&tracer) else {
            at_start += 1;
            continue;
        };
        let known = told.lock().unwrap().clone();
        match check(&process, &known, checked).await {
            Ok(()) => checked = known.transactions.len(),
            // Killed meanwhile: the next start is asked.
            Err(Unsound::Gone) => {}
            Err(Unsound::Lost(what)) => panic!("{call} {nth}: {what}"),
        }
        let payers = load(&site, &process, &told).await;
        match process.ended(Duration::from_millis(rng.gen_range(20..150))).await {
            Some(_) => at_call += 1,
            None => process.kill(),
        }
        for payer in payers {
            payer.await.unwrap();
        }
    }
    println!("{kills} kills: {at_start} before it was ready, {at_call} at a call under load");
    let process = site.start();
    let known = told.lock().unwrap().clone();
    check(&process, &known, 0).await.unwrap();
    process.kill();
    audit(&site, &known);
    assert!(known.transactions.len() > kills as usize, "the run did too little to mean anything");
    assert!(at_start > kills / 20 && at_call > kills / 20, "{at_start} and {at_call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_ends_the_process_and_nothing_is_written_or_answered_after_it() {
    if !can_trace() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let site = Site::new().await;
    let told = Arc::new(Mutex::new(Told::default()));
    let log = site.path().join("trace");
    let mut failed = 0;
    for round in 0..10 {
        let call = if round % 5 == 4 { "fsync" } else { "fdatasync" };
        let nth = rng.gen_range(1..if round % 5 == 4 { 6 } else { 40 });
        let fault = format!("{call}:error=EIO:when={nth}");
        let started = site.start_under(&strace(&log, "write,fsync,fdatasync", &[fault], true));
        if let Ok(mut process) = started {
            let known = told.lock().unwrap().clone();
            if let Err(Unsound::Lost(what)) = check(&process, &known, 0).await {
                panic!("{what}");
            }
            let payers = load(&site, &process, &told).await;
            let ended = process.ended(Duration::from_secs(6)).await;
            assert_ne!(ended, Some(true), "an error is told");
            if ended.is_none() {
                // Only if the failing call was not the database's or never came.
                let text = std::fs::read_to_string(&log).unwrap();
                let ours = format!("<{}", site.data().display());
                let hit = text.lines().find(|line| line.contains(INJECTED) && line.contains(&ours));
                assert_eq!(hit, None, "it went on after {call} {nth} had failed");
            }
            process.kill();
            for payer in payers {
                payer.await.unwrap();
            }
        }
        let text = std::fs::read_to_string(&log).unwrap();
        let data = format!("<{}/", site.data().display());
        let ours: Vec<&str> = text.lines().filter(|line| line.contains(&data)).collect();
        if let Some(first) = ours.iter().position(|line| line.contains(INJECTED)) {
            failed += 1;
            let file = ours[first].split(&data).nth(1).and_then(|rest| rest.split('>').next());
            let file = file.unwrap();
            // After the watermark's failure the sealer may be within a write of its own.
            if file.ends_with(".log") {
                let later = |line: &&&str| line.contains(".log>") || line.contains("/watermark>");
                let after: Vec<_> = ours[first + 1..].iter().filter(later).collect();
                assert_eq!(after, Vec::<&&str>::new(), "after {}", ours[first]);
            }
        }
        let process = site.start();
        let known = told.lock().unwrap().clone();
        check(&process, &known, 0).await.unwrap();
        process.kill();
    }
    audit(&site, &told.lock().unwrap());
    println!("{failed} syncs failed");
    assert!(failed >= 1);
}
