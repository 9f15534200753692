#!/bin/sh
# install.sh install|uninstall: what packaging/install-layout.txt lists. Run by make, which sets DESTDIR, PREFIX,
# QMAILHOME, BINDIR, KEYGROUP (DESTDIR and KEYGROUP may be empty) and RELEASE, where the programs were built.
set -eu
umask 022
cd "$(dirname "$0")/.."
verb=${1:-}
case "$verb" in install | uninstall) ;; *) echo "usage: $0 install|uninstall" >&2; exit 2 ;; esac

place() {
    printf '%s\n' "$1" | sed -e "s|^BINDIR/|$BINDIR/|" -e "s|^PREFIX/|$PREFIX/|" -e "s|^RELEASE/|$RELEASE/|"
}

# The program looks for its control files where it was built for, wherever it lies.
check_home() {
    built_for=$("$RELEASE/qmail-remote-check" sandbox | sed -n 's/^home *\(.*\), fixed when this program was built$/\1/p')
    [ "$built_for" = "$QMAILHOME" ] || {
        echo "The programs in $RELEASE were built for ${built_for:-another machine}: run make QMAILHOME=$QMAILHOME" >&2
        exit 1
    }
}

put() {
    mode=$1 owner=$2 target=$3 source=$4
    part=$target.part
    mkdir -p "$(dirname "$target")"
    # Never a half-written file under the name that is run, and none that stays when a step fails.
    trap 'rm -f "$part"' EXIT
    install -m "$mode" "$source" "$part"
    # Only root can give files away; anybody can fill a DESTDIR.
    [ "$(id -u)" -ne 0 ] || chown "$owner" "$part"
    case "$target" in
        "$program")
            if [ -n "$KEYGROUP" ]; then
                chgrp "$KEYGROUP" "$part"
                chmod 2755 "$part"
            fi
            packaging/put-in-place.sh put "$part" "$target"
            ;;
        *) mv -fT "$part" "$target" ;;
    esac
}

take_away() {
    target=$1
    case "$target" in
        "$program") packaging/put-in-place.sh back "$target" ;;
        *) rm -f "$target" ;;
    esac
    # Directories that nothing is in any more; not those that a system has from the beginning, empty or not.
    directory=$(dirname "$target")
    while case "$directory" in
        "$DESTDIR$PREFIX"/share/*/* | "$DESTDIR$PREFIX/share/doc" | "$DESTDIR$BINDIR" | "$DESTDIR$QMAILHOME") true ;;
        *) false ;;
    esac && rmdir "$directory" 2>/dev/null; do
        directory=$(dirname "$directory")
    done
}

program=$DESTDIR$BINDIR/qmail-remote
[ "$verb" = uninstall ] || check_home
grep -v '^#' packaging/install-layout.txt | while read -r mode owner target source; do
    target=$DESTDIR$(place "$target")
    case "$verb" in
        install) put "$mode" "$owner" "$target" "$(place "$source")" ;;
        uninstall) take_away "$target" ;;
    esac
done
