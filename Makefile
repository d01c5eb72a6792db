# The package on any machine: a virtual environment, the demo, the tests. `make help` lists all.
# On ROS 2 machines the package is built with colcon as any other, see README.md.

PYTHON ?= python3
# cpu: the release of constraints/cpu.txt; cuda: PyTorch's default build, in an environment beside.
TORCH ?= cpu
# A package index that PyTorch alone is installed from, such as PyTorch's own one of CPU builds.
TORCH_INDEX ?=
CONSTRAINTS ?= constraints/$(TORCH).txt
VENV ?= .venv$(if $(filter-out cpu,$(TORCH)),-$(TORCH))
OUTPUT ?= out/demo
# A kitchen: the camera passes two tables on its way to the cupboards.
SCENE ?= --kind indoor --seed 6 --frames 60 --rate 15 --size 640x480
# rerun: write a recording for the Rerun viewer, and open it where there is a display.
VIEWER ?= none
# Of the soak test.
MINUTES ?= 30

BIN := $(VENV)/bin

# ROS 2 from apt or from source is used where it is sourced: on PYTHONPATH and importable. Anywhere
# else ROS 2 comes from wheels; these look for their plugins below AMENT_PREFIX_PATH.
ROS_FOUND := $(shell $(PYTHON) -c 'import os, rclpy; \
	paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)); \
	print(any(rclpy.__file__.startswith(path + os.sep) for path in paths))' 2>/dev/null)
ifeq ($(ROS_FOUND),True)
  VENV_OPTIONS := --system-site-packages
  PIP_CONSTRAINTS := -c $(CONSTRAINTS) -c constraints/ros.txt
  ROS_EXTRA :=
else
  VENV_OPTIONS :=
  PIP_CONSTRAINTS := -c $(CONSTRAINTS)
  ROS_EXTRA := ros,
  export AMENT_PREFIX_PATH := $(abspath $(VENV))
  # What another ROS 2 or another environment's wheels have set would be found before these.
  unexport PYTHONPATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
endif

REQUIREMENTS := setup.py setup.cfg constraints/ros.txt $(CONSTRAINTS)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DELETE_ON_ERROR:
.PHONY: help demo test test-all soak venv lint format clean

help:
	@echo "make demo                 a rendered scene through the whole graph, results in $(OUTPUT)"
	@echo "make demo FRAMES=FOLDER   a sequence of frames instead (rgb/, intrinsics.json, …)"
	@echo "make demo BAG=BAG         a rosbag2 with images instead"
	@echo "make demo VIDEO=FILE      a video file instead; DEMO_OPTIONS='--fov 70' (degrees) for clouds"
	@echo "make demo CAMERA=0        a camera of this machine instead, by number or device; likewise"
	@echo "make demo VIEWER=rerun    and shows the run in the Rerun viewer, which it installs (0.7 GB)"
	@echo "make test                 the tests, without the slow ones"
	@echo "make test-all             all tests"
	@echo "make soak MINUTES=$(MINUTES)      the node at camera rate for so long: is its memory flat?"
	@echo "make venv                 $(VENV) with all that the tests and trainings need"
	@echo "make lint, make format    check, or apply, the rules of ruff.toml"
	@echo "make clean                removes everything that make and colcon have made here"
	@echo "variables: PYTHON=$(PYTHON) TORCH=$(TORCH) (cpu or cuda) TORCH_INDEX=$(TORCH_INDEX) VENV=$(VENV)"

# --- running ---------------------------------------------------------------------------------

GIVEN := $(strip $(foreach name,FRAMES BAG VIDEO CAMERA,$(if $($(name)),$(name))))
ifneq ($(word 2,$(GIVEN)),)
  $(error give one of these, not all: $(GIVEN))
endif
ifneq ($(FRAMES),)
  DEMO_SOURCE := --frames "$(FRAMES)"
else ifneq ($(BAG),)
  DEMO_SOURCE := --bag "$(BAG)"
else ifneq ($(VIDEO),)
  DEMO_SOURCE := --video "$(VIDEO)"
else ifneq ($(CAMERA),)
  DEMO_SOURCE := --camera "$(CAMERA)"
else
  DEMO_SOURCE := --frames $(OUTPUT)/frames
  RENDERED := $(OUTPUT)/frames/intrinsics.json
