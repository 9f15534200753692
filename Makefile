# Building, showing and checking. Installing comes with packaging.

CARGO ?= cargo

.PHONY: all demo bench check clean

all:
	$(CARGO) build --release --locked --bins --package qmail-remote

# The main job in a private network: see README.md.
demo:
	packaging/dependencies.sh build
	$(MAKE) all
	$(CARGO) build --locked --package world --bin demo
	target/debug/demo target/release/qmail-remote

# What deliveries cost: docs/performance.md. More in BENCH, "--only small" or "NAME=PROGRAM" for one.
bench:
	packaging/dependencies.sh test
	$(MAKE) all
	$(CARGO) build --release --locked --package bench
	target/release/bench target/release/qmail-remote --check target/release/qmail-remote-check $(BENCH)

# Everything that must hold before a change lands.
check:
	packaging/dependencies.sh test
	.ci/checks

clean:
	$(CARGO) clean
