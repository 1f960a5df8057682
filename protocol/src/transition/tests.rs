use super::*;
use crate::account::{AccountKey, AssetId};
use crate::amount::Fee;
use crate::eddsa::{PrivateKey, SignatureError};
use ark_bn254::Fr;

fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).expect("in range")
}

fn two_accounts() -> BatchData {
    let asset = AssetId::new(1).expect("not 0");
    let record = |i: u32| OpenRecord {
        index: index(i),
        asset,
        owner: Address([1; 20]),
        key: AccountKey::new(Fr::from(i)).expect("not 0"),
    };
    let opens = vec![record(1), record(2)];
    let OpenRecord { index, key, owner, .. } = opens[0];
    let deposit = DepositRecord { index, amount: 100, asset, key, owner };
    BatchData { opens, deposits: vec![deposit], ..BatchData::default() }
}

fn transfer(from: u32, to: u32, amount: u64) -> TransferRecord {
    TransferRecord { from: index(from), to: index(to), amount, fee: Fee::ZERO }
}

#[test]
fn a_replay_does_not_depend_on_the_order_of_transfers() {
    let mut data = two_accounts();
    data.transfers = vec![transfer(2, 1, 30), transfer(1, 2, 80)];
    let mut ledger = Ledger::new(3);
    let touched = replay(&mut ledger, &data).expect("fits");
    assert_eq!(touched, [(index(1), Account::EMPTY), (index(2), Account::EMPTY)]);
    assert_eq!((ledger.get(index(1)).balance, ledger.get(index(2)).balance), (50, 50));
    assert_eq!(ledger.get(index(1)).nonce, 1);
}

#[test]
fn a_refused_replay_changes_nothing() {
    let mut ledger = Ledger::new(3);
    let mut data = two_accounts();
    data.transfers = vec![transfer(1, 2, 101)];
    let before = ledger.clone();
    let refused = replay(&mut ledger, &data);
    assert!(matches!(refused, Err(ReplayError::OutOfRange { balance: -1, .. })), "{refused:?}");
    assert_eq!(ledger, before);
    data.transfers = vec![transfer(1, 3, 1)];
    let refused = replay(&mut ledger, &data);
    let rejection = Rejection::AccountEmpty { index: index(3) };
    assert_eq!(refused, Err(ReplayError::Rejected { section: 'T', record: 0, rejection }));
    assert_eq!(ledger, before);
}

const DOMAIN: u64 = 77;
const OWNER: Address = Address([1; 20]);

fn secret(i: u32) -> PrivateKey {
    PrivateKey::from_bytes([u8::try_from(i).expect("few accounts"); 32])
}

fn account(i: u32, balance: u64) -> Account {
    let key = secret(i).public_key().0.x;
    Account { key, balance, nonce: 4, asset: 1, owner: OWNER }
}

/// Accounts 1 and 2 of asset 1, account 3 of asset 2, of a ledger of eight.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(3);
    ledger.set(index(1), account(1, 100));
    ledger.set(index(2), account(2, 7));
    ledger.set(index(3), Account { asset: 2, ..account(3, 50) });
    ledger
}

fn pays(from: u32, to: u32, amount: u64, fee: u64) -> Transfer {
    Transfer {
        from: index(from),
        to: index(to),
        amount,
        fee: Fee::exact(fee).expect("exact"),
        nonce: 4,
        payee_key: AccountKey::new(account(to, 0).key).expect("not 0"),
        payee_owner: OWNER,
    }
}

fn leaves(from: u32, amount: u64, fee: u64) -> Exit {
    Exit {
        from: index(from),
        amount,
        fee: Fee::exact(fee).expect("exact"),
        nonce: 4,
        asset: AssetId::new(1).expect("not 0"),
        recipient: OWNER,
    }
}

/// Signed by account `signer`'s holder.
fn signed(transaction: Transaction, signer: u32) -> SignedTransaction {
    SignedTransaction::sign(transaction, &secret(signer), Fr::from(DOMAIN))
}

/// Runs it; a refusal must change nothing.
fn executed(ledger: &mut Ledger, signed: &SignedTransaction) -> Result<(), Rejection> {
    let before = ledger.clone();
    let result = execute(ledger, signed, Fr::from(DOMAIN));
    assert!(result.is_ok() || *ledger == before, "a refusal changed the ledger");
    result
}

