//! The contract's bytecode and the Rust verifier judge the same posts alike.

use alloy::primitives::U256;
use kerros_protocol::account::Address;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::encoding::fr_to_be;
use kerros_protocol::ledger::Ledger;
use kerros_prover::keys::ProverKeys;
use kerros_prover::prove::prove_batch;
use kerros_tests::world::{everything, key, wallet};
use kerros_tests::{Chain, World, keys};
use kerros_verifier::VerifyError;
use kerros_verifier::audit::{ChainState, PostRejection, QueueEntry, check_post};
use kerros_verifier::contract::{Kerros, KerrosErrors, Post, Revert};
use kerros_verifier::post::{PostError, post};
use rand::rngs::OsRng;

/// What both sides must agree on when they refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Number,
    Word,
    Root,
    Growth,
    Data,
    Queue,
    Proof,
}

fn rust_reason(rejection: &PostRejection) -> Reason {
    match rejection {
        PostRejection::WrongBatchNumber { .. } => Reason::Number,
        PostRejection::Unreadable(PostError::Decode(_)) => Reason::Word,
        PostRejection::Unreadable(PostError::Data(_)) => Reason::Data,
        PostRejection::Unreadable(PostError::GrownWithoutGrowth) => Reason::Growth,
        PostRejection::WrongRoot { .. } => Reason::Root,
        PostRejection::LedgerAtMaximum { .. } => Reason::Growth,
        PostRejection::Invalid(VerifyError::Growth) => Reason::Growth,
        PostRejection::UnknownAsset { .. } => Reason::Data,
        PostRejection::QueueTooShort { .. } | PostRejection::QueueMismatch { .. } => Reason::Queue,
        PostRejection::Invalid(_) | PostRejection::Replay(_) => Reason::Proof,
    }
}

fn contract_reason(revert: &Revert) -> Reason {
    use KerrosErrors as E;
    let Revert::Kerros(error) = revert else { panic!("no typed error: {revert}") };
    match error {
        E::WrongBatchNumber(_) => Reason::Number,
        E::NotFieldElement(_) | E::NotCoordinate(_) => Reason::Word,
        // The precompiles find points off the curve where Rust's decoder does.
        E::NotOnCurve(_) | E::PairingRefused(_) => Reason::Word,
        E::WrongRoot(_) => Reason::Root,
        E::GrownWithoutGrowth(_) | E::LedgerAtMaximum(_) | E::GrowthRejected(_) => Reason::Growth,
        E::CountAboveCapacity(_)
        | E::WrongDataLength(_)
        | E::EmptyRecord(_)
        | E::BadForcedFlag(_)
        | E::BadOpen(_) => Reason::Data,
        E::QueueTooShort(_) | E::QueueMismatch(_) => Reason::Queue,
        E::ProofRejected(_) => Reason::Proof,
        other => panic!("unexpected error {other:?}"),
    }
}

struct Scene {
    chain: Chain,
    keys: std::sync::Arc<ProverKeys>,
    world: World,
    state: ChainState,
    domain: ark_bn254::Fr,
}

impl Scene {
    async fn new() -> Self {
        let keys = keys::small();
        let chain = Chain::deploy(&keys.verification).await;
        let domain = chain.domain().await;
        let world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
        let mut state = ChainState::genesis(&keys.verification);
        state.asset_count = 2;
        Self { chain, keys, world, state, domain }
    }
    async fn deposit(&mut self, w: u8, asset: u16, amount: u64) {
        self.chain.deposit(w, asset, amount).await;
        let (key, owner) = (key(w), wallet(w).1);
        self.state.queue.push_back(QueueEntry::Deposit { amount, asset, key, owner });
    }
    async fn force(&mut self, w: u8, index: u32) {
        self.chain.force(w, index).await;
        let (index, requester) = (kerros_tests::world::index(index), wallet(w).1);
        self.state.queue.push_back(QueueEntry::ForcedExit { index, requester });
    }
    /// Main-chain side of [`everything`].
    async fn everything(&mut self) {
        self.deposit(1, 1, 10_000).await;
        self.deposit(2, 1, 500).await;
        self.force(2, 2).await;
        everything(&mut self.world);
    }
    fn seal(&mut self) -> (Ledger, SealedBatch) {
        let before = self.world.sealed.clone();
        let keys = self.keys.clone();
        (before, self.world.seal(|k| keys.lagrange(k).expect("size")))
    }
    fn prove(&self, before: &Ledger, batch: &SealedBatch) -> Post {
        let proved = prove_batch(&self.keys, before, batch, self.domain, &mut OsRng);
        post(batch, &proved.expect("provable").proof)
    }
    fn judge(&self, post: &Post) -> Result<(), Reason> {
        let mut state = self.state.clone();
        check_post(&self.keys.verification, self.domain, &mut state, post)
            .map_err(|rejection| rust_reason(&rejection))
    }
    async fn both_refuse(&self, name: &str, post: &Post, expected: Reason) {
        let rust = self.judge(post);
        let contract = self.chain.try_post(post).await.map_err(|revert| contract_reason(&revert));
        assert_eq!(rust, Err(expected), "Rust: {name}");
        assert_eq!(contract, Err(expected), "contract: {name}");
    }
    async fn accept(&mut self, post: &Post) -> u64 {
        check_post(&self.keys.verification, self.domain, &mut self.state, post).expect("Rust");
        let receipt = self.chain.post(post).await.expect("contract");
        assert!(receipt.succeeded);
        let root = self.chain.ask(Kerros::rootCall {}).await;
        assert_eq!(root.0, self.state.root.0);
        assert_eq!(self.chain.ask(Kerros::batchNumberCall {}).await, self.state.number);
        assert_eq!(self.chain.ask(Kerros::headCall {}).await, self.state.head);
        receipt.gas_used
    }
}

