//! Runs mutants against the tests that reach them.

use crate::baseline::{Ended, Traced};
use crate::plan::Plan;
use crate::process::{self, Ending};
use crate::table::{Mutant, Places, Table};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Tests up to this many seconds share a process.
const QUICK: f64 = 0.5;
/// A shared process takes up to about this many seconds.
const SHARED: f64 = 2.0;

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A test failed.
    Killed,
    /// A test took many times its time: killed as well.
    Timeout,
    /// Every test that reaches it passed.
    Survived,
    /// No test reaches it: survived as well.
    Unreached,
}

/// A line of the results.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Judged {
    /// The mutant.
    pub key: String,
    /// `file:line:column`, for readers.
    pub place: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The test that killed it.
    pub by: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// How mutants are judged.
pub struct Judge<'a> {
    /// Where.
    pub places: &'a Places,
    /// What is run.
    pub plan: &'a Plan,
    /// The build.
    pub table: &'a Table,
    /// The tests' traces.
    pub traces: &'a [Traced],
    /// A hang: this many times the time without a mutant, and ten seconds.
    pub factor: f64,
    /// Tests beyond this many seconds are not run.
    pub longest: f64,
}

struct Batch<'a> {
    executable: usize,
    tests: Vec<&'a str>,
    seconds: f64,
}

impl Judge<'_> {
    /// Tests that reach the mutant: what last killed in its file first, then by cost.
    fn batches(&self, id: u32, last: Option<usize>) -> Vec<Batch<'_>> {
        let reaching = |t: &&Traced| {
            t.ended == Ended::Passed
                && t.seconds <= self.longest
                && t.reaches.binary_search(&id).is_ok()
        };
        let alone = |t: &Traced| Batch {
            executable: t.executable,
            tests: vec![self.traces[0].test.as_str(); 0],
            seconds: t.seconds,
        };
        let mut tests: Vec<&Traced> = self.traces.iter().filter(reaching).collect();
        let mut batches: Vec<Batch<'_>> = Vec::new();
        tests.sort_by(|a, b| {
            (a.seconds > QUICK, a.executable).cmp(&(b.seconds > QUICK, b.executable))
        });
        for traced in tests {
            let joins = batches.last().is_some_and(|batch| {
                batch.executable == traced.executable
                    && traced.seconds <= QUICK
                    && batch.seconds + traced.seconds <= SHARED
            });
            if !joins {
                batches.push(Batch { seconds: 0.0, ..alone(traced) });
            }
            if let Some(batch) = batches.last_mut() {
                batch.tests.push(&traced.test);
                batch.seconds += traced.seconds;
            }
        }
        batches.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let first = last.map(|place| &self.traces[place]).filter(reaching);
        if let Some(traced) = first {
            batches.insert(0, Batch { tests: vec![&traced.test], ..alone(traced) });
        }
        batches
    }

    fn one(&self, mutant: &Mutant, last: Option<usize>) -> Result<(Judged, Option<usize>)> {
        let started = Instant::now();
        let batches = self.batches(mutant.id, last);
        let mut environment = self.plan.environment.clone();
        environment.insert("KERROS_MUTANT".into(), mutant.id.to_string());
        let mut outcome = if batches.is_empty() { Outcome::Unreached } else { Outcome::Survived };
        let (mut by, mut killer) = (None, None);
        for batch in batches {
            let executable = &self.table.executables[batch.executable];
            let deadline = Duration::from_secs_f64(batch.seconds * self.factor + 10.0);
            let test = match process::run(executable, &batch.tests, &environment, deadline)? {
                Ending::Passed => continue,
                Ending::Failed(test) => {
                    outcome = Outcome::Killed;
                    test
                }
                Ending::TimedOut => {
                    outcome = Outcome::Timeout;
                    String::new()
                }
            };
            by = Some(format!("{} {test}", executable.name));
            let is_it = |t: &Traced| t.executable == batch.executable && t.test == test;
            killer = self.traces.iter().position(is_it);
            break;
        }
        let judged = Judged {
            key: mutant.key.clone(),
            place: format!("{}:{}:{}", mutant.file, mutant.line, mutant.column),
            outcome,
            by,
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok((judged, killer))
    }

    /// Judges these mutants, `jobs` at once; every result is on disk before the next begins.
    pub fn all(&self, mutants: &[&Mutant], jobs: usize) -> Result<()> {
        let path = self.places.file("results.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = Mutex::new(file.with_context(|| path.display().to_string())?);
        let (next, killers) = (AtomicUsize::new(0), Mutex::new(HashMap::<String, usize>::new()));
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(mutant) = mutants.get(number) else { return Ok(()) };
                let last = lock(&killers).get(&mutant.file).copied();
                let (judged, killer) = self.one(mutant, last)?;
                if let Some(killer) = killer {
                    lock(&killers).insert(mutant.file.clone(), killer);
                }
                let mut line = serde_json::to_vec(&judged)?;
                line.push(b'\n');
                lock(&file).write_all(&line)?;
                if !matches!(judged.outcome, Outcome::Killed) {
                    let Mutant { file, line, original, replacement, .. } = mutant;
                    eprintln!(
                        "{}/{} {:?} {file}:{line} {original} → {replacement}",
                        number + 1,
                        mutants.len(),
                        judged.outcome
                    );
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
