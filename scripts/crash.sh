#!/usr/bin/env bash
# Kills commands at random moments, on both engines, and compares with a project where nobody was ever killed; then lets
# processes meet. SIDING_CRASH_KILLS says how many kills for each engine (200), SIDING_CRASH_ROUNDS how often each pair of
# commands meets on PostgreSQL (100), SIDING_CRASH_SEED where to begin. A failure prints the seed of its script, which alone
# is told again by SIDING_CRASH_KILLS=20 SIDING_CRASH_SEED=<seed>, and the delays differ each time.
set -euo pipefail
cd "$(dirname "$0")/.."

features=()
if [ -n "${FEATURES:-}" ]; then
  features=(--features "$FEATURES")
fi
exec cargo test --locked "${features[@]}" --test crash -- --ignored --nocapture "$@"
