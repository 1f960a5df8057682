//! Clients: they send, keep what they were told, ask again after a crash, and misbehave.

use super::process::Process;
use super::setup::{self, Setup};
use crate::admission::intake::Raw;
use crate::admission::{Answer, Digest, Reply, Source};
use kerros_protocol::account::{Account, AccountIndex, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::receipt::Receipt;
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, TransactionId, Transfer};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc::error::TryRecvError as StreamError;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

/// Users; names 1 to this.
pub const USERS: u8 = 4;

enum Waiting {
    Once(oneshot::Receiver<Answer>),
    Stream(u64),
}

struct Sent {
    id: Option<TransactionId>,
    bytes: Vec<u8>,
    waiting: Waiting,
}

/// A run of transfers in one stream, sent in order, each of which could be executed at once.
struct Burst {
    ids: Vec<TransactionId>,
    whole: bool,
}

/// A client with one connection and one stream.
pub struct Client {
    name: u8,
    source: Option<Arc<Source>>,
    stream: u64,
    sequence: u64,
    tell: mpsc::UnboundedSender<(u64, Answer)>,
    answers: mpsc::UnboundedReceiver<(u64, Answer)>,
    sent: Vec<Sent>,
    bursts: Vec<Burst>,
    /// Whatever was signed, to be sent again.
    signed: Vec<Vec<u8>>,
    /// Next nonces as far as this client knows, beyond what is executed.
    nonces: BTreeMap<AccountIndex, u32>,
}

/// What clients were told, all together.
#[derive(Default)]
pub struct Told {
    /// Receipts by transaction.
    pub receipts: BTreeMap<TransactionId, Receipt>,
    pub refused: u64,
    pub again: u64,
}