fn bump(word: &mut U256) {
    *word += U256::from(1);
}

#[tokio::test]
async fn rust_and_contract_accept_the_same_honest_batches_and_growth() {
    let mut scene = Scene::new().await;
    scene.everything().await;
    let (before, batch) = scene.seal();
    let first = scene.prove(&before, &batch);
    let gas = scene.accept(&first).await;
    println!("gas of a batch with 3 transfers: {gas}");
    // Posted twice, or again later: both refuse.
    scene.both_refuse("the same batch again", &first, Reason::Number).await;

    // What left is claimable: the signed exit and the effective forced exit.
    let owner = alloy::primitives::Address::from(wallet(2).1.0);
    let claimable = Kerros::withdrawableCall { _0: 1, _1: owner };
    assert_eq!(scene.chain.ask(claimable).await, U256::from(500 + 1_000 - 700 + 35));
    let claim = Kerros::claimCall { asset: 1, account: owner };
    assert!(scene.chain.send(5, U256::ZERO, claim).await.expect("claim").succeeded);

    // Growth is a step of posting; the next batch uses an index that exists only then.
    scene.world.grow();
    scene.world.open(20, 3, 2);
    scene.world.transfer(1, 1, 2, 100, 0);
    scene.force(9, 1).await;
    scene.world.force(1, wallet(9).1);
    let (before, batch) = scene.seal();
    let second = scene.prove(&before, &batch);
    let mut late = second.clone();
    late.grow = false;
    late.grownC = [U256::ZERO; 6];
    scene.both_refuse("growth left out", &late, Reason::Proof).await;
    let mut wrong = second.clone();
    wrong.grownC = wrong.oldC;
    scene.both_refuse("growth to the same commitments", &wrong, Reason::Growth).await;
    let mut beside = second.clone();
    beside.grow = false;
    scene.both_refuse("grown words without growth", &beside, Reason::Growth).await;
    scene.accept(&second).await;
    // The stranger's forced exit was a no-op.
    assert_eq!(scene.state.ledger, scene.world.sealed);
    assert_eq!(scene.chain.ask(Kerros::kCall {}).await, keys::K_GENESIS + 1);
    // The books: what the contract holds on layer 2 is what the accounts hold.
    let sum: u64 = scene.state.ledger.existing().map(|(_, account)| account.balance).sum();
    assert_eq!(scene.chain.ask(Kerros::assetsCall(1)).await.supply, sum);
}

