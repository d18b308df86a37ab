#!/usr/bin/env bash
# `icp` 1.5.0, unmodified, judges a Mains network: judge.sh MAINS_BINARY
# First with the binary as its network launcher, then against a test network that runs already. Needs the npm packages of
# the package.json beside it (npm ci --ignore-scripts), node, and no network beyond loopback.
# MAINS_ICP_MODULE names a Rust counter (default: the shipped one); MAINS_ICP_KEEP=1 keeps the scratch directory.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mains=$(realpath "${1:?usage: judge.sh MAINS_BINARY}")
module=$(realpath "${MAINS_ICP_MODULE:-$here/../../../../sdk/examples/prebuilt/counter-rust.wasm}")
icp() { "$here/node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp" "$@"; }
[[ -e $here/node_modules/@icp-sdk ]] || { echo "run 'npm ci --ignore-scripts' in $here first" >&2; exit 2; }

scratch=$(mktemp -d)
export HOME=$scratch/user ICP_HOME=$scratch/icp MAINS_HOME=$scratch/mains
export DO_NOT_TRACK=1 ICP_TELEMETRY_DISABLED=1 NO_COLOR=1 CI=true
export ICP_CLI_NETWORK_LAUNCHER_PATH=$mains
project=$scratch/project
mkdir -p "$HOME" "$ICP_HOME" "$MAINS_HOME"
cp -r "$here/project" "$project"
ln -s "$here/node_modules" "$project/node_modules"
cp "$module" "$project/rust.wasm"
cd "$project"

finish() {
  local code=$?
  icp network stop >/dev/null 2>&1 || true
  "$mains" -q testnet stop >/dev/null 2>&1 || true
  if ((code)); then
    echo "FAILED after: $step" >&2
    tail -n 30 "$project"/.icp/cache/networks/local/network-launcher/stderr.log "$scratch/last" 2>/dev/null >&2 || true
  fi
  if [[ ${MAINS_ICP_KEEP:-} ]]; then echo "kept $scratch"; else rm -rf "$scratch"; fi
  exit "$code"
}
trap finish EXIT
step=nothing began=$SECONDS

# says WHAT PATTERN COMMAND..: the command succeeds and prints the pattern.
says() {
  step=$1
  local pattern=$2 code=0
  shift 2
  "$@" >"$scratch/last" 2>&1 || code=$?
  ((code == 0)) || { echo "exit code $code where success was expected: $*" >&2; exit 1; }
  # Some commands say nothing when they are done.
  [[ $pattern == '.*' ]] || grep -qE -- "$pattern" "$scratch/last" || { echo "'$pattern' is not in the answer to: $*" >&2; exit 1; }
  echo "ok $((SECONDS - began)) s  $step"
}
# refuses WHAT PATTERN COMMAND..: the command fails and prints the pattern.
refuses() {
  step=$1
  local pattern=$2
  shift 2
  ! "$@" >"$scratch/last" 2>&1 || { echo "success where a refusal was expected: $*" >&2; exit 1; }
  grep -qE -- "$pattern" "$scratch/last" || { echo "'$pattern' is not in the answer to: $*" >&2; exit 1; }
  echo "ok $((SECONDS - began)) s  $step"
}

