#!/bin/sh
# Installs what building ("build"), making the Debian package ("package") or testing all of it ("test") needs, from Debian's
# packages.
# As root it installs what is missing. As anyone else it prints the exact command and fails.
#
# Exim and OpenSMTPD, which the tests deliver to as they do to Postfix, are no packages that can stand beside
# Postfix's: they are unpacked below $unpacked, nothing of them is set up, and only the tests know of them.
set -eu
umask 022

unpacked=/opt/qmail-remote-tests
beside_postfix="exim4-daemon-light opensmtpd"

build="gcc libc6-dev libssl-dev pkg-config iproute2 util-linux"
package="$build git debhelper dh-apparmor"
test="$package postfix unbound nsd ldnsutils openssl strace uidmap procps
    sasl2-bin libsasl2-modules libsasl2-modules-db mandoc g++
    lintian debootstrap rpm apparmor checkpolicy semodule-utils valgrind"
# What those two are linked with.
libraries="libdb5.3 libevent-2.1-7 libgnutls-dane0 libgnutls30 libidn12 libidn2-0 libnsl2 libpam0g libpcre2-8-0"

case "${1:-}" in
    build) wanted=$build; beside_postfix= ;;
    package) wanted=$package; beside_postfix= ;;
    test) wanted="$test $libraries" ;;
    *) echo "usage: $0 build|package|test" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
        "install ok installed") ;;
        *) missing="$missing $package" ;;
    esac
done
to_unpack=
for package in $beside_postfix; do
    [ -d "$unpacked/$package" ] || to_unpack="$to_unpack $package"
done
[ -n "$missing$to_unpack" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "Needed and not there:$missing$to_unpack" >&2
    echo "Run:  sudo $0 $1" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q

if [ -n "$missing" ]; then
    # The tests start their own daemons in their own namespaces; the system's must stay down.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    # Unquoted on purpose: one word per package.
    # shellcheck disable=SC2086
    apt-get install -q -y --no-install-recommends $missing
fi

for package in $to_unpack; do
    # Appears whole or not at all, readable for everyone, and without the set-user-id of Exim.
    mkdir -p "$unpacked"
    place=$(mktemp -d -p "$unpacked")
    (cd "$place" && apt-get -q -o APT::Sandbox::User=root download "$package")
    mkdir "$place/files"
    dpkg-deb -x "$place"/*.deb "$place/files"
    chmod -R u-s,g-s,go=rX "$place/files"
    mv "$place/files" "$unpacked/$package"
    rm -r "$place"
done
