"""Differences between versions of Keras, as options of fnet layers.

A file is run by the rules of the Keras that wrote it: `options_of_age` turns the version into options, which no config
can set, and which the repr of the model shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any

from fnet.dtypes import compute_dtype, is_integral
from params.errors import UnsupportedLayer
from params.file.keras_objects import POLICIES, parse, policy

Version = tuple[int, int]
NEWEST: Version = (99, 0)
Options = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]


def version_of(text: str | None) -> Version:
    """(2, 15) from "2.15.0"; the oldest for None, since early files of Keras 1 have no version.

    The Keras inside TensorFlow called itself "2.2.4-tf" from 1.13 to 2.1 and "2.3.0-tf" in 2.2, but computed as in 2.4.
    """
    if text is None:
        return (0, 0)
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", text, re.ASCII)
    version = NEWEST if numbers is None else (int(numbers[1]), int(numbers[2]))
    return (2, 4) if text.endswith("-tf") and (2, 2) <= version < (2, 4) else version


WRITTEN_SINCE: dict[tuple[str, str], Version] = {
    ("Resizing", "pad_to_aspect_ratio"): (3, 3),
    ("RandomFlip", "data_format"): (3, 6),
    ("InputLayer", "ragged"): (3, 9),
    ("Resizing", "antialias"): (3, 9),
    ("InputLayer", "optional"): (3, 13),
    ("BatchNormalization", "renorm"): (3, 14),
    ("MultiHeadAttention", "use_gate"): (3, 14),
}
"""{(class, key of its config): the first Keras 3 that wrote it}."""
POLICIES_ARE_OBJECTS: Version = (3, 4)
"""The first Keras that wrote the dtype policy of most layers as an object; before, all were texts."""


def ages_of(objects: Sequence[dict[str, Any]]) -> tuple[Version, Version]:
    """The first and the last Keras 3 that writes configs with these keys, for one that does not say its version."""
    there, absent = {(3, 0)}, set[Version]()
    for item in objects:
        config, name = item["config"], item["class_name"]
        if not isinstance(config, dict):
            continue
        for (kind, key), version in WRITTEN_SINCE.items():
            if name == kind:
                (there if key in config else absent).add(version)
        dtype = config.get("dtype")
        if "trainable" in config and (isinstance(dtype, dict) or dtype in POLICIES):
            (there if isinstance(dtype, dict) else absent).add(POLICIES_ARE_OBJECTS)
    first = max(there)
    too_new = min((version for version in absent if version > first), default=None)
    return first, NEWEST if too_new is None else (too_new[0], too_new[1] - 1)


_CASTS = {"casts": True}
_KEEPS = {"casts": False}


def _resized(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"keeps_integers": config.get("interpolation") == "nearest"}


def _relu(masks: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A ThresholdedReLU, recognised by its config, always kept masks. Only a slope turned integers into floats."""
    if not config.get("negative_slope"):
        return masks if "negative_slope" in config else {}
    alone = config.get("max_value") is None and not config.get("threshold")
    return masks if alone else {**masks, "keeps_integers": True}


