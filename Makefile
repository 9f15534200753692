# Building, showing and checking. Installing comes with packaging.

CARGO ?= cargo

.PHONY: all demo check clean

all:
	$(CARGO) build --release --locked --bins --package qmail-remote

# The main job in a private network: see README.md.
demo:
	packaging/dependencies.sh build
	$(MAKE) all
	$(CARGO) build --locked --package world --bin demo
	target/debug/demo target/release/qmail-remote

# Everything that must hold before a change lands.
check:
	packaging/dependencies.sh test
	.ci/checks

clean:
	$(CARGO) clean
