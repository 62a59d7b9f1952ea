# What CI runs, by hand. Everything needs Go alone, but for what needs a real
# Prometheus.
GO ?= go
TOOL = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s
CHAOS ?= --duration 1m
IMAGE ?= ghcr.io/voicerouter/router
CHARTS ?= oci://ghcr.io/voicerouter/charts
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)

.PHONY: check test race lint fuzz bench bench-sip bench-curves bench-report bench-compare demo chaos observability chart chart-readme chart-publish image image-check image-publish dist

check: lint test chart image-check race fuzz demo observability ## everything that CI does

test: ## the tests, those of the examples and of the benchmarks included
	$(GO) test ./...
	cd examples/webrtc && $(GO) test ./...
	cd bench && $(GO) test ./...

race: ## under the race detector, in random order; -short leaves out what other processes do
	$(GO) test -race -shuffle=on -short ./...
	cd examples/webrtc && $(GO) test -race ./...

lint: ## vet, linters, formatting
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(TOOL) golangci-lint run ./...
	for module in examples/webrtc test/chart test/image test/observability bench; do (cd $$module && $(GO) mod tidy -diff && $(GO) vet ./...) || exit 1; done
	$(GO) tool -modfile=tools/actionlint/go.mod actionlint
	cd test/observability && $(GO) tool -modfile=../../tools/go.mod golangci-lint run ./...

fuzz: ## every fuzz target for FUZZTIME
	./tools/fuzz.sh $(FUZZTIME)

BENCH = cd bench && $(GO) run .

bench: ## what docs/performance.md shows, and the page itself; about ten minutes
	$(BENCH) micro -out micro.jsonl
	$(BENCH) profile -out profile.jsonl
	$(BENCH) run -out run.jsonl
	$(MAKE) bench-report

bench-sip: ## the router beside kamailio (apt-get install kamailio sip-tester)
	$(BENCH) sip -out sip.jsonl
	$(MAKE) bench-report

bench-curves: ## how the router does as calls, routes, endpoints, workers, messages grow
	$(BENCH) curves -out curves.jsonl
	$(MAKE) bench-report

bench-report: ## docs/performance.md from what was measured last
	$(BENCH) report *.jsonl

BASE ?= main

bench-compare: ## single functions: BASE against the working tree
	./tools/bench-compare.sh $(BASE)

demo: ## nine calls through a proxy
	$(GO) run ./cmd/router demo

chaos: ## calls through a fleet in which everything is broken; docs/reliability.md
	$(GO) run ./test/chaos $(CHAOS)

observability: ## alerts, dashboard and runbook, with a real Prometheus
	./tools/prometheus.sh
	cd test/observability && $(GO) test ./...

chart: ## the Helm chart: schema, strict types, an installation with processes for pods
	cd test/chart && $(GO) test ./...

chart-readme: ## the table of values in the chart's README, from values.yaml
	cd test/chart && $(GO) test -run TestReadme . -update

chart-publish: ## package the chart as VERSION, for the image of VERSION, and push it to CHARTS (needs helm)
	mkdir -p dist
	helm package charts/router --version $(VERSION:v%=%) --app-version $(VERSION) --destination dist
	helm push dist/router-$(VERSION:v%=%).tgz $(CHARTS)

image: ## the image IMAGE:VERSION for this machine (needs docker)
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --tag $(IMAGE):$(VERSION) .

image-check: ## that the image can be built, runs, and is the same every time; without docker or a registry
	cd test/image && $(GO) test ./...

image-publish: ## build for every platform with an SBOM, push to IMAGE:VERSION, print the digest
	mkdir -p dist
	VERSION=$(VERSION) REVISION=$(REVISION) KO_DOCKER_REPO=$(IMAGE) $(GO) tool -modfile=test/image/go.mod \
		ko build --bare --tags $(VERSION) --sbom spdx --sbom-dir dist ./cmd/router

dist: ## binaries of VERSION for every platform, with checksums
	VERSION=$(VERSION) REVISION=$(REVISION) ./tools/dist.sh
