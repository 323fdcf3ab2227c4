"""fnet: Keras models as pure functions.

Every layer is a pure `apply(params, x)`; `bind`, `sequential` and `graph` compose them; NumPy or JAX runs them. Layers
are in `fnet.layers`, operations of `keras.ops` in `fnet.operations`; `fnet.dense` is `fnet.layers.dense`. Names that
composing a model does not need are imported when they are first used.

>>> import fnet
>>> model, params = fnet.load_keras("cnn.keras")  # doctest: +SKIP
"""

import importlib
import os
from typing import Any

from fnet import starting  # noqa: F401 - before what takes time to import

# isort: split
from fnet import random
from fnet.core.compose import graph, sequential
from fnet.core.cutting import cut, pruned
from fnet.core.display import show
from fnet.core.infer import activations, infer, summary
from fnet.core.layer import bind
from fnet.core.parameters import check, init, merge, partition, with_rng
from fnet.core.rules import layer
from fnet.core.sources import at, masked_by
from fnet.errors import InvalidInput, InvalidParams
from fnet.lazy import lazily
from fnet.types import Param, Spec

__version__ = "0.1.0"

# fmt: off
__all__ = [
    "Param", "Spec", "at", "bind", "graph", "layer", "masked_by", "sequential",
    "activations", "check", "cut", "infer", "init", "merge", "partition", "pruned", "show", "summary", "with_rng",
    "classes", "compile", "jit", "optimize", "predict",
    "initial_state", "streaming", "plot",
    "explain", "from_keras", "load", "load_info", "load_keras", "load_weights", "save", "to_keras",
    "verify", "Limits",
    "CorruptFile", "LimitExceeded", "ModelFileError", "UnsafeFile", "UnsupportedLayer", "WeightsMismatch",
    "InvalidInput", "InvalidParams",
    "activation_functions", "layers", "operations", "random",
]
"""The everyday names. Layers are both `fnet.dense` and `fnet.layers.dense`; other public names, such as `fnet.Bound`,
are what these return, take or raise."""

_LAZY = {
    "core.compose": "Graph Sequential",
    "core.infer": "trace",
    "core.layer": "Bound",
    "core.model": "run",
    "core.rules": "Entrance Rounding",
    "errors": "ExportError InvalidRows MissingBackend MissingExtra",
    "export.programs": "load_onnx load_stablehlo to_onnx to_stablehlo",
    "inference.compile": "compile jit",
    "inference.in_predict": "in_predict",
    "inference.labels": "classes",
    "inference.predict": "predict",
    "inference.statistics": "with_statistics",
    "inference.stream": "initial_state streaming",
    "masks": "Masked",
    "layers.vocabulary": "vocabulary_params",
    "pictures.plot": "plot",
    "rewrites": "optimize",
    "strings": "pack_strings unpack_strings",
}
"""{module: its public names}, imported when they are first used."""

_IN_PARAMS = {
    "Predict",
    "CorruptFile", "LimitExceeded", "Limits", "ModelFileError", "UnsafeFile", "UnsupportedLayer", "WeightsMismatch",
    "WeightsWarning",
    "Explanation", "explain", "from_keras", "load", "load_info", "load_keras", "load_weights", "save", "to_keras",
    "verify",
    "from_equinox", "from_flax", "from_torch", "to_equinox", "to_flax", "to_torch",
}
"""Names of the package `params`, which reads and writes files, imported when they are first used."""
# fmt: on


def _params() -> Any:
    """The package `params`. Raises ImportError where, in a checkout, another module of that name hides it."""
    import params

    home = os.path.dirname(__file__)
    sibling = os.path.join(os.path.dirname(home), "params")
    if os.path.dirname(params.__file__ or "") not in (os.path.join(home, "params"), sibling):
        raise ImportError(
            f"fnet's own package `params` ({sibling}) is hidden by another module of that name, "
            f"{params.__file__ or list(params.__path__)}; rename that one, or install fnet as a wheel, which has "
            "it inside: pip install fnet-layers",
            name="params",
            path=params.__file__,
        )
    return params


_import_lazily, _ = lazily(__name__, _LAZY)

PUBLIC = sorted({*__all__, *_IN_PARAMS, *(name for names in _LAZY.values() for name in names.split())})
"""All public names except those of the layers."""


def __getattr__(name: str) -> Any:
    if name in _IN_PARAMS:
        value: Any = getattr(_params(), name)
    elif name in ("activation_functions", "layers", "operations"):
        return importlib.import_module(f"fnet.{name}")
    elif name in (layers := importlib.import_module("fnet.layers")).NAMES:
        value = getattr(layers, name)
    elif name == "load_model":  # the name that it has in Keras
        hint = "load_keras(path) reads a file of Keras, load(path) one that save wrote"
        raise AttributeError(f"module 'fnet' has no attribute 'load_model': {hint}")
    else:
        return _import_lazily(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC, *importlib.import_module("fnet.layers").NAMES})
