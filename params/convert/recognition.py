"""The table entry for an object of a file. An object without one, or that only claims to be Keras's, is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from fnet.core.compose import graph
from fnet.core.layer import Bound, bind
from fnet.core.options import option_names
from fnet.core.rules import own_layers
from params.convert.conversion import Conversion
from params.errors import UnsafeFile, UnsupportedLayer, around_graph, own_function, quoted
from params.file.keras_objects import KerasObject, kind_of_graph, shown
from params.table.entry import Entry
from params.table.layers import CUDNN, LAYERS, REFUSED, class_of

FUNCTION_LAYERS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
"""Classes of Keras 2 whose config names a function of TensorFlow, or an operation that `graph_ops` left."""

KERAS_MODULES = re.compile(
    r"(tf_)?keras(\.src)?(\.(layers|models|engine|ops|applications|activations|quantizers)(\.[a-z0-9_]+)*)?"
)
"""The modules of Keras's own classes. Only compared: nothing named in a file is ever imported."""
NOT_OF_LAYERS = re.compile(r"(tf_)?keras(\.src|\.(models|ops|activations|quantizers))?")
NOT_OF_MODELS = re.compile(r"(tf_)?keras(\.src)?\.(layers|ops|applications|activations|quantizers)(\.\w+)*")
"""Modules of Keras that contain no layers, and modules that contain no models."""


KERAS_2 = (
    "AbstractRNNCell", "ActivityRegularizer", "AtrousConvolution2D", "ConvRNN2D", "CudnnLSTM", "DenseFeatures",
    "Highway", "MaxoutDense", "Merge", "ParametricSoftplus", "PeepholeLSTMCell", "SequenceFeatures", "SReLU",
    "TimeDistributedDense",
)  # fmt: skip
"""Layers of earlier versions of Keras that the table lacks. Legacy files write no module; other names are custom."""

REGISTERED = {"CustomScaleLayer": "Custom>CustomScaleLayer"}
"""Classes of Keras 2 that it registered as if they were a user's."""


def require_own(source: KerasObject, conversion: Conversion) -> None:
    """Refuse a known class under a foreign module or registered name: a spoof."""
    module, registered = source.module, source.registered_name
    elsewhere = NOT_OF_MODELS if source.is_model else NOT_OF_LAYERS
    own = (
        bool(KERAS_MODULES.fullmatch(module) and not elsewhere.fullmatch(module))
        if module
        else conversion.legacy and registered != source.class_name
    )
    if not own or registered not in (None, source.class_name, REGISTERED.get(source.class_name)):
        raise UnsafeFile(
            f"{source.label} claims the module {quoted(module)} and the registered name {quoted(registered)}, "
            f"but {source.class_name} is a class of Keras: class, module and registered name must agree. If it is a "
            f"class of your own, give its pure function, {own_function(registered or source.class_name)}"
        )


def own_graphs(custom: Mapping[str, Any] | None) -> tuple[Collection[str], Mapping[str, Callable[..., Any]]]:
    """(classes that the caller says compute what their graph says: those given as `fnet.graph`, the other layers)."""
    if not isinstance(custom, Mapping) or graph not in custom.values():
        return (), own_layers(custom)
    layers = own_layers({name: step for name, step in custom.items() if step is not graph})
    return custom.keys() - layers.keys(), layers


def custom_entry(source: KerasObject, conversion: Conversion) -> Entry | None:
    """The entry of the caller's own layer, given for a layer name, a registered name or a class."""
    if not conversion.custom:
        return None
    if (step := conversion.own_for(source)) is not None:
        return _replacing(step, source)
    step = conversion.own(source.registered_name) or conversion.own(source.class_name)
    return None if step is None else Entry(step, arguments=())


def as_own(source: KerasObject, step: Any) -> KerasObject:
    """An object that becomes the caller's layer `step`, without the name of a class of Keras: what holds of that class,
    by its version for one, does not hold of a function of the caller."""
    if source.class_name not in LAYERS or class_of(bind(step).function):
        return source
    name = source.registered_name or source.class_name
    return replace(source, class_name=name if ">" in name else f"custom>{name}", registered_name=name)


