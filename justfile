# Short names for what README and `.ci/run` do.

# Everything CI does
ci:
    bash .ci/run

# The main job
demo:
    cargo run --release --bin kerros -- demo

# All tests
test:
    cargo test --release --workspace

# Recompile the contract and refresh the committed artifact
contract:
    cd verifier/contracts && npm ci && node build.mjs
