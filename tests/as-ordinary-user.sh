#!/bin/sh
# Runs the tests once more as an ordinary user. For root; anyone else has just done that.
#
# The user is made for this, with subordinate user ids for the tests' private networks, and removed
# afterwards. It needs to read the checkout and the build; where it cannot reach them (a checkout below
# /root), both are made again in a place that it can.
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
    echo "not root: the tests ran as an ordinary user already"
    exit 0
fi

user=qmail-remote-tests
place=$(mktemp -d -p /var/tmp)
cleanup() {
    rm -rf "$place"
    userdel "$user" 2>/dev/null || true
}
trap cleanup EXIT
userdel "$user" 2>/dev/null || true
useradd --system --add-subids-for-system --no-create-home --home-dir "$place" --shell /usr/sbin/nologin "$user"
chmod 755 "$place"
mkdir "$place/home"
chown "$user:" "$place/home"

as_user() { setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"; }

if ! as_user test -r "$PWD/Cargo.toml"; then
    git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$place"
    cd "$place"
fi

cargo nextest list --locked --workspace --list-type binaries-only --message-format json >"$place/binaries.json"
cargo metadata --locked --format-version 1 >"$place/metadata.json"
cp "$(command -v cargo-nextest)" "$place/cargo-nextest"
chmod 644 "$place"/*.json
chmod 755 "$place/cargo-nextest"

# The user has no cargo, which one test asks what the programs are built from; root's run has done that.
as_user env HOME="$place/home" "$place/cargo-nextest" nextest run \
    -E 'not test(=dependencies::the_bill_of_materials_is_what_the_programs_are_built_from)' \
    --binaries-metadata "$place/binaries.json" --cargo-metadata "$place/metadata.json"
