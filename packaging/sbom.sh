#!/bin/sh
# sbom.sh VERSION COMMIT SECONDS: what the programs are built from, as SPDX on standard output: every crate that is linked into
# one of them, with its licence and the checksum of Cargo.lock, and the system's OpenSSL. SECONDS is when the commit was
# made. tests/documents/dependencies.rs compares it with Cargo.lock.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC
version=$1
commit=$2
made=$3

# Before anything is written: a list without its crates would look like one.
crates=$(cargo tree --offline --locked --package qmail-remote --edges normal --target x86_64-unknown-linux-gnu \
    --prefix none --no-dedupe --format '{p}|{l}')

cat <<HEAD
SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentName: qmail-remote-$version
DocumentNamespace: urn:qmail-remote:$version:$commit
Creator: Tool: packaging/sbom.sh
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
printf '%s\n' "$crates" | sort -u | awk -F '|' -v program="qmail-remote-$version" '
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
