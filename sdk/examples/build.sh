#!/usr/bin/env bash
# Builds the example canisters from source.
#   build.sh            rebuild prebuilt/ and record the compilers in prebuilt/VERSIONS
#   build.sh DIR        build into DIR (wasm, did, VERSIONS), leave prebuilt/ alone
# Needs a Rust compiler for wasm32-unknown-unknown, or Debian's rustc-web cargo-web rust-web-src lld-22; node and npm for Motoko.
# Nothing of this machine's paths gets into a module: the same compilers give the same bytes anywhere.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/prebuilt}
mkdir -p "$out"
out=$(cd "$out" && pwd)
target=${MAINS_EXAMPLES_TARGET:-${TMPDIR:-/tmp}/mains-examples-target}
triple=wasm32-unknown-unknown

# Which Rust: the web toolchain (builds std from source, the one recorded), else whatever has the target installed.
if [[ -x /usr/bin/rustc && -e /usr/lib/rustlib/src/rust/library/Cargo.lock && -n $(command -v wasm-ld-22 || true) ]]; then
  cargo=/usr/bin/cargo rustc=/usr/bin/rustc linker=wasm-ld-22
  build_std=(-Zbuild-std=std,panic_abort)
  export RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
elif rustc --print sysroot >/dev/null 2>&1 && [[ -d $(rustc --print sysroot)/lib/rustlib/$triple ]]; then
  cargo=cargo rustc=rustc linker=rust-lld
  build_std=()
else
  echo "no Rust compiler for $triple: run 'rustup target add $triple' or 'apt-get install rustc-web cargo-web rust-web-src lld-22'" >&2
  exit 3
fi
rust_version="$("$rustc" --version) linked by $( ("$linker" --version 2>/dev/null || echo "$linker of the toolchain") | head -1)"

cargo_home=${CARGO_HOME:-$HOME/.cargo}
flags=(--remap-path-prefix="$here"=examples --remap-path-prefix="$("$rustc" --print sysroot)/lib/rustlib/src/rust"=rust)
# Fetch first: the folder of sources must exist when the flags are made.
(cd "$here" && RUSTC=$rustc "$cargo" fetch --locked --quiet)
for registry in "$cargo_home"/registry/src/*/; do
  flags+=(--remap-path-prefix="${registry%/}"=registry)
done
build() {
  (
    cd "$here"
    env -u RUSTFLAGS RUSTC="$rustc" CARGO_TARGET_DIR="$target" CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f'; echo "${flags[*]}")" \
      nice "$cargo" build --release --locked --quiet "$@"
  )
}
# Packages that are built together share the features of what they depend on, so a group's bytes do not change with another's.
for group in "counter-rust probe-rust" "idioms-rust issuer-rust" "assets-rust"; do
  # shellcheck disable=SC2046,SC2086  # one argument for each package of the group
  build --target "$triple" "${build_std[@]}" $(printf -- '-p %s ' $group)
done
modules=()
for name in assets counter idioms issuer probe; do
  cp "$target/$triple/release/${name}_rust.wasm" "$out/$name-rust.wasm"
  cp "$here/$name.did" "$out/$name-rust.did"
  modules+=("$name-rust.wasm")
done
# The scripted canister needs no std, so that it can be built for 64-bit memory too; only the web toolchain's sources allow that.
if [[ ${#build_std[@]} -gt 0 ]]; then
  for bits in 32 64; do
    export "CARGO_TARGET_WASM${bits}_UNKNOWN_UNKNOWN_LINKER=$linker"
    build --target "wasm$bits-unknown-unknown" -Zbuild-std=core,alloc,panic_abort -p scripted-rust
    cp "$target/wasm$bits-unknown-unknown/release/scripted_rust.wasm" "$out/scripted${bits/32/}-rust.wasm"
  done
elif [[ $out != "$here/prebuilt" ]]; then
  echo "the scripted canister is not rebuilt: that needs rust-web-src" >&2
  cp "$here"/prebuilt/scripted*-rust.wasm "$out"
fi
modules+=(scripted-rust.wasm scripted64-rust.wasm)

for name in counter idioms; do
  (cd "$here/$name-motoko" && npm ci --ignore-scripts --silent >&2)
  node "$here/$name-motoko/build.mjs" "$out/$name-motoko.wasm" "$out/$name-motoko.did"
  modules+=("$name-motoko.wasm")
done
motoko_version=$(node -p "require('$here/counter-motoko/node_modules/motoko/package.json').version")

{
  echo "# Compilers of the modules beside this file, and the modules' SHA-256. Written by ../build.sh."
  echo "rust $rust_version"
  echo "motoko npm $motoko_version"
  (cd "$out" && sha256sum "${modules[@]}")
} >"$out/VERSIONS"
chmod 644 "$out"/*.wasm "$out"/*.did "$out/VERSIONS"
echo "built into $out:"
(cd "$out" && wc -c -- *.wasm)
