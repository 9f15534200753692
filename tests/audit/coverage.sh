#!/bin/sh
# Which lines the tests run, of each process: the numbers on standard output, the lines that never ran in
# target/coverage/missed. `make coverage`; arguments go to `cargo nextest run`, to run fewer tests.
#
# Most processes here leave by _exit or are killed, and inside the sandbox no file can be opened, so nothing that is
# written at a process's end would count. The counters are therefore a file that every process maps before main, and
# fork shares the mapping. Only debug builds are instrumented, by a wrapper of the compiler; tests of what the sandbox
# forbids pass all the same. Where the program is started, tests/world hands on LLVM_PROFILE_FILE.
set -eu
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/coverage
rm -rf "$work"
# All the users that the tests become write there.
umask 0
mkdir -p "$work/profiles"

rustup component add llvm-tools
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin

export RUSTC_WORKSPACE_WRAPPER="$PWD/tests/audit/instrumented.sh"
cargo nextest list --locked --workspace --list-type binaries-only --message-format json >"$work/binaries.json"
# %m: one file for each program, whoever runs it. %c: counters in the file.
LLVM_PROFILE_FILE=$work/profiles/%m%c.profraw cargo nextest run --locked --workspace --no-fail-fast "$@" 2>"$work/log" ||
    { grep -E '^ +(FAIL|TIMEOUT|SIG)' "$work/log" | sort -u; }
tail -n 1 "$work/log"

"$tools/llvm-profdata" merge --failure-mode=all -o "$work/merged" "$work"/profiles/*.profraw
objects=$(grep -o '"binary-path":"[^"]*"' "$work/binaries.json" | sed 's/.*:"\(.*\)"/-object=\1/')
# Unquoted on purpose: one word for each program.
# shellcheck disable=SC2086
"$tools/llvm-cov" export --format=lcov --instr-profile="$work/merged" \
    "$target/debug/qmail-remote" -object="$target/debug/qmail-remote-check" $objects >"$work/lines"

awk -F '[:,]' -v here="$PWD/" -v missed="$work/missed" -f tests/audit/coverage.awk "$work/lines"
