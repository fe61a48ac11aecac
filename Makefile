# PodSense: every task of a developer, a user of the source tree and CI. `make help` lists them.
# Each target brings along what it needs; what is up to date is left alone, so that a second run
# takes seconds. `make -s` prints only what matters.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export BUILD_QUIET := $(if $(findstring s,$(firstword -$(MAKEFLAGS))),1,)
MAKEFLAGS += -rR --no-print-directory

VERSION := $(shell bash -c '. scripts/lib.sh; project_version')

# --- What one may set: make run HTTP_PORT=9090 ARGS='--log-level debug'
PORT          ?= 8080# HTTP port of `make run`
GRPC_PORT     ?= 9000# gRPC port of `make run`
ADMIN_PORT    ?= 8000# metrics and health of `make run`
PREFIX        ?= /usr/local# of `make install`; DESTDIR is put in front
ARGS          ?=# further arguments of `make run`
JOBS          ?= $(shell nproc)# parallel compilers and tests; one a core
FUZZ_SECONDS  ?= 30# for each fuzz target
FUZZ          ?=# names of the fuzz targets; empty: all
ORACLE_ARGS   ?=# arguments of tests/foresight/oracle/run.py, such as --versions 1.36
BENCH_ARGS    ?=# arguments of bench/compare.py, peers.py, protocol.py
PROXIES_ARGS  ?=# arguments of tests/endurance/proxies.py: names of proxies, --times 10, -- FLAG of the servers

BASE          ?= main# what `make dev` compares with: a branch or a commit
TEST          ?=# regular expression of test names; empty: all
OVERLAY       ?= dev# kustomize overlay of `make deploy` and `make undeploy`
IMAGES        ?= podsense:$(VERSION) k8s-inference-sim:local# names of `make image` and `make kind-load`
OPENVINO      ?=# 1: build, install, run and image with OpenVINO as a second engine
PAGES         ?=# pages or folders for `make try-docs`; empty: all
E2E           ?=# scenarios of `make e2e`: quick, or names (tests/e2e/run.py --list); empty: all
MODELS        := build/models
PRESET        := $(if $(filter-out 0,$(OPENVINO)),openvino,release)
BINARY        := build/$(PRESET)/podsense

# --- Clones in different places share compiler results.
export CCACHE_BASEDIR   := $(CURDIR)
export CCACHE_NOHASHDIR := 1
export CCACHE_SLOPPINESS ?= time_macros

# Compiles TARGET (all if empty) with a preset; configures where that was not done yet (ninja itself
# configures again when a CMake file has changed).
# $(call build,PRESET,TARGET)
define build
	@[ -e build/$(1)/build.ninja ] || cmake --preset $(1) $(if $(BUILD_QUIET),--log-level=WARNING >/dev/null)
	@ninja -C build/$(1) -j $(JOBS) $(if $(BUILD_QUIET),--quiet) $(2)
endef

# Runs the test suite of a preset and leaves JUnit results in build/PRESET/tests.xml.
define run_tests
	@ctest --preset $(1) -j $(JOBS) $(if $(TEST),-R '$(TEST)') --output-junit tests.xml
endef

.NOTPARALLEL:
.PHONY: help setup setup-test models golden build install dev run test test-asan test-tsan conformance proxies conformance-frameworks test-collector test-loki fuzz bench bench-compare bench-peers bench-protocol lint \
        infra-test format hpa-oracle manifests check-modules try-bare try-docs dist try-dist ci clean distclean
.PHONY: monitoring-up monitoring-local test-openvino
.PHONY: image test-image kind-up kind-load deploy undeploy kind-down cluster-up cluster-down e2e

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@awk '/^[A-Z0-9_]+ +\?=/ { name = $$1; sub(/^[A-Z0-9_]+ +\?= */, ""); split($$0, part, /# ?/); sub(/^\$$.*/, "", part[1]); \
	      printf "%-16s %s%s\n", name, part[2], (part[1] == "" ? "" : " (default " part[1] ")") }' Makefile

setup: ## Install what building needs (Debian 12 and 13); get ONNX Runtime into build/deps
	@scripts/setup.sh
	@scripts/get-onnxruntime.sh build/deps/onnxruntime
	@$(if $(filter-out 0,$(OPENVINO)),scripts/get-openvino.sh build/deps/openvino,:)
	@scripts/make-locale.sh build/deps/locale

setup-test: ## The same, and what the tests and lint need
	@scripts/setup.sh --test
	@scripts/get-onnxruntime.sh build/deps/onnxruntime
	@$(if $(filter-out 0,$(OPENVINO)),scripts/get-openvino.sh build/deps/openvino,:)
	@scripts/make-locale.sh build/deps/locale

