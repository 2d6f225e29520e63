# Everything a developer does. Each target first installs what it needs (tools/setup).

PYTEST = .venv/bin/python -m pytest
# Two whole machines at once: the tests have to fit two cores.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-machines test-all lint bench fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## install packages and .venv; every other target does it by itself
	@tools/setup

demo: setup ## build a Linux disk from Debian's kernel and busybox, and boot it to a shell
	@.venv/bin/python examples/demo.py

test: lint test-fast test-machines ## run every check and every test

test-fast: setup ## run what needs no machine
	$(PYTEST) -n $(JOBS) -m "not machine and not slow"

test-machines: setup ## boot machines in QEMU, and one of each slow matrix
	$(PYTEST) -n $(JOBS) -m "machine or slow" --thin

test-all: setup ## run every test, the slow matrices in full (an hour)
	$(PYTEST) -n $(JOBS)

lint: setup ## run ruff, strict types, and slang's own checks
	@tools/lint

bench: setup ## measure sizes, boots, codecs and the compiler
	@.venv/bin/python -m bench

fuzz: setup ## fuzz every parser with 10,000 examples and more
	BOOTSLANG_FUZZ_EXAMPLES=10000 $(PYTEST) -n $(JOBS) tests/fuzz

clean: ## delete what was built here; the cache of the user stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist disk.img
	find . -name __pycache__ -prune -exec rm -rf {} +
