//! Which field of a post is wrong, when one is: what the checks of [`super::follow_post`] leave open. Pure.
//!
//! A post repeats itself: its event tells root, queue and beneficiary again, and A, Δ, Z follow from the
//! replayed ledger once β and z are drawn. Whatever alone disagrees is named.

use super::{ChainState, PostRejection};
use crate::batch::{VerifyError, equations_that_hold, verify_growth};
use crate::chain::PostedEvent;
use crate::contract::Post;
use crate::post::{PostError, ReadPost, read};
use alloy::primitives::U256;
use ark_bn254::{Fr, G1Affine};
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::account::{Account, AccountIndex};
use kerros_protocol::batch::{BatchDataError, evaluate};
use kerros_protocol::commitment::{Commitments, point};
use kerros_protocol::encoding::{fr_from_be, g1_from_be, g2_from_be};
use kerros_protocol::transcript::Challenges;
use kerros_protocol::transition::{ReplayError, effect};
use kerros_protocol::verification_key::VerificationKey;

/// Words of a post before its data, in order, with the names that an auditor's report uses.
const WORDS: [&str; 39] = [
    "number",
    "oldC[0]",
    "oldC[0]",
    "oldC[1]",
    "oldC[1]",
    "oldC[2]",
    "oldC[2]",
    "grownC[0]",
    "grownC[0]",
    "grownC[1]",
    "grownC[1]",
    "grownC[2]",
    "grownC[2]",
    "grow",
    "newC[0]",
    "newC[0]",
    "newC[1]",
    "newC[1]",
    "newC[2]",
    "newC[2]",
    "h",
    "A",
    "Delta",
    "Z",
    "Q",
    "Q",
    "W",
    "W",
    "proof A",
    "proof A",
    "proof B",
    "proof B",
    "proof B",
    "proof B",
    "proof C",
    "proof C",
    "beneficiary",
    "place of data",
    "length of data",
];
/// Selector and offset of the struct.
const HEAD: usize = 4 + 32;

/// The field to which a byte of a post's calldata belongs.
pub fn field_at(position: usize) -> &'static str {
    match position {
        0..4 => "selector",
        4..HEAD => "place of the post",
        _ => WORDS.get((position - HEAD) / 32).copied().unwrap_or("data"),
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Field, or the fields of which one is wrong.
    pub field: String,
    /// How that is known.
    pub why: String,
}

impl std::fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}

fn named(field: impl Into<String>, why: impl ToString) -> Diagnosis {
    Diagnosis { field: field.into(), why: why.to_string() }
}

/// What the post stands on and what was said about it.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The contract's key.
    pub key: &'a VerificationKey,
    /// The deployment.
    pub domain: Fr,
    /// Before the post.
    pub state: &'a ChainState,
    /// Under the state's root.
    pub commitments: &'a Commitments,
    /// The contract's event.
    pub event: &'a PostedEvent,
    /// Lagrange points of the ledger's size while the batch runs, if a reference string is at hand.
    pub lagrange: Option<&'a [G1Affine]>,
}

/// Names the field of a refused post.
pub fn diagnose(scene: Scene<'_>, post: &Post, rejection: &PostRejection) -> Diagnosis {
    match rejection {
        PostRejection::WrongBatchNumber { .. } => named("number", rejection),
        PostRejection::Unreadable(error) => unreadable(scene, post, error),
        PostRejection::WrongRoot { .. } => wrong_root(scene, post, rejection),
        PostRejection::LedgerAtMaximum { .. } => named("grow", rejection),
        PostRejection::UnknownAsset { record, .. } => {
            named("data", format!("section O, record {record}: {rejection}"))
        }
        PostRejection::QueueTooShort { .. } | PostRejection::QueueMismatch { .. } => {
            named("data", format!("sections D and E against the queue: {rejection}"))
        }
        PostRejection::Replay(error) => contradiction(error),
        PostRejection::Invalid(error) => match read(scene.key, post) {
            Ok(read) => invalid(scene, &read, error),
            Err(error) => unreadable(scene, post, &error),
        },
    }
}

