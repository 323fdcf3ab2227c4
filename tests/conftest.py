"""Real Keras on TensorFlow is the reference; fnet switches backends inside the process, for tests only."""

import gc
import os
import signal
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["JAX_PLATFORMS"] = "cpu"
# oneDNN has the convolutions with channels first or dilations. TensorFlow takes it by itself on some processors alone.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# The workers of a test run share the cores: waiting threads of one take time from the others.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# JAX's compiled programs are kept for the next run; all workers share them.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import pytest
from hypothesis import HealthCheck, Phase, settings

from fnet import backend

gc.disable()  # until all is collected

settings.register_profile(
    "fnet", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=True
)
settings.register_profile("explore", settings.get_profile("fnet"), phases=(Phase.generate,), derandomize=False)
settings.load_profile(os.environ.get("FNET_HYPOTHESIS", "fnet"))


@pytest.fixture(params=backend.BACKENDS)
def each_backend(request):
    """Run the test on NumPy and on JAX."""
    with backend.using(request.param):
        yield request.param


@pytest.fixture
def interruptible():
    """Ctrl-C ends what the test starts, also where a shell that runs the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=["numpy", pytest.param("jax", marks=pytest.mark.slow)])
def each_backend_slowly(request):
    """Like `each_backend`, for loops that JAX takes seconds to compile: on JAX they run in the slow suite."""
    with backend.using(request.param):
        yield request.param


def pytest_collection_finish():
    """Garbage collections skip what was imported and collected: over a million objects, a second each time. There are
    none before.

    Parameters of tests must not start TensorFlow, say by making a layer with a seed: forks (`tests.judging`) lack its
    threads and would wait for them forever."""
    tensorflow = sys.modules.get("tensorflow.python.eager.context")
    if tensorflow is not None and tensorflow.context()._initialized:
        raise pytest.UsageError("a test module starts TensorFlow when it is imported; make its layers inside the tests")
    gc.freeze()
    gc.enable()


@pytest.fixture
def own_garbage():
    """Garbage collections skip objects of earlier tests, so that their time does not count for this test."""
    gc.collect()
    gc.freeze()