fn numbers(ledger: &Ledger, i: u32) -> (u64, u32) {
    let account = ledger.get(index(i));
    (account.balance, account.nonce)
}

#[test]
fn a_transfer_moves_the_amount_and_takes_the_fee() {
    let mut ledger = ledger();
    let all = signed(Transaction::Transfer(pays(1, 2, 90, 10)), 1);
    assert_eq!(executed(&mut ledger, &all), Ok(()));
    assert_eq!((numbers(&ledger, 1), numbers(&ledger, 2)), ((0, 5), (97, 4)));
    // Again: its nonce is spent.
    let spent = Rejection::WrongNonce { have: 4, need: 5 };
    assert_eq!(executed(&mut ledger, &all), Err(spent));
}

#[test]
fn a_transfer_to_oneself_costs_the_fee() {
    let mut ledger = ledger();
    let own = signed(Transaction::Transfer(pays(1, 1, 90, 10)), 1);
    assert_eq!(executed(&mut ledger, &own), Ok(()));
    assert_eq!(numbers(&ledger, 1), (90, 5));
}

#[test]
fn an_exit_takes_amount_and_fee() {
    let mut ledger = ledger();
    let exit = signed(Transaction::Exit(leaves(1, 80, 15)), 1);
    assert_eq!(executed(&mut ledger, &exit), Ok(()));
    assert_eq!(numbers(&ledger, 1), (5, 5));
}

#[test]
fn every_rule_of_a_transaction_refuses_what_breaks_it() {
    let good = pays(1, 2, 90, 10);
    let index_beyond = |i| Rejection::IndexBeyondLedger { index: index(i), size: 8 };
    let need = |need| Rejection::InsufficientBalance { have: 100, need };
    let other = AccountKey::new(Fr::from(5u64)).expect("not 0");
    let asset = AssetId::new(2).expect("not 0");
    let cases = [
        (Transaction::Transfer(Transfer { from: index(8), ..good }), index_beyond(8)),
        (Transaction::Transfer(Transfer { to: index(8), ..good }), index_beyond(8)),
        (
            Transaction::Transfer(Transfer { from: index(7), ..good }),
            Rejection::AccountEmpty { index: index(7) },
        ),
        (
            Transaction::Transfer(Transfer { from: index(2), ..good }),
            Rejection::WrongKey { index: index(2) },
        ),
        (
            Transaction::Transfer(Transfer { nonce: 5, ..good }),
            Rejection::WrongNonce { have: 5, need: 4 },
        ),
        (
            Transaction::Transfer(Transfer { to: index(7), ..good }),
            Rejection::PayeeEmpty { index: index(7) },
        ),
        (
            Transaction::Transfer(Transfer { payee_key: other, ..good }),
            Rejection::PayeeMismatch { index: index(2) },
        ),
        (
            Transaction::Transfer(Transfer { payee_owner: Address([2; 20]), ..good }),
            Rejection::PayeeMismatch { index: index(2) },
        ),
        (Transaction::Transfer(pays(1, 3, 1, 0)), Rejection::AssetMismatch { have: 1, need: 2 }),
        (Transaction::Transfer(pays(1, 2, 91, 10)), need(101)),
        (Transaction::Transfer(pays(1, 2, 90, 11)), need(101)),
        (Transaction::Transfer(pays(1, 1, 101, 0)), need(101)),
        (Transaction::Exit(leaves(1, 91, 10)), need(101)),
        (Transaction::Exit(leaves(1, 90, 11)), need(101)),
        (
            Transaction::Exit(Exit { asset, ..leaves(1, 1, 0) }),
            Rejection::AssetMismatch { have: 2, need: 1 },
        ),
    ];
    let mut ledger = ledger();
    for (transaction, rejection) in cases {
        let signed = signed(transaction, 1);
        assert_eq!(executed(&mut ledger, &signed), Err(rejection), "{transaction:?}");
    }
    let mut forged = signed(Transaction::Transfer(good), 1);
    forged.signature = secret(1).sign(Fr::from(1u64));
    let refused = Rejection::Signature(SignatureError::Equation);
    assert_eq!(executed(&mut ledger, &forged), Err(refused));
    let told = Err(SignatureError::Equation);
    let good = signed(Transaction::Transfer(good), 1);
    let refused = execute_verified(&mut ledger, &good, told);
    assert_eq!(refused, Err(Rejection::Signature(SignatureError::Equation)));
    assert_eq!(execute_verified(&mut ledger, &good, Ok(())), Ok(()));
}

