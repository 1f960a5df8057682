//! Every test alone, without a mutant: what it costs and which mutants it reaches.

use crate::plan::{Plan, globs};
use crate::process::{self, Ending};
use crate::table::{Executable, Places, Table, load, store};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// No test of Kerros takes longer.
const LONGEST: Duration = Duration::from_secs(900);

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
    /// Whether it passed; one that fails without a mutant can kill none.
    pub passed: bool,
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

/// Traces what the cache does not know, `jobs` at once.
pub fn trace(places: &Places, plan: &Plan, table: &Table, jobs: usize) -> Result<Vec<Traced>> {
    let path = places.file("traces.json");
    let mut cache: BTreeMap<String, Cached> = load(&path)?;
    let skip = globs(&plan.skip)?;
    let mut all = Vec::new();
    for (index, executable) in table.executables.iter().enumerate() {
        let stamp = stamp(executable)?;
        let known = cache.get(&executable.name).is_some_and(|cached| cached.stamp == stamp);
        if !known {
            let names = process::list(executable, &plan.environment)?;
            let named = |test: &String| !skip.is_match(format!("{} {test}", executable.name));
            let names: Vec<String> = names.into_iter().filter(named).collect();
            eprintln!("tracing {}: {} tests", executable.name, names.len());
            let tests = all_of(places, plan, executable, &names, jobs)?;
            cache.insert(executable.name.clone(), Cached { stamp, tests });
            store(&path, &cache)?;
        }
        let tests = cache[&executable.name].tests.iter().cloned();
        all.extend(tests.map(|traced| Traced { executable: index, ..traced }));
    }
    for failed in all.iter().filter(|traced| !traced.passed) {
        let name = &table.executables[failed.executable].name;
        eprintln!("fails without a mutant, left out: {name} {}", failed.test);
    }
    Ok(all)
}

fn all_of(
    places: &Places,
    plan: &Plan,
    executable: &Executable,
    names: &[String],
    jobs: usize,
) -> Result<Vec<Traced>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|worker| {
                let (next, done) = (&next, &done);
                scope.spawn(move || -> Result<()> {
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let traced = one(places, plan, executable, name, worker)?;
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
    worker: usize,
) -> Result<Traced> {
    let trace = places.file(&format!("trace-{worker}"));
    if trace.exists() {
        std::fs::remove_file(&trace)?;
    }
    let mut environment = plan.environment.clone();
    environment.insert("KERROS_MUTANT".into(), "trace".into());
    environment.insert("KERROS_MUTANT_TRACE".into(), trace.display().to_string());
    let started = Instant::now();
    let ending = process::run(executable, &[test], &environment, LONGEST)?;
    Ok(Traced {
        executable: 0,
        test: test.to_owned(),
        seconds: started.elapsed().as_secs_f64(),
        reaches: process::reached(&trace)?,
        passed: ending == Ending::Passed,
    })
}
