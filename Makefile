# `make demo` and `make test` install and build everything they need; see docs/demo.md.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Only a KUBECONFIG and a REGISTRY on make's own command line are used: exported ones may be of production.
ifeq ($(origin KUBECONFIG),command line)
DEMO_CLUSTER := --kubeconfig "$(KUBECONFIG)"
else
unexport KUBECONFIG
endif
ifeq ($(origin REGISTRY),command line)
DEMO_REGISTRY := --registry "$(REGISTRY)"
else
REGISTRY :=
endif
MAKEOVERRIDES :=

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Run a bot with all it needs on a local Kubernetes cluster (KUBECONFIG=path REGISTRY=host/path: on your own).
	@hack/demo/demo up $(DEMO_CLUSTER) $(DEMO_REGISTRY)

.PHONY: demo-down
demo-down: ## Remove everything that the demo created.
	@hack/demo/demo down $(DEMO_CLUSTER)

.PHONY: images
images: ## Build the images without Docker; push them, or print how to load them (REGISTRY=host/path TAG=tag PLATFORM=linux/arm64).
	@REGISTRY="$(REGISTRY)" TAG="$(TAG)" PLATFORM="$(PLATFORM)" hack/images.sh

.PHONY: test
test: ## Run every check and test, end to end included, and install what they need.
	@hack/test/all

.PHONY: chaos
chaos: ## Inject faults while people chat, then compare database and chat (SEED=N DURATION=5m SETUPS="cluster two one alerts cluster-alerts traces").
	@SEED="$(SEED)" DURATION="$(DURATION)" SETUPS="$(SETUPS)" ONLY="$(ONLY)" RECORD="$(RECORD)" TRACES="$(TRACES)" hack/test/chaos

.PHONY: fuzz
fuzz: ## Send a bot and its database what the protocol forbids, within their memory limits (SEED=N DURATION=10m).
	@SEED="$(SEED)" DURATION="$(DURATION)" DATABASES="$(DATABASES)" ONLY="$(ONLY)" hack/test/fuzz

.PHONY: soak
soak: ## Run days of simulated time and an evening of 100,000 lines, then compare (SEED=N DAYS=30 LINES=100000 NAMES=5000).
	@SEED="$(SEED)" DAYS="$(DAYS)" LINES="$(LINES)" NAMES="$(NAMES)" hack/test/soak

.PHONY: rollouts
rollouts: ## Change RoseyBots twice in a row, in every order, and expect each to end as its last spec asks (SEED=N PAIRS=N).
	@SEED="$(SEED)" PAIRS="$(PAIRS)" hack/test/rollouts

.PHONY: arm64
arm64: ## Run tests of processes with the program for linux/arm64, in an emulator (PROGRAM=file TESTS=regexp).
	@PROGRAM="$(PROGRAM)" TESTS="$(TESTS)" hack/test/arm64

.PHONY: lint
lint: ## Check style, generated files and scripts.
	@hack/test/lint

.PHONY: unit
unit: ## Run the tests that need no cluster.
	@hack/test/unit

.PHONY: bench
bench: ## Measure the bot and the database service and print the table in docs/performance.md.
	@. hack/lib/compile.sh && use_build_flags && go run ./test/bench

.PHONY: bench-operator
bench-operator: ## Measure the operator with 1,000 RoseyBots, well and ill, and beside hostile pods; prints the tables in docs/performance.md.
	@. hack/lib/compile.sh && use_build_flags && go run ./test/bench/operator

.PHONY: vulncheck
vulncheck: ## Check the dependencies for known vulnerabilities; needs internet access.
	@go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

.PHONY: generate
generate: ## Generate deepcopy code, CRDs, RBAC and reference pages from the Go sources.
	@hack/generate.sh

.PHONY: build
build: ## Build bin/rosey, bin/operator and bin/kubectl-rosey, the plugin of kubectl.
	@. hack/lib/compile.sh && . hack/lib/version.sh && use_build_flags && \
		go build -ldflags "-s -w -X main.version=$$(tree_version)" -o bin/ ./cmd/rosey ./cmd/operator ./cmd/kubectl-rosey && \
		cp cmd/kubectl-rosey/kubectl_complete-rosey bin/

.PHONY: reproducible
reproducible: ## Make a release twice, the second time from a copy elsewhere and with every package compiled anew, and compare (ARGS=--host-only).
	@hack/test/reproducible $(ARGS)

.PHONY: release
release: ## Make everything that a release has in dist, without publishing it (VERSION=X.Y.Z REGISTRY=host/path RUNBOOKS=url SOURCE=url).
	@VERSION="$(VERSION)" REGISTRY="$(REGISTRY)" RUNBOOKS="$(RUNBOOKS)" SOURCE="$(SOURCE)" hack/release
