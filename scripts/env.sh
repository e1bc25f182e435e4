# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Sourced by every script here: where things are, how to speak, and which compiler makes arm64 programs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
scripts=$root/scripts
cache=${MINIVMM_CACHE:-$root/.cache}
target=aarch64-unknown-linux-gnu
machine=$(uname -m)
# Built for another machine by another compiler than plain `cargo build`: a folder of its own keeps the two from waiting for each other.
cross_target_dir=${CARGO_TARGET_DIR:-$root/target}/arm64
: "${MINIVMM_GUESTS:=$cache/guests}"
export MINIVMM_GUESTS

# Standard output belongs to the program that a script runs, so scripts speak on standard error.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

is_arm64() { [[ $machine == aarch64 || $machine == arm64 ]]; }

# Whether the user's own Rust can compile for arm64 Linux. Debian's compiler does otherwise.
own_rust_has_target() {
    is_arm64 || compgen -G "$(rustc --print target-libdir --target "$target" 2>/dev/null)/libstd-*.rlib" >/dev/null
}

# Makes cargo build static arm64 programs, which run in the emulated host whatever it contains.
use_arm64_toolchain() {
    export CARGO_TARGET_DIR=$cross_target_dir
    export RUSTFLAGS="${RUSTFLAGS-} -C target-feature=+crt-static"
    is_arm64 && return
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$cache/bin/aarch64-linux-gnu-gcc
    own_rust_has_target || export RUSTC=$cache/bin/rustc
}
