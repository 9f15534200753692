#!/bin/sh
# Builds the programs of the last commit twice and compares them to the octet: once in a checkout with the crates of the
# registry, once from the archives of a release with the crates in it, in another place, with another home directory, locale
# and umask, one crate after the other. `make reproducible`; some minutes.
set -eu
cd "$(dirname "$0")/../.."
work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/reproducible
rm -rf "$work"
mkdir -p "$work/here" "$work/at/some/other/place" "$work/home"

git archive HEAD | tar -C "$work/here" -xf -
packaging/dist.sh "$work/dist"
for archive in "$work"/dist/*.tar.gz; do
    tar -C "$work/at/some/other/place" -xf "$archive"
done
other=$(echo "$work"/at/some/other/place/qmail-remote-*)
mv "$work/at/some/other/place/vendor" "$other"

# The compiler stays the same: rustup finds it by its own home.
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
export RUSTUP_HOME
unset CARGO_TARGET_DIR
make -C "$work/here"
(umask 077 && HOME=$work/home CARGO_HOME=$work/home/cargo LC_ALL=C.UTF-8 TZ=Asia/Tokyo CARGO_BUILD_JOBS=1 make -C "$other")

cd "$work/here/target/release"
sha256sum qmail-remote qmail-remote-check
for program in qmail-remote qmail-remote-check; do
    cmp "$program" "$other/target/release/$program"
done
rm -rf "$work"
