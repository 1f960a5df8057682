//! What each side says of a post, when two answers agree, and how often each came.

use alloy::sol_types::SolInterface;
use kerros_protocol::transition::ReplayError;
use kerros_verifier::VerifyError;
use kerros_verifier::audit::PostRejection;
use kerros_verifier::contract::{KerrosErrors, Revert};
use kerros_verifier::post::PostError;
use std::collections::BTreeMap;
use std::fmt;

/// Why a post is refused, as far as both sides can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Not the one encoding of a call.
    Call,
    Number,
    /// A word out of its field, a point out of its group.
    Word,
    Root,
    Growth,
    Data,
    Queue,
    Proof,
    /// The records contradict the accounts: only a broken proof system gets here.
    Records,
    /// Who posts, when, and what the storage has room for: only the contract knows.
    Circumstances,
}

/// The answer of the verifier in Rust, with its name for the tally.
pub type Rust = Result<(), (Reason, &'static str)>;

pub fn of_rust(rejection: &PostRejection) -> (Reason, &'static str) {
    use PostRejection as P;
    match rejection {
        P::WrongBatchNumber { .. } => (Reason::Number, "WrongBatchNumber"),
        P::Unreadable(PostError::Decode(_)) => (Reason::Word, "Decode"),
        P::Unreadable(PostError::Data(_)) => (Reason::Data, "Data"),
        P::Unreadable(PostError::GrownWithoutGrowth) => (Reason::Growth, "GrownWithoutGrowth"),
        P::WrongRoot { .. } => (Reason::Root, "WrongRoot"),
        P::LedgerAtMaximum { .. } => (Reason::Growth, "LedgerAtMaximum"),
        P::Invalid(VerifyError::Growth) => (Reason::Growth, "Growth"),
        P::UnknownAsset { .. } => (Reason::Data, "UnknownAsset"),
        P::QueueTooShort { .. } => (Reason::Queue, "QueueTooShort"),
        P::QueueMismatch { .. } => (Reason::Queue, "QueueMismatch"),
        P::Invalid(VerifyError::Pairing) => (Reason::Proof, "Pairing"),
        P::Replay(ReplayError::Rejected { .. }) => (Reason::Records, "Replay rejected"),
        P::Replay(ReplayError::OutOfRange { .. }) => (Reason::Records, "Replay out of range"),
        // The statement is made from the post and the chain's state: it always fits.
        other @ P::Invalid(_) => panic!("{other}"),
    }
}

pub fn of_contract(revert: &Revert) -> Reason {
    use KerrosErrors as E;
    let error = match revert {
        // Solidity's decoder gives no reason.
        Revert::Empty => return Reason::Call,
        Revert::Kerros(error) => error,
        other => panic!("{other}"),
    };
    match error {
        E::NonCanonicalCalldata(_) => Reason::Call,
        E::WrongBatchNumber(_) => Reason::Number,
        E::NotFieldElement(_) | E::NotCoordinate(_) | E::NotOnCurve(_) | E::PairingRefused(_) => {
            Reason::Word
        }
        E::WrongRoot(_) => Reason::Root,
        E::GrownWithoutGrowth(_) | E::LedgerAtMaximum(_) | E::GrowthRejected(_) => Reason::Growth,
        E::CountAboveCapacity(_)
        | E::WrongDataLength(_)
        | E::EmptyRecord(_)
        | E::BadForcedFlag(_)
        | E::BadOpen(_) => Reason::Data,
        E::QueueTooShort(_) | E::QueueMismatch(_) => Reason::Queue,
        E::ProofRejected(_) => Reason::Proof,
        E::OperatorNotSilent(_) | E::MustServe(_) | E::LedgerFull(_) | E::SupplyUnderflow(_) => {
            Reason::Circumstances
        }
        other => panic!("not a post's error: {other:?}"),
    }
}

/// Name of a contract's error.
pub fn name(revert: &Revert) -> &'static str {
    match revert {
        Revert::Kerros(error) => KerrosErrors::name_by_selector(error.selector()).expect("its own"),
        _ => "no reason",
    }
}

