//! The stage: a deployed contract with four accounts, an operator's key, and a prover that proves what
//! its owner wants instead of what is so.

use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use ark_bn254::Fr;
use ark_ff::{Field, UniformRand};
use kerros_circuits::access::LinkWitness;
use kerros_circuits::batch::{BatchWitness, Outputs, synthesize};
use kerros_circuits::builder::Builder;
use kerros_circuits::touched::filler;
use kerros_circuits::witness::{Executed, execute};
use kerros_protocol::account::{Account, AccountIndex, AccountKey, AssetId};
use kerros_protocol::batch::{DepositRecord, OpenRecord, SealedBatch, evaluate};
use kerros_protocol::commitment::point;
use kerros_protocol::encoding::keccak_to_fr;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{self, statement};
use kerros_protocol::transcript::{BatchProof, Challenges, Groth16Proof, Statement, gamma};
use kerros_protocol::transition;
use kerros_prover::keys::ProverKeys;
use kerros_prover::openings::{Claims, opening, quotient};
use kerros_prover::prove::prove_batch;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Call, Embedded, Genesis, MainChain, Wallet, await_receipt};
use kerros_tests::chain::OPERATOR;
use kerros_tests::world::{index, wallet};
use kerros_tests::{Chain, World, keys};
use kerros_verifier::batch::equations_that_hold;
use kerros_verifier::contract::{Kerros, KerrosErrors, Post, Revert};
use kerros_verifier::post::post;
use rand::rngs::OsRng;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

pub const ONE: Fr = <Fr as Field>::ONE;
/// More gas than any post takes.
const GAS: u64 = 5_000_000;
/// Wallets of the main chain that can pay.
const RICH: u32 = 10;

/// β and z of an adversary who has fixed them before anything else.
pub fn known() -> (Fr, Fr) {
    (keccak_to_fr(&[b"the adversary's beta"]), keccak_to_fr(&[b"the adversary's z"]))
}

/// `x/(z − x)` of an account.
pub fn weight(i: u32, z: Fr) -> Fr {
    let x = point(i);
    x * (z - x).inverse().unwrap()
}

/// Accounts 1 (10,000) and 2 (500) of asset 1, 3 (900) and 4 (123) of asset 2, of the wallets of the
/// same numbers.
pub struct Stage {
    pub chain: Chain,
    pub keys: Arc<ProverKeys>,
    pub domain: Fr,
    pub world: World,
    clock: Arc<AtomicU64>,
    directory: Arc<TempDir>,
}

/// An honest batch, with what the honest prover knows about it.
pub struct Case {
    pub before: Ledger,
    pub batch: SealedBatch,
    pub executed: Executed,
}

/// What the adversary posts, and what he proves.
#[derive(Clone)]
pub struct Forgery {
    pub batch: SealedBatch,
    pub before: Ledger,
    pub witness: BatchWitness,
    /// What the commitments that he posts are of.
    pub after: Ledger,
    pub touched: Vec<(AccountIndex, Account)>,
}

/// What of the main chain's check holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    pub groth16: bool,
    pub opening: bool,
}

pub const BOTH: Holds = Holds { groth16: true, opening: true };
/// The circuit is not satisfied, the opening is as good as any.
pub const NO_WITNESS: Holds = Holds { groth16: false, opening: true };
/// The circuit is satisfied by a state that is not the committed one.
pub const NO_STATE: Holds = Holds { groth16: true, opening: false };
pub const NEITHER: Holds = Holds { groth16: false, opening: false };

/// What the contract knows of the rollup.
#[derive(Debug, PartialEq, Eq)]
struct State {
    root: [u8; 32],
    number: u64,
    head: u64,
    k: u8,
    supplies: [u64; 2],
    claimable: Vec<U256>,
}

impl Case {
    pub fn forgery(&self) -> Forgery {
        Forgery {
            batch: self.batch.clone(),
            before: self.before.clone(),
            witness: self.executed.witness.clone(),
            after: self.executed.after.clone(),
            touched: self.executed.touched.clone(),
        }
    }
}

