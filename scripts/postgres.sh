#!/usr/bin/env bash
# Makes sure that there is an `initdb` and a `postgres` for the tests, which start servers of their own and stop them.
# Nothing to do where PostgreSQL 13 to 17 is installed. Otherwise Debian's or Ubuntu's package, as apt has verified it, is
# unpacked into .postgres: nothing is installed on the machine, and no server is started.
set -euo pipefail
cd "$(dirname "$0")/.."

works() {
  [ -x "$1/initdb" ] && [ -x "$1/postgres" ] && LD_LIBRARY_PATH="${2:-}" "$1/postgres" --version >/dev/null 2>&1
}

IFS=: read -ra folders <<<"${SIDING_TEST_POSTGRES_BIN:-}:$PATH"
for folder in "${folders[@]}" /usr/lib/postgresql/*/bin; do
  if [ -n "$folder" ] && works "$folder"; then exit 0; fi
done
libraries="$PWD/.postgres/lib"
for folder in .postgres/usr/lib/postgresql/*/bin; do
  if works "$folder" "$libraries"; then exit 0; fi
done

how() {
  echo "postgres: $1" >&2
  echo "postgres: install PostgreSQL 13 to 17 (its server package), or name the folder with its \`initdb\` and \`postgres\`:" >&2
  echo "postgres:   SIDING_TEST_POSTGRES_BIN=/path/to/bin make test" >&2
  exit 1
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || how "there is no PostgreSQL on this machine, and no apt."
for version in 17 16 15 14 13; do
  if apt-cache show "postgresql-$version" >/dev/null 2>&1; then break; fi
  version=""
done
[ -n "$version" ] || how "apt knows no package postgresql-13 to -17; perhaps \`apt-get update\` helps."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "postgres: fetching postgresql-$version and libpq5 (about 17 MB)" >&2
chmod 755 "$work"
(cd "$work" && apt-get -qq download "postgresql-$version" libpq5) || how "apt could not fetch the packages; perhaps \`apt-get update\` helps."
rm -rf .postgres
mkdir .postgres
for package in "$work"/*.deb; do dpkg-deb -x "$package" .postgres; done
mkdir -p "$libraries"
cp -P .postgres/usr/lib/*-linux-gnu*/libpq.so.* "$libraries"
works ".postgres/usr/lib/postgresql/$version/bin" "$libraries" \
  || how "the unpacked server lacks libraries: $(LD_LIBRARY_PATH=$libraries ldd ".postgres/usr/lib/postgresql/$version/bin/postgres" | awk '/not found/ {print $1}' | xargs)."