def _replacing(step: Any, source: KerasObject) -> Entry:
    """The entry of a function that replaces one layer.

    Its options come from the layer's config, and from the `arguments` of a Lambda.
    """
    legal = {} if isinstance(step, Bound) else option_names(step)
    further = source.config.get("arguments") if source.class_name == "Lambda" else None
    further = {key: item for key, item in further.items() if key in legal} if isinstance(further, dict) else {}
    ignored = frozenset(key for key in (*source.config, "*") if key not in legal or key == "name")
    return Entry(step, lambda config: {**further, **config}, ignored=ignored, arguments=())


def find_entry(source: KerasObject, conversion: Conversion) -> Entry:
    """The entry of a layer or operation of Keras. Raises UnsupportedLayer for others, UnsafeFile for a spoof."""
    name = source.class_name
    if name in REFUSED:
        place = f"give a function in its place, {own_function(source.name)}"
        match source.config.get("function"):
            case {"class_name": "function", "config": function} if name == "Lambda":
                why = f"its function {quoted(function)} is not in the file"
            case _:
                why, place = REFUSED[name], f"or {place}"
        raise UnsupportedLayer(f"{source.label} is not supported: {why}; {place}")
    if name in FUNCTION_LAYERS:
        from params.table.tf_functions import tf_entry  # 230 functions, which few files need

        entry: Entry | None = tf_entry(source)
    else:
        entry = _operation(source, conversion) or LAYERS.get(name)
    if entry is None:
        raise UnsupportedLayer(_unknown(source, conversion))
    require_own(source, conversion)
    if source.python_name in CUDNN.values():
        return replace(entry, groups={})  # these keep their arrays themselves, not in a cell
    return entry


def _operation(source: KerasObject, conversion: Conversion) -> Entry | None:
    """The entry of an operation, None for a layer. In legacy files, without modules, operations have no `trainable`."""
    module, name = source.module, source.class_name
    nameless = conversion.legacy and "trainable" not in source.config and name != "InputLayer"
    if not (module.startswith("keras.src.") if module else nameless):
        return None
    # and all that they run
    from params.table.operations import BY_CLASS, CHANGED, OPERATIONS, REFUSED_OPERATIONS, operation

    if not module:
        return operation(*BY_CLASS[name]) if name in BY_CLASS else None
    if module.startswith("keras.src.ops.") and (module, name) not in OPERATIONS:
        why = REFUSED_OPERATIONS.get(name, f"{quoted(module)} has no such operation that fnet knows")
        raise UnsupportedLayer(f"the operation {shown(name)} (node {quoted(source.name)}) is not supported: {why}")
    if (module, name) not in OPERATIONS:
        return None
    entry = operation(module, name)
    first, differ, did = CHANGED.get(name, (conversion.version, {}, ""))
    if conversion.version < first:
        defaults = option_names(entry.layer)  # configs leave defaults out
        values = {option: source.config.get(option, defaults[option]) for option in differ}
        if all(differ[option](value) for option, value in values.items()):
            options = " and ".join(f"{option}={value!r}" for option, value in values.items())
            raise UnsupportedLayer(
                f"the operation {name} (node {quoted(source.name)}) with {options} is not supported in files of Keras "
                f"before {first[0]}.{first[1]}, which {did}; save the model with a later Keras"
            )
    return entry


def _unknown(source: KerasObject, conversion: Conversion) -> str:
    """The message for a class without an entry: a layer of Keras, or a custom one."""
    module, name = source.module or "", source.registered_name or source.class_name
    own = KERAS_MODULES.fullmatch(module) is not None and not module.startswith("keras.src.")
    if not module and conversion.legacy and ">" not in name:
        own = name in KERAS_2
    if not own and kind_of_graph(source.config):
        return around_graph(name)
    kind = "a layer of Keras that fnet does not have (see `fnet layers`)" if own else "a custom layer"
    return f"{source.label} is {kind}: give its pure function, {own_function(name)}"