# Everything a person does with canisters, in environment $1; the options after it name the network for commands without one.
use() {
  local on=(-e "$1")
  sed -i 's/"two"/"one"/' motoko/Actor.mo
  says "$1: deploy Rust, Motoko and Azle" 'Deployed|rust' icp deploy "${on[@]}" --yes
  says "$1: Rust: update" '\(1 : nat\)' icp canister call rust inc '()' "${on[@]}"
  says "$1: Rust: query" '\(1 : nat\)' icp canister call rust get '()' --query "${on[@]}"
  says "$1: Rust: the caller is the identity" "$(icp identity principal)" icp canister call rust whoami '()' --query "${on[@]}"
  refuses "$1: Rust: a trap is an error" 'trap' icp canister call rust trap_after_write '()' "${on[@]}"
  says "$1: Rust: a trap changed nothing" '\(1 : nat\)' icp canister call rust get '()' --query "${on[@]}"
  says "$1: Motoko: update" '\(1 : nat\)' icp canister call motoko note '("first")' "${on[@]}"
  says "$1: Motoko: environment variables of icp.yaml" 'green' icp canister call motoko colour '()' "${on[@]}"
  says "$1: Motoko: its version" 'one' icp canister call motoko version '()' --query "${on[@]}"
  says "$1: Motoko: its log" 'noted first' icp canister logs motoko "${on[@]}"
  refuses "$1: Motoko: a trap" 'failed as asked' icp canister call motoko fail '()' "${on[@]}"
  says "$1: Motoko: the trap is in its log" 'failed as asked' icp canister logs motoko "${on[@]}"
  says "$1: Azle: update" '\(1 : nat64\)' icp canister call azle put '("Ada", "Lovelace")' "${on[@]}"
  says "$1: Azle: query" 'Lovelace' icp canister call azle get '("Ada")' --query "${on[@]}"
  says "$1: status" 'Running' icp canister status motoko "${on[@]}"
  says "$1: metadata" 'service' icp canister metadata motoko candid:service "${on[@]}"
  says "$1: list" 'azle' icp canister list "${on[@]}"

  sed -i 's/"one"/"two"/' motoko/Actor.mo
  says "$1: deploy again" 'rust|Deployed' icp deploy "${on[@]}" --yes
  says "$1: Motoko: the new program runs" 'two' icp canister call motoko version '()' --query "${on[@]}"
  says "$1: Motoko: its heap is kept" '\(1 : nat\)' icp canister call motoko count '()' --query "${on[@]}"
  says "$1: Azle: stable memory is kept" 'Lovelace' icp canister call azle get '("Ada")' --query "${on[@]}"
  says "$1: Rust: stable memory is kept" '\(1 : nat\)' icp canister call rust get '()' --query "${on[@]}"

  money "$1"
  snapshots "$1"
  settings "$1"
}

# Cycles as a number: balance_of ENVIRONMENT CANISTER
balance_of() {
  icp canister status "$2" -e "$1" --json 2>/dev/null | node -e '
    const cycles = JSON.parse(require("fs").readFileSync(0)).cycles;
    console.log(String(cycles).replaceAll(/[_,]/g, ""));'
}

money() {
  local on=(-e "$1") before after friend
  says "$1: cycles balance" '[0-9]' icp cycles balance "${on[@]}"
  before=$(balance_of "$1" rust)
  says "$1: top-up" '.' icp canister top-up rust --amount 2t "${on[@]}"
  after=$(balance_of "$1" rust)
  ((after > before + 1990000000000)) || { echo "$before cycles before the top-up, $after after" >&2; exit 1; }
  friend=$(icp identity principal --identity friend)
  says "$1: cycles transfer" '.' icp cycles transfer 1_500_000m "$friend" "${on[@]}"
  says "$1: it arrived" '1.5|1_500|1,500' icp cycles balance --identity friend "${on[@]}"
  says "$1: icp balance" '[0-9]' icp token balance "${on[@]}"
  says "$1: icp transfer" '.' icp token transfer 1.25 "$friend" "${on[@]}"
  says "$1: it arrived" '1\.25' icp token balance --identity friend "${on[@]}"
  says "$1: ICP buys cycles on test networks" 'Minted' icp cycles mint --icp 1 "${on[@]}"
}

