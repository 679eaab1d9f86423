#!/usr/bin/env bash
# Measures a release build; arguments go to the benchmark, e.g. `scripts/bench.sh overhead`.
set -euo pipefail
cd "$(dirname "$0")/.."

features=()
if [ -n "${FEATURES:-}" ]; then
  features=(--features "$FEATURES")
fi
cargo build --release --locked "${features[@]}" --bin siding --example bench
exec cargo run --release --locked "${features[@]}" --example bench -- "$@"
