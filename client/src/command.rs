//! The `kerros` command: arguments, dispatch, exit codes. Each subcommand is one file below; they
//! say what they have to say through [`Said`], for humans or as JSON.

pub mod account;
pub mod batch;
pub mod bench;
pub mod ceremony;
pub mod chain;
pub mod circuit;
pub mod demo;
mod deploy;
pub mod devnet;
pub mod failure;
mod receipt;
pub mod rescue;
pub mod setup;
// Public for the fuzzer.
#[doc(hidden)]
pub mod signer;
pub mod transact;
pub mod wallet;

use crate::contract::{Contract, Identity};
use crate::receipt::ReceiptCheck;
use crate::sequencer::{Info, SequencerClient};
use crate::wallet::Wallet;
use clap::{Args, Parser, Subcommand};
pub use failure::Failure;
use kerros_protocol::account::{AccountIndex, Address, AssetId};
use kerros_sequencer::main_chain::{Ethereum, MainChain};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

const AFTER_HELP: &str = "\
Examples:
  kerros demo                                     the whole way once, from deposit to claim
  kerros devnet --dir devnet                      a stack to play with; Ctrl-C stops it
  kerros wallet new --wallet alice.wallet         draw keys
  kerros deposit --wallet alice.wallet --asset 1 --amount 1000000 --mint
  kerros transfer --wallet alice.wallet --from 1 --to 2 --amount 500
  kerros withdraw --wallet alice.wallet --from 1 --amount 500
  kerros claim --wallet alice.wallet --asset 1
  kerros claim --wallet alice.wallet --ether      fees paid too much, or earned
  kerros circuit --shape 16,8,24,8,4 --json
  kerros bench ingest                             acknowledged transfers per second
  kerros bench gas                                what a batch costs on the main chain
  kerros bench audit                              how fast a history is replayed from there

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 refused by sequencer or contract,
4 service not available, 5 not found, 6 wallet file, 7 the result of a demo or benchmark does not hold,
8 receipts are signed by another key, or another contract is served, than the one believed.";

/// Kerros: a payment rollup.
#[derive(Debug, Parser)]
#[command(name = "kerros", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the main job once, from deposits to claimed withdrawals, and check every step.
    Demo(demo::DemoArgs),
    /// Run the whole stack on this machine until Ctrl-C.
    Devnet(devnet::DevnetArgs),
    /// Draw a wallet, or show a wallet's public parts.
    Wallet(wallet::WalletArgs),
    /// Open an account at the sequencer (no deposit needed).
    Open(transact::OpenArgs),
    /// Send money to another account.
    Transfer(transact::TransferArgs),
    /// Send money to the main chain; `claim` collects it there once the batch is posted.
    Withdraw(transact::WithdrawArgs),
    /// Queue a deposit on the main chain.
    Deposit(chain::DepositArgs),
    /// Collect on the main chain what was withdrawn.
    Claim(chain::ClaimArgs),
    /// Demand on the main chain that everything in an account leave, whatever the sequencer says.
    ForceExit(chain::ForceExitArgs),
    /// Take accounts and deposits out of the contract, without the operator, once an entry of its queue
    /// is overdue.
    Escape(rescue::EscapeArgs),
    /// Prove and post a batch of waiting deposits and forced exits while the operator is silent.
    ServeQueue(rescue::ServeQueueArgs),
    /// Show accounts: one by index, or all of a wallet.
    Account(account::AccountArgs),
    /// Show an acknowledged transaction and the state of its batch.
    Tx(batch::TxArgs),
    /// Show a batch, or the newest ones.
    Batch(batch::BatchArgs),
    /// Measure a part of the system under load.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Print the circuit's constraints, by part and per transfer.
    Circuit(circuit::CircuitArgs),
    /// Make development keys of a shape, or find them; `ceremony` makes keys for real use.
    Setup(setup::SetupArgs),
    /// Put a Kerros contract on a main chain.
    Deploy(deploy::DeployArgs),
    /// Make a token usable as an asset.
    Register(deploy::RegisterArgs),
}

/// Where layer 2 is.
#[derive(Debug, Clone, Args)]
pub struct SequencerAt {
    /// The sequencer's gRPC endpoint.
    #[arg(
        long = "sequencer",
        env = "KERROS_SEQUENCER",
        value_name = "URL",
        default_value = "http://127.0.0.1:7400"
    )]
    pub sequencer_url: String,
    /// The Kerros contract you mean: refuse a sequencer of another one. Without it a wallet keeps to the
    /// one it met first at that URL.
    #[arg(long, env = "KERROS_CONTRACT", value_name = "ADDRESS", value_parser = address)]
    pub contract: Option<Address>,
    /// The address whose receipts you believe, for instance the contract's operator. Without it a
    /// wallet believes the one it met first.
    #[arg(long, env = "KERROS_RECEIPT_SIGNER", value_name = "ADDRESS", value_parser = address)]
    pub receipt_signer: Option<Address>,
}

