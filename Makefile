# The two commands are `make course` and `make test`; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Seconds since the start, so that long steps show where the time goes.
say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

export PYTHONUTF8 := 1
# Two test workers with two BLAS threads each only get in each other's way on two cores.
test: export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup system course book exercises class grade test lint coverage bench serve pins clean

help: ## list the targets
	@printf 'Usage: make TARGET\n\n'
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## prepare .venv and nothing more

$(READY): pyproject.toml constraints.txt
	$(call say,set-up: Python environment in .venv (about two minutes the first time))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make setup: Python 3.11 or newer is needed, '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Install one, or name it: make setup PYTHON=python3.12"; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "make setup: the venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

system: ## install the system packages that tests of pages need (Chromium), where possible
	@tools/system-packages.sh

exercises: setup ## solutions/ -> exercises/: release every assignment
	$(call say,release: solutions to exercises)
	@$(BIN)/nncourse release

book: setup ## build the book, every cell executed, into _build/html
	$(call say,book: executing and building (unchanged pages come from the cache))
	@$(BIN)/python tools/build_book.py

class: exercises ## write the sample class into submitted/
	$(call say,sample class: submissions from the solutions and known mistakes)
	@$(BIN)/nncourse sample-class

# The sample class is this course's own code, so it may be graded where no sandbox can be made.
grade: system class ## grade the sample class, write feedback and reports
	$(call say,grading)
	@$(BIN)/nncourse grade --students 'sample-*' --trust-submissions

course: exercises book grade ## release, build the book, grade the sample class, print the results
	$(call say,done)
	@printf '%-10s %s\n' book _build/html/index.html grades reports/index.html feedback feedback/ exercises exercises/
	@echo "make serve opens the book on localhost."

lint: setup ## ruff and mypy
	$(call say,lint)
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: setup system lint book ## the whole suite
	$(call say,tests)
	@$(BIN)/nncourse release --check
	@$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

coverage: setup ## run the tests of nnlib and show which of its lines they miss
	$(call say,coverage: about ten minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m coverage run --source=nnlib -m pytest -q -p no:cacheprovider \
	  tests/nnlib tests/course/test_exercises.py $(wildcard tests/course/test_ch*.py)
	@$(BIN)/python -m coverage report --skip-covered --fail-under=98

bench: setup ## measure: nnlib beside PyTorch and NumPy peers, and the wait for a verdict
	$(call say,benchmarks: about three minutes; close other programs)
	@$(BIN)/python benchmarks/nnlib.py
	@$(BIN)/python benchmarks/checks.py

serve: book ## serve the built book on localhost:8000
	@echo "The book is at http://localhost:8000 (Ctrl-C stops it)."
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

pins: ## write constraints.txt anew from pyproject.toml
	@tools/pins.sh

clean: ## remove everything that make made, .venv included
	rm -rf .venv .cache _build source submitted autograded feedback reports gradebook.db jupyter_execute
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
