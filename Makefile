# The commands of this project; `make help` lists them.
SHELL := /bin/bash
CARGO ?= cargo
FUZZ_SECONDS ?= 600
FUZZ_FRAMES ?= 10000000

.PHONY: help setup build check ci test test-kernels fuzz demo bench bench-program bench-check bench-setup \
	bench-wire bench-control bench-nic bench-sweep bench-egress abi abi-check lint deny

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## install what building and testing need (Debian, Ubuntu)
	@.ci/setup

build: setup ## build target/release/bailey
	$(CARGO) build --release

check: ## format, clippy, imports, and the tests of what is pure: a minute, without root
	@$(MAKE) -s lint
	$(CARGO) test -q -p bailey-architecture -p bailey-policy -p bailey-compile -p bailey-source -p bailey-reference

ci: ## all of CI, from a clean checkout (root)
	.ci/run

test: setup ## run all tests; without root, those that need none
	@.ci/test

fuzz: setup ## compare oracle, tables and kernel, and parsers, at random; send a million frames past policy (root)
	BAILEY_FUZZ_SECONDS=$(FUZZ_SECONDS) $(CARGO) test -p bailey --test differential -- --include-ignored agree
	BAILEY_FUZZ_TIMES=10 $(CARGO) test -p bailey --test no_way_around -- --include-ignored --nocapture
	BAILEY_FUZZ_FRAMES=$(FUZZ_FRAMES) BAILEY_FUZZ_SEED=$$(date +%s) $(CARGO) test -p bailey-datapath --test parse_fuzz -- --include-ignored

test-kernels: setup ## run the tests on Debian's 6.1, 6.12 and newest kernel, under qemu (root)
	@.ci/test-kernels $(RECORD)

demo: ## watch policies decide real packets in a lab of network namespaces
	@.ci/demo

bench: bench-program bench-wire bench-control bench-nic ## measure, and write target/bench/report.html; RECORD=1 keeps it in docs/
	target/release/bailey-bench report $(if $(RECORD),--docs docs)
	$(if $(RECORD),target/release/bailey-bench check --record)

bench-program: setup bench-setup ## measure what a packet costs the programs, beside others (root)
	$(CARGO) build --release -q -p bailey-bench && target/release/bailey-bench program

bench-wire: setup bench-setup ## measure what gets over a wire, beside nftables, ipset, xdp-filter (root)
	$(CARGO) build --release -q -p bailey -p bailey-bench && target/release/bailey-bench wire

bench-control: setup ## measure edits, restarts, memory, and packets meanwhile, by the daemon (root)
	$(CARGO) build --release -q -p bailey -p bailey-bench && target/release/bailey-bench control

bench-nic: setup ## measure a lab of veth pairs as one measures NICs, RFC 2544; docs/nic.md has real ones (root)
	$(CARGO) build --release -q -p bailey -p bailey-bench && target/release/bailey-bench nic --lab \
		--frame 64,512,1518,imix,edge --flows 1000 --duration 0.5 --settle 0.1 --bursts 1

bench-check: setup ## fail if the programs have become slower than docs/ratios.json says; RECORD=1 writes it (root)
	@# What is measured runs in the kernel: the binary that tests have built will do.
	$(CARGO) build -q --workspace --exclude bailey-abi-gen --bin bailey-bench --profile test
	"$${CARGO_TARGET_DIR:-target}/debug/bailey-bench" check $(if $(RECORD),--record)

bench-setup:
	@.ci/setup bench

bench-egress: setup ## measure the look-up of a forwarded packet at the egress hook (root)
	$(CARGO) build --release -q -p bailey-bench && target/release/bailey-bench egress

bench-sweep: setup ## measure a pass of the sweeper over a million flows (root)
	$(CARGO) build --release -q -p bailey-bench && target/release/bailey-bench sweep

abi: ## generate bpf/src/abi.rs from bpf/abi.h (needs libclang)
	$(CARGO) run -q -p bailey-abi-gen > bpf/src/abi.rs.new && mv bpf/src/abi.rs.new bpf/src/abi.rs

abi-check: ## fail if bpf/src/abi.rs is not what bpf/abi.h says
	@$(CARGO) run -q -p bailey-abi-gen | diff -u bpf/src/abi.rs - && echo "bindings are current"

lint: ## format, clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings

deny: ## licences, sources and bans of all dependencies
	$(CARGO) deny --offline check bans licenses sources
