#!/bin/bash
# Stands before the compiler of this workspace's crates while `coverage.sh` builds: counters that live in the mapped
# file itself, which a process that is killed or leaves by _exit has then written already.
# Not /bin/sh: dash keeps CARGO_BIN_EXE_qmail-remote, which is no name of a variable to it, from the compiler.
exec "$@" -C instrument-coverage -C llvm-args=-runtime-counter-relocation
