#!/usr/bin/env bash
# Fetches the prebuilt DuckDB library into .libduckdb and checks its integrity.
# Version and digest are pinned together: change both, and the `duckdb` crate in Cargo.toml, in one commit.
set -euo pipefail
cd "$(dirname "$0")/.."

package="@duckdb/node-bindings-linux-x64"
version="1.5.6-r.1"
sha512="IXcrZJE6kEqM0Z4wwdVnGBHX/frOS33VPNAwDXQ/Q+Fs84b058Qe94chrCCIcNJlG8Y3UHIUU4eBeCQxW5mN1Q=="

if [ "$(cat .libduckdb/version 2>/dev/null || true)" = "$version" ] && [ -s .libduckdb/libduckdb.so ]; then
  exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ] || ! command -v npm >/dev/null; then
  echo "libduckdb: no prebuilt library for this machine, or no npm." >&2
  echo "libduckdb: build with DuckDB compiled in instead (about 28 CPU minutes):" >&2
  echo "libduckdb:   make FEATURES=bundled-duckdb <target>" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "libduckdb: fetching $package@$version (about 25 MB)" >&2
(cd "$work" && npm pack --silent "$package@$version" >/dev/null)
archive=$(echo "$work"/*.tgz)
found=$(openssl dgst -sha512 -binary "$archive" | base64 -w0)
if [ "$found" != "$sha512" ]; then
  echo "libduckdb: integrity check failed: expected $sha512, found $found" >&2
  exit 1
fi
mkdir -p .libduckdb
tar -xzf "$archive" -C "$work" package/libduckdb.so package/LICENSE
mv "$work/package/libduckdb.so" "$work/package/LICENSE" .libduckdb/
echo "$version" > .libduckdb/version