fn contradiction(error: &ReplayError) -> Diagnosis {
    named("data", format!("its records contradict the accounts: {error}"))
}

/// Names the word that is no scalar or no point.
fn unreadable(scene: Scene<'_>, post: &Post, error: &PostError) -> Diagnosis {
    match error {
        PostError::Data(data) => match data {
            BatchDataError::Length(_) => named("data", format!("counts or length: {data}")),
            _ => named("data", data),
        },
        PostError::GrownWithoutGrowth if scene.event.k > scene.state.ledger.k() => {
            named("grow", "the event's k tells of growth")
        }
        PostError::GrownWithoutGrowth => {
            let stray = post.grownC.chunks(2).position(|point| point != [U256::ZERO; 2]);
            named(stray.map_or("grownC".to_owned(), |j| format!("grownC[{j}]")), error)
        }
        PostError::Decode(_) => {
            let bytes = |words: &[U256]| {
                words.iter().flat_map(|w| w.to_be_bytes::<32>()).collect::<Vec<_>>()
            };
            let g1 = |words: &[U256]| match <[u8; 64]>::try_from(bytes(words)) {
                Ok(bytes) => g1_from_be("point", &bytes).is_err(),
                Err(_) => true,
            };
            let b: Result<[u8; 128], _> = bytes(&post.proof[2..6]).try_into();
            let scalar = |word: U256| fr_from_be("scalar", &word.to_be_bytes()).is_err();
            let triples = [("oldC", post.oldC), ("grownC", post.grownC), ("newC", post.newC)];
            for (name, words) in triples {
                let read = name != "grownC" || post.grow;
                if let Some(j) = words.chunks(2).position(|point| read && g1(point)) {
                    return named(format!("{name}[{j}]"), error);
                }
            }
            let singles = [
                ("h", scalar(post.h)),
                ("A", scalar(post.A)),
                ("Delta", scalar(post.Delta)),
                ("Z", scalar(post.Z)),
                ("Q", g1(&post.Q)),
                ("W", g1(&post.W)),
                ("proof A", g1(&post.proof[..2])),
                ("proof B", b.is_ok_and(|b| g2_from_be("point", &b).is_err())),
                ("proof C", g1(&post.proof[6..])),
            ];
            let found = singles.iter().find(|(_, wrong)| *wrong);
            named(found.map_or("calldata", |(name, _)| name), error)
        }
    }
}

fn wrong_root(scene: Scene<'_>, post: &Post, rejection: &PostRejection) -> Diagnosis {
    let posted = read(scene.key, post).map(|read| read.stored.0);
    let different = posted.ok().and_then(|posted| {
        posted.iter().zip(&scene.commitments.0).position(|(posted, stored)| posted != stored)
    });
    match different {
        Some(j) => named(format!("oldC[{j}]"), rejection),
        None => named("oldC", rejection),
    }
}

