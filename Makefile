# `make demo` and `make test` do all the set-up themselves; see README.md.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Only a KUBECONFIG on make's own command line counts: an exported one may be a real cluster.
ifeq ($(origin KUBECONFIG),command line)
DEMO_CLUSTER := --kubeconfig "$(KUBECONFIG)"
else
unexport KUBECONFIG
endif
MAKEOVERRIDES :=

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Run it all: a local cluster, NATS, the operator, a bot, chat into the database (KUBECONFIG=path: on that cluster)
	@hack/demo/demo up $(DEMO_CLUSTER)

.PHONY: demo-down
demo-down: ## Remove every trace of the demo
	@hack/demo/demo down $(DEMO_CLUSTER)

.PHONY: test
test: ## Pass every test, end to end included; installs what it needs
	@hack/test/all

.PHONY: chaos
chaos: ## Kill, pause, cut and restart everything while people chat, then compare: SEED=N DURATION=5m SETUPS="cluster two one"
	@SEED="$(SEED)" DURATION="$(DURATION)" SETUPS="$(SETUPS)" ONLY="$(ONLY)" hack/test/chaos

.PHONY: lint
lint: ## Check style, generated files, scripts and the chart
	@hack/test/lint

.PHONY: unit
unit: ## Run the tests that need no cluster
	@hack/test/unit

.PHONY: bench
bench: ## Measure the built program from outside; prints the table of docs/performance.md
	@go run -trimpath ./test/bench

.PHONY: bench-operator
bench-operator: ## Measure the operator with 1,000 RoseyBots on simulated nodes; prints the table of docs/performance.md
	@go run -trimpath ./test/bench/operator

.PHONY: vulncheck
vulncheck: ## Ask Go's vulnerability database about what is used; needs the internet
	@go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

.PHONY: generate
generate: ## Write deepcopy, CRD and RBAC anew from the Go types
	@hack/generate.sh

.PHONY: build
build: ## Build bin/rosey and bin/operator
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$$(git describe --tags --always --dirty)" \
		-o bin/ ./cmd/rosey ./cmd/operator
