# `make` alone lists what there is. CI runs `make test`, and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where rustup puts cargo, also for shells that have not read its profile.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# Incremental files help the next build. In CI there is none.
ifdef CI
export CARGO_INCREMENTAL := 0
endif

BINARY := $(or $(CARGO_TARGET_DIR),target)/debug/setpoint

.PHONY: help
help: ## print this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

.PHONY: demo
demo: ready-to-build ## build, migrate fixtures into SQLite, show the dry run, the result, an undo
	@echo "Building Setpoint: a debug build, the first takes some minutes."
	@cargo build --locked
	@scripts/demo.sh $(BINARY)

.PHONY: test
test: ready fmt lint ## everything CI checks; installs what it lacks, and says so
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked --workspace --no-fail-fast; \
	else \
		echo "test: without cargo-nextest, cargo test runs the tests"; \
		cargo test --locked --workspace --all-targets --no-fail-fast; \
	fi
	@if git grep -qE '^ *//[/!].*```' -- '*.rs'; then cargo test --locked --workspace --doc; fi
	@shown=$$(scripts/demo.sh $(BINARY)) || { echo "$$shown"; exit 1; }; \
		echo "demo: 1 passed, 0 failed"
	@scripts/readme.py --check $(BINARY)
	@scripts/bundled.sh
	@scripts/schemathesis.sh $(BINARY)
	@scripts/deploy.sh $(BINARY)

.PHONY: fmt
fmt: ## is every file formatted? (`cargo fmt --all` formats it)
	@cargo fmt --all --check

.PHONY: lint
lint: ## clippy, where a warning is a failure
	@cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: build
build: ready-to-build ## the program as it is shipped: target/dist/setpoint
	@cargo build --locked --profile dist

.PHONY: install
install: ready-to-build ## the program into cargo's bin folder
	@cargo install --locked --profile dist --path .

.PHONY: bench
bench: ready ## measure against sqlite3 and write bench/results.md
	@bench/run.sh

# Without a disk to wait for it takes minutes.
SCRATCH := $(if $(wildcard /dev/shm/.),/dev/shm,$(or $(TMPDIR),/tmp))
CASES := $(or $(CASES),1000)
SEED := $(or $(SEED),$(shell date +%s))
INSTANTS := $(or $(INSTANTS),10000)

.PHONY: torture
torture: ready ## 1,000 kills, I/O errors and full disks in backups, restores and jobs; 10,000 instants
	@echo "torture: $(CASES) cases of SEED=$(SEED), then $(INSTANTS) instants of a job"
	@TMPDIR=$(SCRATCH) SETPOINT_TORTURE_CASES=$(CASES) SETPOINT_TORTURE_SEED=$(SEED) \
		cargo test --locked -p setpoint --test it -- --nocapture --test-threads 1 faults::torture
	@TMPDIR=$(SCRATCH) SETPOINT_JOB_INSTANTS=$(INSTANTS) \
		cargo test --locked -p setpoint --test it -- --nocapture race::on_postgres

.PHONY: audit
audit: ## licences, sources and vulnerabilities of dependencies; needs the network
	@cargo deny --version >/dev/null 2>&1 || { \
		echo "audit: installing cargo-deny with cargo"; cargo install --locked cargo-deny; }
	@cargo deny check

.PHONY: readme
readme: ready-to-build ## run the commands of README.md and write down what they print
	@cargo build --locked
	@scripts/readme.py --write $(BINARY)

.PHONY: check-deploy
check-deploy: ready ## check what is in deploy/: alerts, the unit, nginx, the image, the runbook
	@cargo build --locked
	@scripts/deploy.sh $(BINARY)

.PHONY: clean
clean: ## remove what was built
	@cargo clean

.PHONY: ready ready-to-build
ready:
	@scripts/setup-test.sh
ready-to-build:
	@scripts/setup-test.sh build