#[test]
fn the_last_nonce_signs_nothing_and_no_balance_overflows() {
    let mut ledger = ledger();
    ledger.set(index(1), Account { nonce: NONCE_LAST, ..account(1, 100) });
    let last = Transfer { nonce: NONCE_LAST, ..pays(1, 2, 1, 0) };
    let exhausted = Rejection::NonceExhausted { index: index(1) };
    assert_eq!(executed(&mut ledger, &signed(Transaction::Transfer(last), 1)), Err(exhausted));
    ledger.set(index(1), account(1, 100));
    ledger.set(index(2), account(2, u64::MAX - 9));
    let overflow = Err(Rejection::BalanceOverflow { index: index(2) });
    let ten = signed(Transaction::Transfer(pays(1, 2, 10, 0)), 1);
    assert_eq!(executed(&mut ledger, &ten), overflow);
    let nine = signed(Transaction::Transfer(pays(1, 2, 9, 0)), 1);
    assert_eq!(executed(&mut ledger, &nine), Ok(()));
    assert_eq!(numbers(&ledger, 2), (u64::MAX, 4));
    let one = CollectRecord { to: index(2), amount: 1 };
    assert_eq!(collect(&mut ledger, &one).map(|_| ()), overflow);
    assert_eq!(deposit(&mut ledger, &credit(&account(2, 0), 2, 1)), overflow);
    assert_eq!(numbers(&ledger, 2), (u64::MAX, 4));
}

fn credit(account: &Account, to: u32, amount: u64) -> DepositRecord {
    DepositRecord {
        index: index(to),
        amount,
        asset: AssetId::new(account.asset).expect("not 0"),
        key: AccountKey::new(account.key).expect("not 0"),
        owner: account.owner,
    }
}

#[test]
fn opens_deposits_and_collects_name_the_account_they_mean() {
    let mut ledger = ledger();
    let before = ledger.clone();
    let held = account(1, 0);
    let key = AccountKey::new(held.key).expect("not 0");
    let asset = AssetId::new(1).expect("not 0");
    let opens = |i| OpenRecord { index: index(i), asset, owner: OWNER, key };
    let beyond = |i| Rejection::IndexBeyondLedger { index: index(i), size: 8 };
    assert_eq!(open(&mut ledger, &opens(1)), Err(Rejection::AlreadyOpen { index: index(1) }));
    assert_eq!(open(&mut ledger, &opens(8)), Err(beyond(8)));
    let good = credit(&held, 1, 3);
    let strangers = [
        DepositRecord { asset: AssetId::new(2).expect("not 0"), ..good },
        DepositRecord { owner: Address([2; 20]), ..good },
        DepositRecord { key: AccountKey::new(Fr::from(5u64)).expect("not 0"), ..good },
        DepositRecord { index: index(4), ..good },
    ];
    for record in strangers {
        let refused = Rejection::DepositMismatch { index: record.index, key: record.key };
        assert_eq!(deposit(&mut ledger, &record), Err(refused));
    }
    assert_eq!(deposit(&mut ledger, &DepositRecord { index: index(8), ..good }), Err(beyond(8)));
    let nobody = CollectRecord { to: index(4), amount: 1 };
    assert_eq!(collect(&mut ledger, &nobody), Err(Rejection::AccountEmpty { index: index(4) }));
    assert_eq!(collect(&mut ledger, &CollectRecord { to: index(8), amount: 1 }), Err(beyond(8)));
    assert_eq!(ledger, before);

    assert_eq!(open(&mut ledger, &opens(7)), Ok(()));
    assert_eq!(ledger.get(index(7)), Account { nonce: 0, ..held });
    assert_eq!(deposit(&mut ledger, &good), Ok(()));
    assert_eq!(collect(&mut ledger, &CollectRecord { to: index(3), amount: 5 }), Ok(2));
    assert_eq!((numbers(&ledger, 1), numbers(&ledger, 3)), ((103, 4), (55, 4)));
}