impl Forgery {
    /// Commits to the state in which an account is another one.
    pub fn commit_to(&mut self, stage: &Stage, i: u32, change: impl FnOnce(&mut Account)) {
        let mut account = self.after.get(index(i));
        change(&mut account);
        self.after.set(index(i), account);
        self.batch.new = self.after.commit(&stage.keys.lagrange(self.batch.k).unwrap());
    }
    /// Fills the table of touched accounts from the flags as they stand.
    pub fn relist(&mut self) {
        let w = &self.witness;
        let first = |link: &LinkWitness, i: &Fr| (link.first == ONE).then_some(*i);
        let opens = w.opens.iter().map(|o| (o.index != Fr::from(0u64)).then_some(o.index));
        let listed: Vec<Option<Fr>> = opens
            .chain(w.deposits.iter().map(|d| first(&d.link, &d.index)))
            .chain(
                w.transfers
                    .iter()
                    .flat_map(|t| [first(&t.link, &t.from), first(&t.payee_link, &t.to)]),
            )
            .chain(w.exits.iter().map(|e| first(&e.link, &e.from)))
            .chain(w.collects.iter().map(|f| first(&f.link, &f.to)))
            .collect();
        let count = listed.len();
        let fillers = (0..count).rev().filter(|j| listed[*j].is_none()).map(filler);
        let mut indices: Vec<Fr> = listed.iter().flatten().copied().collect();
        indices.sort_unstable();
        self.witness.touched = fillers.chain([Fr::from(0u64)]).chain(indices).collect();
    }
    pub fn statement(&self, stage: &Stage) -> Statement {
        statement(&stage.keys.verification, stage.domain, &self.batch)
    }
}

/// The world after the two batches that open the accounts, and their posts: the same on every chain,
/// because the contract's address is.
fn opened(keys: &ProverKeys, domain: Fr) -> &'static (Fr, World, Vec<Post>) {
    static OPENED: OnceLock<(Fr, World, Vec<Post>)> = OnceLock::new();
    let opened = OPENED.get_or_init(|| {
        let mut world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
        let mut posts = Vec::new();
        for accounts in [[(1, 1, 10_000), (2, 1, 500)], [(3, 2, 900), (4, 2, 123)]] {
            for (i, asset, amount) in accounts {
                world.open(i, i as u8, asset);
                world.deposit(i, i as u8, asset, amount);
            }
            let before = world.sealed.clone();
            let batch = world.seal(|k| keys.lagrange(k).unwrap());
            let proved = prove_batch(keys, &before, &batch, domain, &mut OsRng).unwrap();
            posts.push(post(&batch, &proved.proof));
        }
        (domain, world, posts)
    });
    assert_eq!(opened.0, domain, "one address on every chain");
    opened
}

impl Stage {
    /// Deployed, nothing posted.
    pub async fn empty() -> Self {
        let keys = keys::small();
        let directory = Arc::new(TempDir::new().unwrap());
        let clock = Arc::new(AtomicU64::new(1_700_000_100));
        let time = clock.clone();
        let tells = Arc::new(move || time.load(Ordering::Relaxed));
        let chain = Embedded::open(directory.path(), &Genesis::development(RICH), tells).unwrap();
        Self::deploy(Arc::new(chain), keys, clock, directory).await
    }

    async fn deploy(
        chain: Arc<dyn MainChain>,
        keys: Arc<ProverKeys>,
        clock: Arc<AtomicU64>,
        directory: Arc<TempDir>,
    ) -> Self {
        let chain = Chain::deploy_on(chain, &keys.verification).await;
        let domain = chain.domain().await;
        let world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
        Self { chain, keys, domain, world, clock, directory }
    }

    pub async fn new() -> Self {
        let mut stage = Self::empty().await;
        for (w, asset, amount) in [(1, 1, 10_000), (2, 1, 500), (3, 2, 900), (4, 2, 123)] {
            stage.chain.deposit(w, asset, amount).await;
        }
        let (_, world, posts) = opened(&stage.keys, stage.domain);
        stage.world = world.clone();
        for post in posts {
            stage.accepts(post).await;
        }
        stage
    }

    /// Another contract of the same key on the same chain, nothing posted.
    pub async fn second(&self) -> Self {
        let (clock, directory) = (self.clock.clone(), self.directory.clone());
        Self::deploy(self.chain.chain.clone(), self.keys.clone(), clock, directory).await
    }

    /// Opens account `i` for a key of wallet `w`'s and deposits to it, on both sides.
    pub async fn deposit_for(&mut self, i: u32, w: u8, amount: u64, key: AccountKey) {
        self.chain.deposit_for(w, 1, amount, key).await;
        self.open_for(i, w, amount, key);
    }

