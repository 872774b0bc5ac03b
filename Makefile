# Every task of this project. `make` alone prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
GO      := CGO_ENABLED=0 go
TOOL    := go tool -modfile=ci/tools/go.mod
BINS    := shisad shisa-keeper shisa
KERNEL  ?=
SUITE   ?=

.PHONY: help deps deps-build build run demo test unit check fmt lint race fuzz sim generate vm-test distro-test vm-power-test bench \
	kmod kmod-check kmod-test packages packages-check clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | while IFS=$$'\t' read -r t d; do printf '  %-15s %s\n' "$$t" "$$d"; done

deps: ## install what is missing on this machine (Debian packages)
	@ci/deps

deps-build:
	@ci/deps build

build: ## build the programs into bin/
	@mkdir -p bin
	@for b in $(BINS); do $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/$$b ./cmd/$$b; done
	@ls -l bin | awk 'NR > 1 {printf "bin/%-14s %5.1f MB\n", $$9, $$5 / 1e6}'

run: deps-build build ## start shisad here with the embedded configuration, observing only
	@bin/shisad -foreground

demo: deps build ## boot a guest, stall it, see the reset and why (under two minutes)
	@$(GO) run ./ci/power/cmd/demo

test: deps ## everything that can be tested on this machine, guests included (at most 20 minutes)
	@ci/run-tests

unit: ## tests without guests
	@$(GO) test ./...

check: ## format, vet, lint, generated files, layers and sizes
	@ci/check

race: ## unit tests under the race detector
	@CGO_ENABLED=1 go test -race -short ./ctl/... ./cmd/... ./hwcompat/... ./bpf/...

fuzz: ## every fuzz target for FUZZTIME (10s) each
	@ci/fuzz $${FUZZTIME:-10s}

sim: ## a simulated year of the whole daemon
	@SHISA_SIM_DAYS=365 $(GO) test -timeout 60m -run TestSimulatedTime -v ./ctl/daemon

generate: ## regenerate what is generated
	@$(GO) generate ./...

vm-test: deps ## tests inside guests, for every kernel of ci/kernels.txt or KERNEL=
	@SHISA_VM=1 SHISA_VM_KERNEL='$(KERNEL)' $(GO) test -count=1 -p 1 -timeout 120m ./ci/vm/... ./ci/bpftest/... ./ci/claims ./ci/finals ./ctl/keeper ./ctl/keepalive/drivers

distro-test: deps ## packages and units on installed systems (Debian 11, 12, 13), booted with systemd; SUITE=
	@SHISA_VM=1 SHISA_DISTRO='$(SUITE)' $(GO) test -count=1 -timeout 120m -v ./ci/distro

vm-power-test: deps ## stalls in guests, judged by the hypervisor; one line a case; KERNEL=
	@$(GO) run ./ci/power/cmd/power $(if $(KERNEL),--kernel $(KERNEL))

bench: deps build ## figures, one line each, beside the peers'
	@$(GO) run ./ci/bench
	@$(GO) run ./ci/bpftest/bench
	@$(GO) run ./ci/kmod --bench --kernel 6.1

kmod: ## build the kernel module against KDIR=
	@$(MAKE) -C kmod KDIR=$(KDIR)

kmod-check: ## W=1, checkpatch, sparse, clang's analyzer, kernel-doc, dkms for all kernels or KERNEL=; i386, arm64
	@ci/deps kmod
	@ci/kmod/check $(KERNEL)

kmod-test: ## the module in guests, against softdog; KERNEL=, also KERNEL=sanitized: a kernel that watches itself
	@ci/deps kmod
	@$(GO) run ./ci/kmod $(if $(KERNEL),--kernel $(KERNEL))

packages-check: ## packages built twice, linted, and installed, upgraded, removed in roots (deb, dnf, zypper)
	@ci/deps packages
	@ci/packages

packages: deps build ## rpm, deb and tarball into dist/
	@$(GO) run ./packaging/build

clean: ## remove what was built
	@rm -rf bin dist
