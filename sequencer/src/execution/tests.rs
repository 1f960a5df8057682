//! Rules made wrong on purpose must be noticed before anybody is told.

use super::*;
use ark_bn254::Fr;
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::Shape;
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::transaction::{Exit, Transfer};
use proptest::prelude::*;

fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).expect("in range")
}
fn secret(i: u32) -> PrivateKey {
    PrivateKey::from_bytes([u8::try_from(i).expect("few"); 32])
}
/// A fixed owner; account `i` has key `i`, asset 1 and 1,000 units.
fn account(i: u32) -> Account {
    let key = secret(i).public_key().0.x;
    Account { key, balance: 1_000, nonce: 0, asset: 1, owner: Address([9; 20]) }
}
/// Accounts 1 to 4 (4 collects fees) and an empty batch.
pub fn execution() -> Execution {
    let shape: Shape = "4,2,8,4,2".parse().expect("a shape");
    let policy = Policy {
        shape,
        k_max: 3,
        transactions_max: 12,
        fee_min: 0,
        fee_key: AccountKey::new(account(4).key).expect("not 0"),
        fee_owner: Address([9; 20]),
        grow_at_percent: 100,
    };
    let head = Head { number: 1, k: 3, grows: false, first: 0, opened_ms: 0 };
    let mut ledger = Ledger::new(3);
    (1..=4).for_each(|i| ledger.set(index(i), account(i)));
    Execution::new(policy, head, ledger)
}
pub fn transfer(from: u32, to: u32, amount: u64, fee: u64, nonce: u32) -> SignedTransaction {
    let transaction = Transaction::Transfer(Transfer {
        from: index(from),
        to: index(to),
        amount,
        fee: Fee::exact(fee).expect("exact"),
        nonce,
        payee_key: AccountKey::new(account(to).key).expect("not 0"),
        payee_owner: Address([9; 20]),
    });
    SignedTransaction::sign(transaction, &secret(from), Fr::from(1u64))
}
pub fn exit(from: u32, amount: u64, fee: u64, nonce: u32) -> SignedTransaction {
    let transaction = Transaction::Exit(Exit {
        from: index(from),
        amount,
        fee: Fee::exact(fee).expect("exact"),
        nonce,
        asset: AssetId::new(1).expect("not 0"),
        recipient: Address([7; 20]),
    });
    SignedTransaction::sign(transaction, &secret(from), Fr::from(1u64))
}
impl Execution {
    /// Makes the rules wrong from now on.
    pub fn plant(&mut self, rule: Option<fn(&mut Ledger, &Transaction)>) {
        self.planted = rule;
    }
}

fn change(ledger: &mut Ledger, index: AccountIndex, change: impl FnOnce(&mut Account)) {
    let mut account = ledger.get(index);
    change(&mut account);
    ledger.set(index, account);
}

#[test]
fn what_wrong_rules_did_is_evicted_and_leaves_no_trace() {
    let wrong: [fn(&mut Ledger, &Transaction); 6] = [
        |ledger, t| change(ledger, t.from(), |account| account.balance += 1),
        |ledger, t| change(ledger, t.from(), |account| account.nonce -= 1),
        |ledger, t| change(ledger, t.from(), |account| account.nonce += 1),
        |ledger, t| change(ledger, t.from(), |account| account.owner.0[0] ^= 1),
        |ledger, t| change(ledger, t.from(), |account| account.key += Fr::from(1u64)),
        // The fee is not charged.
        |ledger, t| change(ledger, t.from(), |account| account.balance += 20),
    ];
    let payee: fn(&mut Ledger, &Transaction) = |ledger, t| {
        let Transaction::Transfer(t) = t else { unreachable!("a transfer") };
        change(ledger, t.to, |account| account.balance += 1);
    };
    let paying = [transfer(1, 2, 10, 20, 0), transfer(1, 1, 10, 20, 0), exit(1, 10, 20, 0)];
    let with_payee = paying[..2].iter().map(|signed| (payee, signed));
    let cases = wrong.iter().flat_map(|rule| paying.iter().map(move |signed| (*rule, signed)));
    for (rule, signed) in cases.chain(with_payee) {
        let mut state = execution();
        let before = state.ledger().clone();
        let mut operations = Vec::new();
        state.plant(Some(rule));
        let refused = state.submit(signed, Ok(()), &mut operations);
        assert!(matches!(refused, Err(TransactionError::Unprovable(_))), "{refused:?}");
        assert_eq!(state.ledger(), &before);
        assert_eq!((operations.len(), state.operations(), state.counts()), (0, 0, [0; 5]));
        // The place is free for the next one.
        state.plant(None);
        let done = state.submit(signed, Ok(()), &mut operations);
        assert_eq!(done, Ok(Placed::Done(Place { batch: 1, order: 0 })));
    }
}

