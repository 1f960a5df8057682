//! Batch data, sealed batches and shapes.

#![no_main]

use ark_bn254::Fr;
use kerros_fuzz::{bounded, canonical, choose};
use kerros_protocol::account::Account;
use kerros_protocol::batch::{BatchData, SealedBatch, Shape, evaluate};
use kerros_protocol::limits::{ACCESSES_MAX, LEDGER_K_MAX, ORDERED_MAX};
use kerros_protocol::transcript::Statement;
use libfuzzer_sys::fuzz_target;

const SHAPES: [[u32; 5]; 3] = [[2, 1, 4, 2, 1], [16, 8, 64, 16, 4], [65_535, 65_535, 0, 1, 0]];

fn data(bytes: &[u8], shape: &Shape) -> Option<BatchData> {
    let data = bounded(bytes, 4_096, 8, |bytes| BatchData::decode(bytes, shape)).ok()?;
    canonical(bytes, data.encode());
    assert_eq!(data.check_capacity(shape), Ok(()));
    Some(data)
}

fn sealed(bytes: &[u8], shape: &Shape) {
    let sealed = bounded(bytes, 4_096, 16, |bytes| SealedBatch::decode(bytes, shape));
    let Ok(sealed) = sealed else { return };
    canonical(bytes, sealed.encode());
    assert!(sealed.k <= LEDGER_K_MAX);
    let records = (sealed.data.transfers.len(), sealed.data.exits.len());
    let authorised = (sealed.transfers.len(), sealed.exits.len());
    assert!(authorised == records || (!sealed.is_whole() && authorised == (0, 0)));
    let statement = Statement {
        domain: Fr::from(7u64),
        vk_hash: [0; 32],
        number: sealed.number,
        k: sealed.k,
        old: sealed.old,
        new: sealed.new,
        data_hash: [0; 32],
        first: sealed.first,
        end: sealed.end,
        beneficiary: sealed.beneficiary,
    };
    statement.beta(&statement.ledger_size());
}

fn shape(text: &str) {
    let Ok(shape) = bounded(text.as_bytes(), 4_096, 64, |_| text.parse::<Shape>()) else { return };
    assert_eq!(shape.to_string().parse(), Ok(shape));
    let [opens, deposits, transfers, exits, _] = shape.sections();
    assert!(opens >= deposits && deposits > 0 && exits > 0);
    assert!(transfers + exits <= ORDERED_MAX && shape.accesses() < ACCESSES_MAX as usize);
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = choose(bytes, 8) else { return };
    let at = usize::from(kind) % SHAPES.len();
    let known = Shape::new(SHAPES[at]).expect("a good shape");
    match kind {
        0..=2 => {
            if let Some(data) = data(rest, &known)
                && at < 2
            {
                let elements = data.elements(&known);
                assert_eq!(elements.len(), known.element_count());
                evaluate(&elements, Fr::from(3u64));
            }
        }
        3..=5 => sealed(rest, &known),
        6 => {
            if let Ok(account) = bounded(rest, 4_096, 1, Account::decode) {
                canonical(rest, account.encode());
                account.words();
            }
        }
        _ => {
            if let Ok(text) = std::str::from_utf8(rest) {
                shape(text);
            }
        }
    }
});
