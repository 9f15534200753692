#!/bin/sh
# test-package.sh: makes the release archives twice and the Debian package from them, asks lintian, and then, on a clean
# Debian of the release that runs here, in a directory of target/package: installs the package, delivers a message through
# the installed program, purges it, and compares the system with what it was. The same beside another qmail-remote, which
# must be in its place again, beside a package of qmail that is installed later, and with `make install`. The second half
# needs root, and debootstrap gets the base system from the archive that this machine uses, once. Nothing outside of
# target/ is changed.
set -eu
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/package
base=$work/clean-debian.tar

began=$(date +%s)
say() { printf '\n-- %s (after %s s)\n' "$*" "$(($(date +%s) - began))"; }

say "release archives, twice the same"
packaging/dist.sh "$target/dist"
(umask 077 && TZ=Asia/Tokyo packaging/dist.sh "$work/again/elsewhere")
diff -r "$target/dist" "$work/again/elsewhere"
rm -rf "$work/again"

say "the Debian package"
packaging/build-deb.sh
package=$(echo "$work"/deb/*.deb)
remarks=$(lintian --allow-root "$package")
[ -z "$remarks" ] || { echo "$remarks" >&2; exit 1; }

say "the RPM package, of the same programs"
rm -rf "$work/rpm"
rpmbuild -bb --nodeps --define "_topdir $work/rpm" --define "_sourcedir $target/dist" --define "built $target/release" \
    "$target/dist/qmail-remote.spec" >"$work/rpm.log" 2>&1 || { tail "$work/rpm.log" >&2; exit 1; }
rpm_package=$(echo "$work"/rpm/RPMS/*/*.rpm)

if [ "$(id -u)" -ne 0 ]; then
    echo "not root: the package is not installed anywhere" >&2
    exit 0
fi
# As the tests are built, with the features of the whole workspace and its tests.
cargo build --locked --workspace --tests --bin demo

if [ ! -e "$base" ]; then
    say "a clean Debian"
    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # What is in single quotes is apt's own syntax.
    # shellcheck disable=SC2016
    archive=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: $release" | head -n 1)
    rm -rf "$work/base"
    debootstrap --variant=minbase --include=iproute2,libssl3,make "$release" "$work/base" "$archive" >"$work/debootstrap.log" ||
        { tail "$work/debootstrap.log" >&2; exit 1; }
    tar -C "$work/base" -cf "$base.new" .
    mv "$base.new" "$base"
    rm -rf "$work/base"
fi

root=$work/root
rm -rf "$root"
mkdir "$root"
tar -C "$root" -xf "$base"
cp "$package" "$root/srv/package.deb"

# Debian's system has no rpm: this machine's puts the package there and takes it away.
say "rpm: put in and taken out"
into() { rpm --root "$root" "$@" >"$work/rpm.log" 2>&1 || { cat "$work/rpm.log" >&2; exit 1; }; }
files() { (cd "$root" && find . -xdev ! -path './var/lib/rpm*' ! -path './root/.rpmdb*' | sort); }
mkdir -p "$root/var/qmail/bin" "$root/var/lib/rpm"
echo another >"$root/var/qmail/bin/qmail-remote"

files >"$work/before"
into -i --nodeps "$rpm_package"
test "$(readlink "$root/var/qmail/bin/qmail-remote")" = /usr/lib/qmail-remote/qmail-remote
test "$(cat "$root/var/qmail/bin/qmail-remote.orig")" = another
into -U --force --nodeps "$rpm_package"
test "$(cat "$root/var/qmail/bin/qmail-remote.orig")" = another
into -e qmail-remote
test "$(cat "$root/var/qmail/bin/qmail-remote")" = another
files | diff "$work/before" -
rm -r "$root/var/qmail" "$root/var/lib/rpm"
cp "$target/debug/demo" "$root/srv/demo"
mkdir "$root/srv/source"
tar -C "$root/srv/source" --strip-components=1 -xf "$target"/dist/qmail-remote-*[0-9].tar.gz
mkdir -p "$root/srv/source/target/release"
cp "$target/release/qmail-remote" "$target/release/qmail-remote-check" "$root/srv/source/target/release"
cat >"$root/srv/test" <<'INNER'
set -eu
export DEBIAN_FRONTEND=noninteractive CI=1
mount -t proc proc /proc
umount --lazy /mnt
say() { printf '\n-- %s\n' "$*"; }
program=/var/qmail/bin/qmail-remote

# Files with type, mode, owner and link; packages; diversions. Logs and caches remember that something happened, and dpkg
# keeps its last state as *-old.
state() {
    find / -xdev ! -path '/srv/*' ! -path '/proc/*' ! -path '/var/log/*' ! -path '/var/cache/*' ! -path '*-old' \
        ! -path '/var/lib/apt/*' -printf '%p %y %m %u %g %l\n' | sort
    dpkg-query -W
    dpkg-divert --list | sort
}
apt() { apt-get -q -y "$@" >/srv/apt.log 2>&1 || { cat /srv/apt.log; exit 1; }; }
# The delivery has a /var/qmail of its own, so the installed file is shown to it elsewhere, too.
delivers() {
    touch /srv/installed
    mount --bind "$program" /srv/installed
    /srv/demo /srv/installed
    umount /srv/installed
}
put_in() {
    case "$1" in
        deb) apt install /srv/package.deb ;;
        make) make -C /srv/source install >/dev/null ;;
    esac
    test -x "$program"
    delivers >/srv/delivery 2>&1 || { cat /srv/delivery; exit 1; }
    qmail-remote-check sandbox | grep '^home '
}
take_out() {
    case "$1" in
        deb) apt purge qmail-remote ;;
        make) make -C /srv/source uninstall >/dev/null ;;
    esac
    state >/srv/after
    diff /srv/before /srv/after
}

for way in deb make; do
    state >/srv/before
    say "$way: where there was none"
    put_in "$way"
    cat /srv/delivery
    # Upgrades do not take our own program for another one.
    [ "$way" = make ] || apt install --reinstall /srv/package.deb
    test ! -e "$program.orig"
    take_out "$way"

    say "$way: beside another program"
    mkdir -p "${program%/*}"
    printf '#!/bin/sh\nexit 111\n' >"$program"
    chmod 711 "$program"
    # A trial of the other program or of this one, by any name that docs/migrating.md has.
    touch "$program.new" "$program.old"
    state >/srv/before
    put_in "$way"
    test -x "$program.orig"
    take_out "$way"
    test "$(cat "$program")" = "$(printf '#!/bin/sh\nexit 111\n')"
    rm -r /var/qmail
done

say "deb: a package of qmail that comes later, and stays"
mkdir -p /srv/qmail/DEBIAN /srv/qmail/var/qmail/bin
printf 'Package: another\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: another\n' >/srv/qmail/DEBIAN/control
echo another >/srv/qmail/var/qmail/bin/qmail-remote
dpkg-deb --build /srv/qmail /srv/another.deb >/dev/null
apt install /srv/another.deb
state >/srv/before
apt purge another
put_in deb
for _ in installed again; do
    apt install --reinstall /srv/another.deb
    test "$(readlink "$program")" = /usr/lib/qmail-remote/qmail-remote
    test "$(cat "$program.orig")" = another
done
take_out deb
say "the system is as before"
INNER
# Its own root of all mounts, for the namespaces that are made inside.
# shellcheck disable=SC2016
unshare --mount --net --pid --fork --uts --ipc /bin/sh -c \
    'mount --rbind "$0" "$0" && cd "$0" && pivot_root . mnt && exec /bin/sh /srv/test' "$root"
rm -rf "$root"
