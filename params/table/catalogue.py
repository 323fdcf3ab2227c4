"""The catalogue of all classes and operations of Keras 3.15 and their state in fnet, for users."""

from __future__ import annotations

from collections.abc import Iterator

from fnet.records import dataclass
from params.table.layers import FAMILIES, LAYERS, REFUSED
from params.table.operations import OPERATIONS, REFUSED_OPERATIONS

FUNCTIONS_OF_TENSORFLOW = "operations written into the graph"

NOTES = {
    FUNCTIONS_OF_TENSORFLOW: (
        "Keras 2 wrote `x + y`, `x[:, 0]`, `tf.concat(...)` or `preprocess_input(x)` into a functional model as calls "
        "of functions of TensorFlow by name (`TFOpLambda`, `SlicingOpLambda`; TensorFlow 2.0 to 2.3 as nodes of a "
        "graph, `TensorFlowOpLayer`). They run by TensorFlow's rules: dtypes are not promoted, a quotient of integers "
        "of 32 bits and more is a float64, `argmax` gives int64. Masks end there, except for functions that may give "
        "their argument itself (a cast to the dtype that it has). `compat.v1.` before a name takes the same row. "
        "Constants, which files hold as nested lists, become params. Every other name is refused when the file is "
        "loaded."
    )
}
"""{family: a note for readers of the catalogue}."""


@dataclass(frozen=True)
class Status:
    """One line of the catalogue."""

    family: str
    keras: str
    """The class name in files."""
    fnet: str
    """The fnet layer, or ""."""
    supported: bool
    note: str
    """Limits, or the reason for a refusal."""


def catalogue() -> Iterator[Status]:
    """Every public layer class of Keras 3.15 and every operation in the tables, with its state in fnet."""
    from params.table.tf_functions import DIFFERENT, listed  # 230 functions, which few files need

    for family, names in FAMILIES.items():
        for name in names.split():
            if family == "models":
                yield Status(family, name, {"Sequential": "sequential", "Functional": "graph"}[name], True, "")
            elif name in LAYERS:
                yield Status(family, name, LAYERS[name].layer.__name__, True, LAYERS[name].limits)
            else:
                yield Status(family, name, "", False, REFUSED[name])
    for (module, name), ours in sorted(OPERATIONS.items()):
        yield Status(module.removeprefix("keras.src."), name, ours, True, "")
    for name, why in sorted(REFUSED_OPERATIONS.items()):
        yield Status("ops", name, "", False, why)
    for name, function in listed():
        yield Status(FUNCTIONS_OF_TENSORFLOW, name, f"tf_functions.{function.__name__}", True, "")
    for name, why in sorted(DIFFERENT.items()):
        yield Status(FUNCTIONS_OF_TENSORFLOW, name, "", False, why)