/// Whether two refusals of a post with one thing wrong may differ.
pub fn may_differ(rust: Reason, contract: Reason) -> bool {
    matches!(
        (rust, contract),
        // The contract knows the old commitments by their hash; the root is all it compares.
        (Reason::Word, Reason::Root)
        // Without growth Rust does not read the grown words, the contract their range all the same.
        | (Reason::Growth, Reason::Word)
        // Circuits bound indices, and the queue's entries have no asset, key or owner that a record
        // cannot have: the contract compares and leaves the rest to the proof.
        | (Reason::Data, Reason::Queue | Reason::Proof)
        // An exit changed to pay more than there is: the contract credits before it checks the proof.
        | (Reason::Data | Reason::Proof, Reason::Circumstances)
        // The place of the data, changed: where it leads, there may be any words.
        | (Reason::Call, _)
    )
}

/// How often each pair of answers came.
#[derive(Default)]
pub struct Tally {
    pairs: BTreeMap<(&'static str, &'static str), u64>,
    accepted: u64,
    grown: u64,
}

/// All that a post can hear from the contract, but what a frozen one says and a contract that posts.
const CONTRACT: [&str; 22] = [
    "BadForcedFlag",
    "BadOpen",
    "CountAboveCapacity",
    "EmptyRecord",
    "GrownWithoutGrowth",
    "GrowthRejected",
    "LedgerAtMaximum",
    "LedgerFull",
    "MustServe",
    "NonCanonicalCalldata",
    "NotCoordinate",
    "NotFieldElement",
    "NotOnCurve",
    "OperatorNotSilent",
    "PairingRefused",
    "ProofRejected",
    "QueueMismatch",
    "QueueTooShort",
    "SupplyUnderflow",
    "WrongBatchNumber",
    "WrongDataLength",
    "WrongRoot",
];
/// All that the verifier in Rust can say.
const RUST: [&str; 14] = [
    "Call",
    "Data",
    "Decode",
    "GrownWithoutGrowth",
    "Growth",
    "LedgerAtMaximum",
    "Pairing",
    "QueueMismatch",
    "QueueTooShort",
    "Replay out of range",
    "Replay rejected",
    "UnknownAsset",
    "WrongBatchNumber",
    "WrongRoot",
];
pub const ACCEPTED: &str = "accepted";

impl Tally {
    pub fn add(&mut self, rust: &Rust, contract: &Result<(), Revert>) {
        let rust = rust.map_or_else(|(_, name)| name, |()| ACCEPTED);
        let contract = contract.as_ref().map_or_else(name, |()| ACCEPTED);
        *self.pairs.entry((rust, contract)).or_default() += 1;
    }

    pub fn moved(&mut self, grown: bool) {
        self.accepted += 1;
        self.grown += u64::from(grown);
    }

    pub fn merge(&mut self, other: Self) {
        for (pair, count) in other.pairs {
            *self.pairs.entry(pair).or_default() += count;
        }
        self.accepted += other.accepted;
        self.grown += other.grown;
    }

    pub fn posts(&self) -> u64 {
        self.pairs.values().sum()
    }

    /// Every answer came, and enough of them were good.
    pub fn assert_telling(&self) {
        assert!(self.accepted >= self.posts() / 10, "{} batches accepted", self.accepted);
        assert!(self.grown > 0, "no ledger grew");
        for reason in CONTRACT {
            let came = self.pairs.keys().any(|(_, contract)| *contract == reason);
            assert!(came, "the contract never said {reason}");
        }
        for reason in RUST {
            let came = self.pairs.keys().any(|(rust, _)| *rust == reason);
            assert!(came, "Rust never said {reason}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} moved the rollup, {} of them grew it", self.accepted, self.grown)?;
        writeln!(f, "{:>8}  {:<20} contract", "posts", "Rust")?;
        for ((rust, contract), count) in &self.pairs {
            writeln!(f, "{count:>8}  {rust:<20} {contract}")?;
        }
        Ok(())
    }
}
