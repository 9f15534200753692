#!/bin/sh
# Makes a release of the last commit in target/dist: the source, the crates that it is built with, the spec file for RPM,
# what the program is made of (SPDX), and checksums. The same commit gives the same octets. Crates that cargo has not
# fetched yet need a network.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC
umask 022

version=$(packaging/version.sh)
git diff --quiet HEAD || echo "uncommitted changes are not in it" >&2
name=qmail-remote-$version
dist=$(realpath -m "${1:-${CARGO_TARGET_DIR:-target}/dist}")
work=$dist/work
rm -rf "$dist"
mkdir -p "$work"

git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$dist/$name.tar.gz"

# From the archive, so that nothing else of this directory counts.
tar -C "$work" -xf "$dist/$name.tar.gz"
sed "s/@VERSION@/$version/" "$work/$name/packaging/rpm/qmail-remote.spec.in" >"$dist/qmail-remote.spec"
cargo vendor --quiet --locked --versioned-dirs --manifest-path "$work/$name/Cargo.toml" "$work/vendor" >"$work/settings"
# Crates do not change with the commit: with the same times cargo does not build them again.
tar -C "$work" --sort=name --mtime=2000-01-01 --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w -cf - vendor |
    gzip -6n >"$dist/$name-vendor.tar.gz"

packaging/sbom.sh "$version" "$(git rev-parse HEAD)" "$(git log -1 --format=%ct HEAD)" >"$dist/$name.spdx"

rm -rf "$work"
cd "$dist"
sha256sum -- * >SHA256SUMS
