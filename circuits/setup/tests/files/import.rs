//! From a finished ceremony to the files that Kerros runs on.

use crate::known::phase1;
use crate::scene::{POWER, SEEDS, Scene, ceremony, circuit, ptau};
use crate::snarkjs::{powers_of_tau, script, scripts, text};
use ark_bn254::{Fr, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::UniformRand;
use kerros_circuits::groth16::Compiled;
use kerros_circuits::setup::{SetupError, SetupFiles, read_verification_key};
use kerros_protocol::account::{AccountIndex, Address, AssetId};
use kerros_protocol::batch::{BatchData, DepositRecord, OpenRecord, SealedBatch, Shape, evaluate};
use kerros_protocol::commitment::{Commitments, Srs};
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{Challenges, public_inputs, statement};
use kerros_protocol::transition;
use kerros_prover::keys::ProverKeys;
use kerros_prover::prove::prove_batch;
use kerros_setup::import::{Ceremony, ImportError};
use kerros_setup::ptau::Ptau;
use kerros_setup::zkey::Zkey;
use kerros_verifier::batch::verify_batch;
use kerros_verifier::snarkjs;
use rand::rngs::OsRng;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

fn quiet(_: &str) {}

fn bytes(files: &SetupFiles) -> [Vec<u8>; 3] {
    [&files.srs, &files.verification_key, &files.proving_key]
        .map(|path| fs::read(path).expect("written"))
}

#[test]
fn a_ceremony_is_imported_twice_to_the_same_bytes() {
    let Some(scene) = Scene::get() else { return };
    let (circuit, phase1, key) = (circuit(3), ptau(scene.phase1()), scene.key("ended.zkey"));
    let ceremony = Ceremony { circuit: &circuit, phase1: &phase1, key: &key, verified: true };
    let import = || {
        let dir = TempDir::new().expect("temporary directory");
        let files = ceremony.import(dir.path(), 2, 5, &quiet).expect("right");
        bytes(&files)
    };
    assert!(import() == import());
}

#[test]
fn only_an_ended_ceremony_that_was_verified_is_none_of_development() {
    let Some(scene) = Scene::get() else { return };
    let (circuit, phase1) = (circuit(3), ptau(scene.phase1()));
    let cases = [
        ("ended.zkey", true, false),
        ("ended.zkey", false, true),
        ("contributed.zkey", true, true),
        ("contributed.zkey", false, true),
    ];
    for (name, verified, development) in cases {
        let dir = TempDir::new().expect("temporary directory");
        let key = scene.key(name);
        let ceremony = Ceremony { circuit: &circuit, phase1: &phase1, key: &key, verified };
        let files = ceremony.import(dir.path(), 2, 3, &quiet).expect("right");
        let key = read_verification_key(&files.verification_key).expect("written");
        let srs = Srs::open(&files.srs).expect("written");
        assert_eq!((key.development, srs.header.development), (development, development));
        assert_eq!(srs.header.tau_powers, key.tau_powers);
    }
    // A beacon alone is nobody's secret.
    let mut key = scene.key("ended.zkey");
    key.contributions.remove(0);
    let ceremony = Ceremony { circuit: &circuit, phase1: &phase1, key: &key, verified: true };
    assert!(ceremony.is_development());
}

#[test]
fn keys_of_other_circuits_and_phases_are_not_imported() {
    let Some(scene) = Scene::get() else { return };
    let dir = TempDir::new().expect("temporary directory");
    let import = |circuit: &Compiled, phase1: &Ptau, key: &Zkey, k_max| {
        let ceremony = Ceremony { circuit, phase1, key, verified: true };
        let refused = ceremony.import(dir.path(), 2, k_max, &quiet).err().expect("refused");
        assert!(fs::read_dir(dir.path()).expect("there").next().is_none(), "wrote something");
        refused
    };
    let (circuit_, phase1, key) = (circuit(3), ptau(scene.phase1()), scene.key("ended.zkey"));
    let other = import(&circuit(4), &phase1, &key, 3);
    assert!(matches!(other, ImportError::OtherCircuit { what: "a coefficient" }), "{other}");
    let mut larger = circuit(3);
    larger.variables += 1;
    let other = import(&larger, &phase1, &key, 3);
    assert!(matches!(other, ImportError::OtherCircuit { what: "the number of variables" }));
    let mut larger = circuit(3);
    larger.constraints.extend(circuit(3).constraints);
    let other = import(&larger, &phase1, &key, 3);
    assert!(matches!(other, ImportError::OtherCircuit { what: "the domain" }));
    let second = fs::read(powers_of_tau(POWER, SEEDS[1])).expect("snarkjs made it");
    let other = import(&circuit_, &ptau(second), &key, 3);
    assert!(matches!(other, ImportError::OtherPhase1 { what: "alpha" }));
    let small = import(&circuit_, &phase1, &key, 6);
    assert!(matches!(small, ImportError::TooSmall { k_max: 6, need: 7, have: 6 }));
    let small = import(&circuit_, &phase1, &key, 1);
    assert!(matches!(small, ImportError::Setup(SetupError::LedgerSize { .. })));

    let empty = import(&circuit_, &phase1, &scene.key("initial.zkey"), 3);
    assert_eq!(empty.to_string(), "delta is gamma: nobody contributed");
    let mut changed = scene.key("ended.zkey");
    changed.gamma2 = changed.delta2;
    let refused = import(&circuit_, &phase1, &changed, 3);
    assert_eq!(refused.to_string(), "gamma is not 1");
    let mut changed = scene.key("ended.zkey");
    changed.delta2 = -G2Affine::generator();
    let refused = import(&circuit_, &phase1, &changed, 3);
    assert_eq!(refused.to_string(), "delta is minus gamma");
    let mut changed = scene.key("ended.zkey");
    changed.delta1 = -changed.delta1;
    let refused = import(&circuit_, &phase1, &changed, 3);
    assert_eq!(refused.to_string(), "delta is not the same in both groups");
}

/// A batch that opens an account and deposits to it.
fn deposited(lagrange: &[ark_bn254::G1Affine], k: u8) -> (Ledger, SealedBatch) {
    let before = Ledger::new(k);
    let mut after = before.clone();
    let index = AccountIndex::new(1).expect("in range");
    let asset = AssetId::new(1).expect("not 0");
    let owner = Address([7; 20]);
    let key = PrivateKey::from_bytes([1; 32]).public_key().account_key().expect("not 0");
    let open = OpenRecord { index, asset, owner, key };
    transition::open(&mut after, &open).expect("open");
    let deposit = DepositRecord { index, amount: 10_000, asset, key, owner };
    transition::deposit(&mut after, &deposit).expect("deposit");
    let data = BatchData { opens: vec![open], deposits: vec![deposit], ..BatchData::default() };
    let batch = SealedBatch {
        number: 1,
        k,
        before_growth: None,
        old: Commitments::empty(),
        new: after.commit(lagrange),
        first: 0,
        end: data.queue_entries(),
        beneficiary: Address([0xbe; 20]),
        data,
        transfers: Vec::new(),
        exits: Vec::new(),
    };
    (before, batch)
}

#[test]
fn a_batch_is_proved_with_a_key_of_a_ceremony_that_snarkjs_held() {
    let Some(_) = scripts() else { return };
    // The smallest domain of a batch's circuit: 2^13.
    let circuit = Compiled::new(&Shape::new([1, 1, 0, 1, 1]).expect("a shape"));
    assert_eq!(circuit.domain_size(), 1 << 13);
    let dir = TempDir::new().expect("temporary directory");
    let path = dir.path().join("known.ptau");
    let secrets = std::array::from_fn(|_| Fr::rand(&mut OsRng));
    fs::write(&path, phase1(14, secrets)).expect("written");
    ceremony(dir.path(), &circuit, &path);
    let phase1 = Ptau::open(&path).expect("made here");
    phase1.verify(&mut OsRng, &quiet).expect("made here");
    let initial = Zkey::initial(&circuit.constraints, circuit.variables, &phase1, &quiet);
    let mut ours = Vec::new();
    initial.expect("large enough").write(&mut ours).expect("a vector takes everything");
    assert!(ours == fs::read(dir.path().join("initial.zkey")).expect("snarkjs made it"));

    let key = Zkey::open(&dir.path().join("ended.zkey")).expect("snarkjs made it");
    let imported = dir.path().join("keys");
    Ceremony { circuit: &circuit, phase1: &phase1, key: &key, verified: true }
        .import(&imported, 4, 6, &quiet)
        .expect("right");
    let keys = ProverKeys::load(&imported).expect("written");
    assert!(!keys.verification.development);
    let domain = Fr::from(4242u64);
    let lagrange = keys.lagrange(4).expect("size");
    let (before, batch) = deposited(&lagrange, 4);
    let proof = prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable").proof;
    let statement = statement(&keys.verification, domain, &batch);
    let verified = verify_batch(&keys.verification, &statement, &batch.data, &proof);
    assert!(verified.is_ok(), "{verified:?}");

    let challenges = Challenges::draw(&statement, &proof.h, &proof.q);
    let y = evaluate(&batch.data.elements(&keys.verification.shape), challenges.z);
    let mut inputs = public_inputs(&statement, &challenges, y, &proof);
    let write = |name: &str, value: Value| {
        fs::write(dir.path().join(name), value.to_string()).expect("written");
    };
    write("verification_key.json", snarkjs::verification_key(&keys.verification));
    write("proof.json", snarkjs::proof(&proof.groth16));
    write("public.json", snarkjs::public_inputs(&inputs));
    assert_eq!(script(&["verify-proof.mjs", text(dir.path())]), "true");
    inputs[0] += Fr::from(1u64);
    write("public.json", snarkjs::public_inputs(&inputs));
    assert_eq!(script(&["verify-proof.mjs", text(dir.path())]), "false");
}

#[test]
fn snarkjs_exports_the_key_that_is_imported() {
    let Some(scene) = Scene::get() else { return };
    let path = scene.path("exported.json");
    let ended = scene.path("ended.zkey");
    crate::snarkjs::snarkjs(&["zkey", "export", "verificationkey", text(&ended), text(&path)]);
    let exported: Value = serde_json::from_slice(&fs::read(path).expect("exported")).expect("JSON");
    let read = snarkjs::Groth16Key::read(&exported).expect("snarkjs made it");
    let (circuit, phase1, key) = (circuit(3), ptau(scene.phase1()), scene.key("ended.zkey"));
    let dir = TempDir::new().expect("temporary directory");
    let files = Ceremony { circuit: &circuit, phase1: &phase1, key: &key, verified: false }
        .import(dir.path(), 2, 3, &quiet)
        .expect("right");
    let imported = read_verification_key(&files.verification_key).expect("written");
    let srs = Srs::open(&files.srs).expect("written");
    assert_eq!(read.clone().with(circuit.shape, &srs.header), imported);
    let mut ours = snarkjs::verification_key(&imported);
    ours["vk_alphabeta_12"] = exported["vk_alphabeta_12"].clone();
    assert_eq!(ours, exported);
    ours["vk_alphabeta_12"][1][2][0] = Value::from("1");
    assert!(snarkjs::Groth16Key::read(&ours).is_err());
}
