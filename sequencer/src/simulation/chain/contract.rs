//! The contract: what a post does, what it answers, what it announces.

use super::{CONTRACT, ContractState, Entry, Inner, good};
use crate::main_chain::{At, LogEntry, MainChainError};
use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall, SolEvent};
use kerros_protocol::transition;
use kerros_verifier::contract::Kerros;

/// Where logs are.
pub(super) struct LogPlace {
    pub(super) block: u64,
    pub(super) block_hash: B256,
}

impl LogPlace {
    pub(super) fn log(&self, event: &impl SolEvent, transaction: B256, index: u64) -> LogEntry {
        let Self { block, block_hash } = *self;
        let data = event.encode_log_data();
        let topics = data.topics().to_vec();
        LogEntry {
            address: CONTRACT,
            topics,
            data: data.data,
            block,
            block_hash,
            transaction,
            index,
        }
    }
    /// The log of a queue entry, after those of posts.
    pub(super) fn announce(&self, number: u64, entry: &Entry) -> LogEntry {
        let Kerros::queueEntryReturn { entry: stored, deadline, .. } = &entry.stored;
        let (transaction, index) = (B256::repeat_byte(0xee), 1 << 32 | number);
        if stored.kind == 1 {
            let event = Kerros::DepositQueued {
                entry: number,
                depositor: stored.sender,
                asset: stored.asset,
                amount: stored.amount,
                key: stored.key,
                owner: stored.owner,
                fee: U256::ZERO,
                deadline: *deadline,
            };
            return self.log(&event, transaction, index);
        }
        let event = Kerros::ForcedExitQueued {
            entry: number,
            requester: stored.sender,
            index: u32::try_from(stored.amount).expect("an index"),
            fee: U256::ZERO,
            deadline: *deadline,
        };
        self.log(&event, transaction, index)
    }
}

impl Inner {
    /// `Kerros.post`, with a proof system that cannot be fooled.
    pub(super) fn post(
        &self,
        state: &mut ContractState,
        input: &[u8],
    ) -> Result<Kerros::BatchPosted, String> {
        let call = Kerros::postCall::abi_decode(input).map_err(|error| error.to_string())?;
        let post = kerros_verifier::post::read(&self.key, &call.p).map_err(|e| e.to_string())?;
        if post.number != state.number + 1 {
            return Err(format!("batch {} after batch {}", post.number, state.number));
        }
        let k = state.ledger.k();
        if post.stored.root(k).0 != state.root {
            return Err(format!("batch {} starts from another root", post.number));
        }
        let claimed = post.data.queue_entries();
        let (mut deposits, mut forced) =
            (post.data.deposits.iter(), post.data.exits.iter().filter(|exit| exit.forced));
        for number in state.head..state.head + claimed {
            let place = usize::try_from(number).expect("small");
            let stored = &state.queue.get(place).ok_or("the queue is shorter")?.stored.entry;
            let served = match stored.kind {
                1 => deposits.next().is_some_and(|d| {
                    (d.amount, d.asset.get(), d.key.to_be(), d.owner.0)
                        == (stored.amount, stored.asset, stored.key.to_be_bytes(), stored.owner.0.0)
                }),
                _ => forced.next().is_some_and(|e| {
                    (u64::from(e.from.get()), e.recipient.0) == (stored.amount, stored.sender.0.0)
                }),
            };
            if !served {
                return Err(format!("entry {number} is another"));
            }
        }
        let statement = post.statement(&self.key, self.domain, k, state.head);
        if post.proof.h != good(&statement) {
            return Err(format!("the proof of batch {} does not hold", post.number));
        }
        if post.grown.is_some() {
            state.ledger.grow();
        }
        transition::replay(&mut state.ledger, &post.data).map_err(|error| error.to_string())?;
        (state.number, state.head) = (post.number, statement.end);
        state.root = statement.new_root().0.into();
        Ok(Kerros::BatchPosted {
            number: state.number,
            newRoot: state.root,
            first: statement.first,
            end: statement.end,
            k: statement.k,
            beneficiary: Address::from(statement.beneficiary.0),
        })
    }
    pub(super) fn call(&self, input: &[u8], at: At) -> Result<Vec<u8>, MainChainError> {
        let state = self.at(at)?;
        let selector: [u8; 4] = input[..4].try_into().expect("a selector");
        Ok(match selector {
            Kerros::batchNumberCall::SELECTOR => {
                Kerros::batchNumberCall::abi_encode_returns(&state.number)
            }
            Kerros::rootCall::SELECTOR => Kerros::rootCall::abi_encode_returns(&state.root),
            Kerros::assetCountCall::SELECTOR => Kerros::assetCountCall::abi_encode_returns(&2),
            Kerros::tailCall::SELECTOR => {
                Kerros::tailCall::abi_encode_returns(&(state.queue.len() as u64))
            }
            Kerros::pendingDepositsCall::SELECTOR => {
                let waiting = &state.queue[usize::try_from(state.head).expect("small")..];
                let count = waiting.iter().filter(|entry| entry.stored.entry.kind == 1).count();
                let count = u32::try_from(count).expect("few");
                Kerros::pendingDepositsCall::abi_encode_returns(&count)
            }
            Kerros::queueEntryCall::SELECTOR => {
                let call = Kerros::queueEntryCall::abi_decode(input).expect("own call");
                let place = usize::try_from(call.index).expect("small");
                Kerros::queueEntryCall::abi_encode_returns(&state.queue[place].stored)
            }
            other => panic!("the contract is asked {other:?}"),
        })
    }
}