#[tokio::test]
async fn rust_and_contract_refuse_every_changed_word_for_the_same_reason() {
    let mut scene = Scene::new().await;
    scene.everything().await;
    let (before, batch) = scene.seal();
    let first = scene.prove(&before, &batch);
    scene.accept(&first).await;
    // The second batch leaves an account alone, so that Q is not zero.
    scene.deposit(1, 1, 40).await;
    scene.world.deposit(1, 1, 1, 40);
    scene.world.transfer(1, 1, 1, 30, 0);
    let (before, batch) = scene.seal();
    let good = scene.prove(&before, &batch);
    assert_eq!(scene.judge(&good), Ok(()));
    assert_eq!(scene.chain.try_post(&good).await, Ok(()));
    let modulus_r = U256::from_be_bytes(fr_to_be(&-ark_bn254::Fr::from(1u64))) + U256::from(1);

    type Change = (&'static str, fn(&mut Post), Reason);
    let changes: &[Change] = &[
        ("h changed", |p| bump(&mut p.h), Reason::Proof),
        ("A changed", |p| bump(&mut p.A), Reason::Proof),
        ("Delta changed", |p| bump(&mut p.Delta), Reason::Proof),
        ("Z changed", |p| bump(&mut p.Z), Reason::Proof),
        ("A and Delta swapped", |p| std::mem::swap(&mut p.A, &mut p.Delta), Reason::Proof),
        ("Q and W swapped", |p| std::mem::swap(&mut p.Q, &mut p.W), Reason::Proof),
        ("Q at infinity", |p| p.Q = [U256::ZERO; 2], Reason::Proof),
        ("W at infinity", |p| p.W = [U256::ZERO; 2], Reason::Proof),
        ("Q the generator", |p| p.Q = [U256::from(1), U256::from(2)], Reason::Proof),
        ("W the generator", |p| p.W = [U256::from(1), U256::from(2)], Reason::Proof),
        (
            "new C_0 and C_1 swapped",
            |p| {
                let (a, b) = p.newC.split_at_mut(2);
                a.swap_with_slice(&mut b[..2]);
            },
            Reason::Proof,
        ),
        ("new C_1 at infinity", |p| p.newC[2..4].fill(U256::ZERO), Reason::Proof),
        ("new C the old C", |p| p.newC = p.oldC, Reason::Proof),
        (
            "C_2 the generator",
            |p| {
                p.newC[4] = U256::from(1);
                p.newC[5] = U256::from(2);
            },
            Reason::Proof,
        ),
        (
            "old C changed",
            |p| p.oldC[..2].copy_from_slice(&[U256::from(1), U256::from(2)]),
            Reason::Root,
        ),
        (
            "proof A the generator",
            |p| p.proof[..2].copy_from_slice(&[U256::from(1), U256::from(2)]),
            Reason::Proof,
        ),
        ("proof C at infinity", |p| p.proof[6..].fill(U256::ZERO), Reason::Proof),
        ("proof all at infinity", |p| p.proof.fill(U256::ZERO), Reason::Proof),
        ("proof A off the curve", |p| bump(&mut p.proof[0]), Reason::Word),
        ("proof B off the curve", |p| bump(&mut p.proof[2]), Reason::Word),
        ("Q off the curve", |p| bump(&mut p.Q[1]), Reason::Word),
        ("W off the curve", |p| bump(&mut p.W[0]), Reason::Word),
        ("new C off the curve", |p| bump(&mut p.newC[0]), Reason::Word),
        ("coordinate at 2^256 - 1", |p| p.newC[0] = U256::MAX, Reason::Word),
        ("number skipped", |p| p.batchNumber = 3, Reason::Number),
        ("number 0", |p| p.batchNumber = 0, Reason::Number),
        (
            "beneficiary changed",
            |p| p.beneficiary = alloy::primitives::Address::repeat_byte(1),
            Reason::Proof,
        ),
        (
            "a byte of data dropped",
            |p| {
                let mut data = p.data.to_vec();
                data.pop();
                p.data = data.into();
            },
            Reason::Data,
        ),
        (
            "a byte of data added",
            |p| {
                let mut data = p.data.to_vec();
                data.push(0);
                p.data = data.into();
            },
            Reason::Data,
        ),
        (
            "a count above its capacity",
            |p| {
                let mut data = p.data.to_vec();
                data[1] = 3;
                p.data = data.into();
            },
            Reason::Data,
        ),
    ];
    for (name, change, reason) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_ne!(bad, good, "{name} changes something");
        scene.both_refuse(name, &bad, *reason).await;
    }
    for (name, field) in [
        ("h", (|p: &mut Post| &mut p.h) as fn(&mut Post) -> &mut U256),
        ("A", |p| &mut p.A),
        ("Delta", |p| &mut p.Delta),
        ("Z", |p| &mut p.Z),
    ] {
        let mut bad = good.clone();
        let word = field(&mut bad);
        *word += modulus_r;
        scene.both_refuse(&format!("{name} + r"), &bad, Reason::Word).await;
    }
}

