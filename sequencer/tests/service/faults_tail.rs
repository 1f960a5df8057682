//! The end of the log torn or damaged after the process was killed: either everything acknowledged
//! is there, or the start is refused with what is missing, and refusing changes nothing.

use crate::child::{Site, seed};
use crate::told::{Told, audit, check, load};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn newest_log(data: &Path) -> PathBuf {
    let logs = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let logs = logs.filter(|path| path.extension().is_some_and(|end| end == "log"));
    logs.filter(|path| std::fs::metadata(path).unwrap().len() > 0).max().unwrap()
}

/// Everything that counts in a data directory; RocksDB writes its diary (LOG) even when it only looks.
fn contents(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| {
        !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("LOG"))
    });
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

async fn killed(arguments: &[&str]) -> (Site, Told) {
    let mut site = Site::new().await;
    site.arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    let told = Arc::new(Mutex::new(Told::default()));
    let process = site.start();
    check(&process, &Told::default(), 0).await.unwrap();
    let payers = load(&site, &process, &told).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    process.kill();
    for payer in payers {
        payer.await.unwrap();
    }
    let told = told.lock().unwrap().clone();
    assert!(told.transactions.len() > 20);
    (site, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_tail_is_dropped_or_refused_and_never_served_with_something_missing() {
    let mut rng = StdRng::seed_from_u64(seed());
    let (mut whole, mut refused, mut stuck) = (0, 0, 0);
    let (site, told) = killed(&[]).await;
    let length = std::fs::metadata(newest_log(&site.data())).unwrap().len();
    for trial in 0..36 {
        let copy = site.copy(&format!("copy{trial}"));
        let log = newest_log(&copy.data());
        let mut bytes = std::fs::read(&log).unwrap();
        let near = length.saturating_sub(1 << rng.gen_range(3..14)) as usize;
        match trial % 3 {
            0 => bytes.truncate(rng.gen_range(near..bytes.len())),
            1 => {
                for _ in 0..rng.gen_range(1..4) {
                    let at = rng.gen_range(near..bytes.len());
                    bytes[at] ^= 1 << rng.gen_range(0..8);
                }
            }
            // What a write that was under way may leave.
            _ => bytes.extend((0..rng.gen_range(1..500)).map(|_| rng.r#gen::<u8>())),
        }
        std::fs::write(&log, &bytes).unwrap();
        let before = contents(&copy.data());
        match copy.start_under(&[]) {
            Ok(process) => {
                check(&process, &told, 0).await.unwrap();
                process.kill();
                audit(&copy, &told);
                whole += 1;
            }
            // RocksDB's reader loops: the process gives up by itself.
            Err(said) if said.contains("did not open within") => {
                assert!(said.ends_with("exit status: 1"), "{said}");
                stuck += 1;
            }
            Err(said) => {
                assert!(said.contains("acknowledged operations are missing"), "{said}");
                assert!(contents(&copy.data()) == before, "refusing changes nothing");
                refused += 1;
            }
        }
        std::fs::remove_dir_all(&copy.root).unwrap();
    }
    println!("{whole} served whole, {refused} refused, {stuck} stuck in the database's reader");
    assert!(whole >= 1 && refused >= 1, "both happen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_watermark_or_database_is_refused_unless_the_operator_accepts_it() {
    let (mut site, told) = killed(&[]).await;
    let copy = site.copy("without-log");
    for entry in std::fs::read_dir(copy.data()).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("watermark") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let said = copy.start_under(&[]).err().expect("the database is gone");
    assert!(said.contains("the log ends at batch 0"), "{said}");
    std::fs::remove_file(site.data().join("watermark")).unwrap();
    let said = site.start_under(&[]).err().expect("the watermark is gone");
    assert!(said.contains("--accept-missing-watermark"), "{said}");
    site.arguments.push("--accept-missing-watermark".to_owned());
    let process = site.start();
    check(&process, &told, 0).await.unwrap();
    process.kill();
    site.arguments.clear();
    let process = site.start();
    check(&process, &told, 0).await.unwrap();
    process.kill();
    audit(&site, &told);
}
