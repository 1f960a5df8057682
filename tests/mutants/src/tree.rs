//! The mutated copy of the workspace.

use crate::plan::{self, Plan};
use crate::render::{Placed, Switched, render};
use crate::sites::{self, Form, Site};
use crate::table::{Mutant, Places, Uncompiled};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file with its sites.
pub struct File {
    /// Path in the workspace.
    pub path: String,
    source: String,
    sites: Vec<Site>,
    /// Its mutants' numbers, by site and choice.
    switched: Vec<Switched>,
    /// Whether a crate starts here.
    root: bool,
}

/// Everything that is mutated.
pub struct Sources {
    /// Files by path.
    pub files: BTreeMap<String, File>,
    /// Mutants by id.
    pub mutants: Vec<Mutant>,
}

/// Follows the modules from a crate's root: exactly what is compiled outside tests.
fn walk(workspace: &Path, path: &Path, root: bool, out: &mut Vec<File>) -> Result<()> {
    let full = workspace.join(path);
    let source = std::fs::read_to_string(&full).with_context(|| full.display().to_string())?;
    let found = sites::find(&source).with_context(|| path.display().to_string())?;
    let name = path.file_stem().unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new(""));
    let here = if root || name == "mod" { parent.to_owned() } else { parent.join(name) };
    let file = path.to_string_lossy().into_owned();
    out.push(File { path: file, source, sites: found.sites, switched: Vec::new(), root });
    for module in found.modules {
        let beside = here.join(module.join("/"));
        let candidates = [beside.with_extension("rs"), beside.join("mod.rs")];
        let Some(next) = candidates.iter().find(|path| workspace.join(path).is_file()) else {
            bail!("{}: module {} not found", path.display(), module.join("::"));
        };
        walk(workspace, next, false, out)?;
    }
    Ok(())
}

/// Finds all mutants of the plan.
pub fn find(places: &Places, plan: &Plan, uncompiled: &Uncompiled) -> Result<Sources> {
    let (include, exclude) = (plan::globs(&plan.include)?, plan::globs(&plan.exclude)?);
    let mut files = Vec::new();
    for root in &plan.roots {
        walk(&places.workspace, Path::new(root), true, &mut files)?;
    }
    let (mut mutants, mut seen) = (Vec::new(), HashMap::<String, u32>::new());
    for file in &mut files {
        if !include.is_match(&file.path) || exclude.is_match(&file.path) {
            continue;
        }
        for (index, site) in file.sites.iter().enumerate() {
            for (place, choice) in site.choices.iter().enumerate() {
                let id = u32::try_from(mutants.len() + 1)?;
                let replacement = match site.form {
                    Form::Condition | Form::LetCondition => {
                        let keyword = site.original.split(' ').next().unwrap_or_default();
                        format!("{keyword} {}", choice.text)
                    }
                    _ => sites::flat(&choice.text),
                };
                let (original, function) = (site.original.clone(), site.function.clone());
                let text = format!("{}: {function}: {original} → {replacement}", file.path);
                let count = seen.entry(text.clone()).or_default();
                *count += 1;
                let key = format!("{text} #{count}");
                let compiles = !uncompiled.contains(&key);
                file.switched.push(Switched { site: index, choice: place, id });
                mutants.push(Mutant {
                    id,
                    key,
                    file: file.path.clone(),
                    line: site.line,
                    column: site.column,
                    function,
                    operator: choice.operator.into(),
                    original,
                    replacement,
                    compiles,
                });
            }
        }
    }
    let files = files.into_iter().map(|file| (file.path.clone(), file)).collect();
    Ok(Sources { files, mutants })
}

