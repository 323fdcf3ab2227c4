"""Configs of Keras 2, rewritten in the form of Keras 3."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from params.convert.generations import CALLS_ARE_COUNTED, Version, ages_of, version_of
from params.errors import CorruptFile, UnsupportedLayer, quoted
from params.file.keras_objects import (
    WRITTEN,
    as_graphs,
    each_item,
    histories,
    is_history,
    is_object,
    is_triple,
    policy,
    survey,
)
from params.file.model_file import UNSAID, ModelFile
from params.table.entry import ADAPTED, MOST_BINS

RENAMED = {
    "Model": "Functional",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "ThresholdedReLU": "ReLU",
    "SyncBatchNormalization": "BatchNormalization",
    "LayerNormalizationV2": "LayerNormalization",
    "GroupedQueryAttention": "GroupQueryAttention",
    "Custom>CustomScaleLayer": "CustomScaleLayer",
}
"""{layer of Keras 2: the layer of Keras 3 that computes the same at inference}."""
RENAMED_KEYS = {
    "InputLayer": ("batch_input_shape", "batch_shape"),
    "LeakyReLU": ("alpha", "negative_slope"),
    "ThresholdedReLU": ("theta", "threshold"),
}
"""{layer of Keras 2: (key of its config, the key of Keras 3)}."""
OLD_DEFAULTS: dict[str, dict[str, Any]] = {
    "ThresholdedReLU": {"theta": 1.0},
    "GRU": {"reset_after": False},
    "GRUCell": {"reset_after": False},
}
"""{layer of Keras 2: values of keys that its config may lack, and that Keras 3 has other defaults for}."""

PLAIN = ("__ellipsis__", "__bytes__")
"""Objects that Keras 2 wrote without a config: `...` in a key, strings of arrays."""
KEEPS_LISTS = ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty")
"""Layers whose first argument stays a list if it was one."""


Refusing = Callable[[], AbstractContextManager[None]]
"""Makes the context in which a part of a config may be refused: `nullcontext`, or one that gathers the errors."""


def in_keras_3_form(
    file: ModelFile, graphs: Collection[str] = (), refusing: Refusing = nullcontext
) -> tuple[dict[str, Any], Version, bool]:
    """(config of a file in the form of Keras 3, version that wrote it, whether it has no modules of classes).

    graphs: names of subclasses of Model that compute what their graph says.
    """
    assert file.config is not None
    config = as_graphs(file.config, graphs) if graphs else file.config
    first = version = version_of(file.keras_version)
    if file.keras_version == UNSAID and is_object(file.config):
        first, version = ages_of(survey(file.config, {}).objects)
    if (3, 0) <= first < CALLS_ARE_COUNTED:
        config = _counted(config, first == (3, 2), refusing)
    legacy = file.legacy or version < (3, 0)
    return modern(config, version < (3, 0)) if legacy else config, version, legacy


def _counted(value: Any, lost: bool, refusing: Refusing) -> Any:
    """A config of Keras 3.0 to 3.2 in which layers read the calls of others by their numbers in the file.

    Keras wrote those of the program, where a layer may have more calls, in other models; 3.2 wrote 0, which is lost. In
    the outputs the numbers are right, and what is no output is read by a layer: mostly that leaves one possibility.
    """
    value = each_item(_counted, value, lost, refusing)
    layers = value.get("layers") if isinstance(value, dict) and "output_layers" in value else None
    if not isinstance(layers, list):
        return value
    read, ends = defaultdict[str, list[int]](list), defaultdict[str, set[int]](set)
    for name, number, *_ in histories([layer.get("inbound_nodes") for layer in layers]):
        read[name].append(number)
    for name, number, *_ in histories(value["output_layers"]):
        ends[name].add(number)
    numbers: dict[str, dict[int, int]] = {}
    for layer in layers:
        name, count = layer.get("name"), len(layer.get("inbound_nodes", ()))
        if name in read and count:
            own = {number - (layer["class_name"] == "Functional") for number in ends[name]}
            with refusing():
                numbers[name] = _numbers(f"{layer['class_name']} {quoted(name)}", read[name], count, own, lost)
    return {
        **value,
        "layers": [{**layer, "inbound_nodes": _renumbered(layer["inbound_nodes"], numbers)} for layer in layers],
    }


def _numbers(label: str, read: list[int], count: int, ends: set[int], lost: bool) -> dict[int, int]:
    """{number of a call that layers read: its number in the file}, of a layer with `count` calls there."""
    calls, lost = range(count), lost and count > 1
    known = read if lost else sorted(set(read))
    if not lost and known[-1] < count and ends.union(known) >= set(calls):
        return {}
    inside = calls if len(known) == count else [call for call in calls if call not in ends]
    if len(known) != len(inside) or (lost and len(known) > 1):
        raise UnsupportedLayer(
            f"{label} is called {count} times, and Keras before 3.3 does not write which call other layers read (it "
            "may itself load another model): save it with a newer one"
        )
    return dict(zip(known, inside, strict=True))


def _renumbered(value: Any, numbers: dict[str, dict[int, int]]) -> Any:
    """The calls of a layer with these numbers for those that they read."""
    if is_triple(value):
        name, number, index = value
        return [name, numbers.get(name, {}).get(number, number), index]
    return each_item(_renumbered, value, numbers)


def modern(config: Any, keras2: bool = True) -> dict[str, Any]:
    """A model config of Keras 2 in the form of Keras 3. One of Keras 3 is returned unchanged.

    keras2: False for a legacy file of Keras 3, whose layers keep their dtype policies.
    """
    if not is_object(config):
        raise CorruptFile(f"the model config is not a model: {quoted(config)}")
    changed: dict[str, Any] = _object(config, keras2)
    return changed


def _object(value: Any, keras2: bool) -> Any:
    """Every layer inside `value` in the form of Keras 3."""
    if not is_object(value) or value["class_name"].startswith("__"):
        return each_item(_object, value, keras2)
    if value["class_name"] == "TensorFlowOpLayer":
        from params.convert import graph_ops  # few files have one

        value = graph_ops.as_function(value)
    elif value["class_name"] == "Lambda":
        value = _of_applications(value)
    return _layer_or_model(value, keras2)


def _layer_or_model(value: dict[str, Any], keras2: bool) -> dict[str, Any]:
    """A layer or a model, with every layer inside it, in the form of Keras 3."""
    name, config = value["class_name"], value["config"]
    if name == "Sequential" and isinstance(config, list):
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict):
        return value
    first = _first_input(config) if name == "Sequential" else []
    config = each_item(_object, config, keras2)
    changed = {**value, "class_name": RENAMED.get(name, name), "config": config, WRITTEN: value.get(WRITTEN, name)}
    if changed["class_name"] == "Functional":
        _functional(config)
        changed["module"] = changed.get("module") and "keras.src.models.functional"
        changed["registered_name"] = None
    elif name == "Sequential":
        config["layers"] = [*first, *config["layers"]] if first else config.get("layers")
    elif "inbound_nodes" in value or "trainable" in config or name == "InputLayer":
        changed["config"] = _layer(name, config)
        if keras2:
            _as_taken(changed["class_name"], changed["config"])
            _policy(changed["class_name"], changed["config"])
    return changed


SCALED_SUM = r"(keras|keras_applications|tensorflow(_core)?\.python\.keras)(\.\w+)*\.inception_resnet_v2"
"""The module whose only Lambda is `x[0] + x[1] * scale`. The code in the file is not read."""


def _of_applications(value: dict[str, Any]) -> dict[str, Any]:
    """The Lambda of InceptionResNetV2, to Keras 2.10 or 2.11, as the layer that it became."""
    config = value["config"]
    arguments = config.get("arguments") if isinstance(config, dict) else None
    module = config.get("module") if isinstance(config, dict) else None
    if not isinstance(arguments, dict) or set(arguments) != {"scale"} or not re.fullmatch(SCALED_SUM, str(module)):
        return value
    kept = {key: config[key] for key in ("name", "trainable", "dtype") if key in config}
    return {**value, "class_name": "CustomScaleLayer", "config": {**kept, **arguments}}


def _layer(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The config of one layer with the keys and values of Keras 3."""
    kept = {**OLD_DEFAULTS.get(name, {}), **config}
    old, new = RENAMED_KEYS.get(name, ("", ""))
    if old in kept:
        kept[new] = kept.pop(old)
    if name == "Discretization" and kept.get("bin_boundaries", ()) is None:
        kept |= {"bin_boundaries": _stand_ins(kept.get("num_bins")), ADAPTED: True}
    if name in ("Attention", "AdditiveAttention") and kept.pop("causal", False):
        kept["use_causal_mask"] = True
    if name == "Bidirectional":
        _bidirectional(kept)
    if RENAMED.get(name, name) == "BatchNormalization":
        _batch_normalization(kept)
    if name in ("Conv2DTranspose", "Conv1DTranspose", "Conv3DTranspose") and kept.get("groups", 1) != 1:
        raise UnsupportedLayer(f"{name} {quoted(config.get('name'))} with groups={quoted(kept['groups'])}")
    return kept