#[test]
fn a_rule_that_accepts_too_much_is_noticed() {
    // As if the rules had let somebody pay what he does not have, or to an empty account.
    let before = |i: AccountIndex| if i.get() <= 3 { account(i.get()) } else { Account::EMPTY };
    let rich = transfer(1, 2, 1_001, 0, 0);
    let published = Published::of(&rich.transaction);
    let got = witness::check(&rich, &published, before, before);
    assert_eq!(got, Err(Unprovable::Range { index: index(1) }));
    let other = Published::of(&transfer(1, 2, 1_000, 0, 0).transaction);
    let got = witness::check(&rich, &other, before, before);
    assert_eq!(got, Err(Unprovable::OtherTransaction));
    let late = transfer(1, 2, 1, 0, 1);
    let got = witness::check(&late, &Published::of(&late.transaction), before, before);
    assert_eq!(got, Err(Unprovable::OtherTransaction), "the nonce is part of it");
    let foreign = SignedTransaction { public_key: secret(3).public_key(), ..rich };
    let got = witness::check(&foreign, &published, before, before);
    assert_eq!(got, Err(Unprovable::OtherKey { index: index(1) }));
    let other_asset = |i: AccountIndex| Account { asset: 2, ..before(i) };
    let got = witness::check(
        &exit(1, 1, 0, 0),
        &Published::of(&exit(1, 1, 0, 0).transaction),
        other_asset,
        before,
    );
    assert_eq!(got, Err(Unprovable::Asset { index: index(1), have: 2 }));
}

proptest! {
    #[test]
    fn whatever_the_rules_accept_passes(
        steps in prop::collection::vec((1..4u32, 1..4u32, 0..600u64, 0..50u64, any::<bool>()), 1..24),
    ) {
        let mut state = execution();
        let mut operations = Vec::new();
        for (from, to, amount, fee, leaves) in steps {
            let nonce = state.ledger().get(index(from)).nonce;
            let signed = match leaves {
                true => exit(from, amount, fee, nonce),
                false => transfer(from, to, amount, fee, nonce),
            };
            let done = state.submit(&signed, Ok(()), &mut operations);
            let fine = matches!(
                done,
                Ok(_) | Err(TransactionError::Rule(Rejection::InsufficientBalance { .. }))
            );
            prop_assert!(fine, "{done:?}");
        }
    }
}

/// `cargo test --release -p kerros-sequencer --lib -- --ignored --nocapture the_check_costs`.
#[test]
#[ignore = "a measurement"]
fn the_check_costs() {
    let (signed, mut state) = (transfer(1, 2, 1, 20, 0), execution());
    let old = state.accounts_named(&signed.transaction);
    transition::execute_verified(&mut state.ledger, &signed, Ok(())).expect("fits");
    let (started, rounds) = (std::time::Instant::now(), 1_000_000u32);
    for _ in 0..rounds {
        std::hint::black_box(state.check_witness(std::hint::black_box(&signed), &old))
            .expect("provable");
    }
    println!("{} ns a transfer", (started.elapsed() / rounds).as_nanos());
}

/// A stranger's batch may open any index, the last one among them.
#[test]
fn accounts_open_below_the_last_one_until_the_ledger_is_full() {
    let mut ledger = Ledger::new(3);
    [1, 2, 5, 7].into_iter().for_each(|i| ledger.set(index(i), account(i)));
    let Execution { policy, .. } = execution();
    let head = Head { number: 1, k: 3, grows: false, first: 0, opened_ms: 0 };
    let mut execution = Execution::new(policy, head, ledger);
    assert_eq!((execution.allocated(), execution.wants_growth()), (4, false));
    let mut operations = Vec::new();
    let mut open = |execution: &mut Execution, i: u32| {
        let key = AccountKey::new(account(i).key).expect("not 0");
        let asset = AssetId::new(1).expect("not 0");
        execution.open_account(asset, Address([8; 20]), key, 1, 0, &mut operations)
    };
    for (i, expected) in [(11, 3), (12, 4), (13, 6)] {
        assert_eq!(open(&mut execution, i), Ok(Placed::Done((index(expected), true))));
    }
    let full = OpenError::LedgerFull { free: 0, reserved: 0 };
    assert_eq!(open(&mut execution, 14), Err(full));
    assert_eq!(execution.allocated(), 7);
    // The same from disk.
    let again: Vec<u32> = execution.ledger().existing().map(|(index, _)| index.get()).collect();
    assert_eq!(again, [1, 2, 3, 4, 5, 6, 7]);
}