/// Added to every crate: which mutant is on, and in a trace which were reached.
fn switch(count: usize) -> String {
    format!(
        r#"
#[doc(hidden)]
#[allow(clippy::all, missing_docs, dead_code)]
#[inline(always)]
pub(crate) fn kerros_mutant(id: u32) -> bool {{
    static ON: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let on = *ON.get_or_init(|| match std::env::var("KERROS_MUTANT") {{
        Ok(text) if text == "trace" => u32::MAX,
        Ok(text) => text.parse().expect("a mutant's number"),
        Err(_) => 0,
    }});
    if on == u32::MAX {{
        kerros_reached(id);
    }}
    on == id
}}

#[allow(clippy::all, missing_docs, dead_code)]
#[cold]
fn kerros_reached(id: u32) {{
    use std::io::Write;
    use std::sync::atomic::{{AtomicBool, Ordering}};
    static SEEN: [AtomicBool; {count}] = [const {{ AtomicBool::new(false) }}; {count}];
    if !SEEN[id as usize].swap(true, Ordering::Relaxed) {{
        let path = std::env::var("KERROS_MUTANT_TRACE").expect("where a trace goes");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(format!("{{id}}\n").as_bytes())).expect("traced");
    }}
}}
"#
    )
}

/// The target that is a library's own tests.
pub fn library_test(package: &str) -> String {
    format!("{package}-own")
}

/// `--lib` would build the own tests of every library of the workspace, and choosing packages
/// would choose other features. So a library's own tests become a target with a name.
fn with_library_test(mut manifest: String, tests: &[String]) -> String {
    let packages = tests.iter().filter_map(|test| test.strip_suffix(":lib"));
    for package in packages {
        if manifest.contains(&format!("name = \"{package}\"\n")) {
            let name = library_test(package);
            manifest.push_str(&format!("\n[[test]]\nname = \"{name}\"\npath = \"src/lib.rs\"\n"));
        }
    }
    manifest
}

/// Writes what differs only: cargo builds by time stamps.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

impl Sources {
    /// The text of a file with the mutants that compile.
    pub fn text(&self, file: &File) -> (String, Vec<Placed>) {
        let on = |s: &&Switched| self.mutants[s.id as usize - 1].compiles;
        let switched: Vec<Switched> = file.switched.iter().filter(on).copied().collect();
        let (mut text, placed) = render(&file.source, &file.sites, &switched);
        if file.root {
            text.push_str(&switch(self.mutants.len() + 1));
        }
        (text, placed)
    }

    /// Writes the copy, with every mutant that compiles.
    pub fn write(&self, places: &Places, plan: &Plan) -> Result<()> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&places.workspace)
            .output()?;
        if !listed.status.success() {
            bail!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        }
        let listed = String::from_utf8(listed.stdout)?;
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            let from = places.workspace.join(path);
            if path.starts_with("tests/mutants/") || !from.is_file() {
                continue;
            }
            let to = places.tree().join(path);
            match self.files.get(path) {
                Some(file) => write(&to, self.text(file).0.as_bytes())?,
                None if path.ends_with("/Cargo.toml") => {
                    let manifest = std::fs::read_to_string(&from)?;
                    write(&to, with_library_test(manifest, &plan.tests).as_bytes())?;
                }
                None => write(&to, &std::fs::read(&from)?)?,
            }
        }
        for link in &plan.links {
            let (from, to) = (places.workspace.join(link), places.tree().join(link));
            if from.exists() && !to.exists() {
                std::fs::create_dir_all(to.parent().unwrap_or(&to))?;
                std::os::unix::fs::symlink(from, to)?;
            }
        }
        Ok(())
    }

    /// Mutants to blame for an error at these bytes of a file of the copy: those whose own branch
    /// it is in, else those of the innermost site around it.
    pub fn blame(&self, path: &str, bytes: std::ops::Range<usize>) -> Vec<u32> {
        let Some(file) = self.files.get(path) else { return Vec::new() };
        let (_, placed) = self.text(file);
        let inside =
            |range: &std::ops::Range<usize>| range.start <= bytes.start && bytes.end <= range.end;
        let own: Vec<u32> = placed.iter().filter(|p| inside(&p.branch)).map(|p| p.id).collect();
        if !own.is_empty() {
            return own;
        }
        let around = placed.iter().filter(|p| inside(&p.whole));
        let Some(least) = around.clone().map(|p| p.whole.len()).min() else { return Vec::new() };
        around.filter(|p| p.whole.len() == least).map(|p| p.id).collect()
    }
}

/// The file of the workspace that a path of the compiler means.
pub fn relative(places: &Places, path: &str) -> Option<String> {
    let path = PathBuf::from(path);
    let path = path.strip_prefix(places.tree()).unwrap_or(&path);
    Some(path.to_str()?.to_owned())
}
