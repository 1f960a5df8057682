//! Witnesses that claim another state than the committed one: 1 to 4, 8 and 17.

use crate::stage::{NEITHER, NO_STATE, ONE, Stage, known, weight};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::access::LinkWitness;
use kerros_circuits::journal::OpenWitness;
use kerros_circuits::witness::link;
use kerros_protocol::account::{Account, AccountKey, AssetId, two_to};
use kerros_protocol::batch::OpenRecord;
use kerros_tests::world::{index, key, wallet};

#[tokio::test]
async fn attack_01_mint_by_an_open_whose_words_are_chosen_after_the_challenges() {
    // The state that is committed to has account 6 with a balance; the record's key takes it up in Δ.
    let mut stage = Stage::new().await;
    stage.world.open(6, 6, 1);
    let case = stage.seal();
    let (beta, _) = known();
    let mut f = case.forgery();
    let minted = 1_000_000;
    f.witness.opens[0].key += beta * Fr::from(minted);
    f.batch.data.opens[0].key = AccountKey::new(f.witness.opens[0].key).unwrap();
    f.commit_to(&stage, 6, |account| account.balance = minted);
    stage.needs_the_challenges(&case, &f).await;
}

#[tokio::test]
async fn attack_02_theft_by_a_forced_exit_whose_owner_is_chosen_after_the_challenges() {
    // Wallet 9 forces account 2 out and calls itself its owner; the key, which a forced exit does not
    // name, takes up the difference in A.
    let mut stage = Stage::new().await;
    let thief = wallet(9).1;
    stage.chain.force(9, 2).await;
    stage.world.force(2, thief);
    let case = stage.seal();
    let (beta, _) = known();
    let mut f = case.forgery();
    let exit = &mut f.witness.exits[0];
    exit.key -= beta.square() * (thief.to_fr() - exit.owner);
    exit.owner = thief.to_fr();
    exit.amount = Fr::from(500u64);
    f.batch.data.exits[0].amount = 500;
    f.commit_to(&stage, 2, |account| account.balance = 0);
    stage.needs_the_challenges(&case, &f).await;
}

#[tokio::test]
async fn attack_03_reopen_inside_a_path_after_a_deposit_to_it() {
    // The victim's account 1 gets a deposit; in the same batch it is "opened" for the thief. The open's
    // key makes what it writes what the deposit reads; the key of a stranger's forced no-op on account
    // 2 makes up in A for account 1, which is then not opened at all. The state that is committed to
    // has the thief as the owner of as much as he likes.
    let mut stage = Stage::new().await;
    let thief = wallet(9).1;
    stage.chain.deposit(1, 1, 5).await;
    stage.chain.force(9, 2).await;
    stage.world.deposit(1, 1, 1, 5);
    stage.world.force(2, thief);
    let case = stage.seal();
    let (beta, z) = known();
    let mut f = case.forgery();
    let words = case.before.get(index(1)).combine(beta);
    let opened = words - beta * two_to(96) - beta.square() * thief.to_fr();
    let mut record = OpenRecord {
        index: index(1),
        asset: AssetId::new(1).unwrap(),
        owner: thief,
        key: AccountKey::new(opened).unwrap(),
    };
    f.batch.data.opens.push(record);
    f.witness.opens[0] =
        OpenWitness { index: ONE, asset: ONE, owner: thief.to_fr(), key: opened, last: Fr::ZERO };
    link(&mut f.witness);
    f.witness.exits[0].key += words * weight(1, z) / weight(2, z);
    let rich = Account { owner: thief, balance: 1_000_000, ..case.before.get(index(1)) };
    let left = words.double() + beta * Fr::from(5u64);
    let key_left = rich.key + left - rich.combine(beta);
    f.commit_to(&stage, 1, |account| *account = Account { key: key_left, ..rich });
    stage.needs_the_challenges(&case, &f).await;

    // Opened as what it is, for the thief's own key: what the deposit reads was never written.
    stage.chain.deposit(1, 1, 5).await;
    stage.world.deposit(1, 1, 1, 5);
    let case = stage.seal();
    let mut f = case.forgery();
    record.key = key(9);
    f.batch.data.opens.push(record);
    f.witness.opens[0] = OpenWitness {
        index: ONE,
        asset: ONE,
        owner: thief.to_fr(),
        key: key(9).get(),
        last: Fr::ZERO,
    };
    link(&mut f.witness);
    f.commit_to(&stage, 1, |account| *account = Account { key: key(9).get(), ..rich });
    stage.has_no_room(&case, &[(f, NEITHER)]).await;
}

