//! Where a command keeps the receipt it got.

use super::Failure;
use crate::sequencer::Info;
use clap::Args;
use kerros_verifier::promise::{Held, Subject};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Where a receipt goes.
#[derive(Debug, Args)]
pub struct ReceiptAt {
    /// Keep the sequencer's signed receipt in a new file: with `kerros-verifier audit --receipt` anybody
    /// can see whether its promise was kept.
    #[arg(long = "receipt", value_name = "FILE")]
    receipt_file: Option<PathBuf>,
}

impl ReceiptAt {
    fn refuse(&self, problem: impl ToString) -> Failure {
        let path = self.receipt_file.clone().unwrap_or_default();
        Failure::ReceiptFile { path, problem: problem.to_string() }
    }
    /// Refuses a file that is there already: before anything is asked of the sequencer.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.receipt_file {
            Some(path) if path.exists() => Err(self.refuse("exists already")),
            _ => Ok(()),
        }
    }
    /// Keeps a receipt, if that was asked for.
    pub fn keep(&self, info: &Info, subject: impl FnOnce() -> Subject) -> Result<(), Failure> {
        let Some(path) = &self.receipt_file else { return Ok(()) };
        let (chain_id, contract) = (info.chain_id, info.contract);
        let text = Held { chain_id, contract, subject: subject() }.to_json();
        let mut file = OpenOptions::new();
        let file = file.write(true).create_new(true).open(path);
        let written = file.and_then(|mut file| {
            writeln!(file, "{text}")?;
            file.sync_all()
        });
        written.map_err(|error| self.refuse(error))
    }
}
