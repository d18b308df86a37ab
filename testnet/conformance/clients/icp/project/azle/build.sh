#!/usr/bin/env bash
# Compiles index.ts without touching the network: build.sh OUT.wasm
# Azle puts the program into a canister that its package carries. Built again only when the program changed.
set -euo pipefail
cd "$(dirname "$0")"
if [[ ! .azle/names/names.wasm -nt index.ts ]]; then
  CANISTER_CANDID_PATH=$PWD/.azle/names.did npx azle build names >&2
fi
cp .azle/names/names.wasm "$1"
