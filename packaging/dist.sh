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
made=$(git log -1 --format=%ct HEAD)
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

# What the two programs are built from, with the checksums of Cargo.lock.
{
    cat <<HEAD
SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentName: $name
DocumentNamespace: urn:qmail-remote:$version:$(git rev-parse HEAD)
Creator: Tool: packaging/dist.sh
Created: $(date -u -d "@$made" +%Y-%m-%dT%H:%M:%SZ)
Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-qmail-remote-$version

PackageName: OpenSSL
SPDXID: SPDXRef-OpenSSL
PackageComment: <text>The system's, linked dynamically; its version is the system's.</text>
PackageDownloadLocation: NOASSERTION
FilesAnalyzed: false
PackageLicenseConcluded: NOASSERTION
PackageLicenseDeclared: NOASSERTION
PackageCopyrightText: NOASSERTION
Relationship: SPDXRef-qmail-remote-$version DYNAMIC_LINK SPDXRef-OpenSSL
HEAD
    cargo tree --offline --locked --package qmail-remote --edges normal --target x86_64-unknown-linux-gnu \
        --prefix none --no-dedupe --format '{p}|{l}' | sort -u | awk -F '|' -v program="qmail-remote-$version" '
        FILENAME != "-" {
            split($0, line, "\"")
            if ($0 ~ /^name = /) name = line[2]
            if ($0 ~ /^version = /) version = line[2]
            if ($0 ~ /^checksum = /) checksum[name " " version] = line[2]
            next
        }
        {
            split($1, part, " ")
            name = part[1]; version = substr(part[2], 2); id = name "-" version
            gsub("_", "-", id)
            if (seen[id]++) next
            licence = $2 == "" ? "NOASSERTION" : $2
            gsub(/ *\/ */, " OR ", licence)
            print "\nPackageName: " name "\nSPDXID: SPDXRef-" id "\nPackageVersion: " version
            print "PackageDownloadLocation: NOASSERTION\nFilesAnalyzed: false"
            print "PackageLicenseConcluded: NOASSERTION\nPackageLicenseDeclared: " licence
            print "PackageCopyrightText: NOASSERTION"
            if ((name " " version) in checksum) {
                print "PackageChecksum: SHA256: " checksum[name " " version]
                print "ExternalRef: PACKAGE-MANAGER purl pkg:cargo/" name "@" version
            }
            if (id != program) print "Relationship: SPDXRef-" program " CONTAINS SPDXRef-" id
        }' Cargo.lock -
} >"$dist/$name.spdx"

rm -rf "$work"
cd "$dist"
sha256sum -- * >SHA256SUMS