impl Client {
    pub fn new(name: u8) -> Self {
        let (tell, answers) = mpsc::unbounded_channel();
        Self {
            name,
            source: None,
            stream: 0,
            sequence: 0,
            tell,
            answers,
            sent: Vec::new(),
            bursts: Vec::new(),
            signed: Vec::new(),
            nonces: BTreeMap::new(),
        }
    }
    /// Requests without an answer.
    pub fn waiting(&self) -> usize {
        self.sent.len()
    }
    fn accounts(&self, process: &Process) -> Vec<(AccountIndex, Account)> {
        let state = process.shared.execution();
        let indices = state.accounts_of(setup::key_of(self.name), AccountIndex::FIRST);
        indices.map(|index| (index, state.ledger().get(index))).collect()
    }
    fn payee(process: &Process, asset: u16, dice: &mut StdRng) -> Option<(AccountIndex, u8)> {
        let name = dice.gen_range(1..=USERS);
        let state = process.shared.execution();
        state.find(setup::key_of(name), asset, setup::owner()).map(|index| (index, name))
    }
    fn sign(
        &mut self,
        setup: &Setup,
        transaction: Transaction,
        dice: &mut StdRng,
    ) -> SignedTransaction {
        // A wrong signature now and then.
        let name = if dice.gen_range(0..40) == 0 { self.name % USERS + 1 } else { self.name };
        SignedTransaction::sign(transaction, &setup::secret(name), setup.domain)
    }
    /// Sends something: a few transfers or an exit, in a stream or alone, good or not.
    pub fn act(&mut self, process: &Process, setup: &Setup, dice: &mut StdRng) {
        match dice.gen_range(0..12) {
            0 => {
                let garbage = (0..dice.gen_range(1..180)).map(|_| dice.r#gen()).collect();
                self.push(process, None, garbage, dice.r#gen());
            }
            1 if !self.signed.is_empty() => {
                let bytes = self.signed[dice.gen_range(0..self.signed.len())].clone();
                let id = SignedTransaction::decode(&bytes).ok().map(|s| s.transaction.id());
                // It may overtake itself.
                id.iter().for_each(|id| self.spoil(id));
                self.push(process, id, bytes, dice.r#gen());
            }
            2 => self.exit(process, setup, dice),
            _ => self.burst(process, setup, dice),
        }
    }
    fn exit(&mut self, process: &Process, setup: &Setup, dice: &mut StdRng) {
        let accounts = self.accounts(process);
        if accounts.is_empty() {
            return;
        }
        let (from, account) = accounts[dice.gen_range(0..accounts.len())];
        let transaction = Transaction::Exit(Exit {
            from,
            amount: dice.gen_range(0..=account.balance / 4),
            fee: Fee::exact(dice.gen_range(0..3)).expect("small"),
            nonce: account.nonce.max(self.nonces.get(&from).copied().unwrap_or(0)),
            asset: AssetId::new(account.asset).expect("it exists"),
            recipient: Address([self.name; 20]),
        });
        self.nonces.insert(from, transaction.nonce() + 1);
        let signed = self.sign(setup, transaction, dice);
        self.push(process, Some(transaction.id()), signed.encode(), false);
        self.signed.push(signed.encode());
    }
    fn burst(&mut self, process: &Process, setup: &Setup, dice: &mut StdRng) {
        let mut accounts = self.accounts(process);
        if accounts.is_empty() {
            return;
        }
        let streamed = dice.gen_range(0..3) > 0;
        let mut burst = Burst { ids: Vec::new(), whole: streamed };
        for _ in 0..dice.gen_range(1..6) {
            let place = dice.gen_range(0..accounts.len());
            let (from, account) = &mut accounts[place];
            let known = self.nonces.get(from).copied().unwrap_or(0);
            // What was sent and not answered counts; after a refusal the ledger does.
            let mut nonce = account.nonce.max(known);
            if known > account.nonce {
                burst.whole = false;
            }
            if dice.gen_range(0..24) == 0 {
                nonce += dice.gen_range(1..3);
                burst.whole = false;
            }
            let Some((to, name)) = Self::payee(process, account.asset, dice) else { continue };
            let fee = dice.gen_range(0..4);
            // Now and then more than there is.
            let most = if dice.gen_range(0..40) == 0 { u64::MAX / 4 } else { account.balance / 8 };
            let transaction = Transaction::Transfer(Transfer {
                from: *from,
                to,
                amount: dice.gen_range(0..=most),
                fee: Fee::exact(fee).expect("small"),
                nonce,
                payee_key: setup::key_of(name),
                payee_owner: setup::owner(),
            });
            let (from, id) = (*from, transaction.id());
            account.nonce = nonce + 1;
            self.nonces.insert(from, nonce + 1);
            let signed = self.sign(setup, transaction, dice);
            let bytes = signed.encode();
            let pushed = self.push(process, Some(id), bytes.clone(), streamed);
            burst.whole &= pushed;
            burst.ids.push(id);
            self.signed.push(bytes);
        }
        self.bursts.push(burst);
    }
    fn push(
        &mut self,
        process: &Process,
        id: Option<TransactionId>,
        bytes: Vec<u8>,
        streamed: bool,
    ) -> bool {
        let source = Arc::clone(self.source.get_or_insert_with(|| process.source()));
        let Some(seat) = source.try_seat() else { return false };
        let (reply, waiting, stream) = if streamed {
            self.sequence += 1;
            let (sequence, answers) = (self.sequence, self.tell.clone());
            self.stream = u64::from(self.name);
            (Reply::Stream { sequence, answers }, Waiting::Stream(sequence), self.stream)
        } else {
            let (reply, answer) = oneshot::channel();
            (Reply::Once(reply), Waiting::Once(answer), 0)
        };
        self.sent.push(Sent { id, bytes: bytes.clone(), waiting });
        let digest = Digest::of(&bytes);
        process.push(Raw { source, bytes, digest, stream, reply, seat });
        true
    }
    /// The connection is gone: what has no answer is asked for again later.
    pub fn lose_connection(&mut self) {
        (self.source, self.sequence) = (None, 0);
        (self.tell, self.answers) = mpsc::unbounded_channel();
        for sent in self.sent.drain(..) {
            self.signed.push(sent.bytes);
        }
        self.bursts.clear();
        self.nonces.clear();
    }
    /// Reads what has come. What is said of a transaction must be what was said before, and a
    /// process that is alive answers everything.
    pub fn read(
        &mut self,
        process: &Process,
        setup: &Setup,
        told: &mut Told,
        alive: bool,
    ) -> Result<(), String> {
        let mut streamed = BTreeMap::new();
        loop {
            match self.answers.try_recv() {
                Ok((sequence, answer)) => {
                    if streamed.insert(sequence, answer).is_some() {
                        return Err(format!("two answers to request {sequence}"));
                    }
                }
                Err(StreamError::Empty) => break,
                Err(StreamError::Disconnected) => return Err("own sender".to_owned()),
            }
        }
        let mut left = Vec::new();
        for mut sent in std::mem::take(&mut self.sent) {
            let answer = match &mut sent.waiting {
                Waiting::Once(answer) => match answer.try_recv() {
                    Ok(answer) => Some(answer),
                    Err(TryRecvError::Closed) if alive => {
                        return Err(format!("no answer to {:?}, ever", sent.id));
                    }
                    Err(_) => None,
                },
                Waiting::Stream(sequence) => streamed.remove(sequence),
            };
            match answer {
                Some(answer) => self.note(sent.id, answer, process, setup, told)?,
                None => left.push(sent),
            }
        }
        self.sent = left;
        self.bursts.retain(|burst| burst.whole);
        self.check_bursts(told)
    }
    fn note(
        &mut self,
        id: Option<TransactionId>,
        answer: Answer,
        process: &Process,
        setup: &Setup,
        told: &mut Told,
    ) -> Result<(), String> {
        let receipt = match answer.resolve(&process.journal) {
            Ok(receipt) => receipt,
            Err(error) => {
                if let Some(id) = id {
                    if told.receipts.contains_key(&id) && is_stale(&error) {
                        return Err(format!("{id:?} was acknowledged and is refused: {error}"));
                    }
                    self.spoil(&id);
                }
                told.refused += 1;
                self.nonces.clear();
                return Ok(());
            }
        };
        let id = id.ok_or("garbage was acknowledged")?;
        if receipt.promise.id != id {
            return Err(format!("a receipt of {:?} for {id:?}", receipt.promise.id));
        }
        let digest = receipt.digest(setup.domain).map_err(|error| error.to_string())?;
        let signature = alloy::primitives::Signature::try_from(&receipt.signature[..]);
        let signer =
            signature.ok().and_then(|s| s.recover_address_from_prehash(&digest.into()).ok());
        if signer != Some(setup::receipt_key().address()) {
            return Err(format!("the receipt of {id:?} is signed by {signer:?}"));
        }
        match told.receipts.get(&id) {
            Some(known) if known.promise != receipt.promise => {
                Err(format!("two receipts of {id:?}: {:?}, {:?}", known.promise, receipt.promise))
            }
            Some(_) => {
                told.again += 1;
                Ok(())
            }
            None => {
                told.receipts.insert(id, receipt);
                Ok(())
            }
        }
    }
    /// The order of a burst with this transaction says nothing any more.
    fn spoil(&mut self, id: &TransactionId) {
        for burst in &mut self.bursts {
            burst.whole &= !burst.ids.contains(id);
        }
    }
    /// Of a stream whose transactions could all be executed at once, the order is the stream's.
    fn check_bursts(&mut self, told: &Told) -> Result<(), String> {
        let place = |id: &TransactionId| {
            told.receipts.get(id).map(|receipt| (receipt.promise.batch, receipt.promise.order))
        };
        let mut failed = None;
        self.bursts.retain(|burst| {
            let places: Vec<_> = burst.ids.iter().map_while(place).collect();
            if places.len() < burst.ids.len() {
                return true;
            }
            if !places.is_sorted() {
                failed = Some(format!("a stream's order is {places:?}"));
            }
            false
        });
        failed.map_or(Ok(()), Err)
    }
}

/// Whether a refusal says that the nonce was used.
fn is_stale(error: &crate::admission::SubmitError) -> bool {
    use crate::admission::SubmitError as E;
    use crate::execution::TransactionError as T;
    use kerros_protocol::rejection::Rejection as R;
    // Another signature over the same transaction is refused for itself, and one that was sent twice
    // before its turn is refused once.
    matches!(error, E::Refused(T::Rule(R::WrongNonce { have, need })) if have < need)
}
