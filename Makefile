# `make help` lists the targets. What needs root says so and exits 77, which make shows as "Error 77".
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

TOPOLOGY ?= topologies/small.yml
NAME ?= dctest
SUITE ?=

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
export PYTHONUNBUFFERED := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Options: TOPOLOGY=$(TOPOLOGY) NAME=$(NAME) SUITE=\"standard reboot fault upgrade\" (default: all)"
	@echo "To add a fault, a scenario, a device kind, a deployer or a topology: CONTRIBUTING.md"

.PHONY: setup
setup: ## install packages and .venv; a second call does nothing (root)
	@.ci/setup

.PHONY: dctest
dctest: setup ## the main job: build TOPOLOGY, run the scenarios, print the verdict (root)
	@$(BIN)/vdc test $(TOPOLOGY) --name $(NAME) $(foreach suite,$(SUITE),--suite $(suite))

.PHONY: test
test: setup check unit ## all tests: check, unit, lying twins, then the real kernel (root)
	$(PYTEST) tests/scenarios
	$(PYTEST) tests/host

.PHONY: check
check: fmt-check lint type ## formatting, lint and types

.PHONY: fmt
fmt: $(BIN)/vdc ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix --select I

.PHONY: fmt-check
fmt-check: $(BIN)/vdc ## is the code formatted?
	$(BIN)/ruff format --check

.PHONY: lint
lint: $(BIN)/vdc ## ruff
	$(BIN)/ruff check

.PHONY: type
type: $(BIN)/vdc ## mypy --strict
	$(BIN)/mypy

.PHONY: unit
unit: $(BIN)/vdc ## unit and golden tests, without root, in under a minute
	$(PYTEST) tests --ignore tests/host --ignore tests/scenarios

.PHONY: bench
bench: setup ## measure up, converge and down; needs the host for itself (root)
	@$(BIN)/vdc bench

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
