#!/bin/sh
# Prints the version: that of Cargo.toml, which must be the first of CHANGELOG.md. Nothing else in this repository has it.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
case "$version" in
    "$(sed -n '/^## /{s/^## \([^,]*\).*/\1/p;q;}' CHANGELOG.md)") echo "$version" ;;
    *) echo "CHANGELOG.md does not begin with version $version of Cargo.toml" >&2; exit 1 ;;
esac
