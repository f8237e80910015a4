# Two commands do everything: `make run` and `make test`. The others are for working on the project.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PORT ?= 8000
DATA ?= $(or $(MCP_AUTH_DATA),data/demo)
# debug builds in a third of the time; release is for measuring and for deploying
CONFIGURATION ?= debug

.PHONY: help run test test-core lint format bench fuzz sanitize docs reliability conformance clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

run: ## Build, and run the demo: a protected MCP server with its own authorization server
	@Scripts/setup
	@echo "run: building (the first time takes about 10 minutes on two cores, later seconds)"
	@swift build -c $(CONFIGURATION) --product mcp-auth
	@MCP_AUTH_MAKE=1 exec "$$(swift build -c $(CONFIGURATION) --show-bin-path)/mcp-auth" demo --port $(PORT) --data $(DATA)

test: ## Install what is missing, and run every test
	@Scripts/setup tests
	@Scripts/test

test-core: ## Test JOSE and OAuth alone, in about a minute
	@MCP_AUTH_CORE=1 swift test --scratch-path .build/core

lint: ## Check the style, and that public declarations are documented
	@swift format lint --strict --recursive Package.swift Sources Tests Examples Snippets Benchmarks/Package.swift Benchmarks/Sources Fuzz/Package.swift Fuzz/Sources
	@Scripts/check-comments --minimum 90 --columns 120

format: ## Mend the style
	@swift format --in-place --recursive Package.swift Sources Tests Examples Snippets Benchmarks/Package.swift Benchmarks/Sources Fuzz/Package.swift Fuzz/Sources

bench: ## Measure; docs/performance.md says what the numbers mean
	@Scripts/setup tests
	@Benchmarks/run

fuzz: ## Fuzz every decoder, twenty seconds each (FUZZ_SECONDS), and every endpoint
	@Scripts/setup tests
	@Fuzz/run
	@swift build --product mcp-auth
	@Fuzz/interface "$$(swift build --show-bin-path)/mcp-auth"

docs: ## Render the documentation of the libraries, and find links that lead nowhere
	@Scripts/setup
	@Scripts/docs

sanitize: ## Run every Swift test with the address sanitizer, and with the thread sanitizer
	@Scripts/setup
	@Scripts/sanitize address
	@Scripts/sanitize thread

reliability: ## A thousand kills, and every fault that can be brought about here, in two hours; docs/reliability.md says what came of it
	@Scripts/setup tests
	@swift build --product mcp-auth
	@CRASH_ROUNDS=$${CRASH_ROUNDS:-1000} RACE_ROUNDS=$${RACE_ROUNDS:-2000} STOP_ROUNDS=$${STOP_ROUNDS:-100} FAULT_SECONDS=$${FAULT_SECONDS:-1800} \
		GROWTH_ROWS=$${GROWTH_ROWS:-1000000} CLIENT_KILL_SECONDS=$${CLIENT_KILL_SECONDS:-600} SOAK_SECONDS=$${SOAK_SECONDS:-3600} INTEROP_SECONDS=28800 \
		Tests/Interop/run "$$(swift build --show-bin-path)/mcp-auth" SIGKILL M-03 O-07 M-07 M-08 M-09 M-13 M-14 M-15 O-06 L-06 N-10 C-15

conformance: ## Run every test, and write docs/conformance.md from what passed
	@Scripts/setup tests
	@Scripts/conformance

clean: ## Remove what was built; data and sources stay
	@swift package clean
