#!/bin/sh
# Changes the code that decides, one small change at a time, and sees whether a test fails: what happens to mail, what the
# network child may say, what DANE demands, what a reply is, what goes over the wire. `make mutants`; arguments go to
# cargo-mutants. The changes that no test saw are in target/mutants/mutants.out/missed.txt; docs/assurance.md explains those
# that stay. Hours with one processor: `make mutants` first asks the unit tests beside that code, then, for what they let
# through, every test of the program.
set -eu
cd "$(dirname "$0")/../.."
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/mutants
unset CARGO_TARGET_DIR
mkdir -p "$out"
cargo mutants --version >/dev/null 2>&1 || cargo install --locked --version 27.0.0 cargo-mutants

mutants() {
    cargo mutants --package qmail-remote --output "$out" --no-shuffle \
        --file src/monitor/permits.rs --file src/monitor/outcome.rs --file 'src/monitor/outcome/*.rs' \
        --file src/network/dane.rs --file src/ipc/server_reply.rs --file src/network/smtp/replies.rs \
        --file src/network/smtp/wire.rs --file src/network/smtp/body.rs \
        --file src/network/tls/dane.rs --file src/ipc/frame.rs --file src/authentication.rs \
        --file src/tls_policy.rs --file src/report.rs "$@"
}

# Debugging information would cost more than the tests do.
export CARGO_PROFILE_DEV_DEBUG=0
status=0
mutants --timeout 90 "$@" -- --locked --lib -- \
    monitor::outcome monitor::permits network::dane network::tls::dane network::smtp ipc:: authentication tls_policy report || status=$?
# 2: some were missed; 3: some did not end, which is noticed, too.
case "$status" in 0 | 3) exit 0 ;; 2) ;; *) exit "$status" ;; esac
mutants --timeout 900 --iterate --baseline skip "$@" -- --locked
