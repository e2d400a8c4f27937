# `make help` lists the targets. What needs root says so and exits 77: make shows that as "Error 77", and exits 2.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

# what is deployed: etcd is quicker to a verdict
CLUSTER ?= etcd
FILE_etcd := topologies/small.yml
FILE_kubernetes := topologies/k8s-small.yml
FILE_script := topologies/script.yml
SUITES_kubernetes := standard
TOPOLOGY ?= $(or $(FILE_$(CLUSTER)),$(error CLUSTER=$(CLUSTER) has no topology of its own: give TOPOLOGY=FILE, too))
NAME ?= dctest$(if $(filter-out etcd,$(CLUSTER)),-$(CLUSTER))
SUITE ?= $(SUITES_$(CLUSTER))
DEPLOYER ?= $(if $(filter-out file,$(origin CLUSTER)),$(CLUSTER))
WORKERS ?=
NO_CHECKPOINT ?=
NIGHTLY ?=
SINCE ?=
SETS ?=

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
REPORTS := runs/test
export PYTHONUNBUFFERED := 1
# daemons are there, and not everybody has them on the path
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# What root writes here goes to the owner of the checkout, who could not run the same target afterwards.
HANDING_BACK := trap .ci/hand-back EXIT;

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Options: CLUSTER=etcd|kubernetes|script chooses what is deployed, and with it the defaults of the others:"
	@echo "  TOPOLOGY=$(TOPOLOGY) NAME=$(NAME) SUITE=\"standard reboot fault upgrade\" (default: all; of kubernetes: standard)"
	@echo "  WORKERS=2 runs scenarios on two data centres at once (auto: on as many as fit); NO_CHECKPOINT=1 does all from cold;"
	@echo "  SUITE=premerge runs a core, and what the change since main (or SINCE=REF) can affect: scenarios/premerge.yml;"
	@echo "  SETS=\"spines=4\" sets variables of the topology file;"
	@echo "  NIGHTLY=1 also those scenarios that take longer than a verdict before a merge may"
	@echo "To add a fault, a scenario, a device kind, a deployer or a topology: CONTRIBUTING.md"

.PHONY: setup
setup: ## install packages and .venv; a second call does nothing (root)
	@.ci/setup

.PHONY: dctest
dctest: setup ## the main job: build TOPOLOGY, deploy CLUSTER, run the scenarios, print the verdict (root)
	@$(BIN)/vdc test $(TOPOLOGY) --name $(NAME) $(foreach suite,$(SUITE),--suite $(suite)) \
		$(if $(DEPLOYER),--deployer $(DEPLOYER)) $(if $(WORKERS),-n $(WORKERS)) $(if $(NO_CHECKPOINT),--no-checkpoint) \
		$(if $(NIGHTLY),--nightly) $(if $(SINCE),--since $(SINCE)) \
		$(foreach set,$(SETS),--set $(set))

.PHONY: test
test: setup check unit ## all tests: check, unit, lying twins, then the real kernel (root)
	@$(HANDING_BACK) $(PYTEST) tests/scenarios --junitxml=$(REPORTS)/scenarios.xml
	@$(HANDING_BACK) $(PYTEST) tests/host --junitxml=$(REPORTS)/host.xml

.PHONY: check
check: fmt-check lint type ## formatting, lint and types

.PHONY: fmt
fmt: $(BIN)/vdc ## format the code
	@$(HANDING_BACK) $(BIN)/ruff format && $(BIN)/ruff check --fix --select I

.PHONY: fmt-check
fmt-check: $(BIN)/vdc ## is the code formatted?
	@$(HANDING_BACK) $(BIN)/ruff format --check

.PHONY: lint
lint: $(BIN)/vdc ## ruff
	@$(HANDING_BACK) $(BIN)/ruff check

.PHONY: type
type: $(BIN)/vdc ## mypy --strict
	@$(HANDING_BACK) $(BIN)/mypy

.PHONY: unit
unit: $(BIN)/vdc ## unit and golden tests, without root, in about a minute
	@$(HANDING_BACK) $(PYTEST) -n auto --dist loadfile tests --ignore tests/host --ignore tests/scenarios \
		--junitxml=$(REPORTS)/unit.xml

.PHONY: soak
soak: setup ## the faults of a fabric without servers, N times (100): no flake, no leftover; 2 hours (root)
	@$(BIN)/vdc test topologies/fabric.yml --name soak --suite fault --nightly --repeat $(or $(N),100)

.PHONY: bench
bench: setup ## how fast it all is, beside what it must be; 10 minutes, alone on the host (root)
	@$(HANDING_BACK) $(BIN)/vdc bench --json runs/bench.json

.PHONY: up
up: setup ## build TOPOLOGY as NAME and leave it running (root)
	@$(BIN)/vdc up $(TOPOLOGY) --name $(NAME)

.PHONY: down
down: setup ## take NAME down (root)
	@$(BIN)/vdc down $(NAME)

.PHONY: clean
clean: ## remove .venv, caches and reports; data centres and images stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build runs *.egg-info
	find vdc tests scenarios -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/vdc:
	@echo "there is no .venv yet: run 'make setup' (as root or with sudo) first" >&2; exit 1
