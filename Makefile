# Everything that one does here. `make help` lists it.

# `make FEATURES=bundled-duckdb test` compiles DuckDB in: for machines without npm, or that are not Linux on x86_64.
FEATURES ?=
features := $(if $(FEATURES),--features "$(FEATURES)")
export FEATURES

# Set but empty means not set; cargo would refuse it.
ifeq ($(strip $(CARGO_TARGET_DIR)),)
unexport CARGO_TARGET_DIR
endif

.DEFAULT_GOAL := help
.PHONY: help setup postgres test demo bench soundness crash audit fuzz

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Fetch the prebuilt DuckDB library, unless it is there or is compiled in
ifeq ($(findstring bundled-duckdb,$(FEATURES)),)
	./scripts/libduckdb.sh
endif

postgres: ## Unpack PostgreSQL 13 to 17 for the tests into .postgres, or find one on this machine
	./scripts/postgres.sh

test: setup postgres ## Check the format, run clippy with warnings denied, run all tests
	cargo fmt --check
	cargo clippy --all-targets --locked $(features) -- -D warnings
	cargo test --locked $(features) -- $$(./scripts/postgres.sh --without)

demo: setup ## Take one pull request from opening to production, on real data and with no account
	cargo build --locked $(features) --bin siding --example demo
	cargo run --locked $(features) --example demo

bench: setup ## Measure load, plan, webhook and switch in a release build
	./scripts/bench.sh

soundness: setup ## Plan and execute thousands of edits by chance: no kept table may be wrong
	./scripts/soundness.sh

crash: setup postgres ## Kill commands at random moments and let them meet, on both engines (about half an hour)
	./scripts/crash.sh

fuzz: ## Fuzz the reading of SQL: FUZZ_SECONDS for each target
	./scripts/fuzz.sh

audit: ## Check dependencies (cargo-deny) and workflows (zizmor, actionlint)
	./scripts/audit.sh