#[test]
fn a_forced_exit_takes_all_for_the_owner_and_nothing_for_others() {
    let mut ledger = ledger();
    let before = ledger.clone();
    let stranger = Address([2; 20]);
    let none = forced_exit(&mut ledger, index(1), stranger).expect("in the ledger");
    assert_eq!((none.amount, none.recipient, none.forced), (0, stranger, true));
    assert_eq!(ledger, before);
    let all = forced_exit(&mut ledger, index(3), OWNER).expect("in the ledger");
    assert_eq!((all.amount, all.asset, all.fee, all.recipient), (50, 2, Fee::ZERO, OWNER));
    assert_eq!(numbers(&ledger, 3), (0, 4));
    let empty = forced_exit(&mut ledger, index(5), Address::ZERO).expect("in the ledger");
    assert_eq!((empty.amount, empty.asset), (0, 0));
    assert!(ledger.accounts().len() <= 4, "an account was written that does not exist");
    assert!(forced_exit(&mut ledger, index(8), OWNER).is_err());
}

fn record(from: u32, amount: u64, fee: u64, forced: bool) -> ExitRecord {
    let fee = Fee::exact(fee).expect("exact");
    ExitRecord { from: index(from), amount, fee, forced, asset: 1, recipient: OWNER }
}

#[test]
fn a_replay_sums_every_kind_of_record() {
    let mut ledger = ledger();
    let fee = Fee::exact(3).expect("exact");
    let data = BatchData {
        deposits: vec![credit(&account(2, 0), 2, 11)],
        transfers: vec![TransferRecord { fee, ..transfer(1, 2, 20) }],
        exits: vec![record(1, 30, 2, false), record(2, 38, 0, true), record(6, 0, 0, true)],
        collects: vec![CollectRecord { to: index(1), amount: 5 }],
        ..BatchData::default()
    };
    replay(&mut ledger, &data).expect("fits");
    assert_eq!((numbers(&ledger, 1), numbers(&ledger, 2)), ((50, 6), (0, 4)));
}

#[test]
fn a_replay_refuses_records_that_no_rule_allows() {
    let ledger = ledger();
    let empty = Rejection::AccountEmpty { index: index(6) };
    let beyond = Rejection::IndexBeyondLedger { index: index(8), size: 8 };
    let other = DepositRecord { owner: Address([2; 20]), ..credit(&account(2, 0), 2, 1) };
    let mismatch = Rejection::DepositMismatch { index: index(2), key: other.key };
    let key = AccountKey::new(Fr::from(9u64)).expect("not 0");
    let again = OpenRecord { index: index(2), asset: other.asset, owner: OWNER, key };
    let opened = Rejection::AlreadyOpen { index: index(2) };
    let none = BatchData::default;
    let to = |i| vec![CollectRecord { to: index(i), amount: 1 }];
    let cases = [
        ('O', opened, BatchData { opens: vec![again], ..none() }),
        ('D', mismatch, BatchData { deposits: vec![other], ..none() }),
        ('T', empty, BatchData { transfers: vec![transfer(6, 1, 0)], ..none() }),
        ('T', empty, BatchData { transfers: vec![transfer(1, 6, 0)], ..none() }),
        ('E', empty, BatchData { exits: vec![record(6, 0, 0, false)], ..none() }),
        ('E', beyond, BatchData { exits: vec![record(8, 0, 0, true)], ..none() }),
        ('F', empty, BatchData { collects: to(6), ..none() }),
        ('F', beyond, BatchData { collects: to(8), ..none() }),
    ];
    for (section, rejection, data) in cases {
        let refused = ReplayError::Rejected { section, record: 0, rejection };
        assert_eq!(replay(&mut ledger.clone(), &data), Err(refused));
    }
    let rich = BatchData { deposits: vec![credit(&account(2, 0), 2, u64::MAX - 6)], ..none() };
    let refused = replay(&mut ledger.clone(), &rich);
    assert!(matches!(refused, Err(ReplayError::OutOfRange { nonce: 4, .. })), "{refused:?}");
}
