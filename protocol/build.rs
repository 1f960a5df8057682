//! Generates the gRPC types and services from `proto/`, without protoc.

use protox::prost::Message;
use std::path::PathBuf;

const FILES: [&str; 3] =
    ["kerros/v1/common.proto", "kerros/v1/sequencer.proto", "kerros/v1/prover.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("kerros.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