snapshots() {
  local on=(-e "$1") id copy=$scratch/snapshot-$1
  says "$1: stop" '.*' icp canister stop motoko "${on[@]}"
  says "$1: a stopped canister says so" 'Stopped' icp canister status motoko "${on[@]}"
  refuses "$1: and answers nothing" 'stopped' icp canister call motoko note '("no")' "${on[@]}"
  says "$1: snapshot create" '.' icp canister snapshot create motoko --quiet "${on[@]}"
  id=$(grep -oE '[0-9a-f]{30,}' "$scratch/last" | tail -n 1)
  says "$1: snapshot list" "$id" icp canister snapshot list motoko "${on[@]}"
  says "$1: snapshot download" '.*' icp canister snapshot download motoko "$id" --output "$copy" "${on[@]}"
  says "$1: start" '.*' icp canister start motoko "${on[@]}"
  says "$1: another note" '\(2 : nat\)' icp canister call motoko note '("second")' "${on[@]}"
  icp canister stop motoko "${on[@]}" >/dev/null 2>&1
  says "$1: snapshot restore" '.*' icp canister snapshot restore motoko "$id" "${on[@]}"
  icp canister start motoko "${on[@]}" >/dev/null 2>&1
  says "$1: it is as it was" '\(1 : nat\)' icp canister call motoko count '()' --query "${on[@]}"
  says "$1: snapshot delete" '.*' icp canister snapshot delete motoko "$id" "${on[@]}"
  says "$1: snapshot upload" '.' icp canister snapshot upload motoko --input "$copy" --quiet "${on[@]}"
  id=$(grep -oE '[0-9a-f]{30,}' "$scratch/last" | tail -n 1)
  icp canister call motoko note '("third")' "${on[@]}" >/dev/null 2>&1
  icp canister stop motoko "${on[@]}" >/dev/null 2>&1
  says "$1: restore what was uploaded" '.*' icp canister snapshot restore motoko "$id" "${on[@]}"
  icp canister start motoko "${on[@]}" >/dev/null 2>&1
  says "$1: it is as it was downloaded" '\(1 : nat\)' icp canister call motoko count '()' --query "${on[@]}"
}

settings() {
  local on=(-e "$1") friend
  friend=$(icp identity principal --identity friend)
  says "$1: settings update" '.*' icp canister settings update rust --force --freezing-threshold 40d --log-visibility public \
    --add-controller "$friend" "${on[@]}"
  says "$1: settings show" '3_?,?456_?,?000' icp canister settings show rust "${on[@]}"
  says "$1: the new controller may look" 'Running' icp canister status rust --identity friend "${on[@]}"
  says "$1: anybody may read a public log" '.*' icp canister logs rust --identity anonymous "${on[@]}"
  refuses "$1: nobody else may look" 'not allowed to read' icp canister logs motoko --identity anonymous "${on[@]}"
  says "$1: stop, to delete" '.*' icp canister stop rust "${on[@]}"
  says "$1: delete" '.*' icp canister delete rust "${on[@]}"
  refuses "$1: it is gone" '.' icp canister call rust get '()' --query "${on[@]}"
}

says "identities" '.*' icp identity new judge --storage plaintext
says "another one" '.*' icp identity new friend --storage plaintext
icp identity default judge >/dev/null 2>&1

says "network start -d: four replicas launched by icp" 'Network started on port' icp network start -d
says "network status" 'Root Key|root' icp network status
says "network ping" 'healthy' icp network ping --wait-healthy
use local
says "network stop" '.*' icp network stop
! pgrep -f "node up .*$project" >/dev/null || { echo "replicas outlive 'network stop'" >&2; exit 1; }
refuses "a stopped network is not there" '.' icp canister call motoko count '()' --query -e local

"$mains" testnet up --detach --port "${MAINS_ICP_PORT:-5450}" >"$scratch/last" 2>&1
sed -i "s|:4950|:${MAINS_ICP_PORT:-5450}|" icp.yaml
# What `network start` does for the networks that icp launches.
says "live: anonymous has play money: cycles" '.' icp cycles transfer 1000t "$(icp identity principal)" --identity anonymous -e live
says "live: and ICP" '.' icp token transfer 1000 "$(icp identity principal)" --identity anonymous -e live
use live
says "the network stops" '.*' "$mains" testnet stop
says "the network continues" 'serving' "$mains" testnet up --detach
says "nothing is lost" '\(1 : nat\)' icp canister call motoko count '()' --query -e live
says "a replica is killed" '.*' "$mains" testnet kill 3
says "it goes on" '\(2 : nat\)' icp canister call motoko note '("after")' -e live
echo "icp $(icp --version | cut -d' ' -f2) is content after $((SECONDS - began)) s"
