//! The demo's stages, one after the other, each through the same doors as any other client: the
//! main chain's JSON-RPC and the sequencer's gRPC.

use super::plan::{
    DEPOSITORS, FORCED, Holder, NEWCOMERS, Payment, deposit_units, payment, withdrawals,
};
use super::{DemoError, WAIT_MS_MAX};
use crate::command::batch::state_name;
use crate::contract::{Contract, PAYOUT_GAS_MAX};
use crate::devnet::{Devnet, Person, TestAsset, person};
use crate::progress::Bar;
use crate::sequencer::{Opened, SequencerClient};
use ark_bn254::Fr;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::proto::{Batch, BatchState};
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use kerros_sequencer::main_chain::Wallet as ChainWallet;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const POLL_MS: u64 = 250;

/// An account of the story, as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Where it is.
    pub index: AccountIndex,
    /// Units.
    pub balance: u64,
    /// Signed so far.
    pub nonce: u32,
}

/// The people and what they must have by now.
pub struct Story<'a> {
    devnet: &'a Devnet,
    sequencer: SequencerClient,
    contract: Contract,
    domain: Fr,
    people: Vec<Person>,
    /// By holder.
    pub accounts: BTreeMap<Holder, Expected>,
    /// What each (asset, person) must be able to claim, in units.
    pub claims: BTreeMap<(u16, u32), u64>,
    /// Fees by asset, in units.
    pub fees: BTreeMap<u16, u64>,
}

fn exact(fee: u64) -> Result<Fee, DemoError> {
    Fee::exact(fee).ok_or(DemoError::Story("a fee of the plan is no float"))
}

impl<'a> Story<'a> {
    /// Meets everybody.
    pub async fn begin(devnet: &'a Devnet) -> Result<Self, DemoError> {
        let (sequencer, contract) = (devnet.sequencer()?, devnet.contract()?);
        let domain = sequencer.info().await?.domain;
        let people = (0..11).map(person).collect::<Result<Vec<_>, _>>()?;
        let (accounts, claims, fees) = Default::default();
        Ok(Self { devnet, sequencer, contract, domain, people, accounts, claims, fees })
    }
    /// The contract, over JSON-RPC.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }
    /// The sequencer, over gRPC.
    pub fn sequencer(&self) -> &SequencerClient {
        &self.sequencer
    }
    fn person(&self, i: u32) -> &Person {
        &self.people[i as usize]
    }
    fn chain_wallet(&self, i: u32) -> ChainWallet {
        ChainWallet::new(self.person(i).wallet.signer().clone())
    }
    fn asset(&self, id: u16) -> &TestAsset {
        &self.devnet.world.assets[usize::from(id) - 1]
    }
    fn expected(&mut self, holder: Holder) -> Result<&mut Expected, DemoError> {
        self.accounts.get_mut(&holder).ok_or(DemoError::Story("an account is not open"))
    }
    fn triple(&self, (who, asset): Holder) -> (Address, AccountKey, &TestAsset) {
        let wallet = &self.person(who).wallet;
        (wallet.address(), wallet.account_key(), self.asset(asset))
    }

    /// Mints, approves and deposits for everybody, then waits until layer 2 has credited it.
    pub async fn deposit(&mut self) -> Result<(), DemoError> {
        let bar = Bar::steps("deposits", 2 * DEPOSITORS.len() as u64);
        for (i, holder) in DEPOSITORS.into_iter().enumerate() {
            let (owner, key, asset) = self.triple(holder);
            let (asset, symbol, units) = (asset.asset, asset.symbol, deposit_units(i));
            bar.say(&format!("{} deposits {units} units of {symbol}", self.person(holder.0).name));
            let payer = self.chain_wallet(holder.0);
            let base_units = asset.base_units(units);
            self.contract.mint(&payer, asset.token, owner, base_units).await?;
            self.contract.deposit(&payer, &asset, units, key, owner).await?;
            bar.step();
        }
        for (i, holder) in DEPOSITORS.into_iter().enumerate() {
            bar.say(&format!("layer 2 credits {}", self.person(holder.0).name));
            let started = Instant::now();
            let found = loop {
                let (owner, key, asset) = self.triple(holder);
                let found = self.sequencer.account_of(asset.asset.id, owner, key).await?;
                match found.filter(|found| found.account.balance == deposit_units(i)) {
                    Some(found) => break found,
                    None => wait(started, "a deposit to be credited").await?,
                }
            };
            let expected = Expected { index: found.index, balance: deposit_units(i), nonce: 0 };
            self.accounts.insert(holder, expected);
            bar.step();
        }
        bar.done(&format!("{} deposits credited", DEPOSITORS.len()));
        Ok(())
    }

