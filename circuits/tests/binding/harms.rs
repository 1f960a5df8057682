//! Harms: witnesses that break identities at β and z, and nothing else. Each is what an adversary
//! would like the main chain to take.

use crate::ONE;
use crate::identities::{Claim, published};
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_circuits::batch::BatchWitness;
use kerros_protocol::account::Account;
use kerros_protocol::ledger::Ledger;

/// What is to be proved, and what the main chain holds against it.
pub struct Harm {
    pub name: &'static str,
    pub before: Ledger,
    pub after: Ledger,
    pub witness: BatchWitness,
    /// The columns that do the harm: with another value there is none.
    pub does_it: &'static [&'static str],
    /// Wallets whose keys the adversary has.
    pub signs: &'static [u8],
    posted: Vec<Fr>,
}

impl Harm {
    pub fn new(name: &'static str, scene: &Scene, witness: BatchWitness) -> Self {
        let mut after = scene.before.clone();
        for (i, account) in &scene.now {
            after.set(index(*i), *account);
        }
        let (before, posted) = (scene.before.clone(), published(&witness));
        Self { name, before, after, witness, does_it: &[], signs: &[], posted }
    }
    fn by(self, does_it: &'static [&'static str]) -> Self {
        Self { does_it, ..self }
    }
    fn signed_by(self, signs: &'static [u8]) -> Self {
        Self { signs, ..self }
    }
    /// The state that the adversary commits to has this account.
    pub fn leaving(mut self, i: u32, change: impl FnOnce(&mut Account)) -> Self {
        let mut account = self.after.get(index(i));
        change(&mut account);
        self.after.set(index(i), account);
        self
    }
    pub fn claim(&self) -> Claim<'_> {
        Claim { before: &self.before, after: &self.after, posted: self.posted.clone() }
    }
    /// Whether the main chain would take this witness for the harm, with challenges so drawn.
    pub fn taken(&self, w: &BatchWitness, draw: impl FnOnce(Fr) -> (Fr, Fr)) -> bool {
        let verdict = judge_with(w, draw);
        let posted = self.posted.iter().rev().fold(Fr::ZERO, |sum, e| sum * verdict.z + e);
        verdict.accepted(&self.before, w)
            && verdict.updates(&self.before, &self.after)
            && verdict.outputs.y == posted
    }
}

/// Overdrawn: what is missing was borrowed from the nonce.
pub fn overdrawn(account: &mut Account) {
    account.nonce -= 1;
}

/// Every harm.
pub fn harms() -> Vec<Harm> {
    let mut out = vec![
        minted_by_an_open(),
        deposit_of_another_asset(),
        deposit_reads_more_than_was_left(),
        payment_into_another_asset(),
        payment_by_a_stranger(),
        overdraft(),
        replay(),
        payment_out_of_what_was_never_received(),
    ];
    out.extend([
        forced_exit_of_another_asset(),
        theft_by_a_forced_exit(),
        signed_overdraft_by_an_exit(),
        fees_into_another_asset(),
        more_fees_than_were_paid(),
        second_first_access(),
        exit_to_somebody_else(),
    ]);
    out
}

/// Account 6 is opened with 1,000 units in the state that was committed to.
fn minted_by_an_open() -> Harm {
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(7, 7, 1);
    let harm = Harm::new("an open mints", &scene, scene.honest());
    harm.leaving(6, |account| account.balance = 1_000)
}

/// The worthless asset 2 is credited to an account of asset 1.
fn deposit_of_another_asset() -> Harm {
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    scene.deposit(2, 2, 1, 100);
    let mut w = scene.honest();
    w.deposits[0].asset = fr(2);
    Harm::new("a deposit changes its asset", &scene, w)
}

/// The second deposit finds 1,000 more than the first one left.
fn deposit_reads_more_than_was_left() -> Harm {
    let mut scene = Scene::new();
    scene.deposit(2, 2, 1, 100);
    scene.deposit(2, 2, 1, 100);
    let mut w = scene.honest();
    w.deposits[1].before += fr(1_000);
    Harm::new("a deposit reads what was not written", &scene, w).by(&["D[1].before"])
}

/// Account 3 of asset 2 pays account 2 of asset 1.
fn payment_into_another_asset() -> Harm {
    let mut scene = Scene::new();
    scene.pay(3, 3, 2, 100, 0);
    Harm::new("a payment changes its asset", &scene, scene.forged()).signed_by(&[3])
}

