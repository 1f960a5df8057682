//! The database that a sequencer left behind, read without it.

use crate::bench::{BenchError, io_at};
use kerros_protocol::commitment::{Root, Srs};
use kerros_sequencer::journal::Journal;
use std::fs;
use std::path::Path;

/// What is in it.
pub(in crate::bench) struct Found {
    /// Accounts that exist.
    pub accounts: u64,
    /// Sum of their balances.
    pub units: u128,
    /// Exponent of the ledger's size.
    pub k: u8,
    /// Of accounts and commitments alike.
    pub root: Root,
}

/// Reads the accounts after the last sealed batch and commits to them from nothing; refuses
/// commitments that are not the sequencer's.
pub(in crate::bench) fn read(data: &Path, srs: &Path) -> Result<Found, BenchError> {
    let missing = BenchError::Bug("a sequencer that has sealed leaves a checkpoint");
    let Some(journal) = Journal::look(data)? else { return Err(missing) };
    let Some(checkpoint) = journal.checkpoint()? else { return Err(missing) };
    let k = checkpoint.head.k;
    let ledger = journal.ledger(k)?;
    let commitments = ledger.commit(&Srs::open(srs)?.lagrange(k)?);
    super::require(
        "the root of the accounts on disk",
        commitments.root(k),
        checkpoint.commitments.root(k),
    )?;
    let balances = ledger.existing().map(|(_, account)| u128::from(account.balance));
    let (accounts, units) = (ledger.existing().count() as u64, balances.sum());
    Ok(Found { accounts, units, k, root: commitments.root(k) })
}

/// Bytes of a file, or of all files in a directory and below it.
pub(super) fn bytes(path: &Path) -> Result<u64, BenchError> {
    let at = || io_at(path.display());
    let about = fs::metadata(path).map_err(at())?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    let mut sum = 0;
    for entry in fs::read_dir(path).map_err(at())? {
        sum += bytes(&entry.map_err(at())?.path())?;
    }
    Ok(sum)
}
