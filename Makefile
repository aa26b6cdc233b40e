# The commands of the project. Needs Linux, Python 3.11 and make; everything else goes to .venv.

bin := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help setup run smoke bench bench-data bench-score torture soak docs test lint clean

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1: /p' Makefile

setup:           ## make .venv from requirements.lock (instant when nothing changed)
	@setup/install.sh

run: setup       ## run the whole pipeline and print the result table
	@$(bin)/finer1 run

smoke: setup     ## run every stage on a tiny split, in a copy: the folder stays as it is
	@$(bin)/python -m flows.smoke

bench: setup     ## TAPO's update against TRL's own path: equality, time, memory; minutes
	@$(bin)/python -m benchmarks.update
	@echo
	@$(bin)/python -m benchmarks.stage

bench-data: setup ## looking at all photographs of DIR (several: DIR='a b'): speed and memory; minutes
	@$(bin)/python -m benchmarks.data $(DIR)

bench-score: setup ## scoring all released questions, which DIR holds: time and memory; minutes
	@$(bin)/python -m benchmarks.score $(DIR)

KILLS ?= 200
torture: setup   ## kill DVC and the stages KILLS times (200) at random moments; an hour
	@$(bin)/python -m tests.torture $(KILLS)

SOAK_MINUTES ?= 60
soak: setup      ## runs, kills and load on the servers for SOAK_MINUTES (60): memory stays flat
	@$(bin)/python -m tests.soak $(SOAK_MINUTES)

# Two authors announce other programs at each build.
docs: export NO_MKDOCS_2_WARNING := 1
docs: export DISABLE_MKDOCS_2_WARNING := true
docs:            ## the pages as a site, build/site/index.html, links checked; fetches mkdocs once
	@test -x build/docs/bin/mkdocs || { python3 -m venv build/docs && build/docs/bin/pip install -q -r setup/docs.txt; }
	@build/docs/bin/mkdocs build --strict --quiet
	@echo build/site/index.html

lint: setup      ## style and types
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .
	@$(bin)/mypy

# The fast tests go in two halves side by side: most of them keep one core busy.
half := tests/finer1
test: lint       ## style, types, the fast tests, then the smoke pipeline
	@log=$$(mktemp); $(bin)/python -m pytest $(half) >$$log 2>&1 & other=$$!; trap "kill $$other" INT TERM; \
	$(bin)/python -m pytest $(half:%=--ignore=%); code=$$?; \
	wait $$other; other=$$?; cat $$log; rm -f $$log; test $$code$$other = 00
	@$(bin)/python -m flows.smoke

clean:           ## remove .venv, tool caches and logs; data, models and the DVC cache stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache logs build *.egg-info
