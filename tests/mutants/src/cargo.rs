//! Builds the copy; switches off what does not compile.

use crate::plan::Plan;
use crate::table::{Executable, Places, Table, Uncompiled, load, store};
use crate::tree::{self, Sources};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// More rounds than this mean that the blame goes wrong.
const ROUNDS: usize = 40;

struct Round {
    success: bool,
    executables: HashMap<String, Executable>,
    blamed: BTreeSet<u32>,
    unexplained: Vec<String>,
}

fn arguments(plan: &Plan) -> Vec<String> {
    let mut out: Vec<String> =
        ["test", "--release", "--workspace", "--offline", "--no-run"].map(String::from).to_vec();
    out.push("--message-format=json".into());
    for test in &plan.tests {
        match test.split(':').collect::<Vec<_>>()[..] {
            [_, kind, name] => out.extend([format!("--{kind}"), name.to_owned()]),
            [package, ..] => out.extend(["--test".to_owned(), tree::library_test(package)]),
            [] => {}
        }
    }
    out
}

fn spans(message: &Value, places: &Places, sources: &Sources, primary: bool) -> BTreeSet<u32> {
    let mut blamed = BTreeSet::new();
    for span in message["spans"].as_array().into_iter().flatten() {
        if span["is_primary"] != primary {
            continue;
        }
        let Some(file) = span["file_name"].as_str() else { continue };
        let Some(file) = tree::relative(places, file) else { continue };
        let byte = |name: &str| span[name].as_u64().and_then(|byte| usize::try_from(byte).ok());
        let (Some(start), Some(end)) = (byte("byte_start"), byte("byte_end")) else { continue };
        blamed.extend(sources.blame(&file, start..end));
    }
    blamed
}

fn executable(artifact: &Value) -> Option<Executable> {
    let path = artifact["executable"].as_str()?;
    if artifact["profile"]["test"] != true {
        return None;
    }
    let manifest = Path::new(artifact["manifest_path"].as_str()?);
    let target = &artifact["target"];
    let (kind, name) = (target["kind"][0].as_str()?, target["name"].as_str()?);
    // `path+file:///…/protocol#kerros-protocol@0.1.0`
    let package = artifact["package_id"].as_str()?.rsplit(['#', '/']).next()?;
    let package = package.split('@').next()?;
    let name = if name == tree::library_test(package) {
        format!("{package}:lib")
    } else {
        format!("{package}:{kind}:{name}")
    };
    Some(Executable { name, path: path.into(), directory: manifest.parent()?.into() })
}

fn round(places: &Places, plan: &Plan, sources: &Sources) -> Result<Round> {
    let mut child = Command::new("cargo")
        .args(arguments(plan))
        .current_dir(places.tree())
        .env("CARGO_TARGET_DIR", &places.target)
        .stdout(Stdio::piped())
        .env("CARGO_TERM_QUIET", "true")
        .spawn()
        .context("cargo")?;
    let stdout = child.stdout.take().context("cargo's output")?;
    let (mut executables, mut blamed, mut unexplained) =
        (HashMap::new(), BTreeSet::new(), Vec::new());
    for line in BufReader::new(stdout).lines() {
        let Ok(event) = serde_json::from_str::<Value>(&line?) else { continue };
        if event["reason"] == "compiler-artifact" {
            if let Some(found) = executable(&event) {
                executables.insert(found.name.clone(), found);
            }
            continue;
        }
        let message = &event["message"];
        if event["reason"] != "compiler-message" || message["level"] != "error" {
            continue;
        }
        let mut found = spans(message, places, sources, true);
        if found.is_empty() {
            found = spans(message, places, sources, false);
        }
        // The closing "aborting due to n errors" has no place.
        let placed = message["spans"].as_array().is_some_and(|spans| !spans.is_empty());
        if found.is_empty() && placed {
            unexplained.push(message["rendered"].as_str().unwrap_or_default().to_owned());
        }
        blamed.extend(found);
    }
    Ok(Round { success: child.wait()?.success(), executables, blamed, unexplained })
}

/// Writes and builds the copy until it compiles.
pub fn build(places: &Places, plan: &Plan) -> Result<Table> {
    std::fs::create_dir_all(&places.state)?;
    let path = places.file("uncompiled.json");
    let mut uncompiled: Uncompiled = load(&path)?;
    let mut sources = tree::find(places, plan, &uncompiled)?;
    for number in 1..=ROUNDS {
        sources.write(places, plan)?;
        let on = sources.mutants.iter().filter(|m| m.compiles).count();
        eprintln!("round {number}: {on} of {} mutants, building", sources.mutants.len());
        let round = round(places, plan, &sources)?;
        if round.success {
            let executables = plan.tests.iter().map(|name| {
                let found = round.executables.get(name);
                found.cloned().with_context(|| format!("no test executable {name}"))
            });
            let executables = executables.collect::<Result<_>>()?;
            let table = Table { mutants: sources.mutants, executables };
            store(&places.file("table.json"), &table)?;
            return Ok(table);
        }
        if round.blamed.is_empty() {
            bail!("the copy does not compile:\n{}", round.unexplained.join("\n"));
        }
        eprintln!("round {number}: {} mutants do not compile", round.blamed.len());
        for id in round.blamed {
            let mutant = &mut sources.mutants[id as usize - 1];
            mutant.compiles = false;
            uncompiled.insert(mutant.key.clone());
        }
        store(&path, &uncompiled)?;
    }
    bail!("the copy does not compile after {ROUNDS} rounds")
}
