#!/usr/bin/env bash
# Fuzzes the reading of SQL: FUZZ_SECONDS (300) for each target. What it finds lies in fuzz/artifacts; a new corpus
# is kept small in fuzz/corpus, which `make test` replays.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.1
tool=.tools/bin/cargo-fuzz
if ! "$tool" --version 2>/dev/null | grep -qF "$version"; then
  cargo install cargo-fuzz --version "$version" --locked --root .tools
fi
# The sanitizer's flags belong to nightly compilers; this lets the stable one have them.
export RUSTC_BOOTSTRAP=1
for target in meaning edit; do
  "$tool" run "$target" -- -max_total_time="${FUZZ_SECONDS:-300}" -timeout=20 -rss_limit_mb=4096 -max_len=4096
done
for target in meaning edit; do
  "$tool" cmin "$target"
done
