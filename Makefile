# Une cible, une action. `make help` les liste.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup reports test lint lock dictionary clean

help: ## Affiche cette liste
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: $(READY) ## Installe tout dans .venv (versions et empreintes de requirements.lock)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 ou plus récent est nécessaire : indiquez-le avec  make PYTHON=/chemin/vers/python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@mkdir -p $(VENV)/etc/ipython && cp ess_analysis/reports/ipython_kernel_config.json $(VENV)/etc/ipython/
	@touch $@

reports: $(READY) ## Rend tous les rapports des données embarquées dans reports/
	$(BIN)/ess report

test: $(READY) lint ## Contrôle le style, les types et passe les tests
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: $(READY) ## Recalcule requirements.lock d'après pyproject.toml (demande uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --all-extras \
	  --no-header --no-annotate --quiet pyproject.toml --output-file requirements.lock

dictionary: $(READY) ## Remet dans le README le dictionnaire des données de schema.py
	$(BIN)/python -c 'import pathlib, re; from ess_analysis import schema; p = pathlib.Path("README.md"); \
	  p.write_text(re.sub(r"(?s)(?<=## Data dictionary\n\n).*?(?=\n\n## )", lambda _: schema.dictionary(), p.read_text("utf-8")), "utf-8")'

clean: ## Supprime ce que le code a écrit (rapports, tables) ; jamais data/raw
	rm -rf reports data/processed/*
