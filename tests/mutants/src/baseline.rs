//! Every test alone, without a mutant: what it costs and which mutants it reaches.

use crate::plan::{Plan, globs};
use crate::process::{self, Ending};
use crate::table::{Executable, Places, Table, load, store};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How a test ended without a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It took too long: left out, and traced again when longer ones are allowed.
    Long,
}

/// One test, traced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Traced {
    /// Place of its executable in the table.
    pub executable: usize,
    /// Name.
    pub test: String,
    /// Seconds alone, start of the process included.
    pub seconds: f64,
    /// Ids of the mutants it reaches.
    pub reaches: Vec<u32>,
    /// How it ended; one that fails without a mutant can kill none.
    pub ended: Ended,
}

#[derive(Default, Serialize, Deserialize)]
struct Cached {
    /// Of the executable: name and time of its last build.
    stamp: String,
    tests: Vec<Traced>,
}

fn stamp(executable: &Executable) -> Result<String> {
    let built = std::fs::metadata(&executable.path)?.modified()?;
    Ok(format!("{} {built:?}", executable.path.display()))
}

/// How tests are traced.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At once.
    pub jobs: usize,
    /// Tests that take more seconds are left out.
    pub longest: f64,
}

/// Traces what the cache does not know.
pub fn trace(places: &Places, plan: &Plan, table: &Table, limits: Limits) -> Result<Vec<Traced>> {
    let path = places.file("traces.json");
    let mut cache: BTreeMap<String, Cached> = load(&path)?;
    let skip = globs(&plan.skip)?;
    let mut all = Vec::new();
    for (index, executable) in table.executables.iter().enumerate() {
        let stamp = stamp(executable)?;
        let cached = cache.entry(executable.name.clone()).or_default();
        if cached.stamp != stamp {
            *cached = Cached { stamp, tests: Vec::new() };
        }
        cached.tests.retain(|t| t.ended != Ended::Long || t.seconds >= limits.longest);
        let known: HashSet<&str> = cached.tests.iter().map(|t| t.test.as_str()).collect();
        let mut names = process::list(executable, &plan.environment)?;
        names.retain(|test| !skip.is_match(format!("{} {test}", executable.name)));
        names.retain(|test| !known.contains(test.as_str()));
        if !names.is_empty() {
            eprintln!("tracing {}: {} tests", executable.name, names.len());
            let traced = all_of(places, plan, executable, &names, limits)?;
            cached.tests.extend(traced);
            store(&path, &cache)?;
        }
        let tests = cache[&executable.name].tests.iter().cloned();
        all.extend(tests.map(|traced| Traced { executable: index, ..traced }));
    }
    for left in all.iter().filter(|traced| traced.ended != Ended::Passed) {
        let name = &table.executables[left.executable].name;
        eprintln!("{:?} without a mutant, left out: {name} {}", left.ended, left.test);
    }
    Ok(all)
}

fn all_of(
    places: &Places,
    plan: &Plan,
    executable: &Executable,
    names: &[String],
    limits: Limits,
) -> Result<Vec<Traced>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..limits.jobs)
            .map(|worker| {
                let (next, done) = (&next, &done);
                scope.spawn(move || -> Result<()> {
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let traced = one(places, plan, executable, name, (worker, limits.longest))?;
                        done.lock().unwrap_or_else(|p| p.into_inner()).push(traced);
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by(|a, b| a.test.cmp(&b.test));
    Ok(done)
}

fn one(
    places: &Places,
    plan: &Plan,
    executable: &Executable,
    test: &str,
    (worker, longest): (usize, f64),
) -> Result<Traced> {
    let trace = places.file(&format!("trace-{worker}"));
    if trace.exists() {
        std::fs::remove_file(&trace)?;
    }
    let mut environment = plan.environment.clone();
    environment.insert("KERROS_MUTANT".into(), "trace".into());
    environment.insert("KERROS_MUTANT_TRACE".into(), trace.display().to_string());
    let started = Instant::now();
    let ending = process::run(executable, &[test], &environment, Duration::from_secs_f64(longest))?;
    Ok(Traced {
        executable: 0,
        test: test.to_owned(),
        seconds: started.elapsed().as_secs_f64(),
        reaches: process::reached(&trace)?,
        ended: match ending {
            Ending::Passed => Ended::Passed,
            Ending::Failed(_) => Ended::Failed,
            Ending::TimedOut => Ended::Long,
        },
    })
}