    /// Sends `count` transfers; newcomers open their accounts on the way.
    pub async fn transfer(&mut self, count: u32) -> Result<(), DemoError> {
        let bar = Bar::steps("transfers", count.into());
        for i in 0..count {
            let next = payment(i);
            for holder in [next.from, next.to] {
                if NEWCOMERS.contains(&holder) && !self.accounts.contains_key(&holder) {
                    bar.say(&format!("{} opens an account", self.person(holder.0).name));
                    self.open(holder).await?;
                }
            }
            self.pay(next).await?;
            bar.step();
        }
        bar.done(&format!("{count} transfers acknowledged"));
        Ok(())
    }
    async fn open(&mut self, holder: Holder) -> Result<(), DemoError> {
        let (owner, key, asset) = self.triple(holder);
        let Opened { index, opened, .. } = self.sequencer.open(asset.asset.id, owner, key).await?;
        if !opened {
            return Err(DemoError::Story("a newcomer has an account already"));
        }
        self.accounts.insert(holder, Expected { index, balance: 0, nonce: 0 });
        Ok(())
    }
    async fn pay(&mut self, next: Payment) -> Result<(), DemoError> {
        let Payment { from, to, amount, fee } = next;
        let (payee_owner, payee_key, _) = self.triple(to);
        let payer = *self.expected(from)?;
        let transaction = Transaction::Transfer(Transfer {
            from: payer.index,
            to: self.expected(to)?.index,
            amount,
            fee: exact(fee)?,
            nonce: payer.nonce,
            payee_key,
            payee_owner,
        });
        self.submit(from, transaction, fee).await?;
        self.expected(to)?.balance += amount;
        Ok(())
    }
    /// Signs, sends, and books amount and fee off the payer.
    async fn submit(
        &mut self,
        from: Holder,
        transaction: Transaction,
        fee: u64,
    ) -> Result<(), DemoError> {
        let secret = self.person(from.0).wallet.layer2();
        let signed = SignedTransaction::sign(transaction, secret, self.domain);
        self.sequencer.submit(&signed).await?;
        let payer = self.expected(from)?;
        payer.balance -= transaction.amount() + fee;
        payer.nonce += 1;
        *self.fees.entry(from.1).or_default() += fee;
        Ok(())
    }

    /// Withdrawals by signature, one by force, and the end of the last batch; gives its number.
    pub async fn withdraw(&mut self) -> Result<u64, DemoError> {
        let plan = withdrawals();
        let bar = Bar::steps("withdrawals", plan.len() as u64 + 1);
        for next in plan {
            bar.say(&format!("{} withdraws", self.person(next.from.0).name));
            let payer = *self.expected(next.from)?;
            let transaction = Transaction::Exit(Exit {
                from: payer.index,
                amount: next.amount,
                fee: exact(next.fee)?,
                nonce: payer.nonce,
                asset: self.asset(next.from.1).asset.id,
                recipient: self.person(next.recipient).wallet.address(),
            });
            self.submit(next.from, transaction, next.fee).await?;
            *self.claims.entry((next.from.1, next.recipient)).or_default() += next.amount;
            bar.step();
        }
        bar.say(&format!("{} leaves by force", self.person(FORCED.0).name));
        let leaving = *self.expected(FORCED)?;
        let wallet = self.chain_wallet(FORCED.0);
        let entry = self.contract.force_exit(&wallet, leaving.index).await?.value;
        let started = Instant::now();
        while self.sequencer.info().await?.message.queue_next <= entry {
            wait(started, "the forced exit to be taken into a batch").await?;
        }
        *self.claims.entry((FORCED.1, FORCED.0)).or_default() += leaving.balance;
        self.expected(FORCED)?.balance = 0;
        bar.step();
        // Nothing more is coming: do not wait for the batch's age.
        let last = match self.sequencer.seal().await? {
            Some(number) => number,
            None => self.sequencer.info().await?.message.open_batch - 1,
        };
        bar.done("four signed, one forced");
        Ok(last)
    }

    /// Waits until every batch up to `last` is final; gives them in order.
    pub async fn settle(&self, last: u64) -> Result<Vec<Batch>, DemoError> {
        let bar = Bar::steps("proving", last);
        let provers = self.devnet.provers();
        let mut started = Instant::now();
        let mut batches: Vec<Batch> = Vec::new();
        let mut next = 1;
        loop {
            let batch = self.sequencer.batch(next, false).await?;
            if batch.state() == BatchState::Final {
                batches.push(batch);
                bar.step();
                if next == last {
                    bar.done(&format!("{last} batches proved, verified, posted, final"));
                    return Ok(batches);
                }
                (next, started) = (next + 1, Instant::now());
                continue;
            }
            let waits = format!("batch {next} {}", state_name(batch.state()));
            let working = provers.iter().map(|status| {
                let status = status.borrow();
                match (status.batch, status.failure.as_str()) {
                    (0, "") => "idle".to_owned(),
                    (0, failure) => failure.to_owned(),
                    (batch, _) => format!("{} {batch}", status.phase),
                }
            });
            let working = working.collect::<Vec<_>>().join(", ");
            bar.say(&format!("{waits}; provers: {working}"));
            let halted = self.sequencer.info().await?.message.settlement_halted;
            if !halted.is_empty() {
                return Err(DemoError::Halted(halted));
            }
            wait(started, "a batch to become final").await?;
        }
    }

    /// Claims on the main chain; true for each claim that paid exactly what was withdrawn.
    pub async fn claim(&self) -> Result<Vec<(String, bool)>, DemoError> {
        let bar = Bar::steps("claims", self.claims.len() as u64);
        let mut checks = Vec::new();
        for ((asset, who), units) in &self.claims {
            let TestAsset { asset, symbol } = *self.asset(*asset);
            let (name, address) = (&self.person(*who).name, self.person(*who).wallet.address());
            let before = self.contract.token_balance(asset.token, address).await?;
            let payer = self.chain_wallet(*who);
            self.contract.claim(&payer, asset.id, address, PAYOUT_GAS_MAX).await?;
            let after = self.contract.token_balance(asset.token, address).await?;
            let paid = after.checked_sub(before) == Some(asset.base_units(*units));
            checks.push((format!("{name} claimed {units} units of {symbol}"), paid));
            bar.step();
        }
        bar.done(&format!("{} withdrawals claimed", self.claims.len()));
        Ok(checks)
    }
}

async fn wait(started: Instant, what: &'static str) -> Result<(), DemoError> {
    if started.elapsed() > Duration::from_millis(WAIT_MS_MAX) {
        return Err(DemoError::TimeOut { what });
    }
    tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
    Ok(())
}