/// Where the main chain is.
#[derive(Debug, Clone, Args)]
pub struct ChainAt {
    /// A main-chain node's JSON-RPC endpoint.
    #[arg(
        long = "rpc",
        env = "KERROS_RPC",
        // It may carry the node's key.
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8545"
    )]
    pub rpc_url: String,
}

/// Who acts.
#[derive(Debug, Clone, Args)]
pub struct WalletAt {
    /// The wallet file.
    #[arg(long = "wallet", env = "KERROS_WALLET", value_name = "FILE")]
    pub path: PathBuf,
}

/// What a command has to say.
#[derive(Debug)]
pub struct Said {
    /// With `--json`.
    pub json: Value,
    /// Without.
    pub text: String,
}

impl Said {
    /// Prints to standard output; a reader that has gone away misses it, nothing else happens.
    pub fn print(&self, json: bool) {
        let mut out = std::io::stdout().lock();
        let text = if json { format!("{:#}", self.json) } else { self.text.clone() };
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

impl SequencerAt {
    /// Connects and compares the deployment with what the caller expects.
    pub async fn connect(&self) -> Result<(SequencerClient, Info), Failure> {
        let client = SequencerClient::new(&self.sequencer_url)?;
        let info = client.info().await?;
        match self.contract {
            Some(contract) if contract != info.contract => {
                return Err(Failure::OtherContract { expected: contract, found: info.contract });
            }
            _ => {}
        }
        let Some(expected) = self.receipt_signer else { return Ok((client, info)) };
        let found = info.receipt_signer()?;
        if found != expected {
            return Err(Failure::OtherSigner { expected, found });
        }
        let check = ReceiptCheck { domain: info.domain, signer: expected.0.into() };
        Ok((client.trusting(check), info))
    }
    /// The same for somebody who acts: the deployment and the signer of receipts have to be the ones
    /// named or met first.
    pub async fn connect_for(&self, wallet: &WalletAt) -> Result<(SequencerClient, Info), Failure> {
        let (client, info) = self.connect().await?;
        if self.receipt_signer.is_some() && self.contract.is_some() {
            return Ok((client, info));
        }
        let signer = signer::meet(&wallet.path, self, &info)?.remember()?;
        Ok((client.trusting(ReceiptCheck { domain: info.domain, signer }), info))
    }
}

impl ChainAt {
    /// The contract at an address, which says itself that it is that one on this chain.
    pub async fn at(&self, contract: Address) -> Result<(Contract, Identity), Failure> {
        let chain: Arc<dyn MainChain> = Arc::new(Ethereum::connect(&self.rpc_url)?);
        let contract = Contract::new(chain, contract);
        let identity = contract.identity().await?;
        Ok((contract, identity))
    }
    /// The contract that the sequencer serves, on this chain.
    pub async fn contract(&self, info: &Info) -> Result<(Contract, Identity), Failure> {
        let chain: Arc<dyn MainChain> = Arc::new(Ethereum::connect(&self.rpc_url)?);
        // Before the contract is asked: on another chain there is none.
        let found = chain.chain_id().await?;
        if found != info.chain_id {
            return Err(Failure::OtherChain { expected: info.chain_id, found });
        }
        self.at(info.contract).await
    }
}

impl WalletAt {
    /// Reads the wallet.
    pub fn open(&self) -> Result<Wallet, Failure> {
        Ok(Wallet::open(&self.path)?)
    }
}

/// Parses `0x` and 40 hexadecimal digits.
pub fn address(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix("0x").ok_or("an address starts with 0x")?;
    let mut bytes = [0u8; 20];
    hex::decode_to_slice(digits, &mut bytes).map_err(|error| error.to_string())?;
    Ok(Address(bytes))
}

/// Parses an account index.
pub fn index(text: &str) -> Result<AccountIndex, String> {
    let number = text.parse::<u32>().map_err(|error| error.to_string())?;
    AccountIndex::new(number).map_err(|error| error.to_string())
}

/// Parses an asset id.
pub fn asset(text: &str) -> Result<AssetId, String> {
    let number = text.parse::<u16>().map_err(|error| error.to_string())?;
    AssetId::new(number).map_err(|error| error.to_string())
}

impl Cli {
    /// Does what was asked and prints it.
    pub async fn run(self) -> Result<(), Failure> {
        let said = match self.command {
            Command::Demo(args) => args.run().await?,
            Command::Devnet(args) => args.run(self.json).await?,
            Command::Wallet(args) => args.run()?,
            Command::Open(args) => args.run().await?,
            Command::Transfer(args) => args.run().await?,
            Command::Withdraw(args) => args.run().await?,
            Command::Deposit(args) => args.run().await?,
            Command::Claim(args) => args.run().await?,
            Command::ForceExit(args) => args.run().await?,
            Command::Escape(args) => args.run().await?,
            Command::ServeQueue(args) => args.run().await?,
            Command::Account(args) => args.run().await?,
            Command::Tx(args) => args.run().await?,
            Command::Batch(args) => args.run().await?,
            Command::Bench(command) => command.run().await?,
            Command::Circuit(args) => args.run(),
            Command::Setup(args) => args.run()?,
            Command::Deploy(args) => args.run().await?,
            Command::Register(args) => args.run().await?,
        };
        said.print(self.json);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn no_two_arguments_of_a_command_have_one_name() {
        // Parts that are flattened into one command share its names; clap itself looks only in debug
        // builds, and one value would be taken for the other.
        fn check(command: &clap::Command) {
            let mut names = std::collections::BTreeSet::new();
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                assert!(names.insert(name.to_owned()), "{}: {name}", command.get_name());
                if let Some(long) = argument.get_long() {
                    assert!(names.insert(format!("--{long}")), "{}: --{long}", command.get_name());
                }
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
        let line = "kerros open --wallet w --asset 1 --receipt r";
        let Command::Open(args) = Cli::try_parse_from(line.split(' ')).expect("parses").command
        else {
            panic!("another command")
        };
        assert_eq!(args.wallet.path, std::path::Path::new("w"));
    }

    #[test]
    fn a_transfer_is_parsed_with_its_global_options() {
        let line = "kerros transfer --wallet w --from 3 --to 4 --amount 10 --fee 20 --json";
        let cli = Cli::try_parse_from(line.split(' ')).expect("parses");
        assert!(cli.json);
        let Command::Transfer(args) = cli.command else { panic!("another command") };
        assert_eq!((args.from.get(), args.to.get(), args.amount), (3, 4, 10));
        assert_eq!(args.fee.map(|fee| fee.value()), Some(20));
    }

    #[test]
    fn every_command_parses_with_what_it_needs() {
        for line in [
            "kerros demo --transfers 60 --provers 2",
            "kerros devnet --dir d --grpc 127.0.0.1:0",
            "kerros wallet new --wallet w",
            "kerros open --wallet w --asset 1",
            "kerros withdraw --wallet w --from 1 --amount 5",
            "kerros deposit --wallet w --asset 1 --amount 5 --mint",
            "kerros claim --wallet w --asset 1",
            "kerros claim --wallet w --ether --gas-max 1000000",
            "kerros force-exit --wallet w --index 1",
            "kerros escape --wallet w --contract 0x0000000000000000000000000000000000000001 --keys k",
            "kerros serve-queue --wallet w --contract 0x0000000000000000000000000000000000000001 --keys k",
            "kerros account --index 1",
            "kerros batch 3",
            "kerros batch --last 3",
            "kerros bench ingest --smoke --json",
            "kerros bench gas --smoke --json",
            "kerros bench gas --transfers 12,16,32768 --dir d",
            "kerros bench audit --smoke --json",
            "kerros bench audit --transfers 5 --batch-transfers 12 --dir d",
            "kerros circuit --shape 16,8,24,8,4",
            "kerros setup --shape 16,8,24,8,4 --k-genesis 6 --k-max 8 --dir d",
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
        let id = "ab".repeat(32);
        assert!(Cli::try_parse_from(["kerros", "tx", &id]).is_ok());
    }

    #[test]
    fn values_out_of_range_are_refused_at_the_command_line() {
        for line in [
            "kerros account --index 0",
            "kerros account --index 268435456",
            "kerros claim --wallet w --asset 0",
            "kerros claim --wallet w --asset 65536",
            "kerros claim --wallet w",
            "kerros claim --wallet w --asset 1 --ether",
            "kerros transfer --wallet w --from 1 --to 2 --amount 1 --fee 2048",
            "kerros transfer --wallet w --from 1 --to 2 --amount 18446744073709551616",
            "kerros withdraw --wallet w --from 1 --amount 1 --to 0x12",
            "kerros bench gas --transfers 11",
            "kerros bench gas --transfers 32769",
            "kerros bench gas --transfers 16 --smoke",
            "kerros bench audit --batch-transfers 11",
            "kerros circuit --shape 1,2,3",
            "kerros circuit --shape 1,2,3,4,5",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
