//! The SDK's main-chain side against the real contract on an embedded chain. The key is made of
//! arbitrary points: nothing here posts a batch.

use alloy::primitives::U256;
use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use kerros_client::contract::{Contract, ContractError, PAYOUT_GAS_MAX};
use kerros_client::deployment::{Terms, deploy_kerros, deploy_test_token};
use kerros_client::wallet::Wallet as Holder;
use kerros_protocol::account::{AccountIndex, AssetId};
use kerros_protocol::batch::Shape;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain, Wallet};
use std::sync::Arc;

fn g1(n: u64) -> G1Affine {
    (G1Affine::generator() * Fr::from(n)).into_affine()
}

fn g2(n: u64) -> G2Affine {
    (G2Affine::generator() * Fr::from(n)).into_affine()
}

fn key() -> VerificationKey {
    VerificationKey {
        development: true,
        shape: Shape::new([4, 2, 4, 2, 1]).expect("valid"),
        alpha1: g1(2),
        beta2: g2(3),
        delta2: g2(5),
        ic: std::array::from_fn(|i| g1(i as u64 + 7)),
        k_genesis: 4,
        tau_powers: (0..=6).map(|k| g2(11 + k)).collect(),
    }
}

struct World {
    _dir: tempfile::TempDir,
    contract: Contract,
    admin: Wallet,
}

async fn world() -> World {
    let dir = tempfile::tempdir().expect("directory");
    let clock = Arc::new(|| 1_700_000_100);
    let chain = Embedded::open(dir.path(), &Genesis::development(4), clock).expect("opened");
    let chain: Arc<dyn MainChain> = Arc::new(chain);
    let admin = Wallet::new(development_wallet(0));
    let terms = Terms::usual(admin.address(), admin.address());
    let address = deploy_kerros(chain.as_ref(), &admin, &key(), &terms).await.expect("deployed");
    World { _dir: dir, contract: Contract::new(chain, address), admin }
}

#[tokio::test]
async fn an_asset_is_registered_deposited_and_seen_in_the_contract() {
    let World { _dir, contract, admin } = world().await;
    let chain = contract.chain().clone();
    let token = deploy_test_token(chain.as_ref(), &admin, "Test", "TST", 18).await.expect("token");
    let asset = contract.register_asset(&admin, token, 10).await.expect("registered").value;
    assert_eq!(asset.get(), 1);
    let asset = contract.asset(asset).await.expect("there");
    assert_eq!(contract.assets().await.expect("read"), vec![asset]);
    assert_eq!(asset.base_units(3), U256::from(30_000_000_000u64));

    let holder = Holder::from_bytes([3; 32], &[4; 32]).expect("keys");
    let depositor = Wallet::new(development_wallet(1));
    let from = kerros_protocol::account::Address(depositor.address().into_array());
    contract.mint(&depositor, token, from, asset.base_units(100)).await.expect("minted");
    for (entry, units) in [(0, 40), (1, 60)] {
        let key = holder.account_key();
        let done = contract.deposit(&depositor, &asset, units, key, holder.address()).await;
        assert_eq!(done.expect("queued").value, entry);
    }
    let held = contract.token_balance(token, contract.address()).await.expect("read");
    assert_eq!(held, asset.base_units(100));
    assert_eq!(contract.asset(asset.id).await.expect("there").supply, 100);
    let state = contract.state().await.expect("read");
    assert_eq!((state.head, state.tail, state.batch_number, state.k), (0, 2, 0, 4));
    assert!(!state.frozen);

    let index = AccountIndex::new(5).expect("in range");
    assert_eq!(contract.force_exit(&depositor, index).await.expect("queued").value, 2);
}

#[tokio::test]
async fn every_refusal_is_typed() {
    let World { _dir, contract, admin } = world().await;
    let unknown = AssetId::new(9).expect("not 0");
    let error = contract.asset(unknown).await.expect_err("unknown");
    assert!(matches!(error, ContractError::UnknownAsset { asset: 9 }));
    let nobody = contract.address();
    let error = contract.claim(&admin, unknown, nobody, PAYOUT_GAS_MAX).await.expect_err("nothing");
    assert!(matches!(error, ContractError::NothingToClaim));

    let stranger = Wallet::new(development_wallet(2));
    let chain = contract.chain().clone();
    let token = deploy_test_token(chain.as_ref(), &stranger, "T", "T", 6).await.expect("token");
    let error = contract.register_asset(&stranger, token, 0).await.expect_err("not the admin");
    let ContractError::Chain(error) = error else { panic!("{error}") };
    assert!(error.to_string().contains("OnlyAdmin"), "{error}");
}
