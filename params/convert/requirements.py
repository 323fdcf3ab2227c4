"""Refusals before a layer is made of its config: code, and configs that Keras itself refuses.

`params.convert.layer_options` refuses unknown options, `params.convert.recognition` unknown classes. Keys for training
only are not checked: nothing is ever imported, and inference never needs them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from fnet.core import infer
from fnet.core.options import option_names
from fnet.types import OneOf, Range
from params.convert.conversion import Converted
from params.convert.generations import Version
from params.errors import CorruptFile, UnsafeFile, UnsupportedLayer, around_graph, own_function, quoted
from params.file.keras_objects import (
    NESTED,
    POLICIES,
    TRAINING_ONLY,
    KerasObject,
    above_one,
    is_object,
    is_triple,
    kind_of_graph,
    shown,
)
from params.table.entry import Entry
from params.table.layers import AUGMENTATION, BY_ENTRY, LAYERS, REFUSED, TRAINING_MATTERS, TRAINS_BY_DEFAULT

# --- whole configs --------------------------------------------------------------------------------


def screen(value: Any, replaced: Container[str]) -> None:
    """Raise UnsafeFile where a parsed config contains code.

    replaced: names of layers, classes and functions that the caller replaces; their configs may contain anything.
    """
    waiting: list[tuple[Any, str, Any]] = [(value, "", None)]
    while waiting:
        item, key, layer = waiting.pop()
        if isinstance(item, list):
            if key == "activation" and _is_code(item):
                raise UnsafeFile(f"the activation of layer {quoted(layer)} holds code (a lambda); {_way_out(layer)}")
            waiting += [(inner, "", layer) for inner in item if inner.__class__ in NESTED]
        elif isinstance(item, dict) and not (replaced and _is_replaced(item, replaced)):
            if item.get("class_name") == "__lambda__":
                raise UnsafeFile(f"{quoted(key)} of layer {quoted(layer)} holds code (a Lambda); {_way_out(layer)}")
            layer = item.get("name", layer)
            waiting += [
                (inner, name, layer)
                for name, inner in item.items()
                if inner.__class__ in NESTED and not name.endswith(TRAINING_ONLY)
            ]


def _is_code(value: list[Any]) -> bool:
    """Whether a list is a Python function as Keras 2 wrote it: code, defaults and closure. An input or output of the
    name "activation" is a list too."""
    return len(value) == 3 and isinstance(value[0], str) and not is_triple(value)


BATCHES = ("batch_shape", "batch_input_shape", "build_input_shape", "build_config")
"""Keys of configs with shapes that include the batch axis."""


def require_batch(config: Any) -> None:
    """Raise UnsupportedLayer where no shape in a config has a batch size, which Keras requires for stateful layers."""
    waiting: list[Any] = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if any(_says_rows(item.get(key)) for key in BATCHES):
                return
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    raise UnsupportedLayer(
        "a layer with stateful=True needs batches of one size, and the file says none; build the model with "
        "keras.Input(batch_size=...)"
    )


def _says_rows(shape: Any) -> bool:
    """Whether a shape, or one of several in lists and objects, begins with a number."""
    if isinstance(shape, dict):
        return any(map(_says_rows, shape.values()))
    return isinstance(shape, list) and (type(next(iter(shape), None)) is int or any(map(_says_rows, shape)))


def _is_replaced(item: dict[str, Any], replaced: Container[str]) -> bool:
    config = item.get("config")
    names = (
        config.get("name") if isinstance(config, dict) else None,
        item.get("class_name"),
        item.get("registered_name"),
    )
    return any(isinstance(name, str) and name in replaced for name in names)


def _way_out(layer: Any) -> str:
    return (
        "code in files is never run: replace it by layers or keras.ops operations, or give a function for the layer, "
        f"{own_function(layer)}"
    )


def require_dense(objects: Sequence[dict[str, Any]], replaced: Container[str]) -> None:
    """Refuse sparse inputs of a model with a layer for which zeros and missing entries differ.

    replaced: as in `screen`.
    """
    objects = [item for item in objects if isinstance(item["config"], dict)]
    if not any(item["class_name"] == "InputLayer" and item["config"].get("sparse") for item in objects):
        return
    by_entry = [item for item in objects if item["class_name"] in BY_ENTRY | {"Bincount"}]
    layer = next((item for item in by_entry if not _is_replaced(item, replaced)), None)
    if layer is not None:
        raise UnsupportedLayer(
            f"the model has sparse inputs and a {layer['class_name']}, which would take the zeros of a dense array "
            "for entries; build the model with dense inputs"
        )


def no_graph(root: KerasObject) -> str:
    """The message for a root that is not a model of layers."""
    if root.class_name in LAYERS:
        return f"the file holds the single layer {root.label}, not a model: wrap it in keras.Sequential and save again"
    if root.class_name in REFUSED:
        return f"{root.label} is not supported: {REFUSED[root.class_name]}"
    if kind_of_graph(root.config):
        return around_graph(root.registered_name or root.class_name)
    return (
        f"{shown(root.class_name)} is a subclassed model: its file holds constructor arguments, not what it computes. "
        "Rebuild it as a Functional model, or write it with fnet, its steps named as the attributes, and fill it by "
        "load_weights(path, model, params)"
    )


# --- options --------------------------------------------------------------------------------------


STRICTER: dict[str, dict[str, Range | OneOf]] = {
    "BatchNormalization": {"axis": Range(-32, 31)},
    "Discretization": {"num_bins": Range(0)},
    "GaussianNoise": {"stddev": Range(0, 1)},
    "IntegerLookup": {"vocabulary_dtype": OneOf(("int64",))},
    "LeakyReLU": {"negative_slope": Range(0)},
    "RepeatVector": {"n": Range(1)},
    "StringLookup": {"oov_method": OneOf(("floormod", "farmhash"))},
}
"""{class: {option: the values that Keras 3 accepts, or None}} where Keras 2, and so the layer, accepts more."""


def require_layer(source: KerasObject, entry: Entry, version: Version, trains: bool | None) -> None:
    """Refuse a layer whose config Keras refuses, whose inputs it casts, or that computes other values in training.

    trains: whether it runs as in training.
    """
    keras2 = version < (3, 0)
    if entry.arguments and not keras2:  # one of Keras's own
        _require_sense(source, version)
    if entry.rules.call is None:
        _require_floats(source, entry, keras2)
    if trains and not takes_training(source, entry) and source.class_name in TRAINING_MATTERS:
        also = " (it is by default, unless `predict` calls it)" if source.class_name in TRAINS_BY_DEFAULT else ""
        raise UnsupportedLayer(
            f"{source.label} was called with training=True, which changes what it computes{also}; "
            "build the model without that argument, or as training=False"
        )


def takes_training(source: KerasObject, entry: Entry) -> bool:
    """Whether fnet can run the layer as in training."""
    renorm = source.config.get("renorm") or source.config.get("virtual_batch_size")
    return "training" in option_names(entry.layer) and not renorm


def _require_sense(source: KerasObject, version: Version) -> None:
    """Refuse options that Keras 3 refuses, where fnet ignores or accepts them."""
    about = source.class_name, source.config
    if wrong := _senseless(*about) or _contradiction(*about):
        raise CorruptFile(f"{source.label} {wrong}")
    trainable = source.config.get("trainable", True)
    if version >= (3, 12) and type(trainable) is not bool:  # before, 0 and 1 were taken as well
        raise CorruptFile(f"{source.label}: trainable is {quoted(trainable)}, not true or false")
    resized = source.class_name == "UpSampling2D" and source.config.get("interpolation", "nearest") != "nearest"
    if resized and source.config.get("data_format") == "channels_first" and (3, 0) <= version < (3, 2):
        raise UnsupportedLayer(
            f"{source.label} with data_format='channels_first' and an interpolation is not supported in files of Keras "
            "before 3.2, which took the sizes of other axes; save the model with a later Keras"
        )
    for key, allowed in STRICTER.get(source.class_name, {}).items():
        value = source.config.get(key)
        if value is not None and value not in allowed:
            raise CorruptFile(f"{source.label} has the option {quoted(key)} = {quoted(value)}; it must be {allowed}")


def _senseless(class_name: str, config: Mapping[str, Any]) -> str | None:
    """What is wrong with the value of an option that fnet ignores; None where Keras 3 accepts them all."""
    for key, item in config.items():
        if key.endswith((*TRAINING_ONLY, "quantization_config")) and not (
            item is None or isinstance(item, str) or is_object(item)
        ):
            return f"has the {key} {quoted(item)}, which names nothing of Keras"
    for key in ("epsilon", "momentum") if class_name == "BatchNormalization" else ():
        try:
            float(config.get(key, 0))
        except (TypeError, ValueError, OverflowError):
            return f"has the {key} {quoted(config[key])}, which is not a number"
    seed = config.get("seed")
    if seed is not None and type(seed) is not int:
        return f"has the seed {quoted(seed)}, which is not an integer"
    if str(config.get("data_format")).lower() not in ("none", "channels_last", "channels_first"):
        return f"has the data_format {quoted(config['data_format'])}; Keras has two"
    return None


def _contradiction(class_name: str, config: Mapping[str, Any]) -> str | None:
    """Which options that fnet ignores do not go together; None where Keras 3 accepts them all."""
    weights, mode = config.get("idf_weights"), config.get("output_mode")
    if weights is not None and mode not in ("tf_idf", "tf-idf"):
        return f"has idf_weights, which go with output_mode='tf_idf', not {quoted(mode)}"
    if mode == "int" and config.get("sparse") and class_name != "HashedCrossing":  # alone in not asking
        return "is sparse, which no output_mode='int' is"
    if class_name == "IntegerLookup" and config.get("salt") is not None and config.get("oov_method") == "floormod":
        return "has a salt, which goes with oov_method='farmhash'"
    if config.get("pad_to_max_tokens") and config.get("max_tokens") is None:
        return "has pad_to_max_tokens, but no max_tokens"
    if class_name.startswith("Conv") and all(above_one(config.get(key)) for key in ("strides", "dilation_rate")):
        return "has both strides and a dilation_rate above 1"
    return None


# --- dtype policies, and wrappers -----------------------------------------------------------------


FLOATS_INSIDE = (
    "AdditiveAttention", "Attention", "Embedding", "GroupNormalization", "LayerNormalization", "Normalization",
    "RMSNormalization", "ReversibleEmbedding", "SpectralNormalization",
)  # fmt: skip
"""Classes with float parameters that do not cast integer inputs."""


CASTING = ("CenterCrop", "Rescaling", *AUGMENTATION)
"""Classes that cast all inputs, integers too, to the dtype of their policy."""


def _require_floats(source: KerasObject, entry: Entry, keras2: bool) -> None:
    """Refuse a dtype policy of integers, booleans or strings for a layer that computes in floats, or casts."""
    in_floats = source.class_name in FLOATS_INSIDE or (entry.arguments and entry.rules.floats)
    casts = source.class_name in CASTING or (keras2 and source.class_name == "Resizing")
    if (in_floats or casts) and source.policy not in POLICIES:
        raise UnsupportedLayer(
            f"{source.label} has the dtype policy {source.policy}, to which Keras casts its numbers; give it a policy "
            "of floats"
        )


def require_plain_inside(source: KerasObject, parts: Mapping[str, Converted], keras2: bool) -> None:
    """Refuse a wrapper whose policy overrides that of its layer, or that applies batch statistics to time steps.

    In Keras 2 a TimeDistributed over a stateful layer runs the first time step twice, and fails in `predict`.
    """
    calls = keras2 and source.class_name == "TimeDistributed"
    for part in parts.values():
        by_batch = any(layer.all_options.get("training") for layer in infer.layers_in(part.step))
        if source.class_name == "TimeDistributed" and by_batch:
            raise UnsupportedLayer(
                f"{source.label} holds a layer that computes the statistics of its batch (training=True): Keras takes "
                "those of each time step or of all, as it goes; build the model without that argument"
            )
        if calls and infer.keeps_states(part.step):
            raise UnsupportedLayer(
                f"{source.label} holds a stateful layer, which Keras 2 runs once too often and cannot predict with; "
                "build the model with stateful=False"
            )
        casts = part.source.policy in POLICIES  # layers of integers and texts leave floats as they come
        if not calls and not part.source.is_model and casts and part.source.policy != source.policy:
            raise UnsupportedLayer(
                f"{source.label} has the dtype policy {source.policy}, the layer in it, {part.source.label}, "
                f"{part.source.policy}: give both the same and save again"
            )