models: setup ## Make the default models in build/models (RANDOM_STATE, N_ESTIMATORS)
	@models/make_models.sh $(MODELS)

build: setup ## Build the binary that ships: build/release/podsense (OPENVINO=1: build/openvino/podsense)
	$(call build,$(PRESET),podsense)

install: build ## Install binary, ONNX Runtime, man pages and shell completion under PREFIX
	@cmake --install build/$(PRESET) --prefix "$(PREFIX)" $(if $(BUILD_QUIET),>/dev/null)

dist: models build ## Pack into build/dist: .deb for this Debian; on Debian 12 also a tar file and Python wheels
	@scripts/setup.sh --dist
	@scripts/make-dist.sh

try-dist: ## Make the packages, install each in a bare Debian 12 and 13, ask it (long)
	@scripts/try-dist.sh

dev: setup ## Build with assertions (build/dev) and run the tests of what differs from BASE
	@[ -e build/dev/build.ninja ] || cmake --preset dev $(if $(BUILD_QUIET),--log-level=WARNING >/dev/null)
	@scripts/dev-tests.py --base $(BASE) --jobs $(JOBS)

run: models build ## Serve the default models on PORT, GRPC_PORT and ADMIN_PORT
	@exec $(BINARY) serve --models $(MODELS) --http-port $(PORT) --grpc-port $(GRPC_PORT) --admin-port $(ADMIN_PORT) $(ARGS)

golden: models ## Make the reference data of the golden tests in build/golden
	@if [ -e tests/golden/make_golden.sh ]; then tests/golden/make_golden.sh build/golden; fi

test: setup-test golden ## Build the release with its tests and run all of them (TEST)
	$(call build,release,all)
	$(call run_tests,release)

test-asan: setup-test golden ## The same tests under AddressSanitizer and UBSan
	$(call build,asan,all)
	$(call run_tests,asan)

test-tsan: setup-test golden ## The same tests under ThreadSanitizer
	$(call build,tsan,all)
	$(call run_tests,tsan)

test-openvino: setup-test golden ## The tests of OpenVINO as a second engine: contract of backends, golden set
	@scripts/get-openvino.sh build/deps/openvino
	$(call build,openvino,openvino_test backend_contract_test podsense)
	@ctest --preset openvino -j $(JOBS) -R '$(or $(TEST),^(OpenVino|Backends/|BackendsTest|integration.openvino))' --output-junit tests.xml

test-collector: setup-test golden ## The tests of traces against a real OpenTelemetry Collector, built once
	$(call build,release,podsense)
	@PODSENSE_TEST_COLLECTOR=build ctest --preset release -R '^monitoring_traces' --output-on-failure

test-loki: setup-test golden ## The LogQL of dashboard and documentation against a real Loki, built once (long)
	$(call build,release,podsense)
	@PODSENSE_TEST_LOKI=build ctest --preset release -R '^monitoring_loki' --output-on-failure

conformance: setup-test ## Ask the release with other people's clients: gRPC's own, tritonclient, KServe, perf_analyzer, grpcurl, Envoy …
	@scripts/setup.sh --conformance
	$(call build,release,podsense grpc_interop_server)
	@ctest --preset release -C Conformance -L conformance -j 1 --output-junit conformance.xml

conformance-frameworks: golden ## Run the pages of Keras, PyTorch and Hugging Face, and models that packages bring: some gigabytes
	$(call build,release,podsense)
	@PODSENSE_BINARY=$(CURDIR)/build/release/podsense tests/conformance/run.sh test_heavy_framework_pages.py
	@PODSENSE_BINARY=$(CURDIR)/build/release/podsense tests/conformance/run.sh test_real_models.py

proxies: build models ## Servers end behind nginx, HAProxy, Apache, Caddy, Traefik and Envoy: does a request fail? (PROXIES_ARGS)
	@scripts/setup.sh --proxies
	@tests/endurance/run.sh proxies.py $(PROXIES_ARGS)

fuzz: setup-test ## Run each fuzz target for FUZZ_SECONDS (FUZZ)
	$(call build,asan,fuzz_targets)
	@JOBS=$(JOBS) scripts/fuzz.sh build/asan $(FUZZ_SECONDS) $(FUZZ)

bench: setup-test models ## Build and run the micro benchmarks
	$(call build,bench,all)
	@scripts/bench.sh build/bench

bench-compare: build golden ## Compare with nginx and a bare ONNX Runtime loop, as ratios (BENCH_ARGS)
	@scripts/setup.sh --bench
	$(call build,bench,bare_loop)
	@bench/compare.py $(BENCH_ARGS)

