# Building, showing, checking, installing.

CARGO ?= cargo
# qmail's home; the programs must be built with the one that they are installed with.
QMAILHOME ?= $(or $(QMAIL_HOME),/var/qmail)
# Where qmail-rspawn looks for the program.
BINDIR ?= $(QMAILHOME)/bin
PREFIX ?= /usr/local
DESTDIR ?=
# A group that may read keys and passwords: installs the program set-group-id.
KEYGROUP ?=
RELEASE ?= $(or $(CARGO_TARGET_DIR),target)/release

# What cargo sees; unset, it is the default.
ifeq ($(QMAILHOME),/var/qmail)
unexport QMAIL_HOME
else
export QMAIL_HOME := $(QMAILHOME)
endif

.PHONY: all install uninstall demo bench check sanitize valgrind coverage mutants protections reproducible dist deb picture clean

all:
	CARGO='$(CARGO)' packaging/build.sh --bins --package qmail-remote

# Builds nothing: run `make` before, not as root. packaging/install-layout.txt says what goes where.
install uninstall:
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' QMAILHOME='$(QMAILHOME)' BINDIR='$(BINDIR)' KEYGROUP='$(KEYGROUP)' \
		RELEASE='$(RELEASE)' packaging/install.sh $@

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
	CARGO='$(CARGO)' packaging/build.sh --package bench
	target/release/bench target/release/qmail-remote --check target/release/qmail-remote-check $(BENCH)

# Everything that must hold before a change lands.
check:
	packaging/dependencies.sh test
	.ci/checks

# What takes too long for every change, and is run before a release: docs/assurance.md.
sanitize valgrind coverage mutants protections reproducible:
	packaging/dependencies.sh test
	tests/audit/$@.sh

# A release of the last commit: source, vendored crates, what it is made of, checksums.
dist:
	packaging/dist.sh

# The Debian package, from that.
deb:
	packaging/dependencies.sh package
	packaging/dist.sh
	packaging/build-deb.sh

# The picture of README.md.
picture:
	awk -f docs/draw.awk docs/processes.txt >docs/processes.svg

clean:
	$(CARGO) clean
