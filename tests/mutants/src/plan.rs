//! What is mutated, what is run against it, and which survivors are justified.

use crate::table::Mutant;
use anyhow::{Context, Result, bail};
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// `plan.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Environment of every test.
    pub environment: BTreeMap<String, String>,
    /// Roots of crates whose modules are mutated.
    pub roots: Vec<String>,
    /// Files to mutate.
    pub include: Vec<String>,
    /// Files to leave out.
    pub exclude: Vec<String>,
    /// Test executables: `package:lib`, `package:bin:name` or `package:test:name`.
    pub tests: Vec<String>,
    /// Tests that are not run, as `executable test`, a glob.
    pub skip: Vec<String>,
    /// Directories that git ignores and the tests need, linked into the copy.
    pub links: Vec<String>,
}

/// A survivor that no test can or need kill.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Justified {
    /// File.
    pub file: String,
    /// Type and function, if the text alone is ambiguous.
    pub function: Option<String>,
    /// The text mutated, as the table shows it.
    pub original: String,
    /// What it becomes; every replacement if absent.
    pub replacement: Option<String>,
    /// Why it need not be killed.
    pub reason: String,
}

impl Justified {
    /// Whether this names the mutant.
    pub fn names(&self, mutant: &Mutant) -> bool {
        self.file == mutant.file
            && self.original == mutant.original
            && self.function.as_ref().is_none_or(|function| *function == mutant.function)
            && self.replacement.as_ref().is_none_or(|text| *text == mutant.replacement)
    }
}

#[derive(Deserialize)]
struct Equivalent {
    #[serde(default)]
    equivalent: Vec<Justified>,
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// A set of globs.
pub fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
    }
    Ok(set.build()?)
}

/// Reads the plan.
pub fn plan(directory: &Path) -> Result<Plan> {
    let plan: Plan = read(&directory.join("plan.toml"))?;
    for test in &plan.tests {
        if !matches!(test.split(':').collect::<Vec<_>>()[..], [_, "lib"] | [_, "bin" | "test", _]) {
            bail!("plan.toml: test {test}: package:lib, package:bin:name or package:test:name");
        }
    }
    Ok(plan)
}

/// Reads the justified survivors.
pub fn justified(directory: &Path) -> Result<Vec<Justified>> {
    Ok(read::<Equivalent>(&directory.join("equivalent.toml"))?.equivalent)
}
