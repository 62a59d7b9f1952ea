# What CI runs, by hand. Everything needs Go alone.
GO ?= go
TOOL = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s
CHAOS ?= --duration 1m

.PHONY: check test race lint fuzz bench demo chaos

check: lint test race fuzz demo ## everything that CI does

test: ## the tests, those of the examples included
	$(GO) test ./...
	cd examples/webrtc && $(GO) test ./...

race: ## the same under the race detector, in random order
	$(GO) test -race -shuffle=on ./...
	cd examples/webrtc && $(GO) test -race ./...

lint: ## vet, linters, formatting
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(TOOL) golangci-lint run ./...
	cd examples/webrtc && $(GO) mod tidy -diff && $(GO) vet ./...

fuzz: ## every fuzz target for FUZZTIME
	./tools/fuzz.sh $(FUZZTIME)

bench: ## the benchmarks of docs/performance.md
	$(GO) test -run '^$$' -bench Relay -benchtime 24000x -count 3 ./test/integration
	$(GO) test -run '^$$' -bench Hop -benchtime 3000x -count 3 ./test/integration
	$(GO) test -run '^$$' -bench . -benchmem ./call ./signal ./identity
	$(GO) test -run '^$$' -bench Connect -benchtime 1000x -count 3 ./auth
	$(GO) test -run '^$$' -bench 'Limiter|Trace' ./router

demo: ## nine calls through a proxy
	$(GO) run ./cmd/router demo

chaos: ## calls through a fleet in which everything is broken; docs/reliability.md
	$(GO) run ./test/chaos $(CHAOS)