def _interpolated(options: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """For interpolations other than "nearest"."""
    return {} if config.get("interpolation", "nearest") == "nearest" else options


def _bins(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The numbers of bins had the dtype of the layer, by default int64."""
    dtype = config.get("dtype")
    return {"index_dtype": dtype.removeprefix("mixed_") if isinstance(dtype, str) else "int64"}


def _bins_of_keras2(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Up to 2.7 every layer had a float dtype, which did not apply to numbers of bins."""
    return _bins(config) if "int" in str(config.get("dtype")) else {"index_dtype": "int64"}


def _buckets(mixed: Mapping[str, str], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Hash bins have the compute dtype of the layer; bfloat16 is float32 on NumPy."""
    dtype = {"bfloat16": "float32", **mixed}.get(policy(config.get("dtype")))
    return {} if dtype is None else {"dtype": dtype}


def _encoding(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Encodings have the dtype of the layer; a float dtype follows from the policy."""
    dtype = policy(config.get("dtype"))
    return {"encoding_dtype": dtype} if is_integral(dtype) and config.get("output_mode") != "int" else {}


def _taken(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """In `predict` ids and numbers are cast to the compute dtype."""
    dtype = compute_dtype(policy(config.get("dtype")))
    return {} if dtype == "float32" else {"input_dtype": dtype}


_MASKS = {"masks": "keras2"}
"""The option of layers with another rule for masks; see docs/generations.md."""


def _last_axis(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """None was the last axis, as for TensorFlow; later it is all axes."""
    return {**_MASKS, "axis": -1} if config.get("axis", -1) is None else _MASKS


def _axes(config: Mapping[str, Any], key: str) -> list[int]:
    """The axes in a config, one or several; empty for other values."""
    axes = config.get(key)
    axes = axes if isinstance(axes, list) else [axes]
    return axes if all(type(axis) is int for axis in axes) else []


def _heads(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Negative axes counted from the end of the projected inputs, which have one more axis, that of the heads."""
    axes = _axes(config, "attention_axes")
    return {"attention_axes": tuple(axis + (axis < 0) for axis in axes)} if min(axes, default=0) < 0 else {}


def _unsorted(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters had the sizes of the axes in the order of the config."""
    axes = _axes(config, "axis")
    return {} if axes == sorted(axes) else {"sorts_axes": False}


def _linspace(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The class gave float64 where it was given no dtype; the function gives it one, or None."""
    return {} if "dtype" in config else {"dtype": "float64"}


def _swapped(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The graph swapped axis and order."""
    return {"axis": config.get("order", 2), "order": config.get("axis", -1)}


def _spectral(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"spectral": True} if config.get("order", 2) == 2 and len(_axes(config, "axis")) == 2 else {}


def _blank_is_last(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"mask_index": None} if config.get("strategy") == "beam_search" else {}


def _top_k(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The default of the class; the function always writes its value."""
    return {} if "sorted" in config else {"sorted": False}


def _all(*parts: Options) -> Options:
    """The options of all `parts`."""
    return lambda config: {key: value for part in parts for key, value in _options(part, config).items()}


def _options(options: Options, config: Mapping[str, Any]) -> Mapping[str, Any]:
    return options(config) if callable(options) else options


_ONES: Options = {"drops_ones": False}
"""An encoding of one_hot kept a last axis of size 1."""

_HEADS = (
    ((3, 7), _all(_heads, _MASKS)),
    ((3, 8), _all(_heads, {"masks": "keras3.7"})),
    ((3, 10), _all(_heads, {"masks": "keras3.8"})),
    ((3, 12), _all(_heads, {"masks": "keras3.12"})),
    ((3, 13), {"masks": "keras3.12"}),
)

_HASHED = (
    ((3, 0), partial(_buckets, {"mixed_float16": "float16", "mixed_bfloat16": "float32"})),
    (NEWEST, partial(_buckets, {"mixed_float16": "float32", "mixed_bfloat16": "float32"})),
)

HEADS_HAVE_POLICIES: Version = (2, 14)
"""The first Keras whose MultiHeadAttention passes its dtype policy to its inner layers."""
HEADS_SEE_MASKS: Version = (2, 10)
"""The first Keras whose MultiHeadAttention uses the masks that its inputs carry."""
MERGES_SEE_MASKS: Version = (3, 4)
"""The first Keras whose Maximum, Minimum and Multiply ignore masked places."""
CASTS_KEEP_MASKS: Version = (3, 14)
"""The first Keras 3 whose layers keep the mask of an input that they cast to their own dtype."""
CALLS_HAND_MASKS_ON: Version = (3, 11)
"""The first Keras 3 in which the output carries the mask that was passed to a call."""
MEANS_WEIGH_TO: Version = (3, 15)
"""The first Keras whose GlobalAveragePooling1D does not use numbers in a mask as weights."""
INPUTS_KEEP_FLOATS: Version = (3, 5)
"""The first Keras 3 in which a layer that casts an input of a model does not change it for other layers."""
TAKE_FLOATS_AS_THEY_COME = frozenset({
    "CategoryEncoding", "Embedding", "HashedCrossing", "Hashing", "IntegerLookup", "LayerNormalization", "RandomCrop",
    "RandomFlip", "StringLookup", "TextVectorization",
})  # fmt: skip
"""Layers that do not cast inputs in earlier versions."""
CALLS_ARE_COUNTED: Version = (3, 3)
"""The first Keras 3 that numbers the calls of a layer as the file has them. 3.2 wrote 0 for each that a layer reads."""
HEADS_DELETE_MASKS: Version = (3, 8)
"""The first Keras whose MultiHeadAttention deletes the masks of its inputs, for all later readers."""

BEFORE: dict[str, tuple[tuple[Version, Options], ...]] = {
    **dict.fromkeys(
        ("CenterCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"), (((2, 8), _KEEPS),)
    ),
    **dict.fromkeys(("RandomBrightness", "RandomContrast"), (((2, 8), _KEEPS), ((3, 6), _CASTS))),
    **dict.fromkeys(("IntegerLookup", "StringLookup", "TextVectorization"), (((3, 0), {"encoding_dtype": "float32"}),)),
    "BatchNormalization": (((2, 12), {"masked_moments": False}),),
    "CategoryEncoding": (
        ((2, 8), {}),
        ((3, 0), _encoding),
        ((3, 4), _all(_encoding, _taken, _ONES)),
        (NEWEST, _all(_encoding, _taken)),
    ),
    "Discretization": (
        ((2, 8), _bins_of_keras2),
        ((3, 0), _all(_bins_of_keras2, _encoding)),
        ((3, 4), _all(_bins, _encoding, _taken, _ONES)),
        ((3, 12), _all(_bins, _encoding, _taken)),
        (NEWEST, _all(_encoding, _taken)),
    ),
    "Embedding": (((3, 0), {}), ((3, 3), {"clips": True})),
    "UnitNormalization": (((3, 6), {"least_norm": 1e-6}),),
    "UpSampling2D": (
        ((2, 4), partial(_interpolated, {"half_pixels": False, "keeps_integers": False})),
        ((3, 0), partial(_interpolated, {"keeps_integers": False})),
        ((3, 6), partial(_interpolated, {"rounds_integers": False})),
    ),
    **dict.fromkeys(
        ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"),
        (((3, 0), _MASKS), ((3, 4), {"masks": "keras3.3"})),
    ),
    **dict.fromkeys(("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), (((3, 0), _MASKS),)),
    **dict.fromkeys([f"GlobalAveragePooling{rank}D" for rank in (1, 2, 3)], (((3, 0), {"keeps_integers": True}),)),
    "GroupNormalization": (((3, 7), {}), ((3, 15), {"keeps_integers": True})),
    "LayerNormalization": (((3, 11), _all(_unsorted, {"keeps_integers": False})), ((3, 14), _unsorted)),
    "SpectralNormalization": (((3, 0), {"keeps_integers": False}),),
    **dict.fromkeys(("GRU", "LSTM", "RNN", "SimpleRNN", "TimeDistributed"), (((3, 0), _MASKS),)),
    **dict.fromkeys(("Identity", "Normalization", "Rescaling"), (((3, 0), _MASKS),)),
    **dict.fromkeys(("GroupQueryAttention", "MultiHeadAttention"), _HEADS),
    "ReLU": (((2, 6), partial(_relu, _MASKS)), ((3, 0), partial(_relu, {}))),
    "Softmax": (((2, 14), _last_axis), ((3, 10), _MASKS), ((3, 13), {"masks": "keras3.12"})),
    "RandomCrop": (
        ((2, 7), {"inference": "short side"}),
        ((3, 6), {"inference": "cover"}),
        ((3, 8), {"inference": "window"}),
        (NEWEST, _taken),
    ),
    **dict.fromkeys(
        ("RandomHeight", "RandomWidth"),
        (((2, 8), _KEEPS), ((2, 9), {}), ((2, 10), _KEEPS), ((2, 12), {}), (NEWEST, _KEEPS)),
    ),
    "Hashing": (((2, 8), {"dtype": "int64"}), *_HASHED),
    "HashedCrossing": _HASHED,
    "Resizing": (((2, 8), _resized), ((3, 0), {"keeps_integers": False}), ((3, 6), {"rounds_integers": False})),
    **dict.fromkeys(("ops.Argmax", "ops.Argmin"), (((3, 9), {"signed_zeros": False}),)),
    "ops.CTCDecode": (((3, 4), _blank_is_last),),
    "ops.Correlate": (((3, 13), {"pads": "keras3.12"}),),
    **dict.fromkeys(("ops.Linspace", "ops.Logspace"), (((3, 3), _linspace),)),
    "ops.Einsum": (((3, 1), lambda config: {"subscripts": config.get("subscripts")}),),
    "ops.Normalize": (((3, 1), _swapped), ((3, 6), _spectral)),
    "ops.RGBToGrayscale": (((3, 4), {"scales_integers": True}),),
    "ops.Resize": (((3, 6), {"rounds_integers": False}),),
    "ops.Take": (((3, 3), {"clips": True}),),
    "ops.TopK": (((3, 11), _top_k),),
    "ops.Trace": (((3, 3), {"sums": "keras3.2"}), ((3, 12), {"sums": "keras3.11"})),
}
"""{Keras class, "ops." before an operation: ((version, options of the fnet layer in files written before it), ...)},
oldest first."""


OPTIONS = frozenset({
    "casts", "clips", "drops_ones", "encoding_dtype", "half_pixels", "hides_queries", "index_dtype", "inference",
    "input_dtype", "keeps_integers", "least_norm", "masked_moments", "masks", "pads", "rounds_integers",
    "scales_integers", "signed_zeros", "sorts_axes", "spectral", "sums", "weighs",
})  # fmt: skip
"""The options that only the version of a file, or `predict`, sets."""


def policy_of_result(class_name: str, config: Mapping[str, Any], declared: str, version: Version) -> str | None:
    """The policy of the output of a layer, whatever it declares; None where floats keep their dtype."""
    interpolates = class_name == "Resizing" and config.get("interpolation") != "nearest"
    if (class_name == "Normalization" and version < (2, 5)) or (interpolates and version < (2, 8)):
        return "float32"
    if class_name == "CategoryEncoding" and version >= (3, 0) and declared.startswith("mixed_"):
        return "float32"  # counts have the dtype of variables
    return None if class_name == "RandomCrop" and version >= (3, 8) else declared


def policies_of_heads(objects: Sequence[dict[str, Any]], replaced: Container[str]) -> dict[int, str]:
    """{id of the config of a MultiHeadAttention: the dtype policy of its inner layers, to Keras 2.13 the global one},
    where that differs from its own policy.

    No file contains it: it is that of the other layers, if they agree, or a policy that the layer shares with some of
    them. Raises UnsupportedLayer where it cannot be determined.

    replaced: names of layers and classes that the caller replaces, which are not such heads, but other layers.
    """
    policies: dict[int, str] = {}
    layers = [parse(item) for item in objects if isinstance(item["config"], dict) and "trainable" in item["config"]]
    heads = [
        layer
        for layer in layers
        if layer.class_name == "MultiHeadAttention"
        and not any(name in replaced for name in (layer.name, layer.class_name, layer.registered_name))
    ]
    others = {layer.policy for layer in layers if not layer.is_model and layer not in heads} & set(POLICIES)
    for head in heads:
        own, shared = head.policy, sorted(others)
        known = own in others and (own != "float32" or len(others) == 1)
        if known or (not others and "mixed" not in own):  # alone: the arrays will say
            continue
        if len(shared) != 1 or _bits(own) < _bits(shared[0]):
            raise UnsupportedLayer(
                f"{head.label} has the dtype policy {own}; the layers inside it had the global one, which files of "
                f"Keras to 2.13 do not tell (other layers: {', '.join(shared) or 'none'}): save it with Keras 2.14"
            )
        policies[id(head.config)] = shared[0]
    return policies


def _bits(name: str) -> int:
    """The bits of the dtype that a policy computes in."""
    return int(name[-2:])


def options_of_age(class_name: str, config: Mapping[str, Any], version: Version) -> Mapping[str, Any]:
    """The options of a layer of `class_name` in a file of this version of Keras, in addition to those in its config."""
    for bound, options in BEFORE.get(class_name, ()):
        if version < bound:
            return _options(options, config)
    return {}
