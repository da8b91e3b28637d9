# The daily commands. `just` alone lists them.

_default:
    @just --list --unsorted

# Format, lints, licences and unused dependencies: what a commit must pass.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo test --locked -p logystera-tidy
    @if command -v cargo-deny >/dev/null; then cargo deny --locked check; else echo "cargo-deny is not installed: advisories are not checked (licences are, by logystera-tidy)"; fi
    @if command -v cargo-machete >/dev/null; then cargo machete; else echo "cargo-machete is not installed: unused dependencies are not checked"; fi

# The quick suite; `just test all` runs everything.
test *STEPS:
    tests/run {{ STEPS }}

# Everything in one process; `just up --demo` plays the whole story.
up *ARGS:
    cargo run --release -- up {{ ARGS }}

# Random seeds of the simulator: `just sim --seeds 100000`, `just sim --seed 42 --trace`, `just sim --outages`.
sim *ARGS:
    cargo run --release -q -p logystera-sim --bin sim -- {{ ARGS }}

# Plants each bug, or those named, and demands that the simulator finds it.
bugs *NAMES:
    tests/sim/bugs.sh {{ NAMES }}

# Twenty rounds of killed and stopped processes and servers, under load, on a real Kafka and Cassandra.
chaos ROUNDS="20":
    LOGYSTERA_TEST_ROUNDS={{ ROUNDS }} tests/run services

# Engine and gateway beside the peers' figures.
bench *ARGS:
    bench/run {{ ARGS }}
