//! The attacks that must stay dead, each against the bytecode that is deployed: section 9 of the design,
//! then what an attacker with the operator's key and a prover could think of besides.
//!
//! Where an attack is the circuit's, the adversary fixes β and z first and solves for what the identities
//! leave. His proof is real: it verifies, opening and all, under the challenges that he knew. It is
//! posted, mined, and reverts for the equations; so does the proof of the same witness for the
//! challenges that are drawn. Where the identities leave nothing he proves a false assignment.
//! Then the same contract takes the honest batch.
//!
//! | attack | where |
//! |---|---|
//! | 1 mint by an open | `state.rs` |
//! | 2 theft by a forced exit | `state.rs` |
//! | 3 re-open inside a path | `state.rs` |
//! | 4 one account opened twice | `state.rs` |
//! | 5 escape with i ≥ n | [`ELSEWHERE`] |
//! | 6 a late batch after escapes | [`ELSEWHERE`] |
//! | 7 an entry that can never be proved | [`ELSEWHERE`] |
//! | 8 a stranger's forced exit and the victim's nonce | `state.rs` |
//! | 9 forced = 2 | `records.rs` |
//! | 10 the payee's index opened with another key or owner | `records.rs` |
//! | 11 a forced exit before the user's deposit | `records.rs` |
//! | 12 growth while proofs are in flight | `transcript.rs` |
//! | 13 records that spill over | `records.rs` |
//! | 14 challenges drawn too early, data of equal evaluation | `transcript.rs` |
//! | 15 S ≥ ℓ, keys of low order, no signature | `records.rs` |
//! | 16 a key with γ = δ | [`ELSEWHERE`] |
//! | 17 an unused slot that carries a balance | `state.rs` |
//! | 18 a queue that is filled once z is known | `transcript.rs` |
//! | 19 a fee on a forced no-op | `records.rs` |
//! | 20 deadlines ratcheted up | [`ELSEWHERE`] |
//! | 21 deposits beyond O, a full ledger | [`ELSEWHERE`] |
//! | 22 a payout of nothing in an unknown asset | `records.rs` |
//! | 23 a copied post | `transcript.rs` |
//! | 24 a contract posts | [`ELSEWHERE`] |
//! | A, Δ, Z, Q chosen late; ρ known; other sizes, domains, keys, numbers; empty batches; growth and batch in one; index 0 | `beyond.rs` |

#![allow(clippy::unwrap_used)] // a test may panic

mod beyond;
mod records;
mod stage;
mod state;
mod transcript;

use std::path::Path;

/// Attacks whose tests against the bytecode stand elsewhere: number, file, test.
const ELSEWHERE: [(u8, &str, &str); 16] = [
    (5, "sequencer/src/main_chain/tests/escape.rs", "an_account_escapes_once_with_its_own_words"),
    (5, "verifier/tests/bytecode/words.rs", "every_word_of_an_escape_is_what_an_account_can_hold"),
    (6, "sequencer/src/main_chain/tests/escape.rs", "frozen_means_frozen_for_ever"),
    (
        7,
        "sequencer/src/main_chain/tests/queue.rs",
        "deposits_that_could_never_be_proved_are_refused",
    ),
    (7, "sequencer/src/main_chain/tests/queue.rs", "forced_exits_name_an_index_of_the_ledger"),
    (7, "verifier/tests/bytecode/tokens.rs", "a_recipient_that_takes_nothing_stops_no_batch"),
    (
        16,
        "verifier/tests/bytecode/words.rs",
        "a_key_whose_delta_is_gamma_or_its_negative_is_refused",
    ),
    (16, "sequencer/src/main_chain/tests/deployment.rs", "unsound_or_malformed_keys_are_refused"),
    (
        20,
        "verifier/tests/bytecode/flood.rs",
        "a_deadline_is_exact_to_the_second_and_nothing_moves_it",
    ),
    (
        20,
        "sequencer/src/main_chain/tests/queue.rs",
        "entries_keep_what_they_bind_and_their_deadline_counts_those_before",
    ),
    (
        21,
        "sequencer/src/main_chain/tests/queue.rs",
        "deposits_never_outnumber_the_accounts_that_can_still_be_opened",
    ),
    (
        21,
        "sequencer/src/main_chain/tests/deployment.rs",
        "shapes_and_parameters_outside_the_protocol_are_refused",
    ),
    (
        21,
        "sequencer/src/main_chain/tests/queue.rs",
        "the_supply_of_an_asset_stays_below_two_to_the_64",
    ),
    (24, "sequencer/src/main_chain/tests/refusals.rs", "contracts_and_strangers_do_not_post"),
    (
        24,
        "sequencer/src/main_chain/tests/refusals.rs",
        "an_operator_with_code_of_its_own_does_not_post",
    ),
    (22, "sequencer/src/main_chain/tests/posting.rs", CREDITS),
];
const CREDITS: &str = "a_batch_serves_the_queue_credits_exits_and_pays_its_beneficiary";

/// Whether a source file has this test.
fn tests(source: &str, name: &str) -> bool {
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let marked = ["#[test]", "#[tokio::test]"].contains(&line.trim());
        let starts = |line: &str, keyword: &str| {
            line.trim_start().strip_prefix(keyword).is_some_and(|rest| {
                rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
            })
        };
        if marked
            && let Some(next) = lines.next()
            && (starts(next, "fn ") || starts(next, "async fn "))
        {
            return true;
        }
    }
    false
}

#[test]
fn every_attack_of_section_9_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let mut found = [false; 25];
    for (number, path, name) in ELSEWHERE {
        assert!(tests(&read(path), name), "attack {number}: {path} has no test {name}");
        found[usize::from(number)] = true;
    }
    for file in ["state", "records", "transcript"] {
        let source = read(&format!("tests/tests/section9/{file}.rs"));
        for (number, found) in found.iter_mut().enumerate() {
            let prefix = format!("async fn attack_{number:02}_");
            let names = source.lines().filter_map(|line| line.strip_prefix(&prefix));
            for name in names.filter_map(|rest| rest.split('(').next()) {
                assert!(tests(&source, &format!("attack_{number:02}_{name}")), "{name} runs");
                *found = true;
            }
        }
    }
    let missing: Vec<usize> = (1..25).filter(|number| !found[*number]).collect();
    assert_eq!(missing, [0usize; 0], "attacks without a test");
}
