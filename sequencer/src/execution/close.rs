//! The open batch as a seal sees it: how full it is, what closing it yields, how the next begins.
//!
//! The other half of `impl Execution`: operations are placed in the parent module.

use super::{Closing, Execution, ExecutionError, OpenBatch, small};
use crate::journal::Head;
use kerros_protocol::batch::CollectRecord;
use kerros_protocol::transition;

impl Execution {
    /// Where the open batch starts.
    pub fn head(&self) -> &Head {
        &self.open.head
    }
    /// Records of the open batch so far; forced exits count, collects are those of a seal now.
    pub fn counts(&self) -> [u32; 5] {
        let [o, d, t, e, _] = self.open.data.counts().map(small);
        [o, d, t, e + small(self.open.forced.len()), small(self.open.fees.len())]
    }
    /// Operations of the open batch.
    pub fn operations(&self) -> u32 {
        self.open.operations
    }
    /// Whether the batch opened after this one has to double the ledger.
    pub fn wants_growth(&self) -> bool {
        let (size, allocated) = (u64::from(self.ledger.size()), u64::from(self.allocated()));
        let due = self.grow_asked
            || allocated + 1 >= size
            || allocated * 100 > size * u64::from(self.policy.grow_at_percent);
        due && self.ledger.k() < self.policy.k_max
    }
    /// Whether the batch has reached its number of transactions, or a section that every batch
    /// fills has no place left.
    pub fn is_full(&self) -> bool {
        let order = self.open.order();
        order >= self.policy.transactions_max
            || (self.policy.shape.transfers > 0
                && self.open.data.transfers.len() >= self.policy.shape.transfers as usize)
    }

    /// Runs collects and forced exits and hands the batch over. Nothing may be placed until
    /// [`Execution::begin`]. An error here is fatal: the state is then the journal's, by a restart.
    pub fn close(&mut self) -> Result<Closing, ExecutionError> {
        let fees = std::mem::take(&mut self.open.fees);
        for (asset, fee) in fees {
            let amount = u64::try_from(fee).map_err(|_| ExecutionError::FeesOverflow { asset })?;
            let to = self.find(self.policy.fee_key, asset, self.policy.fee_owner);
            let to = to.expect("a fee is taken only if its account exists");
            let before = [(to, self.ledger_get(to))];
            let record = CollectRecord { to, amount };
            let got =
                transition::collect(&mut self.ledger, &record).map_err(ExecutionError::Seal)?;
            assert_eq!(got, asset, "an account never changes its asset");
            self.open.data.collects.push(record);
            self.touched(&before);
        }
        let mut exits: Vec<_> =
            std::mem::take(&mut self.open.exits).into_iter().map(Some).collect();
        let forced = std::mem::take(&mut self.open.forced);
        let end = self.open.queue_next() + forced.len() as u64;
        for (from, requester) in forced {
            let before = [(from, self.ledger_get(from))];
            let record = transition::forced_exit(&mut self.ledger, from, requester)
                .map_err(ExecutionError::Seal)?;
            self.open.data.exits.push(record);
            exits.push(None);
            self.touched(&before);
        }
        let data = std::mem::take(&mut self.open.data);
        data.check_capacity(&self.policy.shape).expect("every record was given a place");
        let after =
            self.open.before.iter().map(|(index, old)| (*index, old, self.ledger.get(*index)));
        let changed = after.filter(|(_, old, new)| *old != new).map(|(index, _, new)| (index, new));
        let accounts = changed.collect();
        let head = self.open.head.clone();
        let transfers = std::mem::take(&mut self.open.transfers);
        Ok(Closing { head, data, transfers, exits, end, accounts })
    }
    /// Starts the next batch. If it grows, the head says so and the ledger is doubled here.
    pub fn begin(&mut self, head: Head) {
        if head.grows && head.k == self.ledger.k() + 1 {
            self.ledger.grow();
            self.grow_asked = false;
        }
        assert_eq!(head.k, self.ledger.k(), "a batch runs in the ledger it starts from");
        self.open = OpenBatch::new(head);
    }
    /// The batch opened next has to double the ledger.
    pub fn ask_growth(&mut self) {
        self.grow_asked = true;
    }
    /// Whether that was asked for and is still to be done.
    pub fn growth_asked(&self) -> bool {
        self.grow_asked
    }
}
