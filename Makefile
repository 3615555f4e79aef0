# The commands of this project; `make help` lists them.
SHELL := /bin/bash
CARGO ?= cargo
FUZZ_SECONDS ?= 600
FUZZ_FRAMES ?= 10000000

# Crates without system calls: their tests need no root and no BPF.
PURE := -p bailey-architecture -p bailey-policy -p bailey-config -p bailey-compile -p bailey-source -p bailey-reference

.PHONY: help setup setup-build setup-test setup-bench build check ci test test-unit test-kernels soak fuzz verify \
	disasm demo screenshots bench bench-program bench-check bench-wire bench-control bench-nic bench-sweep bench-egress \
	abi abi-check api-schemas lint deny

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: setup-build setup-test setup-bench ## install all packages that building, testing and measuring need (Debian, Ubuntu)

setup-build: ## install only what building needs: clang, a C compiler, headers
	@.ci/setup build

setup-test: ## install what the tests need
	@.ci/setup test
	@.ci/promtool >/dev/null || echo "no promtool: the test of the alerts will fail" >&2

setup-bench: ## install what the benchmarks compare with
	@.ci/setup bench

build: setup-build ## build target/release/bailey
	$(CARGO) build --release -p bailey

check: ## format, clippy, imports, sizes, and the tests of the pure crates: a minute, without root
	@$(MAKE) -s lint
	$(CARGO) test -q $(PURE)

test-unit: ## run the unit tests of all crates, without root
	$(CARGO) test -q --workspace --exclude bailey-abi-gen --lib --bins

ci: ## run all of CI, from a clean checkout (root)
	.ci/run

test: setup-test ## run all tests; without root, those that need none
	@.ci/test

soak: setup-test ## run the storms under traffic at full size: an hour (root)
	BAILEY_SOAK=1 $(CARGO) test -p bailey-datapath --test swap -- --include-ignored --nocapture
	BAILEY_SOAK=1 $(CARGO) test -p bailey --test storm --test under_flood --test hostile_inputs -- --include-ignored --nocapture

fuzz: setup-test ## compare oracle, tables and kernel, and parsers, at random; send a million frames past policy (root)
	BAILEY_FUZZ_SECONDS=$(FUZZ_SECONDS) $(CARGO) test -p bailey --test differential -- --include-ignored agree
	BAILEY_FUZZ_TIMES=10 $(CARGO) test -p bailey --test policy_bypass_fuzz -- --include-ignored --nocapture
	BAILEY_FUZZ_FRAMES=$(FUZZ_FRAMES) BAILEY_FUZZ_SEED=$$(date +%s) $(CARGO) test -p bailey-datapath --test parse_fuzz -- --include-ignored

verify: setup-build ## load every program on the running kernel and print the verifier's instruction counts (root)
	@$(CARGO) build -q -p bailey-guest
	@"$${CARGO_TARGET_DIR:-target}/debug/bailey-guest" measure programs | sed -n 's/^@@value //p' | column -t -s=

disasm: ## print the BPF instructions of a function: make disasm FUNC=tcp_advance [OBJECT=entry]
	@.ci/disasm "$(FUNC)" $(OBJECT)

test-kernels: setup-test ## run the full matrix on Debian's 6.1, 6.12 and newest kernel, under qemu; before a release (root)
	@.ci/test-kernels $(if $(RECORD),--record)

demo: ## watch policies decide real packets in a lab of network namespaces; NO_TUI=1: without the console at its end
	@.ci/demo $(if $(NO_TUI),--no-tui)

screenshots: ## write docs/img again: the console with the numbers of its tests
	@BAILEY_WRITE_DOCS=1 $(CARGO) test -q -p bailey-tui --test pictures --test documentation && echo "written: docs/img, docs/console.md"

bench: bench-program bench-wire bench-control bench-nic ## measure, and write target/bench/report.html; RECORD=1 keeps it in docs/
	target/release/bailey-bench report $(if $(RECORD),--docs docs)
	$(if $(RECORD),target/release/bailey-bench check --record)

bench-program: setup-bench ## measure what a packet costs the programs, beside others (root)
	$(CARGO) build --release -q -p bailey-bench && target/release/bailey-bench program

bench-wire: setup-bench ## measure throughput over a wire, beside nftables, ipset, xdp-filter (root)
	$(CARGO) build --release -q -p bailey -p bailey-bench && target/release/bailey-bench wire

bench-control: setup-bench ## measure edits, restarts, memory, and packets during them, with the daemon (root)
	$(CARGO) build --release -q -p bailey -p bailey-bench && target/release/bailey-bench control

bench-nic: setup-bench ## measure a lab of veth pairs by RFC 2544; docs/nic.md has real NICs (root)
	$(CARGO) build --release -q -p bailey -p bailey-bench && target/release/bailey-bench nic --lab \
		--frame 64,512,1518,imix,edge --flows 1000 --duration 0.5 --settle 0.1 --bursts 1

bench-check: setup-test ## fail if the programs are slower than docs/ratios.json says; RECORD=1 writes the file (root)
	@# The measured code runs in the kernel, so the unoptimised binary of the tests measures the same.
	$(CARGO) build -q --workspace --exclude bailey-abi-gen --bin bailey-bench --profile test
	"$${CARGO_TARGET_DIR:-target}/debug/bailey-bench" check $(if $(RECORD),--record)

bench-egress: setup-bench ## measure the lookup of a forwarded packet at the egress hook (root)
	$(CARGO) build --release -q -p bailey-bench && target/release/bailey-bench egress

bench-sweep: setup-bench ## measure a pass of the sweeper over a million flows (root)
	$(CARGO) build --release -q -p bailey-bench && target/release/bailey-bench sweep

abi: ## generate bpf/src/abi.rs from bpf/abi.h (needs libclang)
	$(CARGO) run -q -p bailey-abi-gen > bpf/src/abi.rs.new && mv bpf/src/abi.rs.new bpf/src/abi.rs

abi-check: ## fail if bpf/src/abi.rs is not what bpf/abi.h says
	@$(CARGO) run -q -p bailey-abi-gen | diff -u bpf/src/abi.rs - && echo "bindings are current"

api-schemas: ## generate docs/api from the types of the control API
	@mkdir -p docs/api
	BAILEY_RECORD_SCHEMAS=1 $(CARGO) test -q -p bailey-control --features schema --test schemas

lint: ## format, clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings

deny: ## licences, sources and bans of all dependencies
	$(CARGO) deny --offline check bans licenses sources
