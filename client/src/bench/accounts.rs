//! Accounts with keys of their own: opened by concurrent calls, funded by transfers of one depositor.

use super::load::{self, Client, Pace};
use super::parameters::FEE;
use super::process::{Place, SequencerProcess};
use super::unary::Patience;
use super::workload::Ready;
use super::{BenchError, busy};
use crate::contract::Contract;
use crate::devnet::person;
use crate::progress::Bar;
use crate::sequencer::SequencerError;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::proto::OpenAccountRequest;
use kerros_protocol::transaction::{SignedTransaction, Transaction, Transfer};
use kerros_sequencer::main_chain::Wallet as ChainWallet;
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Accounts that are being opened at once.
const OPENING: usize = 256;
/// Time for a deposit to be credited.
const DEPOSIT_MAX: Duration = Duration::from_secs(60);
/// Pause between looks for it.
const LOOK_MS: u64 = 100;

/// A holder's keys.
pub(super) struct Name {
    /// Signs.
    pub secret: PrivateKey,
    /// Stands in the account.
    pub key: AccountKey,
    /// Owns it on the main chain.
    pub owner: Address,
}

impl Name {
    /// Computed from a public constant: for development only. Nobody can act for the owner.
    fn derive(position: usize) -> Result<Self, BenchError> {
        let seed = [b"kerros.development.bench".as_slice(), &position.to_be_bytes()].concat();
        let secret = PrivateKey::from_bytes(*blake3::hash(&seed).as_bytes());
        let key = secret.public_key().account_key().map_err(SequencerError::from)?;
        let mut owner = [0u8; 20];
        blake3::Hasher::new().update(b"owner").update(&seed).finalize_xof().fill(&mut owner);
        Ok(Self { secret, key, owner: Address(owner) })
    }
}

/// All holders, by position, with the indices of their accounts.
pub(super) struct Holders {
    names: Vec<Name>,
    indices: Vec<AccountIndex>,
}

impl Holders {
    /// Derives the keys of `count` holders.
    pub fn derive(count: usize) -> Result<Vec<Name>, BenchError> {
        (0..count).into_par_iter().map(Name::derive).collect()
    }
    /// Holders with accounts of these indices, in the same order.
    pub fn new(names: Vec<Name>, indices: Vec<AccountIndex>) -> Self {
        assert_eq!(names.len(), indices.len(), "one account each");
        Self { names, indices }
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.indices.len()
    }
    /// A holder's keys.
    pub fn name(&self, position: usize) -> &Name {
        &self.names[position]
    }
    /// A holder's account.
    pub fn index(&self, position: usize) -> AccountIndex {
        self.indices[position]
    }
}

/// Opens an account of the first asset for every one of `names`; gives their indices.
pub(super) async fn open(
    place: &Place,
    process: &SequencerProcess,
    clients: &[Client],
    names: Arc<Vec<(AccountKey, Address)>>,
) -> Result<Vec<AccountIndex>, BenchError> {
    let count = names.len();
    let asset = first_asset(place)?.asset.id;
    let info = process.sequencer()?.info().await?;
    if info.domain != place.domain {
        return Err(SequencerError::Nonsense("another deployment").into());
    }
    let bar = Bar::steps("open", count as u64);
    let mut tasks = JoinSet::new();
    for worker in 0..OPENING {
        let (names, counter) = (Arc::clone(&names), bar.counter());
        let mut client = clients[worker % clients.len()].clone();
        tasks.spawn(async move {
            let mut opened = Vec::new();
            for position in (worker..count).step_by(OPENING) {
                let (key, owner) = &names[position];
                let request = OpenAccountRequest {
                    asset: asset.get().into(),
                    owner: owner.0.to_vec(),
                    key: key.to_be().to_vec(),
                };
                let mut patience = Patience::default();
                let answer = loop {
                    match client.open_account(request.clone()).await {
                        Ok(answer) => break answer.into_inner(),
                        Err(status) => patience.wait(status.into()).await?,
                    }
                };
                let index = AccountIndex::new(answer.index).map_err(SequencerError::from)?;
                opened.push((position, index));
                counter(1);
            }
            Ok::<_, BenchError>(opened)
        });
    }
    let mut indices = vec![AccountIndex::FIRST; count];
    while let Some(done) = tasks.join_next().await {
        for (position, index) in done.map_err(|_| BenchError::Bug("opening panicked"))?? {
            indices[position] = index;
        }
    }
    bar.done(&format!("{count} accounts"));
    Ok(indices)
}

fn first_asset(place: &Place) -> Result<&crate::devnet::TestAsset, BenchError> {
    place.world.assets.first().ok_or(BenchError::Bug("no asset is registered"))
}

/// One deposit, and a transfer of `funds` units of it to every holder.
pub(super) async fn fund(
    place: &Place,
    process: &SequencerProcess,
    clients: &[Client],
    holders: &Arc<Holders>,
    funds: u64,
    window: usize,
) -> Result<(), BenchError> {
    let bar = Bar::steps("fund", holders.len() as u64);
    let rich = person(0)?.wallet;
    let asset = first_asset(place)?.asset;
    let count = holders.len() as u64;
    let units = (funds + FEE).checked_mul(count).ok_or(BenchError::Bug("too much money"))?;
    let contract = Contract::new(Arc::clone(&place.chain.chain), place.world.contract);
    let wallet = ChainWallet::new(rich.signer().clone());
    contract.mint(&wallet, asset.token, rich.address(), asset.base_units(units)).await?;
    contract.deposit(&wallet, &asset, units, rich.account_key(), rich.address()).await?;

    let (sequencer, started) = (process.sequencer()?, Instant::now());
    let from = loop {
        let found = sequencer.account_of(asset.id, rich.address(), rich.account_key()).await?;
        if let Some(found) = found.filter(|found| found.account.balance == units) {
            break found.index;
        }
        if started.elapsed() > DEPOSIT_MAX {
            return Err(BenchError::TimeOut("the deposit to be credited"));
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    };

    let (signers, domain) = (Arc::clone(holders), place.domain);
    let ready = busy(move || {
        let sign = |nonce: u32| {
            let position = nonce as usize;
            let name = signers.name(position);
            let transaction = Transaction::Transfer(Transfer {
                from,
                to: signers.index(position),
                amount: funds,
                fee: Fee::at_most(FEE),
                nonce,
                payee_key: name.key,
                payee_owner: name.owner,
            });
            let signed = SignedTransaction::sign(transaction, rich.layer2(), domain);
            Ready { sender: 0, id: transaction.id(), bytes: signed.encode() }
        };
        let count = u32::try_from(signers.len()).unwrap_or(u32::MAX);
        (0..count).into_par_iter().map(sign).collect::<Vec<_>>()
    });
    let ready = Arc::new(ready.await?);
    // All of them have one sender, hence go through one stream.
    let pace = Pace::Closed { window };
    let tally = load::run(clients, &ready, pace, bar.counter()).await?;
    bar.done(&format!("{} transfers of {funds} units", tally.latencies.len()));
    Ok(())
}
