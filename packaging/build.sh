#!/bin/sh
# build.sh ARGUMENT...: `cargo build --release --locked ARGUMENT...`, so that the same source gives the same octets
# wherever it lies and wherever its crates come from: a registry, or vendor/ of `make dist`, when no network is asked.
# The places are in a program by the names of source files that panics print; fixed names stand there instead.
# RUSTFLAGS, when set, is taken in place of all this, as cargo does. tests/audit/reproducible.sh compares.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd -P)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

if [ -d vendor ]; then
    set -- "$@" --offline --config 'source.crates-io.replace-with="vendored"' --config 'source.vendored.directory="vendor"'
    crates=$here/vendor
else
    # Fetches what is not there yet, and says where it is.
    crates=$("${CARGO:-cargo}" metadata --locked --format-version 1 |
        sed 's/.*"manifest_path":"\([^"]*\)\/libc-[0-9.]*\/Cargo.toml".*/\1/')
fi

# The last that fits counts.
exec "${CARGO:-cargo}" build --release --locked --config "build.rustflags=[
    '--remap-path-prefix=$here=/source', '--remap-path-prefix=$target=/target', '--remap-path-prefix=$crates=/crates']" "$@"
