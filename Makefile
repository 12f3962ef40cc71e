# Two commands do everything: `make demo` and `make test`. Both build .venv first, from the package index.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test bench lint docs release-check clean

demo: $(VENV)/.demo
	$(BIN)/refcodec demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --benchmark-disable

bench: $(VENV)/.test
	$(BIN)/python tools/bench

lint docs release-check: $(VENV)/.test
	$(PIP) install --quiet tox
	$(BIN)/tox -e $@

clean:
	rm -rf $(VENV) build dist demo-output *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable ".[demo]"
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) install --quiet --constraint constraints.txt --editable ".[demo,test]"
	$(PIP) install --quiet --constraint constraints.txt --no-deps torchvision # asks for a torch of its own
	touch $@
