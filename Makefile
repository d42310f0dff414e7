# `make demo` shows the main job on a phantom, `make test` runs the tests, `make bench` times this beside its peers.
# Each makes .venv first.
# README.md gives the same as plain commands for machines without make.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
B := bundles/cardiac_sax_segmentation
DEMO := runs/demo

.PHONY: demo test bench lint format lock clean

demo: $(VENV)/.installed
	$(PY) -m pipeline data phantom $(DEMO)/phantom --num_patients 12 --seed 0
	$(PY) -m pipeline data phantom $(DEMO)/unseen --num_patients 1 --seed 1000 --cine
	$(PY) -m monai.bundle run training --bundle_root $B \
		--config_file "['$B/configs/train.yaml','configs/acdc.yaml','configs/demo.yaml']" \
		--dataset_dir $(DEMO)/phantom --output_dir $(DEMO)
	$(PY) -m monai.bundle run evaluating --bundle_root $B \
		--config_file "['$B/configs/train.yaml','$B/configs/evaluate.yaml','configs/acdc.yaml','configs/demo.yaml']" \
		--dataset_dir $(DEMO)/phantom --output_dir $(DEMO)
	$(PY) -m monai.bundle run evaluating --bundle_root $B \
		--config_file "['$B/configs/inference.yaml','configs/demo_inference.yaml']" \
		--dataset_dir $(DEMO)/unseen --output_dir $(DEMO)/segmented --ckpt_path $(DEMO)/models/model.pt --overlays true
	$(PY) -m pipeline summary $(DEMO)

test: $(VENV)/.installed-test
	$(PY) -m pytest

# writes benchmarks/RESULTS.md; the peers live in an environment of their own
bench: $(VENV)/.installed .venv-bench/.installed
	$(PY) -m benchmarks.bench --peers_python .venv-bench/bin/python

lint: $(VENV)/.installed-dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy pipeline

format: $(VENV)/.installed-dev
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

# after a change of the pins in pyproject.toml
lock: $(VENV)/.installed-dev
	$(PY) -m uv pip compile pyproject.toml --extra test --extra dev --universal --python-version 3.10 \
		--no-annotate --custom-compile-command "make lock" --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) $(DEMO)

.venv-bench/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install '.[bench]'
	touch $@

# One stamp for each extra: nothing is installed again until the pins change.
$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or newer is needed: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(PY) -m pip install -c requirements.lock -e .
	touch $@

$(VENV)/.installed-test $(VENV)/.installed-dev: $(VENV)/.installed-%: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(PY) -m pip install -c requirements.lock -e '.[$*]'
	touch $@
