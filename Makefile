# make test    everything, installing what it needs (what the README asks for)
# make fast    what to run before each commit: under two minutes
# make check   the gate: formatting, analysers, linters, dead code, types
# make fmt     writes what the gate would ask for
# make bench   the figures of docs/performance.md
# make screenshots   the pictures of docs/screenshots

SHELL := /bin/bash
MODULE := github.com/custody-log/custody
TOOL := go tool -modfile=$(CURDIR)/tools/go.mod

# Modules of their own inside this one.
MODULES := . $(patsubst %/go.mod,%,$(wildcard tools/go.mod interop/go.mod bench/peers/go.mod e2e/provider/go.mod))

GO_FILES = $$(find . -name node_modules -prune -o -name testdata -prune -o -name '*.go' -print)

.PHONY: build test fast check fmt bench screenshots clean
.PHONY: check-gofumpt check-vet check-fix check-staticcheck check-lint check-deadcode check-layers check-js

build:
	go build -trimpath -o custody ./cmd/custody

test:
	@scripts/test.sh

fast:
	go vet ./...
	go test -short ./...

check: check-gofumpt check-vet check-fix check-layers check-staticcheck check-lint check-deadcode check-js
	@echo "check: all is well"

# gofumpt writes a diff; an empty one is what we want.
check-gofumpt:
	@diff=$$($(TOOL) gofumpt -d $(GO_FILES)) && test -z "$$diff" || { echo "$$diff"; echo "check: not gofumpt's format; hint: make fmt"; exit 1; }

check-vet:
	@for m in $(MODULES); do (cd $$m && go vet ./...) || exit 1; done

check-fix:
	@for m in $(MODULES); do \
	  diff=$$(cd $$m && go fix -diff ./...) && test -z "$$diff" || { echo "$$diff"; echo "check: go fix has something to say in $$m; hint: make fmt"; exit 1; }; \
	done

check-layers:
	@go test ./internal/archtest

check-staticcheck:
	@for m in $(MODULES); do (cd $$m && $(TOOL) staticcheck ./...) || exit 1; done

# Not in tools/, whose programs may exit and are tested from inside.
check-lint:
	@for m in $(filter-out tools,$(MODULES)); do (cd $$m && $(TOOL) golangci-lint run ./...) || exit 1; done

check-deadcode:
	@scripts/deadcode.sh

check-js:
	@scripts/check-js.sh

fmt:
	@$(TOOL) gofumpt -w $(GO_FILES)
	@for m in $(MODULES); do (cd $$m && go fix ./...) || exit 1; done
	@scripts/check-js.sh --write

bench:
	@if [ -x scripts/bench.sh ]; then scripts/bench.sh; else go test -run '^$$' -bench . -benchmem ./...; fi

screenshots:
	@scripts/install-test-deps.sh
	node e2e/screenshots.mjs

clean:
	rm -f custody