def _stand_ins(bins: Any) -> list[float]:
    """Placeholders for the boundaries of an adapted layer; see `params.assign.options_from_arrays`."""
    return [*map(float, range(1, bins))] if type(bins) is int and bins <= MOST_BINS else []


def _bidirectional(config: dict[str, Any]) -> None:
    """Set the direction of the backward layer; in Keras 3 a forward layer always runs forwards."""
    layer = config.get("layer")
    inner = layer.get("config") if isinstance(layer, dict) else None
    if layer and "backward_layer" not in config and isinstance(inner, dict) and inner.get("go_backwards"):
        config["backward_layer"] = {**layer, "config": {**inner, "go_backwards": False}}


def _batch_normalization(config: dict[str, Any]) -> None:
    """One axis becomes a number. Axes with virtual batches, which Keras 2 wrote one higher, are corrected."""
    axis = config.get("axis")
    if isinstance(axis, list):
        if config.get("virtual_batch_size") is not None:
            axis = [a - 1 if isinstance(a, int) else a for a in axis]
        config["axis"] = axis[0] if len(axis) == 1 else axis


def _as_taken(name: str, config: dict[str, Any]) -> None:
    """Values that Keras 3 refuses, as Keras 2 took them: a rate that is not a number, which training alone reads, and
    interpolations in capitals."""
    for key in ("rate", "stddev", *(["dropout"] if name == "MultiHeadAttention" else ())):
        if key in config and config[key] is None:
            config[key] = 0.0
        elif isinstance(config.get(key), str) and re.fullmatch(DECIMAL, config[key]):
            config[key] = float(config[key])
    if name == "Resizing" and isinstance(config.get("interpolation"), str):
        config["interpolation"] = config["interpolation"].lower()


