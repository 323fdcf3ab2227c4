"""The conversion table of the TensorFlow functions that Keras 2 wrote into graphs (`TFOpLambda`, `SlicingOpLambda`).

An entry follows from the name in the file: the function of `fnet.tf_functions` that goes by it, whose arguments have
TensorFlow's names. `compat.v1.` before a name changes arguments only, except for the few that `DIFFERENT` lists.
"""

from __future__ import annotations

import functools
from typing import Any

from fnet.core.options import option_names
from fnet.core.rules import call_of
from fnet.core.sources import references
from fnet.tf_functions import FUNCTIONS
from fnet.tf_functions.indexing import with_slices
from fnet.tf_functions.neural import depthwise_conv2d, separable_conv2d
from params.errors import CorruptFile, UnsupportedLayer, own_function, quoted
from params.file.keras_objects import KerasObject, above_one
from params.table.entry import Entry
from params.table.operations import in_order

RENAMED = {
    "keep_dims": "keepdims",
    "reduction_indices": "axis",
    "dimension": "axis",
    "dim": "axis",
    "squeeze_dims": "axis",
    "filter": "filters",
    "stride": "strides",
    "rate": "dilations",
    "box_ind": "box_indices",
    "dilation_rate": "dilations",
    "window_shape": "ksize",
}
"""{argument of an older or another form: the name that functions here have}."""

OWN = {"math.nextafter": {"x2": "y"}, "math.scalar_mul": {"x": "y"}, "nn.embedding_lookup": {"ids": "indices"}}
"""{function: {argument: the name that the function here has}}."""

ORDER = {"compat.v1.math.in_top_k": ("predictions", "targets")}
"""{function: its tensors in the order of its call}, where the function here has another."""

WITHOUT_EFFECT = frozenset({
    "name", "validate_indices", "use_cudnn_on_gpu", "shift", "preferred_dtype", "dtype_hint", "var",
    "message", "data", "summarize", "partition_strategy", "seed", "grad_a", "grad_b", "grad_x",
})  # fmt: skip
"""Arguments that change no value."""

DEFAULTS = {"bad_indices_policy": ""}
"""{argument that TensorFlow got after 2.15, and tf_keras writes into every call: the value that changes nothing}."""

_LOST = "Keras 2 writes only the first of its tensors into the file; it cannot load the file either"
_RANDOM = "it draws random numbers at every call; take it out of the model, or use a layer"
_FUNCTION = "it calls Python functions, which a model file cannot hold as data"

DIFFERENT = {
    "compat.v1.where": "it picks whole rows where the condition has one axis",
    **dict.fromkeys(("compat.v1.nn.dropout", "nn.dropout", "nn.experimental.stateless_dropout"), _RANDOM),
    **dict.fromkeys(("__operators__.eq", "__operators__.ne", "einsum", "linalg.einsum", "meshgrid"), _LOST),
    **dict.fromkeys(("map_fn", "scan", "foldl", "foldr", "cond", "while_loop", "vectorized_map"), _FUNCTION),
    **dict.fromkeys(("numpy_function", "py_function"), _FUNCTION),
}
"""{name: why it has no entry}."""


IN_PHASES = (depthwise_conv2d, separable_conv2d)
"""Convolutions that TensorFlow runs on each phase of a dilated image."""


def tf_entry(source: KerasObject) -> Entry:
    """The entry of a layer that calls a function of TensorFlow. Raises UnsupportedLayer where there is none."""
    if "op" in source.config:
        raise UnsupportedLayer(
            f"{source.label} holds the operation {quoted(source.config['op'])} of TensorFlow, which is not supported. "
            f"{_way_out(source)}"
        )
    name = source.config.get("function")
    if not isinstance(name, str):
        raise CorruptFile(f"{source.label} names no function but {quoted(name)}")
    entry = _entry(name)
    if entry is not None:
        return entry
    why = DIFFERENT.get(name, "it is not in the table (docs/layers.md lists what is)")
    why = _RANDOM if name.startswith(("random.", "compat.v1.random", "keras.backend.random")) else why
    raise UnsupportedLayer(
        f"{source.label} calls the function tf.{quoted(name)[1:-1]}, which is not supported: {why}. {_way_out(source)}"
    )


def _way_out(source: KerasObject) -> str:
    return f"The way out is a function of your own: {own_function(source.name)}"


@functools.cache
def _entry(name: str) -> Entry | None:
    function = FUNCTIONS.get(name) or FUNCTIONS.get(name.removeprefix("compat.v1."))
    if function is None or name in DIFFERENT:
        return None
    call = call_of(function)
    return Entry(
        function,
        _no_options,
        ignored=frozenset({"*"}),
        arguments=ORDER.get(name, call.arguments),
        inputs=in_order(call.arguments) if len(call.arguments) > 1 else None,
        call=functools.partial(_named_arguments, function, OWN.get(name.removeprefix("compat.v1."), {})),
        literal=call.numbers,
    )


def _no_options(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a function are in its call; the dtype in the config is the policy of the layer."""
    return {}


def _named_arguments(function: Any, own: dict[str, str], call: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call under the names of `function`, without those that are None, for the default."""
    legal = {*call_of(function).arguments, *option_names(function)}
    arguments: dict[str, Any] = {}
    for key, value in call.items():
        name = own.get(key) or (key if key in legal else RENAMED.get(key, key))
        if name == "window_fn":
            raise UnsupportedLayer("a call with window_fn=, a Python function")
        default = name in DEFAULTS and getattr(value, "value", value) == DEFAULTS[name]
        if (value is not None or name == "slice_spec") and (name in legal or not (default or name in WITHOUT_EFFECT)):
            arguments[name] = value
    if "slice_spec" in arguments and not references(arguments["slice_spec"]):
        arguments["key"] = with_slices(arguments.pop("slice_spec"))
    if function in IN_PHASES and above_one(arguments.get("strides")) and above_one(arguments.get("dilations")):
        raise UnsupportedLayer("a call with strides and dilations, where TensorFlow strides in each phase by itself")
    return arguments


def listed() -> list[tuple[str, Any]]:
    """(name in files, function) of all entries, by name."""
    return sorted(FUNCTIONS.items())
