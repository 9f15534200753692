#!/bin/sh
# Builds the Debian package from what packaging/dist.sh made, without a network, into target/package. Cargo builds in this
# checkout's own target directory: the crates of a release build that was there are used again.
set -eu
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/package
version=$(packaging/version.sh)
rm -rf "$work/deb"
mkdir -p "$work/deb"
cd "$work/deb"
ln -s "$target/dist/qmail-remote-$version.tar.gz" "qmail-remote_$version.orig.tar.gz"
ln -s "$target/dist/qmail-remote-$version-vendor.tar.gz" "qmail-remote_$version.orig-vendor.tar.gz"
tar -xf "qmail-remote_$version.orig.tar.gz"
cd "qmail-remote-$version"
tar -xf "../qmail-remote_$version.orig-vendor.tar.gz"
cp -R packaging/debian debian
# The time is that of the commit, which the archive's files have.
cat >debian/changelog <<CHANGELOG
qmail-remote ($version-1) unstable; urgency=medium

  * Version $version: CHANGELOG.md says what is new.

 -- qmail-remote developers <qmail-remote@localhost>  $(LC_ALL=C date -u -R -r Cargo.toml)
CHANGELOG

# As root a network can be taken away; with vendored crates cargo is told to use none either way.
alone=
! unshare --net true 2>/dev/null || alone="unshare --net"
# -d: dpkg does not know a Rust compiler that it has not installed.
# shellcheck disable=SC2086
CARGO_TARGET_DIR=$target $alone dpkg-buildpackage --build=binary --no-sign --no-check-builddeps >../log 2>&1 ||
    { cat ../log; exit 1; }
cd ..
rm -rf "qmail-remote-$version"
ls -l -- *.deb
