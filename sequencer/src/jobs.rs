//! Leases of sealed batches: who proves what until when.
//!
//! Pure: `now` is an argument, nothing is written here. A lease is named by (batch, epoch); epochs of
//! a batch only rise, across restarts too (the caller writes them down before handing one out).

use crate::planted::{Bug, planted};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a prover's call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// The lease was taken over, has expired, was released, or never was.
    #[error("no lease of batch {number} with epoch {have} (the last epoch is {last})")]
    Stale {
        /// The batch.
        number: u64,
        /// Epoch named.
        have: u64,
        /// Last epoch given out; 0 if none.
        last: u64,
    },
    /// A proof of this lease is being verified.
    #[error("a proof of batch {number} is being verified")]
    Verifying {
        /// The batch.
        number: u64,
    },
}

/// A lease handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The batch.
    pub number: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Holder.
    pub prover_id: String,
    /// End, Unix ms, unless extended.
    pub expires_ms: u64,
    /// Whether a proof is being verified: then it does not end.
    pub verifying: bool,
}

/// All leases.
#[derive(Debug, Clone)]
pub struct Jobs {
    lease_ms: u64,
    leases: BTreeMap<u64, Lease>,
    epochs: BTreeMap<u64, u64>,
}

impl Jobs {
    /// No leases; each will last `lease_ms`.
    pub fn new(lease_ms: u64) -> Self {
        Self { lease_ms, leases: BTreeMap::new(), epochs: BTreeMap::new() }
    }
    /// Brings back a batch's last epoch after a restart, and its lease if somebody held it: the
    /// prover may still be at work.
    pub fn restore(&mut self, now: u64, number: u64, epoch: u64, prover_id: Option<String>) {
        if planted(Bug::EpochsForgotten) {
            return;
        }
        self.epochs.insert(number, epoch);
        if let Some(prover_id) = prover_id {
            let expires_ms = now + self.lease_ms;
            let lease = Lease { number, epoch, prover_id, expires_ms, verifying: false };
            self.leases.insert(number, lease);
        }
    }
    /// Ends leases whose time is over; gives their batches.
    pub fn expire(&mut self, now: u64) -> Vec<u64> {
        // A clock that was set back must not make leases longer than they are.
        let latest = now + self.lease_ms;
        for lease in self.leases.values_mut() {
            lease.expires_ms = lease.expires_ms.min(latest);
        }
        let over: Vec<u64> = self
            .leases
            .values()
            .filter(|lease| !lease.verifying && lease.expires_ms <= now)
            .map(|lease| lease.number)
            .collect();
        over.iter().for_each(|number| {
            self.leases.remove(number);
        });
        over
    }
    /// Leases the first of `sealed` that nobody holds.
    pub fn lease(&mut self, now: u64, prover_id: &str, sealed: &[u64]) -> Option<Lease> {
        self.expire(now);
        let number = *sealed.iter().find(|number| !self.leases.contains_key(number))?;
        let epoch = self.epochs.entry(number).or_default();
        *epoch += 1;
        let lease = Lease {
            number,
            epoch: *epoch,
            prover_id: prover_id.to_owned(),
            expires_ms: now + self.lease_ms,
            verifying: false,
        };
        self.leases.insert(number, lease.clone());
        Some(lease)
    }
    fn held(&mut self, now: u64, number: u64, epoch: u64) -> Result<&mut Lease, LeaseError> {
        self.expire(now);
        let last = self.epochs.get(&number).copied().unwrap_or(0);
        let lease = self
            .leases
            .get_mut(&number)
            .filter(|lease| lease.epoch == epoch || planted(Bug::NoLeaseEpoch));
        lease.ok_or(LeaseError::Stale { number, have: epoch, last })
    }
    /// Extends a lease; gives its new end.
    pub fn heartbeat(&mut self, now: u64, number: u64, epoch: u64) -> Result<u64, LeaseError> {
        let expires_ms = now + self.lease_ms;
        let lease = self.held(now, number, epoch)?;
        lease.expires_ms = expires_ms;
        Ok(expires_ms)
    }
    /// A proof has come: the lease holds until [`Jobs::end`].
    pub fn verify(&mut self, now: u64, number: u64, epoch: u64) -> Result<Lease, LeaseError> {
        let lease = self.held(now, number, epoch)?;
        if lease.verifying {
            return Err(LeaseError::Verifying { number });
        }
        lease.verifying = true;
        Ok(lease.clone())
    }
    /// Ends a lease at its holder's wish.
    pub fn release(&mut self, now: u64, number: u64, epoch: u64) -> Result<(), LeaseError> {
        if self.held(now, number, epoch)?.verifying {
            return Err(LeaseError::Verifying { number });
        }
        self.end(number);
        Ok(())
    }
    /// Ends whatever lease a batch has.
    pub fn end(&mut self, number: u64) {
        self.leases.remove(&number);
    }
    /// Forgets a batch that will never be leased again.
    pub fn forget(&mut self, number: u64) {
        self.leases.remove(&number);
        self.epochs.remove(&number);
    }
    /// Leases held now.
    pub fn held_count(&self) -> usize {
        self.leases.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE_MS: u64 = 1_000;

    fn leased() -> (Jobs, Lease) {
        let mut jobs = Jobs::new(LEASE_MS);
        let lease = jobs.lease(0, "a", &[4, 5]).expect("nobody holds it");
        (jobs, lease)
    }

    #[test]
    fn the_lowest_batch_that_nobody_holds_is_leased() {
        let (mut jobs, first) = leased();
        let second = jobs.lease(0, "b", &[4, 5]).expect("one is left");
        assert_eq!((first.number, second.number), (4, 5));
        assert_eq!(jobs.lease(0, "c", &[4, 5]), None);
    }

    #[test]
    fn a_heartbeat_extends_a_lease_and_silence_ends_it() {
        let (mut jobs, lease) = leased();
        assert_eq!(jobs.heartbeat(900, 4, lease.epoch), Ok(1_900));
        assert_eq!(jobs.lease(1_899, "b", &[4]), None);
        let stale = LeaseError::Stale { number: 4, have: 1, last: 1 };
        assert_eq!(jobs.heartbeat(1_900, 4, lease.epoch), Err(stale));
    }

    #[test]
    fn an_expired_lease_is_given_to_another_with_a_higher_epoch_and_the_old_one_is_refused() {
        let (mut jobs, old) = leased();
        let new = jobs.lease(LEASE_MS, "b", &[4]).expect("expired");
        assert_eq!((old.epoch, new.epoch), (1, 2));
        let stale = LeaseError::Stale { number: 4, have: 1, last: 2 };
        assert_eq!(jobs.heartbeat(LEASE_MS, 4, 1), Err(stale));
        assert_eq!(jobs.verify(LEASE_MS, 4, 1), Err(stale));
        assert_eq!(jobs.release(LEASE_MS, 4, 1), Err(stale));
        assert!(jobs.verify(LEASE_MS, 4, 2).is_ok());
    }

    #[test]
    fn a_lease_does_not_end_while_its_proof_is_verified() {
        let (mut jobs, lease) = leased();
        jobs.verify(10, 4, lease.epoch).expect("held");
        assert!(jobs.expire(100 * LEASE_MS).is_empty());
        let twice = jobs.verify(100 * LEASE_MS, 4, lease.epoch);
        assert_eq!(twice, Err(LeaseError::Verifying { number: 4 }));
        jobs.end(4);
        assert_eq!(jobs.lease(100 * LEASE_MS, "b", &[4]).expect("free again").epoch, 2);
    }

    #[test]
    fn epochs_rise_across_restarts_and_a_prover_at_work_keeps_its_lease() {
        let mut jobs = Jobs::new(LEASE_MS);
        jobs.restore(0, 4, 7, Some("a".to_owned()));
        jobs.restore(0, 5, 3, None);
        assert_eq!(jobs.heartbeat(10, 4, 7), Ok(1_010));
        assert_eq!(jobs.lease(10, "b", &[4, 5]).expect("5 is free").epoch, 4);
    }
}
