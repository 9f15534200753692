#!/bin/sh
# The unit tests with every access to memory checked by AddressSanitizer, and what they leave behind by LeakSanitizer.
# `make sanitize`; a build of its own, in target/sanitize.
#
# The stable compiler brings the runtime with it and takes the option only under RUSTC_BOOTSTRAP, which is set for this
# build alone; nothing that it makes is installed. So it is the code of the very compiler that releases are built with.
set -eu
cd "$(dirname "$0")/../.."
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitize"
export CARGO_PROFILE_DEV_DEBUG=line-tables-only
flags="-Zsanitizer=address -Cforce-frame-pointers=yes"
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1

mkdir -p "$CARGO_TARGET_DIR"
# shellcheck disable=SC2086
rustc --edition 2024 $flags -o "$CARGO_TARGET_DIR/faulty" tests/audit/faulty.rs
if "$CARGO_TARGET_DIR/faulty" 2>/dev/null; then
    echo "the sanitizer does not see an access to memory that was given back" >&2
    exit 1
fi

# With --target, build scripts and procedural macros are built without it. Its runtime takes mlock(2) for done without
# asking the kernel, so the two tests that look whether it was done are left out; and what is on the stack here is elsewhere under
# it, so the one that looks where the stack is, too.
RUSTFLAGS=$flags cargo nextest run --locked --no-fail-fast --target "$host" --package qmail-remote --package sandbox --lib -E '
    not (test(=sealed::tests::the_kernel_knows_that_they_are_not_to_be_dumped_nor_inherited)
        | test(=sealed::tests::what_cannot_be_locked_says_so_and_serves_as_well)
        | test(=sys::tests::a_wiped_stack_takes_no_memory))'
