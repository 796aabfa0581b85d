# What developers and CI run. `make` lists the targets.
#
# Variables, each set on the command line or in the environment:
#   CARGO            the cargo to use                                  [cargo]
#   CARGO_FLAGS      passed to every cargo command                     [--locked where CI is set]
#   BROKER_THREADS   broker tests at a time; each may start three JVMs [1]
#   TEST_THREADS     in-process tests at a time; they wait more than they compute [8]
#   DRILL_SECONDS    how long the faults of the drill last together    [600; 180 of drill-short]
#   DRILL_BUSY       1: another process for each processor computes all the while [0]
#   DRILL_SEED       of what the drill sends; it tells the one that it used [random]
#                    more of the drill's variables are in docs/reliability.md
#   BENCH_SECONDS    how long each run of `make bench` is measured     [1]
#   BENCH_ROUNDS     runs of each of the two programs, in turn         [5]
#   BENCH_WARM_UP_ROUNDS  runs of each that are not counted, at first  [3]
#   BENCH_WEBHOOKS   webhooks to send, separated by commas             [all; vonage-status for memory and spool]
#   BENCH_CONNECTIONS  numbers of connections                          [1,64,256]
#   BENCH_BROKERS    embedded, kafka                                   [embedded,kafka]
#   BENCH_LINGER_MS  values of linger.ms for both programs             [the default]
#   BENCH_EVENTS     events of `make bench-memory`                     [1000000]
#   FUZZ_SECONDS     time for each fuzz target                         [20]
#   FUZZ_TARGETS     the fuzz targets to run                           [all of fuzz/fuzz_targets]
#   KAFKA_HOME       an installed Apache Kafka for the broker tests    [fetched into the cache]
#   TRUNKLINE_CACHE  where a fetched Kafka is kept     [$XDG_CACHE_HOME/trunkline, else ~/.cache/trunkline]
# Cargo's own, such as CARGO_TERM_COLOR and CARGO_TARGET_DIR, work as ever.

CARGO ?= cargo
CARGO_FLAGS ?= $(if $(CI),--locked)
BROKER_THREADS ?= 1
TEST_THREADS ?= 8
FUZZ_SECONDS ?= 20
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

