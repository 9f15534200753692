#!/bin/sh
# systemd-run.sh [OPTION ...] [COMMAND [ARGUMENT ...]]: the settings of qmail.conf without a unit, until the machine starts
# anew: for qmail-start, or for COMMAND. Whether a delivery goes through under them, before qmail itself is put there:
#   systemd-run.sh --pipe --wait runuser -u qmailr -- /var/qmail/bin/qmail-remote HOST SENDER RECIPIENT <message
set -eu
[ $# -gt 0 ] || set -- --unit=qmail /var/qmail/bin/qmail-start ./Maildir/
while read -r line; do
    case "$line" in
        [A-Z]*=*) set -- --property="$line" "$@" ;;
    esac
done <"$(dirname "$0")/qmail.conf"
exec systemd-run --collect --setenv=PATH=/var/qmail/bin:/usr/local/bin:/usr/bin:/bin "$@"
