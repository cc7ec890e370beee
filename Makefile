# make demo: the main job from nothing to a finished run.   make test: every test and check.
# A new machine needs Debian, Python 3.11, make and git; everything else is installed from here.

UV_VERSION := 0.13.8
UV := .tools/bin/uv
RUN := .venv/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-board demo-sentence up test check format bench dispatchers eval simulate chaos firing fuzz

help:
	@sed -n '1,2p' Makefile
	@echo "make up: start the server.   make check: format, lint, types, import contracts.   make eval: how well sentences are understood."

setup: .venv/ready /usr/bin/bwrap

.tools/bin/uv:
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q python3-venv; }
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet uv==$(UV_VERSION)

.venv/ready: .tools/bin/uv uv.lock pyproject.toml
	$(UV) sync --frozen --quiet --all-extras
	@touch $@

/usr/bin/bwrap:
	@command -v bwrap >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q bubblewrap python3-minimal; }

demo: setup
	@$(RUN)/omniforge dev demo

demo-board: setup
	@$(RUN)/omniforge dev demo-board

demo-sentence: setup
	@$(RUN)/omniforge dev demo-board --from-sentence

up: setup
	@$(RUN)/omniforge up

test: check
	$(RUN)/pytest -n auto --dist worksteal

check: setup
	$(RUN)/ruff format --check src sandbox_kit skills tests migrations bench
	$(RUN)/ruff check src sandbox_kit skills tests migrations bench
	$(RUN)/pyright
	$(RUN)/lint-imports

format: setup
	$(RUN)/ruff format src sandbox_kit skills tests migrations bench
	$(RUN)/ruff check --fix src sandbox_kit skills tests migrations bench

bench: setup
	$(RUN)/python -m bench

dispatchers: setup
	@$(RUN)/python -m bench.dispatchers

eval: setup
	@$(RUN)/python -m bench.understanding

simulate: setup
	@$(RUN)/omniforge dev simulate --seeds 10000

firing: setup
	@PYTHONPATH=tests:. $(RUN)/python -m chaos.firing

chaos: setup
	@PYTHONPATH=tests $(RUN)/python -m chaos

fuzz: setup
	@$(RUN)/python -m bench.fuzz
