//! Provers of a world: slow, stale, wrong, and repeating themselves.

use super::World;
use crate::proving::Submission;
use crate::simulation::process::End;
use crate::simulation::setup;
use rand::Rng;

pub(super) struct Prover {
    name: String,
    /// Batch, epoch, the batch's bytes.
    lease: Option<(u64, u64, Vec<u8>)>,
}

impl Prover {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lease: None }
    }
}

impl World {
    /// A prover leases, beats, gives up or hands a proof in.
    pub(super) fn prove(&mut self, trouble: bool) -> Result<(), String> {
        let place = self.dice.gen_range(0..self.provers.len());
        let action = if trouble { self.dice.gen_range(0..10) } else { 9 };
        let Prover { name, lease } = &mut self.provers[place];
        let name = name.clone();
        let Some((number, epoch, bytes)) = lease.clone() else {
            let mut leased = None;
            self.inside(|process, _| match process.proving.lease(&name) {
                Ok(lease) => {
                    leased = lease;
                    Ok(())
                }
                Err(_) if process.journal.failed() => Err(End::Disk),
                Err(error) => Err(End::Wrong(error.to_string())),
            })?;
            if let Some((lease, bytes)) = leased {
                let last = self.epochs.insert(lease.number, lease.epoch).unwrap_or(0);
                if lease.epoch <= last {
                    return Err(format!("epoch {} of batch {} again", lease.epoch, lease.number));
                }
                self.provers[place].lease = Some((lease.number, lease.epoch, bytes));
            }
            return Ok(());
        };
        let setup = self.setup;
        match action {
            // Slow.
            0..4 => Ok(()),
            4 => {
                self.provers[place].lease = None;
                Ok(())
            }
            5 => self.inside(|process, _| {
                // Refused if it is over.
                let _ = process.proving.heartbeat(number, epoch);
                Ok(())
            }),
            6 => {
                self.provers[place].lease = None;
                let failed = self.dice.r#gen();
                self.inside(|process, _| match process.proving.release(number, epoch, failed) {
                    Err(_) if process.journal.failed() => Err(End::Disk),
                    _ => Ok(()),
                })
            }
            _ => {
                let well = action > 7;
                let proof = setup::prove(setup, &bytes, well);
                let phases = Vec::new();
                let submission = Submission { number, epoch, proof, phases, constraints: 1 };
                // Sent twice now and then.
                if action != 8 {
                    self.provers[place].lease = None;
                }
                self.inside(|process, _| process.submit(submission))
            }
        }
    }
    pub(super) fn verify(&mut self) -> Result<(), String> {
        let mut stored = None;
        self.inside(|process, _| {
            stored = process.verify()?;
            Ok(())
        })?;
        match stored {
            Some((number, epoch)) if self.epochs.get(&number) != Some(&epoch) => {
                Err(format!("a proof of batch {number} with the stale epoch {epoch}"))
            }
            _ => Ok(()),
        }
    }
}