/// Everything can be read, yet growth or proof do not hold.
fn invalid(scene: Scene<'_>, read: &ReadPost, error: &VerifyError) -> Diagnosis {
    let Scene { key, domain, state, event, .. } = scene;
    let k = state.ledger.k();
    if (event.k > k) != read.grown.is_some() {
        return named("grow", format!("the event's k is {}, the ledger's {k}", event.k));
    }
    if let (VerifyError::Growth, Some(grown)) = (error, &read.grown) {
        let single = |c: &Commitments, j: usize| {
            let mut alone = Commitments::empty();
            alone.0[j] = c.0[j];
            alone
        };
        let wrong = (0..3).find(|j| {
            verify_growth(key, &single(&read.stored, *j), &single(grown, *j), k).is_err()
        });
        return named(wrong.map_or("grownC".to_owned(), |j| format!("grownC[{j}]")), error);
    }
    if read.beneficiary != event.beneficiary {
        return named("beneficiary", format!("the event credits {}", event.beneficiary));
    }
    let consumed = read.data.queue_entries();
    let statement = read.statement(key, domain, k, state.head);
    if event.end.checked_sub(event.first) != Some(consumed) {
        let why = format!(
            "it serves {consumed} queue entries, the event {} to {}",
            event.first, event.end
        );
        return named("data", why);
    }
    let size = 1 << statement.k;
    let changes = effect(size, |index| state.ledger.get(index), &read.data);
    if statement.new_root() != event.new_root {
        let j = changes.ok().and_then(|changes| differing(scene, read, &changes));
        let field = j.map_or("newC".to_owned(), |j| format!("newC[{j}]"));
        return named(field, format!("the event's root is {}", event.new_root));
    }
    let changes = match changes {
        Ok(changes) => changes,
        Err(error) => return contradiction(&error),
    };
    let challenges = Challenges::draw(&statement, &read.proof.h, &read.proof.q);
    let y = evaluate(&read.data.elements(&key.shape), challenges.z);
    let (groth16, kzg) = equations_that_hold(key, &statement, &challenges, y, &read.proof);
    let (a, delta, z_s) = claims(&changes, challenges.beta, challenges.z);
    let claimed = &read.proof;
    let wrong: Vec<&str> =
        [("A", a == claimed.a), ("Delta", delta == claimed.delta), ("Z", z_s == claimed.z_s)]
            .into_iter()
            .filter_map(|(name, right)| (!right).then_some(name))
            .collect();
    match (wrong.as_slice(), groth16, kzg) {
        ([one], _, _) => {
            named(*one, "it is not what the replayed accounts give at these challenges")
        }
        ([], false, true) => {
            named("proof", "Groth16 fails, the opening holds, A, Delta, Z are right")
        }
        ([], true, false) => named("W", "the opening fails, Groth16 holds, A, Delta, Z are right"),
        ([], false, false) => named("proof and W", "both fail although A, Delta, Z are right"),
        _ => moved(scene, read, &changes),
    }
}

/// β or z are not the prover's: something that they are drawn from was changed.
fn moved(
    scene: Scene<'_>,
    read: &ReadPost,
    changes: &[(AccountIndex, Account, Account)],
) -> Diagnosis {
    let why = "A, Delta and Z belong to other challenges";
    match scene.lagrange {
        None => named("h, Q or data", format!("{why}; a reference string would tell which")),
        Some(_) if differing(scene, read, changes).is_some() => {
            named("data", format!("{why}, and its records do not lead to newC"))
        }
        // A payment of an account to itself, for one, can say any amount.
        Some(_) => {
            named("h, Q or data", format!("{why}; if it is the data, what moves no balance"))
        }
    }
}

/// The first new commitment that the data does not lead to.
fn differing(
    scene: Scene<'_>,
    read: &ReadPost,
    changes: &[(AccountIndex, Account, Account)],
) -> Option<usize> {
    let old = read.grown.unwrap_or(read.stored);
    let deltas: Vec<(usize, [Fr; 3])> = changes
        .iter()
        .map(|(index, before, after)| {
            let (before, after) = (before.words(), after.words());
            (index.position(), std::array::from_fn(|j| after[j] - before[j]))
        })
        .collect();
    let new = old.updated(scene.lagrange?, &deltas);
    (0..3).find(|j| new.0[*j] != read.new.0[*j])
}

/// A, Δ and Z as the circuit computes them (SPEC.md section 5).
fn claims(changes: &[(AccountIndex, Account, Account)], beta: Fr, z: Fr) -> (Fr, Fr, Fr) {
    let (mut a, mut delta, mut z_s) = (Fr::ZERO, Fr::ZERO, Fr::ONE);
    for (index, before, after) in changes {
        let x = point(index.get());
        let distance = z - x;
        // z is a hash: it is no domain point.
        let weight = x * distance.inverse().unwrap_or(Fr::ZERO);
        let (opening, closing) = (before.combine(beta), after.combine(beta));
        a += opening * weight;
        delta += (closing - opening) * weight;
        z_s *= distance;
    }
    (a, delta, z_s)
}
