# make demo and make test do all their set-up themselves, in an environment of their own, and
# need no network once done. Where things are can be said: make test PYTHON=python3.12 VENV=...
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet

# One BLAS thread: the products here are small, and threads that wait for each other on a busy
# machine cost more than they bring. Set it to use more: make demo OPENBLAS_NUM_THREADS=2
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo class test test-deep test-oracle bench bench-peers mutate lint docs format install install-oracle clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.guide ## train an LSTM, let it explain some reviews, and make the guide's pages
	$(BIN)/minigrad demo

class: $(VENV)/.class ## all that a lesson needs, offline from then on: pages, networks, a plan
	$(BIN)/python -m minigrad guide --prepare
	$(BIN)/python -m minigrad guide --chapters 1-7,9-10 --out guide > $(VENV)/class.log
	@printf '%s\n' '' 'Ready; from now on without a network:' \
		'  open guide/teacher.html         the plan for 90 minutes' \
		'  open guide/index.html           the chapters that it shows' \
		'  $(BIN)/minigrad guide --serve    the page with the review and the gates' \
		'  $(BIN)/minigrad exercise list    for students' \
		'All chapters, within a quarter of an hour: $(BIN)/minigrad guide'

# Tests start programs by the hundred: what each imports is compiled once, whatever the user's
# environment says, and not in each of them.
TESTS = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2

test: $(VENV)/.dev ## run the tests and the examples in docstrings and README
	MINIGRAD_PROFILE=fast $(TESTS)

test-deep: $(VENV)/.dev ## the same with many more random cases (long)
	MINIGRAD_PROFILE=deep $(TESTS)

test-oracle: $(VENV)/.oracle ## the same as test, compared with the oracles as well (a large download)
	MINIGRAD_PROFILE=fast $(TESTS)

bench: $(VENV)/.dev ## run all benchmarks beside the peers that are installed (20 minutes, on a quiet machine)
	@mkdir -p build
	$(BIN)/minigrad bench all --resume --json build/bench.json --page build/bench.html

bench-peers: $(VENV)/.peers ## install what the benchmarks compare with (a large download)

mutate: $(VENV)/.dev ## break every derivative and see whether the tests' checks notice (minutes)
	$(BIN)/minigrad mutate

# mypy and import-linter see minigrad.backends and minigrad.models only where the package mapping has been
# carried out, so they check the wheel, unpacked.
lint: $(VENV)/.dev ## check style, format, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(VENV)/wheel
	$(BIN)/python -m build --no-isolation --outdir $(VENV)/wheel . > $(VENV)/build.log 2>&1 \
		|| { cat $(VENV)/build.log; exit 1; }
	$(PIP) install --no-index --no-deps --target $(VENV)/wheel/unpacked $(VENV)/wheel/*.whl
	bin=$$(cd $(BIN) && pwd) && cd $(VENV)/wheel/unpacked \
		&& "$$bin/mypy" --config-file "$(CURDIR)/pyproject.toml" -p minigrad \
		&& "$$bin/mypy" --config-file "$(CURDIR)/pyproject.toml" "$(CURDIR)/tests/project/user_code.py" \
		&& PYTHONPATH=. "$$bin/lint-imports" "$(CURDIR)/pyproject.toml" --no-logo --no-cache

format: $(VENV)/.dev ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## make the reference of all public names, and check its links
	$(BIN)/python -m minigrad.models.reference build/reference

include tests/cupy_on_cpu/rules.mk

install: $(VENV)/.dev ## only set up what the tests need
install-oracle: $(VENV)/.oracle ## the same, with the oracles

clean: ## remove the environments and everything that was built
	rm -rf $(VENV) $(ON_CPU) $(CUDA) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# One environment. A stamp in it says which extras are installed, as of which pyproject.toml.
# If PYTHON is given and is not the one that an environment has, that is made anew.
WHICH = -c 'import sys; print(sys.version, sys.base_prefix)'
another = $(if $(wildcard $(1)/pyvenv.cfg),$(shell \
	[ "$$($(PYTHON) $(WHICH) 2>&1)" = "$$($(1)/bin/python $(WHICH) 2>&1)" ] || echo $(1)))
ifneq ($(origin PYTHON),file)
.PHONY: $(patsubst %,%/pyvenv.cfg,$(call another,$(VENV)))
.PHONY: $(patsubst %,%/.test,$(call another,$(ON_CPU)) $(call another,$(CUDA)))
endif

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
		echo "minigrad needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)"; \
		echo "Name another one, for example: make $(or $(MAKECMDGOALS),test) PYTHON=python3.12"; \
		exit 1; } >&2
	@if [ -e $@ ]; then \
		[ -e $(VENV)/.guide ] || [ -e $(VENV)/.test ] || { \
			echo "$(VENV) is of another Python than $(PYTHON), and not of make's making:" \
				"remove it, or name another folder, VENV=..." >&2; exit 1; }; \
		echo "$(VENV) is of $$($(BIN)/python --version 2>&1);" \
			"it is made anew, of $$($(PYTHON) --version)"; \
	fi
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.guide: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --editable '.[guide]'
	@touch $@

$(VENV)/.class: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --editable '.[guide,numba]'
	@touch $(VENV)/.guide $@

$(VENV)/.dev: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --editable '.[dev]'
	@touch $(VENV)/.guide $(VENV)/.class $@

$(VENV)/.peers: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --editable '.[dev,peers]'
	@touch $(VENV)/.guide $(VENV)/.class $(VENV)/.dev $@

$(VENV)/.oracle: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --editable '.[dev,oracle]'
	@touch $(VENV)/.guide $(VENV)/.class $(VENV)/.dev $@
