#!/bin/sh
# Takes each protection of docs/threat-model.md out, one at a time, and what SECURITY.md and docs/past-vulnerabilities.md claim
# beside it, and sees whether its test fails. `make protections`; arguments are words, and only entries that have one of them
# are gone through. All of it happens in a copy of the tree in target/protections, with a build of its own; `results` and the
# output of each test, in `log`, stay there. Half an hour, or more.
#
# What is taken out stands in tests/audit/protections/*.txt. A paragraph there is one entry:
#
# attempt  a row of these documents, by its first column
# proof    the test that has to notice: its place and its name, or a dialogue
# in       a file
# -        a text that is there once
# +        what stands there instead, when the protection is out
# none     why a row has no protection to take out
#
# Where several layers would stop an attempt, all go, but for those of the sandbox in sections 4 and 6: each of them is seen
# alone, by a test that attempts what it alone stops. What is out must not stop all work instead: after a test that has noticed
# there is a plain delivery, and where that fails, too, the entry has shown nothing. No entry lets a process of root's do what
# could harm the machine: what is added to a table is one call, and the attempt at it changes nothing
# (sandbox/examples/attempt/attacks.rs).
set -eu
cd "$(dirname "$0")/../.."
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/protections
tree=$out/tree
rm -rf "$tree" "$out/entries" "$out/log" "$out/results"
mkdir -p "$tree" "$out/entries" "$out/log"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree"

# A file for each entry, named by its number; those for rows without a protection have no proof.
WORDS="$*" awk -v RS= -v into="$out/entries" '
    BEGIN { count = split(ENVIRON["WORDS"], words, " ") }
    !/\nproof / { next }
    { number++ }
    { wanted = count == 0 }
    { for (i = 1; i <= count; i++) if (index($0, words[i])) wanted = 1 }
    wanted { file = sprintf("%s/%03d", into, number); print >file; close(file) }' tests/audit/protections/*.txt
if [ -z "$(ls "$out/entries")" ]; then
    echo "no entry has one of these words: $*" >&2
    exit 1
fi

export CARGO_TARGET_DIR="$out/build" CARGO_PROFILE_DEV_DEBUG=0 CI=1
cd "$tree"

# What `cargo nextest run` is to build, and which of its tests is the proof.
target_of() {
    case $1 in
    src/* | sandbox/src/*) echo --lib ;;
    sandbox/tests/*) echo --test confinement ;;
    *) place=${1#tests/} && place=${place%%/*} && echo --test "${place%.rs}" ;;
    esac
}
filter_of() {
    case $1 in sandbox/*) package=sandbox ;; *) package=qmail-remote ;; esac
    case $1 in
    *.txt) name=${1##*/} && echo "binary(=dialogues) & test(=${name%.txt})" ;;
    src/* | sandbox/src/*) echo "package(=$package) & kind(lib) & test(/(^|::)$2\$/)" ;;
    *) echo "package(=$package) & binary(=$(target_of "$1" | cut -d' ' -f2)) & test(/(^|::)$2\$/)" ;;
    esac
}
# The first arguments are the place and the name of a proof.
run() {
    place=$1 name=$2
    case $place in sandbox/tests/*) cargo build --locked --workspace --example attempt || return 1 ;; esac
    # shellcheck disable=SC2046
    cargo nextest run --locked --workspace $(target_of "$place") -E "$(filter_of "$place" "$name")"
}
proof_of() {
    sed -n 's/^proof //p' "$1"
}
# A plain delivery.
delivery='tests/delivery.rs the_message_begins_where_the_descriptor_stands'

# With every protection in its place, all tests must pass.
# shellcheck disable=SC2086
filter=$(filter_of $delivery)
for entry in "$out"/entries/*; do
    # shellcheck disable=SC2046
    set -- $(proof_of "$entry")
    filter="$filter | ($(filter_of "$1" "${2:-}"))"
done
cargo build --locked --workspace --example attempt
cargo nextest run --locked --workspace --no-fail-fast -j2 -E "$filter"

# Puts a text in the place of another, which must be there once.
put() {
    mkdir -p "$out/kept/$(dirname "$1")"
    [ -e "$out/kept/$1" ] || cp "$1" "$out/kept/$1"
    OLD=$2 NEW=$3 awk '
        { at = index($0, ENVIRON["OLD"]) }
        at { found++; $0 = substr($0, 1, at - 1) ENVIRON["NEW"] substr($0, at + length(ENVIRON["OLD"])) }
        { print }
        END { exit found != 1 }' "$1" >"$out/changed" || {
        echo "${entry##*/}: not there once in $1: $2" >&2
        exit 1
    }
    cat "$out/changed" >"$1"
}
apply() {
    while IFS= read -r line; do
        case $line in
        'in '*) file=${line#in } ;;
        '- '*) old=${line#- } ;;
        '+ '*) put "$file" "$old" "${line#+ }" ;;
        '+') put "$file" "$old" '' ;;
        esac
    done <"$1"
}

all=0 noticed=0
for entry in "$out"/entries/*; do
    log=$out/log/${entry##*/}
    rm -rf "$out/kept"
    apply "$entry"
    # shellcheck disable=SC2046
    set -- $(proof_of "$entry")
    status=0
    run "$1" "${2:-}" >"$log" 2>&1 || status=$?
    # What nextest says: 100, a test has failed; 4, there is none of this name; 101, it does not compile.
    case $status in
    0) result='NOT NOTICED' ;;
    100)
        result=noticed
        if grep -q '^ *TIMEOUT \[' "$log"; then result="$result, did not end"; fi
        # shellcheck disable=SC2086
        run $delivery >>"$log" 2>&1 || result="$result, and nothing is delivered any more"
        ;;
    *) result="NOT SEEN ($status)" ;;
    esac
    cp -r "$out/kept/." .
    all=$((all + 1))
    case $result in noticed | 'noticed, did not end') noticed=$((noticed + 1)) ;; esac
    echo "${entry##*/} $result: $(sed -n 's/^attempt //p' "$entry"): ${2:-$1}" | tee -a "$out/results"
done
echo "$noticed of $all were noticed" | tee -a "$out/results"
[ "$noticed" = "$all" ]
