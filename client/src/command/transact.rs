//! `kerros open|transfer|withdraw`: what a holder asks of the sequencer.

use super::receipt::ReceiptAt;
use super::{Failure, Said, SequencerAt, WalletAt, address, asset, index};
use crate::sequencer::{Info, Opened, SequencerClient};
use crate::wallet::Wallet;
use clap::Args;
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use kerros_verifier::promise::Subject;
use serde_json::json;

fn fee(text: &str) -> Result<Fee, String> {
    let value = text.parse::<u64>().map_err(|error| error.to_string())?;
    let near = Fee::at_most(value).value();
    Fee::exact(value).ok_or(format!("a fee is at most 2047 times a power of ten; {near} would do"))
}

fn key(text: &str) -> Result<AccountKey, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|error| error.to_string())?;
    AccountKey::from_be(&bytes).map_err(|error| error.to_string())
}

/// Arguments of `kerros open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    #[command(flatten)]
    sequencer: SequencerAt,
    #[command(flatten)]
    pub(super) wallet: WalletAt,
    /// The asset the account is to hold.
    #[arg(long, value_parser = asset)]
    asset: AssetId,
    #[command(flatten)]
    receipt: ReceiptAt,
}

impl OpenArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let wallet = self.wallet.open()?;
        self.receipt.check()?;
        let (client, info) = self.sequencer.connect_for(&self.wallet).await?;
        let answer = client.open(self.asset, wallet.address(), wallet.account_key()).await?;
        let Opened { index, opened, receipt } = answer;
        if let Some(receipt) = &receipt {
            self.receipt.keep(&info, || Subject::Opening(receipt.clone()))?;
        }
        let verb = if opened { "opened" } else { "open already:" };
        let promised = match receipt {
            Some(_) => "",
            None => "; the sequencer promises nothing about it, an audit tells whether it is yours",
        };
        Ok(Said {
            text: format!("{verb} account {index} (asset {}){promised}", self.asset),
            json: json!({
                "index": index.get(),
                "asset": self.asset.get(),
                "opened": opened,
                "batch": receipt.as_ref().map(|receipt| receipt.promise.batch),
                "deadline_ms": receipt.map(|receipt| receipt.promise.deadline_ms),
            }),
        })
    }
}

/// What transfers and withdrawals share.
#[derive(Debug, Args)]
pub struct Payment {
    #[command(flatten)]
    sequencer: SequencerAt,
    #[command(flatten)]
    wallet: WalletAt,
    #[command(flatten)]
    receipt: ReceiptAt,
}

impl Payment {
    async fn connect(&self) -> Result<(SequencerClient, Info), Failure> {
        self.receipt.check()?;
        self.sequencer.connect_for(&self.wallet).await
    }
}

/// Arguments of `kerros transfer`.
#[derive(Debug, Args)]
pub struct TransferArgs {
    #[command(flatten)]
    payment: Payment,
    /// The account that pays; must be this wallet's.
    #[arg(long, value_parser = index)]
    pub from: AccountIndex,
    /// The account that receives.
    #[arg(long, value_parser = index)]
    pub to: AccountIndex,
    /// Asset units.
    #[arg(long)]
    pub amount: u64,
    /// Asset units, paid on top; the sequencer's least fee if absent.
    #[arg(long, value_parser = fee)]
    pub fee: Option<Fee>,
    /// The payee's account key as you know it: refuse any other under the index.
    #[arg(long, value_parser = key)]
    payee_key: Option<AccountKey>,
    /// The payee's owner as you know it.
    #[arg(long, value_parser = address)]
    payee_owner: Option<Address>,
}

impl TransferArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let wallet = self.payment.wallet.open()?;
        let (client, info) = self.payment.connect().await?;
        let payee = client.account(self.to).await?.account;
        let payee_key = match self.payee_key {
            Some(key) => key,
            None => AccountKey::new(payee.key).map_err(crate::sequencer::SequencerError::from)?,
        };
        let transaction = Transaction::Transfer(Transfer {
            from: self.from,
            to: self.to,
            amount: self.amount,
            fee: fee_or_least(self.fee, &info),
            nonce: client.account(self.from).await?.account.nonce,
            payee_key,
            payee_owner: self.payee_owner.unwrap_or(payee.owner),
        });
        submit((&client, &info), &self.payment, &wallet, transaction).await
    }
}

/// Arguments of `kerros withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    #[command(flatten)]
    payment: Payment,
    /// The account that pays; must be this wallet's.
    #[arg(long, value_parser = index)]
    from: AccountIndex,
    /// Asset units.
    #[arg(long)]
    amount: u64,
    /// Asset units, paid on top; the sequencer's least fee if absent.
    #[arg(long, value_parser = fee)]
    fee: Option<Fee>,
    /// Main-chain address that may claim; this wallet's if absent.
    #[arg(long, value_parser = address)]
    to: Option<Address>,
}

impl WithdrawArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let wallet = self.payment.wallet.open()?;
        let (client, info) = self.payment.connect().await?;
        let account = client.account(self.from).await?.account;
        let asset = AssetId::new(account.asset);
        let transaction = Transaction::Exit(Exit {
            from: self.from,
            amount: self.amount,
            fee: fee_or_least(self.fee, &info),
            nonce: account.nonce,
            asset: asset.map_err(crate::sequencer::SequencerError::from)?,
            recipient: self.to.unwrap_or(wallet.address()),
        });
        submit((&client, &info), &self.payment, &wallet, transaction).await
    }
}

/// The fee asked for, else the least float that is not below the sequencer's least fee.
fn fee_or_least(fee: Option<Fee>, info: &Info) -> Fee {
    fee.unwrap_or_else(|| least_fee(info.message.fee_min))
}

/// The smallest fee of at least `value` units.
pub fn least_fee(value: u64) -> Fee {
    let mut least = value;
    loop {
        if let Some(fee) = Fee::exact(least) {
            return fee;
        }
        // The last digit that does not fit is rounded up.
        let mut unit = 10u64;
        while least.is_multiple_of(unit) {
            unit *= 10;
        }
        least = (least / unit + 1).saturating_mul(unit);
    }
}

async fn submit(
    (client, info): (&SequencerClient, &Info),
    payment: &Payment,
    wallet: &Wallet,
    transaction: Transaction,
) -> Result<Said, Failure> {
    let signed = SignedTransaction::sign(transaction, wallet.layer2(), info.domain);
    let receipt = client.submit(&signed).await?;
    let subject = || Subject::Transaction(Box::new(signed), receipt.clone());
    payment.receipt.keep(info, subject)?;
    let (id, batch, order) = (transaction.id(), receipt.promise.batch, receipt.promise.order);
    let fee = transaction.fee().value();
    Ok(Said {
        text: format!("{id}\nbatch {batch}, place {order}, fee {fee}"),
        json: json!({
            "transaction_id": id.to_string(),
            "batch": batch,
            "order": order,
            "nonce": transaction.nonce(),
            "fee": u64::try_from(fee).ok(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_fee_is_never_below_what_is_asked() {
        for (asked, least) in [(0, 0), (7, 7), (2047, 2047), (2048, 2050), (20471, 20500)] {
            assert_eq!(least_fee(asked).value(), least);
        }
        assert!(least_fee(123_456_789).value() >= 123_456_789);
    }

    #[test]
    fn fees_that_no_float_has_are_refused_with_a_near_one() {
        assert_eq!(
            fee("2048"),
            Err("a fee is at most 2047 times a power of ten; 2040 would do".to_owned())
        );
        assert_eq!(fee("20").map(Fee::value), Ok(20));
    }
}
