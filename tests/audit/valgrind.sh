#!/bin/sh
# The unit tests of everything unsafe and of what stands on it, under valgrind: calls of the kernel and of OpenSSL, with
# OpenSSL's own code, memory for secrets, keys. An access to what is not ours or not initialised, or a block that nobody
# can give back any more, fails it; children that the tests fork are watched too. `make valgrind`.
set -eu
cd "$(dirname "$0")/../.."
watched() {
    valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --num-callers=30 "$@"
}

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
rustc --edition 2024 -o "$work/faulty" tests/audit/faulty.rs
if watched "$work/faulty" 2>"$work/found"; then
    echo "valgrind does not see an access to memory that was given back" >&2
    exit 1
fi

# The test programs of a package's library, built and not run.
tests_of() {
    cargo test --locked --package "$1" --lib --no-run 2>&1 | tee /dev/stderr | sed -n 's/.*Executable.*(\(.*\))$/\1/p'
}
qmail_remote=$(tests_of qmail-remote)
sandbox=$(tests_of sandbox)

# One thread, so that a fork finds the memory in order. Valgrind writes /proc/self/smaps about itself, and the kernel shows its
# environment, not that of the program.
watched "$qmail_remote" --test-threads=1 \
    --skip the_kernel_knows_that_they_are_not_to_be_dumped_nor_inherited --skip clear_environment_leaves_no_text \
    sys:: sealed:: network::tls:: monitor::signer
watched "$sandbox" --test-threads=1 sys::
