//! Batch data written a second time, from the protocol's table and not from the contract.

use alloy::primitives::{Address, U256};
use ark_bn254::Fr;
use ark_ff::PrimeField;

/// Capacities of O, D, T, E, F in these tests.
pub const SHAPE: [u32; 5] = [2, 2, 4, 3, 2];

/// index, asset, owner, key
pub type Open = (u32, u16, Address, U256);
/// index, amount, asset, key, owner
pub type Deposit = (u32, u64, u16, U256, Address);
/// from, to, amount, fee
pub type Transfer = (u32, u32, u64, u16);
/// from, amount, fee, forced, asset, recipient
pub type Exit = (u32, u64, u16, u8, u16, Address);
/// to, amount
pub type Collect = (u32, u64);

/// The records of a batch.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pub opens: Vec<Open>,
    pub deposits: Vec<Deposit>,
    pub transfers: Vec<Transfer>,
    pub exits: Vec<Exit>,
    pub collects: Vec<Collect>,
}

impl Data {
    /// Each section's records, each a list of elements, each element its bytes.
    fn sections(&self) -> [Vec<Vec<Vec<u8>>>; 5] {
        let key = |key: &U256| key.to_be_bytes::<32>().to_vec();
        [
            self.opens
                .iter()
                .map(|(index, asset, owner, k)| {
                    let first = [&index.to_be_bytes()[..], &asset.to_be_bytes(), owner.as_slice()];
                    vec![first.concat(), key(k)]
                })
                .collect(),
            self.deposits
                .iter()
                .map(|(index, amount, asset, k, owner)| {
                    let first =
                        [&index.to_be_bytes()[..], &amount.to_be_bytes(), &asset.to_be_bytes()];
                    vec![first.concat(), key(k), owner.to_vec()]
                })
                .collect(),
            self.transfers
                .iter()
                .map(|(from, to, amount, fee)| {
                    let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
                    vec![[&from[..], &to, &amount.to_be_bytes(), &fee.to_be_bytes()].concat()]
                })
                .collect(),
            self.exits
                .iter()
                .map(|(from, amount, fee, forced, asset, recipient)| {
                    let first = [
                        &from.to_be_bytes()[..],
                        &amount.to_be_bytes(),
                        &fee.to_be_bytes(),
                        &[*forced],
                    ];
                    let second = [&asset.to_be_bytes()[..], recipient.as_slice()];
                    vec![first.concat(), second.concat()]
                })
                .collect(),
            self.collects
                .iter()
                .map(|(to, amount)| vec![[&to.to_be_bytes()[..], &amount.to_be_bytes()].concat()])
                .collect(),
        ]
    }

    /// The bytes that go on chain.
    pub fn encode(&self) -> Vec<u8> {
        let sections = self.sections();
        let mut bytes = Vec::new();
        for section in &sections {
            bytes.extend_from_slice(&u16::try_from(section.len()).unwrap().to_be_bytes());
        }
        bytes.extend(sections.into_iter().flatten().flatten().flatten());
        bytes
    }

    /// d_j: the elements at their fixed places, padding included.
    pub fn elements(&self, shape: [u32; 5]) -> Vec<Fr> {
        let widths = [2, 3, 1, 2, 1];
        let mut elements = Vec::new();
        for ((section, capacity), width) in self.sections().into_iter().zip(shape).zip(widths) {
            let mut places = vec![Fr::from(0u64); capacity as usize * width];
            let flat = section.into_iter().flatten();
            for (place, element) in places.iter_mut().zip(flat) {
                *place = Fr::from_be_bytes_mod_order(&element);
            }
            elements.extend(places);
        }
        elements
    }

    /// Records that consume an entry of the queue.
    pub fn served(&self) -> u64 {
        let forced = self.exits.iter().filter(|exit| exit.3 == 1).count();
        u64::try_from(self.deposits.len() + forced).unwrap()
    }
}