infra-test: ## Check infra/ without an AWS account: plans, tests, lint, policy
	@scripts/check-terraform.sh & checks=$$!; \
	python=$$(scripts/venv.sh infra tests/infra/requirements.txt)/bin/python && \
	"$$python" scripts/python-tests.py build/junit/infra.xml discover -q -b -s tests/infra -p '*_test.py'; tests=$$?; \
	wait $$checks && exit $$tests

image: ## Build the container images (IMAGES; also podsense-envoy:…): by Docker, else by buildah
	@docker info >/dev/null 2>&1 || scripts/setup.sh --image
	@scripts/image.sh $(IMAGES)
	@scripts/image.sh --size $(firstword $(IMAGES))

test-image: golden image ## Check that the images are small and whole, and run read-only without a shell
	@tests/image/image_test.py $(firstword $(IMAGES))

kind-up: ## Create the kind cluster k8s-inference-sim, or reuse it (without Docker: as cluster-up)
	@scripts/cluster.sh up

kind-load: ## Load the images (IMAGES) into the cluster's nodes
	@scripts/cluster.sh load $(IMAGES)

deploy: ## Apply a kustomize overlay (OVERLAY) and wait for its rollout: dev-inference-sim
	@scripts/deploy.sh apply $(OVERLAY)

undeploy: ## Remove what the overlay made
	@scripts/deploy.sh delete $(OVERLAY)

kind-down: ## Delete the kind cluster (without Docker: as cluster-down)
	@scripts/cluster.sh down

cluster-up: ## Bring up the cluster kit that KUBEKIT names, for machines without Docker
	@PLATFORM=kit scripts/cluster.sh up

cluster-down: ## End the cluster kit's cluster
	@PLATFORM=kit scripts/cluster.sh down

monitoring-up: ## Install Prometheus, Grafana (NodePort 30090), Loki and Alloy in kubectl's cluster
	@scripts/monitoring-up.sh

monitoring-local: setup-test ## Run Prometheus (and Grafana, if any) beside `make run`
	@scripts/monitoring-local.sh localhost:$(ADMIN_PORT)

e2e: build golden ## End-to-end tests on a real cluster (E2E=quick: seven minutes); results in build/e2e/latest
	@docker info >/dev/null 2>&1 || scripts/setup.sh --image
	@scripts/image.sh --from-build $(IMAGES) podsense-envoy:$(VERSION)
	@tests/e2e/run.py $(E2E)

bench-protocol: build ## Compare gRPC and REST with bare servers and a bare loop, as ratios (BENCH_ARGS)
	@scripts/setup.sh --bench
	$(call build,bench,bare_loop grpc_echo)
	@bench/protocol.py $(BENCH_ARGS)

bench-peers: build golden ## Compare with FastAPI, LitServe, BentoML on the same cores (BENCH_ARGS)
	@scripts/setup.sh --bench
	@bench/peers.py $(BENCH_ARGS)

check-modules: ## Check that modules include only what they declare
	@scripts/check-modules.py

lint: setup-test ## Check format, include graph, clang-tidy, shell, YAML, Python, spelling, chart, manifests
	@[ -e build/release/build.ninja ] || cmake --preset release >/dev/null
	@scripts/lint.sh

hpa-oracle: setup-test ## Ask the real autoscaler controllers (Go; long): vectors, answers, 100,000 looks each (ORACLE_ARGS)
	$(call build,release,hpa_replay podsense)
	@tests/foresight/oracle/run.py --go "$$(scripts/go-tool.sh --go)" --replay build/release/hpa_replay \
	  --simulate build/release/podsense $(ORACLE_ARGS)

manifests: ## Render k8s/ and the chart's README from helm/podsense
	@scripts/render-manifests.sh

format: ## Format the C++ sources in place
	@scripts/sources.sh cc | xargs -0 clang-format-19 -i

try-bare: ## Run `make test` in a bare Debian root (SUITE=bookworm or trixie)
	@scripts/try-bare.sh $(or $(SUITE),bookworm) make test

try-docs: ## Run the commands of README and docs/ in a bare Debian root (PAGES)
	@scripts/try-docs.sh $(PAGES)

ci: ## What CI runs
	@.ci/run

clean: ## Remove everything built, but not ONNX Runtime and the models
	@find build -mindepth 1 -maxdepth 1 ! -name deps ! -name models ! -name .models.key \
	  ! -name golden -exec rm -rf {} + 2>/dev/null || true

distclean: ## Remove build/ (what was downloaded stays in ~/.cache/podsense)
	@rm -rf build
