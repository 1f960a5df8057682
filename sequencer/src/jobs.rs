//! Leases of sealed batches: who proves what until when.
//!
//! Pure: `now` is an argument, nothing is written here. A lease is named by (batch, epoch); epochs of
//! a batch only rise, across restarts too (the caller writes them down before handing one out).
//!
//! A batch whose leases ended without a proof too often is quarantined: it is tried ever more rarely,
//! and others go first until its pause is over. Then it goes first, because posts are in order: as long
//! as it is not proved, nothing after it counts. It is never given up.

use crate::limits::{LEASE_EXTENSIONS_MAX, QUARANTINE_PAUSE_MS_MAX};
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
    /// Begin, Unix ms.
    pub granted_ms: u64,
    /// End, Unix ms, unless extended.
    pub expires_ms: u64,
    /// Whether a proof is being verified: then it does not end.
    pub verifying: bool,
}

/// How a batch's leases stand, for the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Last epoch given out; 0 if none.
    pub epoch: u64,
    /// Who holds it, if somebody does.
    pub prover_id: Option<String>,
    /// Leases that ended without a proof.
    pub failures: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    /// Not leased before, if quarantined, Unix ms.
    retry_ms: u64,
}

/// All leases.
#[derive(Debug, Clone)]
pub struct Jobs {
    lease_ms: u64,
    quarantine_after: u32,
    leases: BTreeMap<u64, Lease>,
    epochs: BTreeMap<u64, u64>,
    failures: BTreeMap<u64, Failures>,
    /// Batches whose leases were found expired and not told to anybody.
    expired: Vec<u64>,
    /// When [`Jobs::due`] was asked last, Unix ms.
    looked_ms: u64,
}