DECIMAL = r"(?a)\d+(\.\d*)?|\.\d+"
"""A number in words of a config."""


def _policy(name: str, config: dict[str, Any]) -> None:
    """Adapt the dtype policy of layers whose arrays have another dtype in Keras 2 than in Keras 3."""
    if name == "Normalization":  # the compute dtype
        config["dtype"] = policy(config.get("dtype")).removeprefix("mixed_")
    if name in ("BatchNormalization", "RandomFourierFeatures"):  # float32 next to 16 bits, the latter always
        written = policy(config.get("dtype"))
        if written in ("float16", "bfloat16"):
            config["dtype"] = f"mixed_{written}"
        elif written == "float64" and name == "RandomFourierFeatures":
            config["dtype"] = "float32"


def _first_input(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The InputLayer for the `batch_input_shape` of the first layer of a Sequential."""
    layers = config.get("layers")
    if not isinstance(layers, list) or not layers or not is_object(layers[0]):
        return []
    first = layers[0]
    inner = first["config"] if isinstance(first["config"], dict) else {}
    shape = inner.get("batch_input_shape")
    if first["class_name"] == "InputLayer" or "layers" in inner or not isinstance(shape, list):
        return []
    dtype = inner.get("dtype")
    name = f"{inner.get('name')}_input"
    new_config = {"batch_shape": shape, "dtype": dtype if isinstance(dtype, str) else "float32", "name": name}
    return [{"class_name": "InputLayer", "config": new_config, "module": first.get("module")}]


def _functional(config: dict[str, Any]) -> None:
    """Calls as {"args", "kwargs"}; calls of nested models counted from 0; single ends bare."""
    layers = config.get("layers")
    if not isinstance(layers, list) or not all(is_object(layer) for layer in layers):
        raise CorruptFile("a functional model without a list of layers")
    calls = [layer.get("inbound_nodes") for layer in layers]
    if not any(_is_keras2(call) for node in calls if isinstance(node, list) for call in node):
        return
    ends = [config.get("input_layers"), config.get("output_layers")]
    first = _first_calls(layers, [*calls, *ends])
    for layer in layers:
        kept = layer["class_name"] in KEEPS_LISTS
        layer["inbound_nodes"] = [_call(call, first, kept) for call in layer.get("inbound_nodes") or []]
    for key, end in zip(("input_layers", "output_layers"), ends, strict=True):
        config[key] = _end(end, layers, first)


def _is_keras2(call: Any) -> bool:
    """Whether a call is written in Keras 2's way: [[layer, call, output, kwargs], ...]."""
    return isinstance(call, list) or (isinstance(call, dict) and "args" not in call)


def _first_calls(layers: list[dict[str, Any]], trees: list[Any]) -> dict[str, int]:
    """{layer: the number of its first call}: 1 for nested models that were built with inputs of their own."""
    nested = {layer.get("name") or layer["config"].get("name") for layer in layers if "layers" in layer["config"]}
    seen: dict[str, int] = {}
    for layer, call, *_ in histories(trees):
        if layer in nested:
            seen[layer] = min(call, seen.get(layer, call))
    return {name: min(number, 1) for name, number in seen.items()}


def _tensor(history: list[Any], first: dict[str, int]) -> dict[str, Any]:
    layer, call, index = history[:3]
    place = [layer, call - first.get(layer, 0), index]
    return {"class_name": "__keras_tensor__", "config": {"keras_history": place, "shape": (), "dtype": "float32"}}


def _call(call: Any, first: dict[str, int], kept: bool) -> Any:
    """One call in the form of Keras 3; kept: a list of one tensor is that."""
    if not _is_keras2(call):
        return call
    kwargs: dict[str, Any] = {}

    def convert(value: Any) -> Any:
        if is_history(value):
            kwargs.update(value[3] if len(value) == 4 else {})
            return _tensor(value, first)
        if isinstance(value, list) and len(value) == 4 and value[0] == "_CONSTANT_VALUE":
            kwargs.update(value[3] if isinstance(value[3], dict) else {})
            return value[2]
        special = isinstance(value, dict) and value.get("class_name") in PLAIN
        return {**value, "config": value} if special else each_item(convert, value)

    converted = convert(call)
    args = converted[0] if isinstance(converted, list) and len(converted) == 1 and not kept else converted
    return {"args": [args], "kwargs": {key: convert(item) for key, item in list(kwargs.items())}}


def _end(value: Any, layers: list[dict[str, Any]], first: dict[str, int]) -> Any:
    """`input_layers` or `output_layers`, where Keras 3 counts the calls of nested Functional models from 1."""
    if is_triple(value):
        layer, call, index = value
        functional = any(
            (item.get("name") or item["config"].get("name")) == layer and item["class_name"] == "Functional"
            for item in layers
        )
        return [layer, call - first.get(layer, 0) + functional, index]
    ends = each_item(_end, value, layers, first)
    return ends[0] if isinstance(ends, list) and len(ends) == 1 else ends