    /// The same for a deposit that waits already.
    pub fn open_for(&mut self, i: u32, w: u8, amount: u64, key: AccountKey) {
        let (index, asset, owner) = (index(i), AssetId::new(1).unwrap(), wallet(w).1);
        let open = OpenRecord { index, asset, owner, key };
        transition::open(&mut self.world.ledger, &open).unwrap();
        let deposit = DepositRecord { index, amount, asset, key, owner };
        transition::deposit(&mut self.world.ledger, &deposit).unwrap();
        self.world.data.opens.push(open);
        self.world.data.deposits.push(deposit);
    }

    /// Lets time pass.
    pub fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Seals what is pending.
    pub fn seal(&mut self) -> Case {
        let mut before = self.world.sealed.clone();
        let keys = self.keys.clone();
        let batch = self.world.seal(|k| keys.lagrange(k).unwrap());
        if batch.before_growth.is_some() {
            before.grow();
        }
        let shape = &self.keys.verification.shape;
        let executed = execute(shape, &before, &batch, self.domain).unwrap();
        Case { before, batch, executed }
    }

    /// The honest post of a case: what shows that a refusal is the attack's doing.
    pub fn honest(&self, case: &Case) -> Post {
        let (proof, _) = self.prove(&case.forgery(), None);
        post(&case.batch, &proof)
    }

    /// A proof of a witness: for challenges that the adversary has fixed beforehand, or for those that the
    /// main chain draws. Whether the witness satisfies the circuit is not asked.
    pub fn prove(&self, f: &Forgery, fixed: Option<(Fr, Fr)>) -> (BatchProof, (Fr, Fr)) {
        self.prove_for(f, &f.statement(self), fixed)
    }

    /// The same for a statement of the caller's choice.
    pub fn prove_for(
        &self,
        f: &Forgery,
        statement: &Statement,
        fixed: Option<(Fr, Fr)>,
    ) -> (BatchProof, (Fr, Fr)) {
        let points = self.keys.points(f.batch.k).unwrap();
        let mut drawn = None;
        let (outputs, groth16) = self.groth16(&f.witness, |h| {
            let beta = fixed.map_or_else(|| statement.beta(&h), |(beta, _)| beta);
            let q = quotient(&f.before, &f.touched, beta, &points.kernels);
            let z = fixed.map_or_else(|| transcript::z(&beta, &q.commitment), |(_, z)| z);
            drawn = Some((q, beta, z));
            (beta, z)
        });
        let (q, beta, z) = drawn.unwrap();
        let claims = Claims { a: outputs.a, delta: outputs.delta, z_s: outputs.z_s };
        let at = (beta, z, gamma(&z));
        let w = opening(&q, &f.after, &f.touched, at, &claims, &points.kernels);
        let Outputs { h, a, delta, z_s, .. } = outputs;
        (BatchProof { h, a, delta, z_s, q: q.commitment, w, groth16 }, (beta, z))
    }

    /// The circuit's part of it.
    pub fn groth16(
        &self,
        witness: &BatchWitness,
        draw: impl FnOnce(Fr) -> (Fr, Fr),
    ) -> (Outputs, Groth16Proof) {
        let mut builder = Builder::witness_only();
        let shape = &self.keys.verification.shape;
        let outputs = synthesize(&mut builder, shape, witness, |h| Ok::<_, Infallible>(draw(h)));
        let outputs = outputs.unwrap_or_else(|never| match never {});
        let randomness = [Fr::rand(&mut OsRng), Fr::rand(&mut OsRng)];
        let (groth16, _) = self.keys.groth16.prove(&builder.into_assignment(), randomness);
        (outputs, groth16)
    }

    /// What of the main chain's check would hold if it drew these challenges.
    pub fn holds(&self, f: &Forgery, proof: &BatchProof, (beta, z): (Fr, Fr)) -> Holds {
        let key = &self.keys.verification;
        let challenges = Challenges { beta, z, gamma: gamma(&z) };
        let y = evaluate(&f.batch.data.elements(&key.shape), z);
        let statement = f.statement(self);
        let (groth16, opening) = equations_that_hold(key, &statement, &challenges, y, proof);
        Holds { groth16, opening }
    }

