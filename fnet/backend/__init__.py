"""The one place that knows which array library runs.

`FNET_BACKEND` (`numpy`, the default, or `jax`) is read once, when this package is imported. Layers use
two namespaces that never change identity: `xp`, array functions in NumPy's spelling, and `ops`, the short
list of what NumPy and jax.numpy do not share. Nothing may capture a function from them at import time.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fnet import starting
from fnet.errors import MissingBackend, needing

if TYPE_CHECKING:
    import numpy as xp

    from fnet.backend import numpy_backend as ops
else:

    class _Arrays(SimpleNamespace):
        def __getattr__(self, name: str) -> Any:
            """`fft`, which few models need and takes a millisecond to import."""
            if name != "fft":
                raise AttributeError(f"the backend has no {name!r}")
            self.fft = importlib.import_module(f"fnet.backend.{_selected}_backend").xp.fft
            return self.fft

    xp = _Arrays()
    ops = SimpleNamespace()

__all__ = ["BACKENDS", "name", "ops", "using", "xp"]

BACKENDS = ("numpy", "jax")
_selected: str = ""


def name() -> str:
    """The backend that runs: "numpy" or "jax"."""
    return _selected


def _select(backend: str) -> None:
    global _selected
    if backend not in BACKENDS:
        raise MissingBackend(f"FNET_BACKEND={backend!r} is unknown; use one of {', '.join(BACKENDS)}")
    with needing("jax", "FNET_BACKEND=jax", MissingBackend):
        module = importlib.import_module(f"fnet.backend.{backend}_backend")
    # vars, not dir: numpy lists submodules that it imports when asked for them (f2py, testing, ma, ...: 0.2 s)
    arrays = [*vars(module.xp), "linalg"]
    for namespace, source, names in ((xp, module.xp, arrays), (ops, module, module.__all__)):
        vars(namespace).clear()
        vars(namespace).update({n: getattr(source, n) for n in names if not n.startswith("_")})
    _selected = backend


@contextlib.contextmanager
def using(backend: str) -> Iterator[None]:
    """Run with another backend for a while. For tests in one thread: everything else chooses at import."""
    before = _selected
    _select(backend)
    try:
        yield
    finally:
        _select(before)


try:
    _select(os.environ.get("FNET_BACKEND", "").strip().lower() or "numpy")
except MissingBackend as error:
    starting.refuse(error)
    raise
