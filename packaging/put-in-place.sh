#!/bin/sh
# Puts a qmail-remote in the place of another one, and back, without a moment in which there is none: qmail-rspawn
# takes a missing program for a permanent failure and bounces the mail.
#
#   put-in-place.sh put NEW TARGET    renames NEW, which is in TARGET's directory, to TARGET; a TARGET that is not
#                                     ours is kept as TARGET.orig, and another TARGET.orig as TARGET.orig.~1~
#   put-in-place.sh back TARGET       TARGET.orig, or nothing, in place of ours
#
# In a package it lies beside the program that TARGET is a link to.
set -eu

# Of all programs by this name, this one has this report text.
is_our_program() {
    grep -aqs 'The network process broke its protocol and was stopped' "$1"
}

# The link is ours whatever it leads to: what qmail's own installation has written through it goes with the package.
is_ours() {
    [ "$(readlink "$1")" = "$(dirname "$0")/qmail-remote" ] || is_our_program "$1"
}

case "${1:-} $#" in
    "put 3")
        new=$2 target=$3
        if [ -e "$target" ] && ! is_ours "$target"; then
            # An .orig of an earlier time is older than what is in use; it may be the only one, and in use by a script. It is
            # the same when the last attempt was cut short here.
            [ "$target" -ef "$target.orig" ] || ln -f --backup=numbered "$target" "$target.orig"
        fi
        mv -fT "$new" "$target"
        ;;
    "back 2")
        target=$2
        if [ ! -e "$target" ] && [ ! -L "$target" ]; then
            exit 0
        elif ! is_ours "$target"; then
            echo "$target is another program by now: left as it is" >&2
        elif [ -e "$target.orig" ]; then
            mv -fT "$target.orig" "$target"
        elif [ -e "$target" ] && ! is_our_program "$target"; then
            # Written through the link, and there is no other.
            cp -p "$target" "$target.part"
            mv -fT "$target.part" "$target"
        else
            rm -f "$target"
        fi
        ;;
    *)
        echo "usage: $0 put NEW TARGET | back TARGET" >&2
        exit 2
        ;;
esac