endif

# On GPUs, with a model or engine of one's own, or where the export fails, the demo goes by PyTorch.
ifeq ($(TORCH)$(filter --model% --engine%,$(DEMO_OPTIONS)),cpu)
define EXPORT
@echo "the bundled model runs faster exported: that is done once, and takes a minute or two"
$(BIN)/d3epth export --if-missing || echo "note: the demo goes on with PyTorch"
endef
endif

demo: $(VENV)/.demo $(if $(filter-out none,$(VIEWER)),$(VENV)/.viewer) $(RENDERED)
	$(EXPORT)
	$(BIN)/d3epth demo $(DEMO_SOURCE) --output $(OUTPUT) --viewer $(VIEWER) $(DEMO_OPTIONS)

# The last file that the renderer writes.
$(OUTPUT)/frames/intrinsics.json: $(wildcard training/scenes/*.py) | $(VENV)/.demo $(VENV)/.egl
	$(BIN)/python -m training.scenes --sequence $(OUTPUT)/frames $(SCENE)

# Tests that compute small things fast on one thread; two of them fill two cores.
test: $(VENV)/.dev $(VENV)/.egl $(VENV)/.chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-all: $(VENV)/.dev $(VENV)/.egl $(VENV)/.chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "" $(PYTEST_OPTIONS)

soak: $(VENV)/.dev
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

venv: $(VENV)/.dev

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-* $(OUTPUT) build install log .pytest_cache .ruff_cache .hypothesis *.egg-info
	find depth_distill_ros training test launch -name __pycache__ -type d -prune -exec rm -rf {} +

# --- installing ------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "error: $(PYTHON) is not Python 3.10 to 3.13, for which there is ROS 2:" \
			"give another one, as in make PYTHON=python3.12" >&2; exit 1; }
ifneq ($(ROS_EXTRA),)
	@[ "$$(uname -sm)" = "Linux x86_64" ] || \
		{ echo "error: there are no ROS 2 wheels for this machine ($$(uname -sm)):" \
			"install ROS 2 and source its setup.bash" >&2; exit 1; }
endif
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)

comma := ,

define install
	$(if $(TORCH_INDEX),$(PIP_INSTALL) $(PIP_CONSTRAINTS) --index-url $(TORCH_INDEX) torch)
	$(PIP_INSTALL) $(PIP_CONSTRAINTS) --use-pep517 --editable '.[$(ROS_EXTRA)$(1)]'
endef

$(VENV)/.demo: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing the package, ROS 2 and PyTorch into $(VENV) (a few minutes)"
	$(call install,scenes$(comma)onnx)
	@touch $@

$(VENV)/.dev: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing the package, ROS 2, PyTorch and the tools of development into $(VENV) (a few minutes)"
	$(call install,dev)
	@touch $@ $(VENV)/.demo

$(VENV)/.viewer: $(REQUIREMENTS) | $(VENV)/.demo
	@echo "installing the Rerun viewer into $(VENV)"
	$(call install,viewer)
	@touch $@

$(VENV)/.lint: constraints/lint.txt | $(BIN)/python
	$(PIP_INSTALL) -c constraints/lint.txt ruff
	@touch $@

# Scenes are rendered by OpenGL through EGL: a GPU's driver, or Mesa's on the CPU.
EGL_PACKAGES := libegl1 libgl1 libgl1-mesa-dri
$(VENV)/.egl: | $(VENV)/.demo
	@if $(BIN)/python -c 'from training.scenes.renderer import create_context as c; c()' 2>/dev/null; \
	then touch $@; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing EGL and Mesa's OpenGL, which render the scenes"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(EGL_PACKAGES) \
			>/dev/null && touch $@; \
	else \
		echo "error: there is no OpenGL through EGL, which renders the scenes; install it with:" \
			"sudo apt-get install $(EGL_PACKAGES)" >&2; exit 1; \
	fi

# One test looks at the replay report in a browser; it skips where there is none.
$(VENV)/.chromium: | $(VENV)/.dev
	@if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; \
	then touch $@; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Chromium, which a test looks at the replay report in"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
			>/dev/null && touch $@; } || echo "note: there is no package chromium; its test skips"; \
	else \
		echo "note: there is no Chromium, and one test skips; to have it: sudo apt-get install chromium"; \
	fi
