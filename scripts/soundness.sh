#!/usr/bin/env bash
# Looks for tables that a plan keeps wrongly: thousands of projects and edits, each executed in DuckDB.
# SOUNDNESS_CASES says how many (4000), SOUNDNESS_SEED where to begin; a failure prints the number of its case,
# which alone is run again by SOUNDNESS_CASES=1 SOUNDNESS_SEED=<number>. And for days that a restatement leaves stale.
set -euo pipefail
cd "$(dirname "$0")/.."

features=()
if [ -n "${FEATURES:-}" ]; then
  features=(--features "$FEATURES")
fi
# Optimised, but with the checks of a debug build: an overflow in the engine is a failure too. Of the crates below only
# the parser takes time, so the others stay as `cargo test` has built them.
exec cargo test --locked "${features[@]}" \
  --config 'profile.dev.opt-level=1' \
  --config 'profile.dev.package."*".opt-level=0' \
  --config 'profile.dev.package.sqlparser.opt-level=1' \
  --test soundness thousands_of -- --ignored --nocapture