impl Jobs {
    /// No leases; each will last `lease_ms`. A batch is quarantined once `quarantine_after` of them
    /// ended without a proof.
    pub fn new(lease_ms: u64, quarantine_after: u32) -> Self {
        Self {
            lease_ms,
            quarantine_after,
            leases: BTreeMap::new(),
            epochs: BTreeMap::new(),
            failures: BTreeMap::new(),
            expired: Vec::new(),
            looked_ms: 0,
        }
    }
    /// Brings back how a batch's leases stood before a restart; whoever held one may still be at
    /// work. A quarantined batch may be tried at once: the restart may be the cure.
    pub fn restore(&mut self, now: u64, number: u64, standing: Standing) {
        let Standing { epoch, prover_id, failures: count } = standing;
        if planted(Bug::EpochsForgotten) {
            return;
        }
        self.epochs.insert(number, epoch);
        if count > 0 {
            self.failures.insert(number, Failures { count, retry_ms: now });
        }
        if let Some(prover_id) = prover_id {
            let expires_ms = now + self.lease_ms;
            let granted_ms = now;
            let lease =
                Lease { number, epoch, prover_id, granted_ms, expires_ms, verifying: false };
            self.leases.insert(number, lease);
        }
    }
    /// How a batch's leases stand.
    pub fn standing(&self, number: u64) -> Standing {
        Standing {
            epoch: self.epochs.get(&number).copied().unwrap_or(0),
            prover_id: self.leases.get(&number).map(|lease| lease.prover_id.clone()),
            failures: self.failures.get(&number).map_or(0, |failures| failures.count),
        }
    }
    /// Quarantined batches, ascending.
    pub fn quarantined(&self) -> Vec<u64> {
        let after = self.quarantine_after;
        let over = self.failures.iter().filter(|(_, failures)| failures.count >= after);
        over.map(|(number, _)| *number).collect()
    }
    /// From the end of a quarantined batch's last lease to the next.
    fn pause(&self, count: u32) -> u64 {
        let doublings = count.saturating_sub(self.quarantine_after).min(32);
        self.lease_ms.saturating_mul(1 << doublings).min(QUARANTINE_PAUSE_MS_MAX)
    }
    /// Ends a batch's lease and counts it as one without a proof.
    pub fn fail(&mut self, now: u64, number: u64) {
        self.leases.remove(&number);
        let count = self.standing(number).failures.saturating_add(1);
        let retry_ms = now + self.pause(count);
        self.failures.insert(number, Failures { count, retry_ms });
    }
    /// Ends leases whose time is over; gives the batches whose leases ended so since the last call.
    pub fn expire(&mut self, now: u64) -> Vec<u64> {
        self.sweep(now);
        std::mem::take(&mut self.expired)
    }
    /// Whether the pause of a quarantined batch has ended since the last call: whoever waits for a
    /// lease can have it.
    pub fn due(&mut self, now: u64) -> bool {
        self.sweep(now);
        let over = std::mem::replace(&mut self.looked_ms, now) + 1..=now;
        let quarantined = |f: &&Failures| f.count >= self.quarantine_after;
        self.failures.values().filter(quarantined).any(|f| over.contains(&f.retry_ms))
    }
    fn sweep(&mut self, now: u64) {
        // A clock that was set back must not make leases and pauses longer than they are.
        let latest = now + self.lease_ms;
        for lease in self.leases.values_mut() {
            lease.expires_ms = lease.expires_ms.min(latest);
        }
        for number in self.quarantined() {
            let pause = self.pause(self.standing(number).failures);
            if let Some(failures) = self.failures.get_mut(&number) {
                failures.retry_ms = failures.retry_ms.min(now + pause);
            }
        }
        let over: Vec<u64> = self
            .leases
            .values()
            .filter(|lease| !lease.verifying && lease.expires_ms <= now)
            .map(|lease| lease.number)
            .collect();
        over.iter().for_each(|number| self.fail(now, *number));
        self.expired.extend(over);
    }
    /// The first of `sealed` that nobody holds and that is in no pause.
    fn next(&self, now: u64, sealed: &[u64]) -> Option<u64> {
        let pauses = |f: &Failures| f.count >= self.quarantine_after && f.retry_ms > now;
        let free = sealed.iter().copied().filter(|number| !self.leases.contains_key(number));
        free.filter(|number| !self.failures.get(number).is_some_and(pauses)).min()
    }
    /// Leases a batch of `sealed`, the lowest first, but for quarantined ones in their pause.
    pub fn lease(&mut self, now: u64, prover_id: &str, sealed: &[u64]) -> Option<Lease> {
        self.sweep(now);
        let number = self.next(now, sealed)?;
        let epoch = self.epochs.entry(number).or_default();
        *epoch += 1;
        let lease = Lease {
            number,
            epoch: *epoch,
            prover_id: prover_id.to_owned(),
            granted_ms: now,
            expires_ms: now + self.lease_ms,
            verifying: false,
        };
        self.leases.insert(number, lease.clone());
        Some(lease)
    }
    fn held(&mut self, now: u64, number: u64, epoch: u64) -> Result<&mut Lease, LeaseError> {
        self.sweep(now);
        let last = self.epochs.get(&number).copied().unwrap_or(0);
        let lease = self
            .leases
            .get_mut(&number)
            .filter(|lease| lease.epoch == epoch || planted(Bug::NoLeaseEpoch));
        lease.ok_or(LeaseError::Stale { number, have: epoch, last })
    }
    /// Extends a lease; gives its new end.
    pub fn heartbeat(&mut self, now: u64, number: u64, epoch: u64) -> Result<u64, LeaseError> {
        let lease_ms = self.lease_ms;
        let lease = self.held(now, number, epoch)?;
        // Who beats and proves nothing must not keep it for ever.
        let last = lease.granted_ms.saturating_add(lease_ms.saturating_mul(LEASE_EXTENSIONS_MAX));
        lease.expires_ms = lease.expires_ms.max((now + lease_ms).min(last));
        Ok(lease.expires_ms)
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
    /// Ends a lease at its holder's wish; `failed` if it could not prove the batch.
    pub fn release(
        &mut self,
        now: u64,
        number: u64,
        epoch: u64,
        failed: bool,
    ) -> Result<(), LeaseError> {
        if self.held(now, number, epoch)?.verifying {
            return Err(LeaseError::Verifying { number });
        }
        if failed {
            self.fail(now, number)
        } else {
            self.end(number)
        }
        Ok(())
    }
    /// Ends whatever lease a batch has; that counts for nothing.
    pub fn end(&mut self, number: u64) {
        self.leases.remove(&number);
    }
    /// Forgets a batch that will never be leased again.
    pub fn forget(&mut self, number: u64) {
        self.leases.remove(&number);
        self.epochs.remove(&number);
        self.failures.remove(&number);
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
        let mut jobs = Jobs::new(LEASE_MS, 3);
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
    fn heartbeats_alone_do_not_keep_a_lease_for_ever() {
        let (mut jobs, lease) = leased();
        let mut now = 0;
        while jobs.heartbeat(now, 4, lease.epoch).is_ok() {
            now += LEASE_MS / 2;
            assert!(now <= (LEASE_EXTENSIONS_MAX + 1) * LEASE_MS, "it never ends");
        }
        assert_eq!(now, LEASE_EXTENSIONS_MAX * LEASE_MS);
        assert_eq!(jobs.standing(4).failures, 1);
    }

    #[test]
    fn an_expired_lease_is_given_to_another_with_a_higher_epoch_and_the_old_one_is_refused() {
        let (mut jobs, old) = leased();
        let new = jobs.lease(LEASE_MS, "b", &[4]).expect("expired");
        assert_eq!((old.epoch, new.epoch), (1, 2));
        let stale = LeaseError::Stale { number: 4, have: 1, last: 2 };
        assert_eq!(jobs.heartbeat(LEASE_MS, 4, 1), Err(stale));
        assert_eq!(jobs.verify(LEASE_MS, 4, 1), Err(stale));
        assert_eq!(jobs.release(LEASE_MS, 4, 1, true), Err(stale));
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
        let mut jobs = Jobs::new(LEASE_MS, 3);
        let held = Standing { epoch: 7, prover_id: Some("a".to_owned()), failures: 0 };
        jobs.restore(0, 4, held);
        jobs.restore(0, 5, Standing { epoch: 3, prover_id: None, failures: 0 });
        assert_eq!(jobs.heartbeat(10, 4, 7), Ok(1_010));
        assert_eq!(jobs.lease(10, "b", &[4, 5]).expect("5 is free").epoch, 4);
    }

    /// Leases and fails batch 4, the only one, so many times in a row.
    fn failed(jobs: &mut Jobs, now: u64, times: u32) {
        for _ in 0..times {
            let lease = jobs.lease(now, "a", &[4]).expect("due");
            jobs.release(now, 4, lease.epoch, true).expect("held");
        }
    }

    #[test]
    fn a_batch_that_fails_often_is_tried_ever_more_rarely_and_first_when_it_is_due() {
        let mut jobs = Jobs::new(LEASE_MS, 3);
        failed(&mut jobs, 0, 2);
        assert_eq!(jobs.lease(0, "a", &[4, 5]).map(|lease| lease.number), Some(4));
        // The third end without a proof is an expiry.
        assert_eq!(jobs.expire(LEASE_MS), [4]);
        assert_eq!(jobs.quarantined(), [4]);
        let mut at = LEASE_MS;
        for doublings in 0..4 {
            let pause = LEASE_MS << doublings;
            let leased = |now| jobs.clone().lease(now, "b", &[4, 5]).map(|lease| lease.number);
            assert_eq!(leased(at + pause - 1), Some(5), "others go on");
            assert_eq!(leased(at + pause), Some(4), "posts are in order");
            assert_eq!(jobs.clone().lease(at + pause - 1, "a", &[4]), None);
            at += pause;
            failed(&mut jobs, at, 1);
        }
        assert_eq!(jobs.pause(u32::MAX), QUARANTINE_PAUSE_MS_MAX, "it is never given up");
    }

    #[test]
    fn what_is_given_back_or_not_our_provers_fault_does_not_count() {
        let mut jobs = Jobs::new(LEASE_MS, 1);
        let lease = jobs.lease(0, "a", &[4]).expect("free");
        jobs.release(0, 4, lease.epoch, false).expect("held");
        jobs.lease(0, "a", &[4]).expect("free");
        jobs.end(4);
        assert_eq!((jobs.quarantined(), jobs.standing(4).failures), (Vec::new(), 0));
        assert_eq!(jobs.standing(4).epoch, 2);
    }

    #[test]
    fn quarantine_outlives_a_restart_and_ends_with_a_proof() {
        let mut before = Jobs::new(LEASE_MS, 3);
        failed(&mut before, 0, 3);
        let mut jobs = Jobs::new(LEASE_MS, 3);
        jobs.restore(10, 4, before.standing(4));
        assert_eq!(jobs.quarantined(), [4]);
        // Tried at once after a restart.
        let lease = jobs.lease(10, "b", &[4, 5]).expect("free");
        assert_eq!((lease.number, lease.epoch), (4, 4));
        jobs.verify(20, 4, lease.epoch).expect("held");
        jobs.forget(4);
        assert_eq!(jobs.quarantined(), Vec::<u64>::new());
    }

    #[test]
    fn the_end_of_a_pause_is_told_once() {
        let mut jobs = Jobs::new(LEASE_MS, 3);
        failed(&mut jobs, 10, 2);
        assert!(!jobs.due(10), "nothing is quarantined");
        failed(&mut jobs, 10, 1);
        assert!(!jobs.due(10 + LEASE_MS - 1));
        assert!(jobs.due(10 + LEASE_MS));
        assert!(!jobs.due(10 + LEASE_MS));
        failed(&mut jobs, 2 * LEASE_MS, 1);
        assert!(!jobs.due(2 * LEASE_MS));
        assert!(jobs.due(9 * LEASE_MS), "long after, too");
        // A clock that was set back: pauses are as long as they should be.
        failed(&mut jobs, 9 * LEASE_MS, 1);
        assert!(!jobs.due(LEASE_MS));
        assert!(!jobs.due(5 * LEASE_MS - 1));
        assert!(jobs.due(5 * LEASE_MS));
    }

    #[test]
    fn a_clock_set_back_does_not_prolong_quarantine() {
        let mut jobs = Jobs::new(LEASE_MS, 3);
        failed(&mut jobs, 100 * LEASE_MS, 3);
        assert_eq!(jobs.lease(0, "a", &[4]), None);
        assert!(jobs.lease(LEASE_MS, "a", &[4]).is_some());
    }
}
