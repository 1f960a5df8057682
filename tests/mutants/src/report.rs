//! The results: what was judged so far, and the summary.

use crate::judge::{Judged, Outcome};
use crate::plan::Justified;
use crate::table::{Mutant, Places, Table};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashMap};

/// The last result of every mutant.
pub fn results(places: &Places) -> Result<HashMap<String, Judged>> {
    let path = places.file("results.jsonl");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let mut results = HashMap::new();
    for line in text.lines() {
        let judged: Judged = serde_json::from_str(line).with_context(|| line.to_owned())?;
        results.insert(judged.key.clone(), judged);
    }
    Ok(results)
}

#[derive(Default, Clone, Copy)]
struct Count {
    killed: usize,
    timeout: usize,
    justified: usize,
    survived: usize,
    unjudged: usize,
}

impl Count {
    fn line(&self, name: &str) -> String {
        let Self { killed, timeout, justified, survived, unjudged } = *self;
        let dead = killed + timeout;
        let rate = match dead + survived {
            0 => "-".into(),
            judged => format!("{:.1} %", 100.0 * dead as f64 / judged as f64),
        };
        format!(
            "| {name} | {killed} | {timeout} | {survived} | {justified} | {unjudged} | {rate} |"
        )
    }
    fn add(&mut self, other: &Self) {
        self.killed += other.killed;
        self.timeout += other.timeout;
        self.justified += other.justified;
        self.survived += other.survived;
        self.unjudged += other.unjudged;
    }
}

/// Whether a mutant is justified.
pub fn is_justified(mutant: &Mutant, justified: &[Justified]) -> bool {
    justified.iter().any(|entry| entry.names(mutant))
}

/// Prints survivors, then a table by file and crate. Gives how many survive unjustified.
pub fn print(places: &Places, table: &Table, justified: &[Justified]) -> Result<usize> {
    let results = results(places)?;
    let mut files = BTreeMap::<&str, Count>::new();
    let mut uncompiled = 0;
    for mutant in &table.mutants {
        if !mutant.compiles {
            uncompiled += 1;
            continue;
        }
        let count = files.entry(&mutant.file).or_default();
        let outcome = results.get(&mutant.key).map(|judged| judged.outcome);
        match outcome {
            Some(Outcome::Killed) => count.killed += 1,
            Some(Outcome::Timeout) => count.timeout += 1,
            _ if is_justified(mutant, justified) => count.justified += 1,
            None => count.unjudged += 1,
            Some(outcome) => {
                count.survived += 1;
                let Mutant { file, line, column, function, original, replacement, .. } = mutant;
                let word = if outcome == Outcome::Unreached { "unreached" } else { "survived" };
                println!("{word} {file}:{line}:{column} {function}: {original} → {replacement}");
            }
        }
    }
    let mut crates = BTreeMap::<&str, Count>::new();
    println!(
        "\n| file | killed | by time | survived | justified | not judged | killed of judged |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (file, count) in &files {
        println!("{}", count.line(file));
        crates.entry(file.split("/src/").next().unwrap_or(file)).or_default().add(count);
    }
    let mut total = Count::default();
    for (name, count) in &crates {
        println!("{}", count.line(&format!("**{name}**")));
        total.add(count);
    }
    println!("{}", total.line("**all**"));
    println!("\n{uncompiled} more do not compile.");
    for entry in justified {
        if !table.mutants.iter().any(|mutant| entry.names(mutant)) {
            println!(
                "equivalent.toml names no mutant: {}: {} ({})",
                entry.file, entry.original, entry.reason
            );
        }
    }
    Ok(total.survived)
}