    async fn state(&self) -> State {
        let mut claimable = Vec::new();
        for asset in [1, 2] {
            for w in 0..RICH {
                let account = development_wallet(w).address();
                let call = Kerros::withdrawableCall { _0: asset, _1: account };
                claimable.push(self.chain.ask(call).await);
            }
        }
        let supply = async |asset| self.chain.ask(Kerros::assetsCall(asset)).await.supply;
        State {
            root: self.chain.ask(Kerros::rootCall {}).await.0,
            number: self.chain.ask(Kerros::batchNumberCall {}).await,
            head: self.chain.ask(Kerros::headCall {}).await,
            k: self.chain.ask(Kerros::kCall {}).await,
            supplies: [supply(1).await, supply(2).await],
            claimable,
        }
    }

    /// Sends a post, whatever the contract thinks of it, and mines it.
    async fn send(&self, from: u32, post: &Post) -> Result<(), KerrosErrors> {
        let chain = &*self.chain.chain;
        let wallet = Wallet::new(development_wallet(from));
        let input = Kerros::postCall { p: post.clone() }.abi_encode().into();
        let call = Call { to: Some(self.chain.contract), input, ..Call::default() };
        let nonce = chain.nonce(wallet.address()).await.unwrap();
        let signed = wallet.sign(chain, call, nonce, GAS).await.unwrap();
        chain.send_raw(signed.raw).await.unwrap();
        let receipt = await_receipt(chain, signed.hash).await.unwrap();
        match (receipt.succeeded, receipt.revert) {
            (true, _) => Ok(()),
            (false, Some(data)) => match Revert::decode(&data) {
                Revert::Kerros(error) => Err(error),
                other => panic!("not the contract's own error: {other}"),
            },
            (false, None) => panic!("failed without data"),
        }
    }

    /// The operator's post is mined, reverts for this reason, and changes nothing.
    pub async fn refusal(&self, post: &Post) -> KerrosErrors {
        self.refusal_of(OPERATOR, post).await
    }

    /// The same from any wallet.
    pub async fn refusal_of(&self, from: u32, post: &Post) -> KerrosErrors {
        let before = self.state().await;
        let error = self.send(from, post).await.expect_err("the contract took it");
        assert_eq!(self.state().await, before, "nothing changed");
        error
    }

    /// The post is mined and moves the rollup.
    pub async fn accepts(&self, post: &Post) {
        self.accepts_from(OPERATOR, post).await;
    }

    /// The same from any wallet.
    pub async fn accepts_from(&self, from: u32, post: &Post) {
        self.send(from, post).await.expect("accepted");
        assert_eq!(self.chain.ask(Kerros::batchNumberCall {}).await, post.batchNumber);
    }

    /// A proof that fails for its equations, and for nothing before them.
    pub async fn no_proof(&self, name: &str, post: &Post) {
        let refused = self.refusal(post).await;
        assert!(matches!(refused, KerrosErrors::ProofRejected(_)), "{name}: {refused:?}");
    }

    /// An attack that solves for what the identities leave: everything holds under the challenges that
    /// were known, nothing under those that are drawn. The honest twin is taken.
    pub async fn needs_the_challenges(&self, case: &Case, f: &Forgery) {
        let (proof, known) = self.prove(f, Some(known()));
        assert_eq!(self.holds(f, &proof, known), BOTH, "the main chain would take it");
        self.no_proof("for the challenges that he knew", &post(&f.batch, &proof)).await;
        let (proof, drawn) = self.prove(f, None);
        assert_ne!(self.holds(f, &proof, drawn), BOTH);
        self.no_proof("for those that were drawn", &post(&f.batch, &proof)).await;
        self.accepts(&self.honest(case)).await;
    }

    /// An attack that the identities leave no room for: what holds at the challenges that are drawn, and
    /// at challenges known beforehand. The honest twin is taken.
    pub async fn has_no_room(&self, case: &Case, forgeries: &[(Forgery, Holds)]) {
        for (number, (f, expected)) in forgeries.iter().enumerate() {
            for fixed in [None, Some(known())] {
                let (proof, at) = self.prove(f, fixed);
                assert_eq!(self.holds(f, &proof, at), *expected, "forgery {number}");
                let name = format!("forgery {number}, challenges known: {}", fixed.is_some());
                self.no_proof(&name, &post(&f.batch, &proof)).await;
            }
        }
        self.accepts(&self.honest(case)).await;
    }
}
