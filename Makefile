# What a developer and CI run. `make help` lists it.
SHELL := /bin/bash
GO ?= go
TESTENV := $(GO) run ./internal/testenv/cmd/testenv --
TOOL := $(GO) tool -modfile=tools/go.mod
COVERAGE_GOAL := 85
# The compiler's cache then serves every folder: with paths in the binaries, a fresh clone compiles all anew.
export GOFLAGS := $(GOFLAGS) -trimpath
# What `picaspot --version` says; a repository without tags has its commit only.
BUILDINFO := github.com/picaspot/picaspot/internal/buildinfo
LDFLAGS = -X $(BUILDINFO).version=$(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo devel) \
	-X $(BUILDINFO).commit=$(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown) \
	-X $(BUILDINFO).date=$(shell git log -1 --format=%cI 2>/dev/null || echo unknown)

.DEFAULT_GOAL := help
.PHONY: help setup run build test race bench fuzz lint format generate check-generated migration clients client-typescript client-kotlin contract ci clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what run and test need, or say what to install
	@./scripts/setup.sh test

run: ## run everything on this machine, on http://localhost:8080
	@./scripts/setup.sh run
	@$(GO) build -o bin/picaspot ./cmd/picaspot
	@exec ./bin/picaspot dev

build: ## build the binary, bin/picaspot
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/picaspot ./cmd/picaspot

test: ## run all tests on a real PostgreSQL and Redis
	@./scripts/setup.sh test
	$(GO) build -o bin/picaspot ./cmd/picaspot
	GO="$(GO)" PICASPOT_TEST_BINARY="$(CURDIR)/bin/picaspot" $(TESTENV) ./scripts/test.sh bin/coverage.out
	@./scripts/coverage.sh bin/coverage.out $(COVERAGE_GOAL)

race: ## run all tests with the race detector, in every package
	@./scripts/setup.sh test
	$(GO) build -o bin/picaspot ./cmd/picaspot
	PICASPOT_TEST_BINARY="$(CURDIR)/bin/picaspot" $(TESTENV) $(GO) test -race -timeout 30m ./...

bench: ## measure the complete chain, beside handlers written by hand
	@./scripts/setup.sh test
	$(TESTENV) $(GO) run ./internal/bench/cmd/bench $(BENCH)

fuzz: ## hold the server against the contract, with requests that are made up
	@./scripts/setup.sh test
	@./scripts/fuzz.sh $(FUZZ)

lint: ## run the linters
	$(TOOL) golangci-lint run ./...

format: ## format the code
	$(TOOL) golangci-lint fmt ./...

generate: ## make the generated code from openapi.yaml and ent/schema
	$(GO) generate ./api ./ent
	cd clients/typescript && npm ci --no-audit --no-fund && npm run generate
	cd clients/kotlin && ./generate.sh
	cd tools/contract && npm ci --no-audit --no-fund && npm run collection

clients: client-typescript client-kotlin ## build the clients and test them against a server

client-typescript: ## the TypeScript client: lint, freshness, build, tests
	@./scripts/setup.sh clients
	cd clients/typescript && npm ci --no-audit --no-fund && npm run lint && npm run check-generated && npm test

client-kotlin: ## the Kotlin client: freshness, build, tests
	@./scripts/setup.sh clients
	cd clients/kotlin && ./generate.sh --check && mvn -B -ntp verify

contract: ## the contract and its documentation: rules, samples, guides, requests, a browser
	@./scripts/setup.sh contract
	cd clients/typescript && npm ci --no-audit --no-fund
	cd tools/contract && npm ci --no-audit --no-fund && npm run check
	./scripts/breaking_test.sh
	./scripts/breaking.sh

check-generated: ## fail when the generated code is not what generate makes
	@./scripts/check-generated.sh

migration: ## write the next migration: make migration NAME=what_changes
	@test -n "$(NAME)" || { echo "usage: make migration NAME=what_changes" >&2; exit 1; }
	$(TESTENV) ./scripts/migration.sh $(NAME)

ci: lint check-generated test clients contract ## what every change has to pass

clean: ## remove what was built; .data, which run keeps, stays
	rm -rf bin
