#!/bin/sh
# Installs what building ("build") or also testing ("test") needs, from Debian's packages.
# As root it installs what is missing. As anyone else it prints the exact command and fails.
set -eu

build="gcc libc6-dev libssl-dev pkg-config iproute2 util-linux"
test="$build postfix unbound nsd ldnsutils openssl strace uidmap procps
    sasl2-bin libsasl2-modules libsasl2-modules-db mandoc
    debhelper lintian debootstrap rpm apparmor checkpolicy"

case "${1:-}" in
    build) wanted=$build ;;
    test) wanted=$test ;;
    *) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
        "install ok installed") ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "Needed and not installed:$missing" >&2
    echo "Run:  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

# The tests start their own daemons in their own namespaces; the system's must stay down.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# Unquoted on purpose: one word per package.
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $missing