#[tokio::test]
async fn attack_04_one_account_opened_twice_of_which_only_the_sum_is_opened() {
    // A payment opens account 1 with 2^63 too much and an earlier nonce, a stranger's forced exit opens
    // it with 2^63 and nothing else: the sum is right.
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    stage.accepts(&stage.honest(&case)).await;
    let signed = case.executed.witness.transfers[0];
    stage.chain.force(9, 1).await;
    stage.world.transfer(1, 1, 2, 100, 0);
    stage.world.force(1, wallet(9).1);
    let case = stage.seal();
    let mut f = case.forgery();
    let half = Fr::from(1u64 << 63);
    let debit = &mut f.witness.transfers[0];
    // The earlier payment's signature and nonce.
    (debit.nonce, debit.signature) = (signed.nonce, signed.signature);
    debit.before += half;
    debit.link.last = ONE;
    let exit = &mut f.witness.exits[0];
    (exit.key, exit.owner, exit.nonce, exit.asset) = (Fr::ZERO, Fr::ZERO, Fr::ZERO, Fr::ZERO);
    exit.before = half;
    exit.link = LinkWitness { first: ONE, last: ONE, gap: Fr::ZERO };
    // The table as it would have to be lists the account twice; as it can be, once.
    let once = f.clone();
    f.relist();
    assert_eq!(f.witness.touched.iter().filter(|value| **value == ONE).count(), 2);
    stage.has_no_room(&case, &[(f, NEITHER), (once, NEITHER)]).await;
}

#[tokio::test]
async fn attack_08_a_strangers_forced_exit_does_not_touch_the_victims_nonce() {
    // The victim signs, then a stranger forces its account out, in a batch of its own and in the next.
    let mut stage = Stage::new().await;
    let signed = stage.world.transfer_of(1, 1, 2, 100, 0);
    for _ in 0..2 {
        stage.chain.force(9, 1).await;
    }
    stage.world.force(1, wallet(9).1);
    let no_op = stage.seal();
    // The state that is committed to has the nonce raised.
    let mut raised = no_op.forgery();
    raised.commit_to(&stage, 1, |account| account.nonce += 1);
    // The record says so as well: what is raised is then no word of the state, either before or after.
    let mut read = raised.clone();
    read.witness.exits[0].nonce += ONE;
    stage.has_no_room(&no_op, &[(raised, NO_STATE), (read, NO_STATE)]).await;

    assert_eq!(signed, stage.world.transfer_of(1, 1, 2, 100, 0), "what was signed is still good");
    stage.world.transfer(1, 1, 2, 100, 0);
    stage.world.force(1, wallet(9).1);
    let case = stage.seal();
    assert_eq!(case.executed.after.get(index(1)).nonce, 1);
    stage.accepts(&stage.honest(&case)).await;
}

#[tokio::test]
async fn attack_17_an_unused_slot_hands_a_forged_balance_to_an_access() {
    // T[1] is unused but carries account 1 with 2^63 more, at an earlier time; the payment reads that.
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    let rich = Fr::from(1u64 << 63);
    let mut forgeries = Vec::new();
    for (first, last) in [(Fr::ZERO, Fr::ZERO), (ONE, Fr::ZERO), (-ONE, -ONE)] {
        let mut f = case.forgery();
        let debit = f.witness.transfers[0];
        let carrier = &mut f.witness.transfers[1];
        (carrier.key, carrier.owner, carrier.asset) = (debit.key, debit.owner, debit.asset);
        (carrier.before, carrier.nonce) = (rich, debit.nonce);
        carrier.link = LinkWitness { first, last, gap: Fr::ZERO };
        let debit = &mut f.witness.transfers[0];
        debit.before = rich;
        debit.link = LinkWitness { first: Fr::ZERO, last: ONE, gap: Fr::ZERO };
        f.relist();
        forgeries.push((f, NEITHER));
    }
    // As if it opened the state: the circuit is content, the state has no such balance.
    let mut f = case.forgery();
    f.witness.transfers[0].before = rich;
    forgeries.push((f, NO_STATE));
    stage.has_no_room(&case, &forgeries).await;
}
