//! Mutates the Rust source of Kerros and measures which mutants its tests kill.
//!
//! One build holds all mutants, each behind a switch that an environment variable turns on.

mod baseline;
mod cargo;
mod judge;
mod operators;
mod plan;
mod process;
mod render;
mod report;
mod sites;
mod table;
mod tree;

use anyhow::{Context, Result, bail};
use baseline::Limits;
use clap::{Args, Parser, Subcommand};
use judge::{Judge, Outcome};
use std::path::{Path, PathBuf};
use table::{Mutant, Places, Table, load};

#[derive(Parser)]
#[command(name = "kerros-mutants")]
struct Arguments {
    /// cargo's target directory for the mutated copy.
    #[arg(long, global = true)]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copies, mutates and builds.
    Build {
        /// Only test executables that match, of those of plan.toml.
        #[arg(long)]
        tests: Vec<String>,
    },
    /// Judges mutants that have no result yet.
    Run(Run),
    /// Prints survivors and the summary; fails if one survives without a reason.
    Report,
}

#[derive(Args)]
struct Run {
    /// Only files that match.
    #[arg(long)]
    file: Vec<String>,
    /// Only test executables that match; the results are those of these tests alone.
    #[arg(long)]
    tests: Vec<String>,
    /// Only these mutants.
    #[arg(long, value_delimiter = ',')]
    ids: Vec<u32>,
    /// Only so many of them.
    #[arg(long)]
    sample: Option<usize>,
    /// Which ones are in the sample.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Judge survivors again.
    #[arg(long)]
    again: bool,
    /// Mutants at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// A hang takes this many times the time without a mutant, and ten seconds.
    #[arg(long, default_value_t = 8.0)]
    factor: f64,
    /// Leave out tests that take longer, in seconds.
    #[arg(long, default_value_t = 900.0)]
    longest: f64,
}

/// SplitMix64: a place in the order of a sample.
fn mixed(seed: u64, id: u32) -> u64 {
    let mut z = seed.wrapping_add(u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn selected<'t>(run: &Run, places: &Places, table: &'t Table) -> Result<Vec<&'t Mutant>> {
    let results = report::results(places)?;
    let justified = plan::justified(&places.home)?;
    let files = plan::globs(&run.file)?;
    let open = |mutant: &&Mutant| match results.get(&mutant.key).map(|judged| judged.outcome) {
        None => true,
        Some(Outcome::Survived | Outcome::Unreached) => run.again,
        Some(_) => false,
    };
    let chosen = |m: &&Mutant| {
        m.compiles
            && (run.file.is_empty() || files.is_match(&m.file))
            && (run.ids.is_empty() || run.ids.contains(&m.id))
            && !report::is_justified(m, &justified)
    };
    let mut mutants: Vec<&Mutant> = table.mutants.iter().filter(chosen).collect();
    if let Some(sample) = run.sample {
        mutants.sort_by_key(|mutant| mixed(run.seed, mutant.id));
        mutants.truncate(sample);
    }
    mutants.retain(|mutant| open(mutant));
    Ok(mutants)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    let workspace = home.join("../..").canonicalize().context("the workspace")?;
    let state = workspace.join("target/mutants");
    let target = arguments.target_dir.unwrap_or_else(|| state.join("target"));
    let places = Places { workspace, home, state, target };
    let mut plan = plan::plan(&places.home)?;
    let table = || -> Result<Table> {
        let table: Table = load(&places.file("table.json"))?;
        if table.mutants.is_empty() { bail!("nothing built: run `build` first") } else { Ok(table) }
    };
    match arguments.command {
        Command::Build { tests } => {
            if !tests.is_empty() {
                let tests = plan::globs(&tests)?;
                plan.tests.retain(|test| tests.is_match(test));
            }
            let table = cargo::build(&places, &plan)?;
            let compiles = table.mutants.iter().filter(|mutant| mutant.compiles).count();
            println!("{compiles} mutants of {} compile", table.mutants.len());
        }
        Command::Run(run) => {
            let mut table = table()?;
            if !run.tests.is_empty() {
                let tests = plan::globs(&run.tests)?;
                table.executables.retain(|executable| tests.is_match(&executable.name));
            }
            let traces = {
                let limits = Limits { jobs: run.jobs, longest: run.longest };
                baseline::trace(&places, &plan, &table, limits)?
            };
            let mutants = selected(&run, &places, &table)?;
            let (factor, longest) = (run.factor, run.longest);
            let (places, plan, table, traces) = (&places, &plan, &table, &traces);
            let judge = Judge { places, plan, table, traces, factor, longest };
            judge.all(&mutants, run.jobs)?;
            println!("{} mutants judged", mutants.len());
        }
        Command::Report => {
            let survived = report::print(&places, &table()?, &plan::justified(&places.home)?)?;
            if survived > 0 {
                bail!("{survived} mutants survive without a reason");
            }
        }
    }
    Ok(())
}
