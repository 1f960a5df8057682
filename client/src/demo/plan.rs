//! Who pays whom in the demo: fixed, so that every run tells the same story and everybody can
//! compute how it must end. Knows no network.

use crate::devnet::PERSONS_MAX;

/// Least number of transfers that the demo's promise asks for.
pub const TRANSFERS_MIN: u32 = 60;
/// Transfers unless told otherwise.
pub const TRANSFERS_DEFAULT: u32 = 64;
/// Fee of the first transfer in asset units; others pay a multiple.
pub const FEE_UNITS: u64 = 10;
/// Units of the first deposit; later ones are larger by [`DEPOSIT_STEP_UNITS`] each.
pub const DEPOSIT_UNITS: u64 = 1_000_000;
/// See [`DEPOSIT_UNITS`].
pub const DEPOSIT_STEP_UNITS: u64 = 25_000;
/// Number of the transfer that goes to its own sender.
pub const TO_ITSELF: u32 = 7;

/// An account: a person and an asset id.
pub type Holder = (u32, u16);

/// Accounts that a deposit opens, in the order of the deposits.
pub const DEPOSITORS: [Holder; 10] =
    [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 2)];
/// Accounts opened in the course of the transfers, without a deposit.
pub const NEWCOMERS: [Holder; 3] = [(8, 1), (9, 2), (10, 1)];
/// Whose account leaves by a forced exit.
pub const FORCED: Holder = (7, 2);

const _: () = assert!(PERSONS_MAX > 10);

/// A payment inside layer 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Pays.
    pub from: Holder,
    /// Receives; same asset.
    pub to: Holder,
    /// Asset units.
    pub amount: u64,
    /// Asset units.
    pub fee: u64,
}

/// A withdrawal to the main chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// Pays.
    pub from: Holder,
    /// Person who may claim.
    pub recipient: u32,
    /// Asset units.
    pub amount: u64,
    /// Asset units.
    pub fee: u64,
}

/// Units of deposit number `i`.
pub fn deposit_units(i: usize) -> u64 {
    DEPOSIT_UNITS + DEPOSIT_STEP_UNITS * i as u64
}

/// Transfer number `i`: assets alternate, payers take turns, every fourth goes to a newcomer, one
/// to its own sender; a newcomer pays too once it has been paid.
pub fn payment(i: u32) -> Payment {
    let asset = 1 + u16::from(i % 2 == 1);
    let depositors: Vec<Holder> =
        DEPOSITORS.iter().copied().filter(|(_, of)| *of == asset).collect();
    let newcomers: Vec<Holder> = NEWCOMERS.iter().copied().filter(|(_, of)| *of == asset).collect();
    let turn = (i / 2) as usize;
    let at = |turn: usize| depositors[turn % depositors.len()];
    let newcomer = newcomers[(turn / 2) % newcomers.len()];
    let (from, to) = match i {
        TO_ITSELF => (at(turn), at(turn)),
        _ if turn % 16 == 15 => (newcomers[0], at(turn)),
        _ if turn % 2 == 1 => (at(turn), newcomer),
        _ => (at(turn), at(turn + 1 + turn / 5 % 3)),
    };
    let amount = if from == newcomers[0] { 500 } else { 1_000 + 37 * u64::from(i) };
    Payment { from, to, amount, fee: FEE_UNITS * (1 + u64::from(i % 5)) }
}

/// The withdrawals: both assets, a newcomer's, and one in another person's favour.
pub fn withdrawals() -> [Withdrawal; 4] {
    let fee = 2 * FEE_UNITS;
    [
        Withdrawal { from: (0, 1), recipient: 0, amount: 123_456, fee },
        Withdrawal { from: (1, 1), recipient: 2, amount: 77_000, fee },
        Withdrawal { from: (5, 2), recipient: 5, amount: 50_505, fee },
        Withdrawal { from: (9, 2), recipient: 9, amount: 1_500, fee },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_plan_keeps_its_promises() {
        let payments: Vec<Payment> = (0..TRANSFERS_MIN).map(payment).collect();
        assert_eq!(payments.iter().filter(|p| p.from == p.to).count(), 1);
        for newcomer in NEWCOMERS {
            assert!(payments.iter().any(|p| p.to == newcomer), "{newcomer:?} is paid");
        }
        assert!(payments.iter().any(|p| NEWCOMERS.contains(&p.from)), "a newcomer pays");
        assert!(payments.iter().all(|p| p.from.1 == p.to.1), "no payment changes the asset");
        let accounts: BTreeSet<Holder> = payments.iter().flat_map(|p| [p.from, p.to]).collect();
        assert!(accounts.len() >= 10, "{} accounts", accounts.len());
        let assets: BTreeSet<u16> = payments.iter().map(|p| p.from.1).collect();
        assert_eq!(assets, BTreeSet::from([1, 2]));
    }

    #[test]
    fn nobody_overdraws() {
        for count in [TRANSFERS_MIN, TRANSFERS_DEFAULT, 500] {
            let mut balances: BTreeMap<Holder, i64> = BTreeMap::new();
            for (i, holder) in DEPOSITORS.iter().enumerate() {
                balances.insert(*holder, deposit_units(i) as i64);
            }
            for p in (0..count).map(payment) {
                let payer = balances.entry(p.from).or_default();
                *payer -= (p.amount + p.fee) as i64;
                assert!(*payer >= 0, "{p:?}");
                *balances.entry(p.to).or_default() += p.amount as i64;
            }
            for w in withdrawals() {
                let payer = balances.entry(w.from).or_default();
                *payer -= (w.amount + w.fee) as i64;
                assert!(*payer >= 0, "{w:?}");
            }
            assert!(balances[&FORCED] > 0);
        }
    }
}