#[tokio::test]
async fn rust_and_contract_refuse_every_changed_byte_of_data() {
    let mut scene = Scene::new().await;
    scene.everything().await;
    let (before, batch) = scene.seal();
    let good = scene.prove(&before, &batch);
    for position in 0..good.data.len() {
        let mut bad = good.clone();
        let mut data = bad.data.to_vec();
        data[position] ^= 1;
        bad.data = data.into();
        let rust = scene.judge(&bad);
        let contract = scene.chain.try_post(&bad).await;
        assert!(rust.is_err(), "Rust accepts data with byte {position} changed");
        assert!(contract.is_err(), "the contract accepts data with byte {position} changed");
    }
    // Records reordered: two transfers change places.
    let mut bad = good.clone();
    let mut data = bad.data.to_vec();
    let transfers = 10 + 2 * 58 + 2 * 66;
    for i in 0..18 {
        data.swap(transfers + i, transfers + 18 + i);
    }
    bad.data = data.into();
    scene.both_refuse("transfers reordered", &bad, Reason::Proof).await;
}

#[tokio::test]
async fn the_queue_can_be_neither_skipped_nor_changed_nor_repeated() {
    let mut scene = Scene::new().await;
    scene.deposit(1, 1, 700).await;
    scene.deposit(2, 1, 800).await;

    let attempt = |scene: &Scene, deposits: &[(u32, u8, u64)]| {
        let mut world = scene.world.clone();
        world.open(1, 1, 1);
        world.open(2, 2, 1);
        for (index, w, amount) in deposits {
            world.deposit(*index, *w, 1, *amount);
        }
        let batch = world.seal(|k| scene.keys.lagrange(k).expect("size"));
        scene.prove(&scene.world.sealed, &batch)
    };
    let skipped = attempt(&scene, &[(2, 2, 800)]);
    scene.both_refuse("the first deposit skipped", &skipped, Reason::Queue).await;
    let swapped = attempt(&scene, &[(2, 2, 800), (1, 1, 700)]);
    scene.both_refuse("deposits out of order", &swapped, Reason::Queue).await;
    let changed = attempt(&scene, &[(1, 1, 701)]);
    scene.both_refuse("a deposit changed", &changed, Reason::Queue).await;
    let stolen = attempt(&scene, &[(2, 2, 700)]);
    scene.both_refuse("a deposit to another key", &stolen, Reason::Queue).await;

    scene.world.open(1, 1, 1);
    scene.world.open(2, 2, 1);
    scene.world.deposit(1, 1, 1, 700);
    scene.world.deposit(2, 2, 1, 800);
    let (before, batch) = scene.seal();
    let good = scene.prove(&before, &batch);
    scene.accept(&good).await;
    // The same deposit again: nothing waits.
    scene.world.deposit(1, 1, 1, 700);
    let (before, batch) = scene.seal();
    let again = scene.prove(&before, &batch);
    scene.both_refuse("a deposit repeated", &again, Reason::Queue).await;
}

#[tokio::test]
async fn a_proof_for_another_chain_contract_or_batch_is_refused() {
    let mut scene = Scene::new().await;
    scene.everything().await;
    let (before, batch) = scene.seal();
    // Another domain: signatures and proof are made for it, all of them valid there.
    let mut elsewhere = World::new(scene.keys.verification.shape, keys::K_GENESIS, 99u64.into());
    everything(&mut elsewhere);
    let foreign = elsewhere.seal(|k| scene.keys.lagrange(k).expect("size"));
    let proved =
        prove_batch(&scene.keys, &before, &foreign, 99u64.into(), &mut OsRng).expect("there");
    let bad = post(&foreign, &proved.proof);
    scene.both_refuse("a proof for another domain", &bad, Reason::Proof).await;

    let good = scene.prove(&before, &batch);
    scene.accept(&good).await;
    // A later batch with the earlier one's proof.
    scene.world.transfer(1, 1, 2, 10, 0);
    let (before, batch) = scene.seal();
    let next = scene.prove(&before, &batch);
    let mixed = Post { proof: good.proof, ..next.clone() };
    scene.both_refuse("the proof of another batch", &mixed, Reason::Proof).await;
    // Out of order: the one after next.
    scene.world.transfer(1, 1, 2, 11, 0);
    let (before, batch) = scene.seal();
    let after_next = scene.prove(&before, &batch);
    scene.both_refuse("a batch out of order", &after_next, Reason::Number).await;
    scene.accept(&next).await;
    scene.accept(&after_next).await;
    assert_eq!(scene.world.beneficiary, Address([0xbe; 20]));
}
