# The CuPy backend without a GPU, in two environments of their own: CuPy for ROCm on the CPU (see
# README.md here) and CuPy for CUDA without a driver (../cuda_wheel). What can't be had on a
# machine is skipped, and that is said in a line that begins with SKIPPED.
CUPY = 14.2.0
ON_CPU = $(VENV)-cupy
CUDA = $(VENV)-cuda
STANDINS = $(ON_CPU)/cupy_on_cpu
OBTAIN = sh tests/cupy_on_cpu/obtain.sh

# Of the stand-ins' checks, those under which all tests run: red-zones reversed deferred.
CUPY_CHECKS ?=

.PHONY: test-cupy test-cuda test-cupy-there test-cuda-there

test-cupy: $(ON_CPU)/.test ## run the CuPy backend's tests, with the CPU as a GPU (a large download)
	@reason=$$($(OBTAIN) $(ON_CPU)/bin/python cupy-rocm-7-0==$(CUPY)); \
	if [ -n "$$reason" ]; then echo "SKIPPED: make $@: $$reason"; \
	else $(MAKE) --no-print-directory $@-there; fi

test-cuda: $(CUDA)/.test ## after test-cupy: compile its kernels for NVIDIA's chips (a large download)
	@reason=$$($(OBTAIN) $(CUDA)/bin/python cupy-cuda13x==$(CUPY) \
		'nvidia-cuda-nvrtc==13.*' 'nvidia-cuda-runtime==13.*'); \
	if [ -n "$$reason" ]; then echo "SKIPPED: make $@: $$reason"; \
	elif [ ! -e $(STANDINS)/names.json ]; then echo "SKIPPED: make $@: make test-cupy did not run"; \
	else $(MAKE) --no-print-directory $@-there; fi

# All tests that are for this backend or run on each backend; then all others with this one as the
# current backend, but for those in which it plays no part, and the longest; then the first again, on
# the strictest of devices. The marks that tests are chosen by are declared in pyproject.toml.
# One test compiles half of all kernels: who is done early takes over what waits behind it.
PYTEST = MINIGRAD_PROFILE=fast PYTHONDONTWRITEBYTECODE= PYTHONPATH=tests \
	$(ON_CPU)/bin/on-cpu python -m pytest -n 2 \
	--dist worksteal -p cupy_on_cpu.plugin
OTHERS = not cupy and not numpy and not numba and not strict
OTHERS += and not no_backend and not packaging and not long
test-cupy-there: $(STANDINS)/names.json
	CUPY_ON_CPU_CHECKS="$(CUPY_CHECKS)" $(PYTEST) -m cupy
	CUPY_ON_CPU_CHECKS="$(CUPY_CHECKS)" MINIGRAD_BACKEND=cupy $(PYTEST) -m "$(OTHERS)"
	CUPY_ON_CPU_CHECKS="red-zones reversed deferred" $(PYTEST) -m cupy

test-cuda-there:
	$(CUDA)/bin/python -m pytest tests/cuda_wheel
	$(CUDA)/bin/python tests/cuda_wheel/names.py compare $(STANDINS)/names.json
	$(CUDA)/bin/python tests/cuda_wheel/compile_kernels.py $(STANDINS)/kernels

$(ON_CPU)/.test $(CUDA)/.test: pyproject.toml
	$(MAKE) --no-print-directory VENV=$(@D) $(@D)/pyvenv.cfg
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --editable '.[learn,test]'
	@touch $@

$(STANDINS)/names.json: $(wildcard tests/cupy_on_cpu/build.py tests/cupy_on_cpu/libraries/*.* \
		tests/cupy_on_cpu/libraries/include/*.h) tests/cuda_wheel/names.py
	$(ON_CPU)/bin/python tests/cupy_on_cpu/build.py
	$(ON_CPU)/bin/on-cpu python tests/cuda_wheel/names.py write $@
