# Run `make help` for what each target does. Everything is made in this folder; .venv holds all of Python.

# The newest Python that the book supports; override with make book PYTHON=/path/to/python3.12
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
PAGE := _build/html/index.html
PORT ?= 8000
# With TORCH_INDEX=address of a package index that holds CPU builds, the CUDA libraries stay away.
CUDA := ^(nvidia-|cuda-|triton)

.DEFAULT_GOAL := help
.PHONY: help book offline audit colab pdf test notebooks published-notebooks check serve bench times mutants questions labs grade slides map lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: $(READY)  ## build the book and say where it is
	@$(BIN)/python tools/system_programs.py dot
	@$(BIN)/python tools/build_book.py

offline: book  ## pack the built book into _build/resnets-block-by-block.zip
	@$(BIN)/python tools/offline.py

pdf: book  ## print the built book into _build/resnets-block-by-block.pdf
	@$(BIN)/python tools/system_programs.py chromium
	@$(BIN)/python tools/pdf.py

audit: book  ## every page in three browsers: weight, requests, console, accessibility, links
	@$(BIN)/python tools/system_programs.py chromium
	@$(BIN)/python tools/audit.py

colab: $(READY)  ## run the published notebooks on a replica of Colab's image (NOTEBOOKS="03_stem clinic" PYTHON=)
	@$(BIN)/python tools/colab.py $(NOTEBOOKS) $(if $(filter command line environment,$(origin PYTHON)),--python $(PYTHON))

test: check book  ## lint, check types, build the book and test everything (ALL=1: also what passed and is the same)
	@$(BIN)/python tools/system_programs.py dot chromium node
	@$(BIN)/python tools/untested.py $(if $(ALL),--all)
	# Two cores take tests side by side, each a run of neighbors, for they share what a file sets up. No test measures time.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --durations 20 @_build/asked.txt
	@mv _build/asked.json _build/tested.json

check: $(READY)  ## lint, spelling, types, and notebooks up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell book labs resnet_edu tests tools benchmarks *.md
	$(BIN)/mypy
	$(BIN)/python tools/notebooks.py --check

notebooks: $(READY)  ## write the Colab notebooks from their sources
	$(BIN)/python tools/notebooks.py

published-notebooks: $(READY)  ## write into _build/notebooks what published pages open in Colab
	@$(BIN)/python tools/notebooks.py --published _build/notebooks

serve: $(PAGE)  ## show the built book in a browser (PORT=8000)
	@echo "The book is at http://localhost:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

$(PAGE):
	@$(MAKE) book

bench: $(READY)  ## measure speed, each figure as a ratio of two things timed side by side
	@$(BIN)/python tools/system_programs.py dot node
	$(BIN)/python -m benchmarks

mutants: $(READY)  ## plant faults in the package and see which ones no test notices (FAULTS=5 SEED=0 ROOMS=)
	@$(BIN)/python tools/mutants.py --faults $(or $(FAULTS),5) --seed $(or $(SEED),0) $(ROOMS)

times: $(READY)  ## seconds, work and peak memory of each chapter, run from nothing
	@$(BIN)/python tools/times.py

questions: $(READY)  ## write the questions for Moodle, Canvas and Anki, and the list of exercises, into _build/questions
	@$(BIN)/python tools/question_bank.py

slides: $(PAGE)  ## make slides of each chapter from the built book, with notes, into _build/slides
	@$(BIN)/python tools/slides.py

labs: $(READY)  ## make the graded labs for a class into _build/labs: notebooks, keys, Gradescope bundles (SEED=word)
	@$(BIN)/python tools/labs.py --seed "$${SEED:-practice}"

grade: $(READY)  ## grade a folder of notebooks into _build/grades (LAB=1 SUBMISSIONS=folder WALL= RISK=)
	@test -n "$$LAB" -a -n "$$SUBMISSIONS" || { echo "Say which lab and where: make grade LAB=1 SUBMISSIONS=folder" >&2; exit 1; }
	@$(BIN)/python tools/grade.py "$$LAB" "$$SUBMISSIONS" $${WALL:+--wall "$$WALL"} $${RISK:+--risk "$$RISK"}

map: $(READY)  ## print the floors and rooms of the package, and which opens which
	@$(BIN)/python tools/floors.py

# The one place that decides what is installed: pyproject.toml. The lock holds for Python 3.11 to 3.13.
lock: $(READY)  ## compile requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --upgrade --no-emit-index-url --no-emit-find-links \
		--python-version 3.11 --all-extras --custom-compile-command "make lock" pyproject.toml -o requirements.txt

clean:  ## remove what was built, keep .venv
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamp is written last: an interrupted installation starts again, a finished one is not repeated.
$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 on the path. Install one, or name it: make book PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) tools/system_programs.py dot
	@echo "Setting up .venv with $$($(PYTHON) --version); the first time downloads about 3 GB."
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is incomplete. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
ifdef TORCH_INDEX
	grep -Ev '$(CUDA)' requirements.txt > .venv/requirements-cpu.txt
	$(BIN)/python -m pip install --disable-pip-version-check --extra-index-url "$(TORCH_INDEX)" -r .venv/requirements-cpu.txt
else
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
endif
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $@
