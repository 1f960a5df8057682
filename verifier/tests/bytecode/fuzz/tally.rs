//! How often each kind of call was accepted and why it was refused: a fuzz that only ever hears one
//! answer says nothing.

use alloy::primitives::Bytes;
use kerros_verifier::contract::Revert;
use std::collections::BTreeMap;
use std::fmt;

/// Kinds that must be accepted and refused, and kinds that must only be refused.
const BOTH: [&str; 9] = [
    "deposit",
    "forceExit",
    "post",
    "claim",
    "claimEther",
    "registerAsset",
    "freeze",
    "refund",
    "escape",
];
const REFUSED: [&str; 2] = ["post corrupted", "post hostile"];
/// Refusals that every run must have met, beside one of each kind.
const REASONS: [&str; 16] = [
    "AlreadyEscaped",
    "BadAccountWords",
    "DeadlineNotPassed",
    "EntryFeeTooLow",
    "EtherTransferFailed",
    "IsFrozen",
    "LedgerFull",
    "MovedAmount",
    "MustServe",
    "NotMultipleOfUnit",
    "OpeningRejected",
    "OperatorNotSilent",
    "QueueMismatch",
    "SenderIsContract",
    "SupplyUnderflow",
    "TransferFailed",
];

#[derive(Default)]
pub struct Tally {
    accepted: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Calls out of a token or a recipient: refused, accepted.
    inside: [u64; 2],
}

impl Tally {
    pub fn add(&mut self, kind: &'static str, result: &Result<Bytes, Revert>) {
        let name = match result {
            Ok(_) => {
                *self.accepted.entry(kind).or_default() += 1;
                return;
            }
            Err(Revert::Kerros(error)) => {
                let text = format!("{error:?}");
                text.split(['(', ' ']).next().unwrap_or_default().to_owned()
            }
            Err(Revert::Empty) => "no reason".to_owned(),
            Err(Revert::Text(text)) => text.clone(),
            Err(Revert::Other(_)) => "another contract's reason".to_owned(),
        };
        *self.refused.entry(kind).or_default().entry(name).or_default() += 1;
    }

    pub fn add_inside(&mut self, ok: bool) {
        self.inside[usize::from(ok)] += 1;
    }

    pub fn merge(&mut self, other: Self) {
        for (kind, count) in other.accepted {
            *self.accepted.entry(kind).or_default() += count;
        }
        for (kind, reasons) in other.refused {
            let sum = self.refused.entry(kind).or_default();
            for (reason, count) in reasons {
                *sum.entry(reason).or_default() += count;
            }
        }
        for (sum, count) in self.inside.iter_mut().zip(other.inside) {
            *sum += count;
        }
    }

    pub fn calls(&self) -> u64 {
        let refused: u64 = self.refused.values().flat_map(BTreeMap::values).sum();
        self.accepted.values().sum::<u64>() + refused
    }

    fn refusals(&self, kind: &str) -> u64 {
        self.refused.get(kind).map_or(0, |reasons| reasons.values().sum())
    }

    /// Every kind of call was accepted and refused often enough in so many calls.
    pub fn assert_telling(&self, calls: u64) {
        let enough = calls / 2_000;
        for kind in BOTH {
            let accepted = self.accepted.get(kind).copied().unwrap_or(0);
            assert!(accepted >= enough, "{kind} was accepted {accepted} times only");
            assert!(self.refusals(kind) >= enough, "{kind} was refused too seldom");
        }
        for kind in REFUSED {
            assert!(self.refusals(kind) >= enough, "{kind} came too seldom");
            assert_eq!(self.accepted.get(kind), None, "{kind} was accepted");
        }
        for reason in REASONS {
            let met: u64 = self.refused.values().filter_map(|reasons| reasons.get(reason)).sum();
            assert!(met > 0, "nothing was refused for {reason}");
        }
        assert!(self.inside[0] > 0 && self.inside[1] > 0, "calls inside: {:?}", self.inside);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in BOTH.iter().chain(&REFUSED) {
            let accepted = self.accepted.get(kind).copied().unwrap_or(0);
            write!(f, "{kind}: {accepted} accepted, {} refused", self.refusals(kind))?;
            for (reason, count) in self.refused.get(kind).into_iter().flatten() {
                write!(f, ", {reason} {count}")?;
            }
            writeln!(f)?;
        }
        let [refused, accepted] = self.inside;
        write!(f, "calls inside: {accepted} accepted, {refused} refused")
    }
}
