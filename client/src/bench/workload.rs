//! Who pays whom: random pairs with nonces in order, signed and encoded before the clock starts,
//! and the balances that must come of it.

use super::accounts::Holders;
use super::parameters::{AMOUNT_MAX, FEE};
use ark_bn254::Fr;
use kerros_protocol::amount::Fee;
use kerros_protocol::eddsa::KeyCache;
use kerros_protocol::transaction::{
    SignedTransaction, Transaction, TransactionId, Transfer, decode_and_verify,
};
use kerros_sequencer::limits::{CHUNK_MAX, KEYS_REMEMBERED};
use rand::rngs::StdRng;
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

/// Accounts compared in the end.
const SAMPLE: usize = 100;

/// A payment between holders, named by position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    from: usize,
    to: usize,
    amount: u64,
    nonce: u32,
}

/// A signed transfer ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    /// Decides the stream: nonces of one sender must stay in order.
    pub sender: usize,
    /// What the receipt must name.
    pub id: TransactionId,
    /// `SignedTransaction::encode`.
    pub bytes: Vec<u8>,
}

/// Draws payments and keeps the books.
pub(super) struct Workload {
    books: Vec<(u64, u32)>,
    rng: StdRng,
}

impl Workload {
    /// Over `accounts` holders who have `funds` each.
    pub fn new(accounts: usize, funds: u64, rng: StdRng) -> Self {
        Self { books: vec![(funds, 0); accounts], rng }
    }
    /// Draws `count` payments between different accounts; all of them will be acknowledged, so they
    /// are booked at once. There must be two accounts.
    pub fn draw(&mut self, count: u32) -> Vec<Pair> {
        let accounts = self.books.len();
        let draw = |_| {
            let from = self.rng.gen_range(0..accounts);
            let to = (from + self.rng.gen_range(1..accounts)) % accounts;
            self.book(from, to)
        };
        (0..count).map(draw).collect()
    }
    /// One payment of each account in an even place to the next account.
    pub fn halves(&mut self) -> Vec<Pair> {
        let even = (0..self.books.len() / 2).map(|half| 2 * half);
        even.map(|from| self.book(from, from + 1)).collect()
    }
    fn book(&mut self, from: usize, to: usize) -> Pair {
        let amount = self.rng.gen_range(1..=AMOUNT_MAX);
        let nonce = self.books[from].1;
        self.books[from].0 -= amount + FEE;
        self.books[from].1 += 1;
        self.books[to].0 += amount;
        Pair { from, to, amount, nonce }
    }
    /// Balance and nonce that a holder must have.
    pub fn expected(&self, position: usize) -> (u64, u32) {
        self.books[position]
    }
    /// Some positions, all if there are few.
    pub fn sample(&self, rng: &mut StdRng) -> Vec<usize> {
        let accounts = self.books.len();
        index::sample(rng, accounts, SAMPLE.min(accounts)).into_vec()
    }
}

/// Signs on all processors; `counter` is told how many are done.
pub(super) fn sign(
    holders: &Holders,
    pairs: &[Pair],
    domain: Fr,
    counter: impl Fn(u64) + Sync,
) -> Vec<Ready> {
    let sign = |pair: &Pair| {
        let payee = holders.name(pair.to);
        let transaction = Transaction::Transfer(Transfer {
            from: holders.index(pair.from),
            to: holders.index(pair.to),
            amount: pair.amount,
            fee: Fee::at_most(FEE),
            nonce: pair.nonce,
            payee_key: payee.key,
            payee_owner: payee.owner,
        });
        let signed = SignedTransaction::sign(transaction, &holders.name(pair.from).secret, domain);
        counter(1);
        Ready { sender: pair.from, id: transaction.id(), bytes: signed.encode() }
    };
    pairs.par_iter().map(sign).collect()
}

/// Whether all of them decode and verify, on all processors: what admission does with a transaction's
/// bytes before the writer gets it, in chunks as large as admission's greatest, each thread with
/// its own memory of keys.
pub(super) fn verify_all(ready: &[Ready], domain: Fr) -> bool {
    let chunks = ready.par_chunks(CHUNK_MAX);
    let thread = || {
        let mut rng = StdRng::from_entropy();
        (KeyCache::new(KEYS_REMEMBERED, &mut rng), rng)
    };
    let good = chunks.map_init(thread, |(keys, rng), chunk| {
        let bytes: Vec<&[u8]> = chunk.iter().map(|ready| ready.bytes.as_slice()).collect();
        let checked = decode_and_verify(&bytes, domain, keys, rng);
        checked.iter().all(|checked| matches!(checked, Ok((_, Ok(())))))
    });
    good.all(|good| good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_between_different_accounts_with_nonces_in_order() {
        let mut workload = Workload::new(5, 100_000, StdRng::seed_from_u64(7));
        let mut nonces = [0u32; 5];
        for pair in workload.draw(500) {
            assert_ne!(pair.from, pair.to);
            assert_eq!(pair.nonce, nonces[pair.from]);
            nonces[pair.from] += 1;
        }
        let total: u64 = (0..5).map(|position| workload.expected(position).0).sum();
        assert_eq!(total, 5 * 100_000 - 500 * FEE, "only fees leave");
    }
}
