//! What an entry of the queue pays, and what serving it costs.

use crate::rollup::{ENTRY_FEE, ENTRY_GAS, GWEI, Rollup, operator, owner, person};
use alloy::primitives::{Address, U256};
use kerros_protocol::account::{AccountIndex, AccountKey, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{BatchData, DepositRecord, ExitRecord, OpenRecord};
use kerros_verifier::contract::{Kerros, KerrosErrors as E, Revert};

/// Wei a byte of calldata that is not zero costs under EIP-7623's floor, in gas.
const FLOOR_GAS_PER_BYTE: u64 = 40;
/// The same beside execution.
const GAS_PER_BYTE: u64 = 16;
const INTRINSIC_GAS: u64 = 21_000;

fn rollup(entry_fee: u128) -> Rollup {
    Rollup::new("8,8,16,8,2", 4, 8, |terms| terms.entryFee = entry_fee)
}

pub fn index(at: u32) -> AccountIndex {
    AccountIndex::new(at).expect("in range")
}

/// An account for a deposit with this key, and the deposit.
pub fn served(at: u32, user: Address, units: u64, key: u64) -> BatchData {
    let key = AccountKey::new(key.into()).expect("not 0");
    let (index, asset, owner) = (index(at), AssetId::new(1).expect("an asset"), owner(user));
    BatchData {
        opens: vec![OpenRecord { index, asset, owner, key }],
        deposits: vec![DepositRecord { index, amount: units, asset, key, owner }],
        ..BatchData::default()
    }
}

pub fn forced(at: u32, user: Address, units: u64) -> ExitRecord {
    let (from, recipient) = (index(at), owner(user));
    ExitRecord { from, amount: units, fee: Fee::ZERO, forced: true, asset: 1, recipient }
}

/// Gas that a batch takes beside the price of its calldata, and the bytes of its data.
fn execution(rollup: &mut Rollup, data: BatchData) -> (u64, u64) {
    let new = rollup.book.clone();
    let beneficiary = operator();
    let post = rollup.forge(data, &new, beneficiary);
    let call = alloy::sol_types::SolCall::abi_encode(&Kerros::postCall { p: post.clone() });
    let zeros = u64::try_from(call.iter().filter(|byte| **byte == 0).count()).expect("small");
    let bytes = u64::try_from(call.len()).expect("small");
    let served = u64::try_from(post.data.len()).expect("small");
    let outcome = rollup.post(operator(), &post, new, 0);
    outcome.result.expect("a good batch");
    let calldata = GAS_PER_BYTE * bytes - (GAS_PER_BYTE - 4) * zeros;
    (outcome.gas - INTRINSIC_GAS - calldata, served)
}

/// What one entry adds to a batch: gas, calldata at the floor price, as if every byte were not zero.
fn marginal(rollup: &mut Rollup, with: BatchData) -> u64 {
    let mut without = Rollup { machine: rollup.machine.fork(), ..fork(rollup) };
    let (base, base_bytes) = execution(&mut without, BatchData::default());
    let (more, more_bytes) = execution(rollup, with);
    more - base + FLOOR_GAS_PER_BYTE * (more_bytes - base_bytes)
}

fn fork(rollup: &Rollup) -> Rollup {
    Rollup {
        machine: rollup.machine.fork(),
        key: rollup.key.clone(),
        book: rollup.book.clone(),
        ..*rollup
    }
}

#[test]
fn an_entrys_share_pays_the_gas_of_serving_it_at_every_base_fee() {
    let mut largest = 0;
    for base_fee in [1, 7, GWEI / 10, GWEI, 33 * GWEI, 500 * GWEI, 20_000 * GWEI] {
        // The deployment's own price does not help.
        let mut rollup = rollup(0);
        let (alice, bob) = (person(1), person(2));
        rollup.deposit(alice, 1_000, 77).result.expect("deposit");
        rollup.advance(served(1, alice, 1_000, 77)).result.expect("batch");
        rollup.machine.set_base_fee(base_fee);

        let mut cost = |kind: &str, entry: u64, data: BatchData, rollup: &mut Rollup| {
            let share = rollup.read(Kerros::queueEntryCall { index: entry }).entry.share;
            let gas = marginal(rollup, data);
            rollup.head += 1;
            largest = largest.max(gas);
            println!("base fee {base_fee} wei: {kind} takes {gas} gas, share {share} gwei");
            let earned = u128::from(share) * u128::from(GWEI);
            assert!(earned >= u128::from(gas) * u128::from(base_fee), "{kind} at {base_fee}");
        };
        // Rich in bytes that are not zero; a new account, and a payout to somebody who had none.
        let (units, key) = (u64::MAX / 2, u64::MAX);
        rollup.deposit(bob, units, key).result.expect("deposit");
        cost("a deposit", 1, served(2, bob, units, key), &mut rollup);
        rollup.force(bob, 2).result.expect("forced exit");
        let exits = vec![forced(2, bob, units)];
        cost("a forced exit", 2, BatchData { exits, ..BatchData::default() }, &mut rollup);
    }
    assert!(largest > 20_000, "{largest} gas: nothing was measured");
}

#[test]
fn the_fee_follows_base_fee_and_queue_and_half_of_it_is_earned() {
    let mut rollup = rollup(u128::from(ENTRY_FEE));
    let (alice, poster) = (person(1), person(5));
    let mut shares = 0u128;
    let mut fees = 0u128;
    for (ahead, base_fee) in [(0u128, 0), (1, GWEI), (2, 7 * GWEI), (3, 1), (4, 40 * GWEI)] {
        rollup.machine.set_base_fee(base_fee);
        let alone = u128::from(ENTRY_FEE) + 2 * u128::from(ENTRY_GAS) * u128::from(base_fee);
        let exact = alone * (16 + ahead) / 16;
        let fee = rollup.entry_fee().to::<u128>();
        assert!(fee >= exact && fee < exact + 2 * u128::from(GWEI), "{fee} for {exact}");
        let low = rollup.send(alice, U256::from(fee - 1), &Kerros::forceExitCall { index: 3 });
        assert!(matches!(low.result, Err(Revert::Kerros(E::EntryFeeTooLow(_)))));
        rollup.force(alice, 3).result.expect("exactly the fee");
        let view = rollup.read(Kerros::queueEntryCall { index: u64::try_from(ahead).unwrap() });
        assert_eq!(u128::from(view.entry.share) * u128::from(GWEI) * 2, fee);
        assert_eq!(view.entry.ahead.to::<u128>(), ahead);
        shares += fee / 2;
        fees += fee;
    }
    assert_eq!(rollup.machine.balance(rollup.kerros), U256::from(fees));
    let exits = vec![forced(3, alice, 0); 5];
    let data = BatchData { exits, ..BatchData::default() };
    let new = rollup.book.clone();
    let post = rollup.forge(data, &new, poster);
    rollup.post(operator(), &post, new, 5).result.expect("batch");
    assert_eq!(rollup.read(Kerros::etherCreditCall(poster)), U256::from(shares));
    rollup
        .send(alice, U256::ZERO, &Kerros::claimEtherCall { account: poster })
        .result
        .expect("paid");
    assert_eq!(rollup.machine.balance(rollup.kerros), U256::from(fees - shares), "burnt");
}

#[test]
fn a_share_beyond_its_word_is_burnt_and_never_owed() {
    let mut rollup = rollup(u128::from(ENTRY_FEE));
    let alice = person(1);
    rollup.machine.set_base_fee(10_000_000 * GWEI);
    let fee = rollup.entry_fee();
    rollup.force(alice, 3).result.expect("dear");
    let view = rollup.read(Kerros::queueEntryCall { index: 0 });
    assert_eq!(view.entry.share, u32::MAX);
    let share = U256::from(u32::MAX) * U256::from(GWEI);
    assert!(share < fee / U256::from(2));
    rollup.machine.set_base_fee(1);
    let exits = vec![forced(3, alice, 0)];
    rollup.advance(BatchData { exits, ..BatchData::default() }).result.expect("batch");
    assert_eq!(rollup.read(Kerros::etherCreditCall(operator())), share);
    assert_eq!(rollup.machine.balance(rollup.kerros), fee);
    // The deployment's price may be as absurd.
    let mut absurd = self::rollup(u128::MAX);
    absurd.machine.set_base_fee(u64::MAX);
    assert!(absurd.entry_fee() > U256::from(u128::MAX));
}
