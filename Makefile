# Everything sets itself up: `make test` and `make demo` need Python 3.11 (or 3.10) and nothing else. See `make help`.
#   PYTHON=/path/to/python3.11   the interpreter to build .venv on      ARGS="-k voxel"   passed on to pytest or a demo
#   INFO=/path/to/infos.pkl      the keyframe demo's info file          JOBS=2            test processes
#   METHOD=ppt                   the demo of Point Prompt Training
#   METHOD=street                the demo of a drawn street: lidarseg and detection
PYTHON ?=
ARGS ?=
INFO ?=
JOBS ?= 2
KILLS ?= 200
METHOD ?=

VENV_PY := .venv/bin/python
FULL_PY := .venv-full/bin/python
# Runs the set-up scripts; any Python >= 3.6 will do, they look for a fitting one themselves.
BOOT = $(firstword $(foreach python,$(PYTHON) python3.11 python3.10 python3 python,$(shell \
	$(python) -c 'import sys; sys.version_info >= (3, 6) and print("$(python)")' 2>/dev/null)))
RUN = $(or $(BOOT),$(error set-up failed: there is no Python on the PATH; install 3.11 or name it: make PYTHON=...))
ASKED = $(if $(PYTHON),--python "$(PYTHON)")

.PHONY: help setup test test-full demo demo-keyframe campaign wheels lock clean fuzz
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-18s %s\n' "$$name" "$$text"; done
	@sed -n 's/^#   /  /p' Makefile

setup:  ## make or mend .venv (about 4 minutes the first time, a second after)
	@$(RUN) tools/setup_env.py $(ASKED)

test: setup  ## the test suite, on the CPU, without a compiler
	$(VENV_PY) -m pytest -n $(JOBS) --durations=15 $(ARGS)

test-full: setup  ## the test suite with compiled mmcv and the full-size tests
	@$(VENV_PY) tools/setup_full.py overlay
	$(FULL_PY) -m pytest -n $(JOBS) --durations=25 --full $(ARGS)

demo: setup  ## draw rooms, pre-train without labels, segment with few, from scratch and pre-trained, report (15 minutes)
	@test -f tools/demo$(METHOD:%=_%).py || { echo "make demo: METHOD is 'ppt', 'street' or nothing, not '$(METHOD)'" >&2; exit 2; }
	$(VENV_PY) tools/demo$(METHOD:%=_%).py $(ARGS)

demo-keyframe: setup  ## fine-tune mmdet3d's CenterPoint on one real keyframe (INFO=...) and draw what it finds
	$(VENV_PY) tools/demo_keyframe.py $(if $(INFO),--info "$(INFO)") $(ARGS)

campaign: setup  ## kill trainings 200 times, a third of them inside checkpoint writes, resume and compare (KILLS=200)
	$(VENV_PY) tests/end_to_end/kill_campaign.py --kills $(KILLS) $(ARGS)

fuzz: setup  ## 10,000 damaged files through every reader (10 minutes)
	$(VENV_PY) tests/fuzz/fuzz.py --count 10000 $(ARGS)

wheels: setup  ## compile mmcv once into the wheel cache (a C++ compiler, 7 minutes)
	@$(VENV_PY) tools/setup_full.py wheels

lock: setup  ## remake requirements/lock.txt (needs python3.10 and python3.11 on the PATH)
	$(VENV_PY) requirements/make_lock.py

clean:  ## remove the environments and caches of this checkout (not work_dirs, not the wheel cache)
	rm -rf .venv .venv-full .pytest_cache build projects/*.egg-info .cache/setup.log .cache/setup.lock
	find projects tests tools benchmarks configs -name __pycache__ -type d -prune -exec rm -rf {} +