/// Wallet 9 signs for account 2.
fn payment_by_a_stranger() -> Harm {
    let mut scene = Scene::new();
    scene.pay(2, 2, 1, 500, 0);
    let mut w = scene.honest();
    resign(&mut w, 0, 9);
    Harm::new("a stranger pays", &scene, w).by(&["T[0].key"]).signed_by(&[9])
}

/// Account 2 pays 1,400 and has 500.
fn overdraft() -> Harm {
    let mut scene = Scene::new();
    scene.pay(2, 2, 1, 1_400, 0);
    let mut w = scene.forged();
    w.transfers[0].before += fr(1_000);
    let harm = Harm::new("a payer has more than there is", &scene, w).by(&["T[0].before"]);
    harm.signed_by(&[2]).leaving(2, overdrawn)
}

/// The second payment is the first one again, signature and nonce.
fn replay() -> Harm {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(1, 1, 2, 100, 0);
    let mut w = scene.honest();
    let first = w.transfers[0].signature;
    w.transfers[1].nonce -= ONE;
    w.transfers[1].signature = first;
    Harm::new("a payment is replayed", &scene, w).by(&["T[1].nonce"])
}

/// Account 2 receives 100, has 600 and pays 1,600 out of what it reads as 1,700.
fn payment_out_of_what_was_never_received() -> Harm {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(2, 2, 1, 1_600, 0);
    let mut w = scene.forged();
    w.transfers[1].before += fr(1_100);
    let harm = Harm::new("a payer reads what was not written", &scene, w).by(&["T[1].before"]);
    harm.signed_by(&[2]).leaving(2, overdrawn)
}

/// Account 2 of asset 1 is paid out in asset 2.
fn forced_exit_of_another_asset() -> Harm {
    let mut scene = Scene::new();
    scene.force(2, wallet(2).1);
    let mut w = scene.honest();
    w.exits[0].asset = fr(2);
    let harm = Harm::new("a forced exit changes its asset", &scene, w);
    harm.leaving(2, |account| account.balance = 0)
}

/// Wallet 9 forces the victim's account 2 out to itself.
fn theft_by_a_forced_exit() -> Harm {
    let mut scene = Scene::new();
    let thief = wallet(9).1;
    scene.force(2, thief);
    let mut w = scene.honest();
    w.exits[0].owner = thief.to_fr();
    w.exits[0].amount = fr(500);
    let harm = Harm::new("a forced exit steals", &scene, w).by(&["E[0].owner", "E[0].amount"]);
    harm.leaving(2, |account| account.balance = 0)
}

/// Account 2 takes out 1,400 and has 500.
fn signed_overdraft_by_an_exit() -> Harm {
    let mut scene = Scene::new();
    scene.exit(2, 2, 1_400, 0, wallet(2).1);
    let mut w = scene.forged();
    w.exits[0].before += fr(1_000);
    let harm = Harm::new("an exit has more than there is", &scene, w).by(&["E[0].before"]);
    harm.leaving(2, overdrawn)
}

/// Fees of asset 2 are collected into an account of asset 1.
fn fees_into_another_asset() -> Harm {
    let mut scene = Scene::new();
    scene.pay(3, 3, 3, 100, 10);
    scene.collect(2, 10);
    let mut w = scene.forged();
    w.collects[0].asset = fr(2);
    Harm::new("fees change their asset", &scene, w).by(&["F[0].asset"])
}

/// 20 collected of 10 paid.
fn more_fees_than_were_paid() -> Harm {
    let mut scene = Scene::new();
    scene.pay(1, 1, 1, 100, 10);
    scene.collect(2, 20);
    Harm::new("more fees than were paid", &scene, scene.forged())
}

/// The second deposit opens the state as well: index 1 is in the table twice.
fn second_first_access() -> Harm {
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    scene.deposit(1, 1, 1, 100);
    let mut w = scene.honest();
    w.deposits[0].link.last = ONE;
    w.deposits[1].before = w.deposits[0].before;
    (w.deposits[1].link.first, w.deposits[1].link.gap) = (ONE, Fr::ZERO);
    let harm = Harm::new("an account is opened twice", &scene, w);
    harm.by(&["D[0].last", "D[1].first", "D[1].gap", "D[1].before"])
}

/// The data send the exit's units to somebody else than its signature.
fn exit_to_somebody_else() -> Harm {
    let mut scene = Scene::new();
    scene.exit(2, 2, 400, 0, wallet(2).1);
    let mut harm = Harm::new("an exit goes to somebody else", &scene, scene.honest());
    let recipient = 2 * 2 + 2 * 3 + 4 + 1;
    harm.posted[recipient] += wallet(9).1.to_fr() - wallet(2).1.to_fr();
    harm
}