POM := tests/broker/pom.xml
KAFKA_VERSION := $(shell sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' $(POM))
CACHE := $(or $(TRUNKLINE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/trunkline)
KAFKA_CACHE := $(abspath $(CACHE))/kafka-$(KAFKA_VERSION)

heading = @printf '\n==> %s\n' '$(1)'

.DEFAULT_GOAL := help
.PHONY: help build run test fmt clippy doc unit loom doctest broker-test drill drill-short examples fuzz fixtures schemas kafka \
	bench bench-memory bench-spool bench-check bench-accept

# Cargo uses all cores by itself; two of these side by side would only wait for each other.
.NOTPARALLEL:

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo 'Variables are described at the top of the Makefile.'

build: ## builds the optimised program
	$(call heading,build)
	$(CARGO) build $(CARGO_FLAGS) --release

run: ## runs the program with an embedded broker and demo sources
	$(CARGO) run $(CARGO_FLAGS) --release -- dev

test: fmt clippy doc unit doctest bench-check broker-test drill-short ## runs every check and test, as CI does
	$(call heading,all checks and tests have passed)

fmt: ## checks the formatting
	$(call heading,fmt)
	$(CARGO) fmt --all --check

clippy: ## lints everything, warnings being errors
	$(call heading,clippy)
	$(CARGO) clippy $(CARGO_FLAGS) --all-targets -- -D warnings

doc: ## builds the documentation, warnings being errors
	$(call heading,doc)
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(CARGO_FLAGS) --no-deps

# Where python3 is missing, the comparison with Vonage's own library says so and is skipped, unless CI is set.
unit: ## runs the tests that need nothing but cargo
	$(call heading,unit and in-process tests)
	$(CARGO) test $(CARGO_FLAGS) --lib --bins --test it -- --test-threads $(TEST_THREADS)

loom: ## tries every order in which threads may meet while requests wait; part of unit
	$(call heading,orders of threads)
	$(CARGO) test $(CARGO_FLAGS) --lib waking::model -- --nocapture

doctest: ## runs the examples of the documentation
	$(call heading,doc tests)
	$(CARGO) test $(CARGO_FLAGS) --doc

broker-test: ## runs the tests against a real Apache Kafka, fetching it if need be
	$(call heading,broker tests)
	$(CARGO) test $(CARGO_FLAGS) --test broker -- --test-threads=$(BROKER_THREADS)

drill: DRILL_SECONDS ?= 600
drill-short: DRILL_SECONDS ?= 180
drill: ## runs every fault against the program under load, for ten minutes or DRILL_SECONDS
drill-short: ## the same for three minutes, as a test
drill drill-short:
	$(call heading,drill of $(DRILL_SECONDS) s)
	DRILL_SECONDS=$(DRILL_SECONDS) $(CARGO) test $(CARGO_FLAGS) --test drill

examples: ## runs the consumers of examples/ against Apache Kafka; needs a JDK, Maven and Python
	$(call heading,consumers of examples/)
	python3 -m venv target/examples/python
	target/examples/python/bin/pip install --quiet --requirement examples/consumers/python/requirements.txt
	mvn -q -B -f examples/consumers/java/pom.xml compile dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory=target/lib
	$(CARGO) test $(CARGO_FLAGS) --test broker -- --ignored examples --test-threads=$(BROKER_THREADS)

# Without the address sanitizer: the project has no unsafe code, and the bundled C libraries do not link with it.
fuzz: ## runs each fuzz target for FUZZ_SECONDS; needs a nightly toolchain
	$(call heading,fuzz: $(FUZZ_TARGETS))
	@[ -n '$(FUZZ_TARGETS)' ] || { echo 'there is no fuzz target'; exit 1; }
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	@for target in $(FUZZ_TARGETS); do \
		printf '\n==> fuzz %s\n' "$$target"; \
		$(CARGO) +nightly fuzz run --sanitizer none "$$target" -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

bench: ## measures the program beside a floor that does the least possible, in about ten minutes
	$(call heading,bench)
	$(CARGO) bench $(CARGO_FLAGS) --bench load

bench-memory: ## measures the program's memory over a million events
	$(call heading,memory)
	BENCH_WEBHOOKS=$${BENCH_WEBHOOKS:-vonage-status} $(CARGO) bench $(CARGO_FLAGS) --bench load -- memory

bench-spool: ## measures the spool while Kafka is away, and its drain
	$(call heading,spool)
	BENCH_WEBHOOKS=$${BENCH_WEBHOOKS:-vonage-status} $(CARGO) bench $(CARGO_FLAGS) --bench load -- spool

stages = $(CARGO) --config benches/stages/cargo.toml bench $(CARGO_FLAGS) --profile dev --bench stages

bench-check: ## counts the instructions of each stage with valgrind, and fails if they have grown
	$(call heading,instructions of each stage)
	$(stages)

bench-accept: ## writes the instructions of each stage as the new limits
	$(stages) -- accept

fixtures: ## writes anew what the mapping makes of the bodies below tests/fixtures; read the difference
	WRITE_FIXTURES=1 $(CARGO) test $(CARGO_FLAGS) --test it -- every_fixture_makes_exactly_the_events_beside_it

schemas: ## writes the JSON Schemas and the AsyncAPI document to schemas/
	$(CARGO) run $(CARGO_FLAGS) -- schemas --out schemas

# A folder of the final name is always whole, since the jars get it all at once. The broker tests do
# the same by themselves, and share the folder.
kafka: ## fetches the Apache Kafka of the broker tests into the cache
	$(call heading,Apache Kafka $(KAFKA_VERSION) in $(KAFKA_CACHE))
	@if [ ! -d '$(KAFKA_CACHE)' ]; then \
		mkdir -p '$(dir $(KAFKA_CACHE))' && \
		fresh=$$(mktemp -d '$(KAFKA_CACHE).XXXXXX') && \
		trap 'rm -rf "$$fresh"' EXIT && \
		mvn -q -B -f $(POM) dependency:copy-dependencies -DincludeScope=runtime \
			-DoutputDirectory="$$fresh/jars" && \
		{ [ -d '$(KAFKA_CACHE)' ] || mv "$$fresh/jars" '$(KAFKA_CACHE)'; }; \
	fi
