"""How a file says that a layer was quantized by `model.quantize(...)`: as the option `quantization` of fnet's layers.

Layers say it by their dtype policy and `quantization_config`. Those inside an attention layer do not (Keras keeps
only the policy of the whole, float32, and cannot read such a file back): there the arrays tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fnet.layers.quantized import scheme
from params.assign.walk import Walk, join, place_of, within
from params.assign.weight_paths import variables_of
from params.convert.converted import Converted
from params.errors import CorruptFile, UnsupportedLayer, WeightsMismatch, quoted
from params.file.keras_objects import KerasObject
from params.file.model_file import StoredArray, WeightTree

ATTENTION = ("MultiHeadAttention", "GroupQueryAttention")
PROJECTIONS = ("query_dense", "key_dense", "value_dense", "gate_dense", "output_dense")
DEFAULT_BLOCK = 128
UNSCALED = ("TimeDistributed", "SpectralNormalization")
"""Wrappers that reach into the layer inside, past what quantization changed."""


def quantization(source: KerasObject) -> str | None:
    """The option of the layer that a config describes; None for one in floats. Raises UnsupportedLayer."""
    if source.class_name in UNSCALED and _is_quantized(source.config.get("layer")):
        raise UnsupportedLayer(
            f"{source.label} wraps a quantized layer: Keras leaves out the scales there, so its results mean nothing; "
            "quantize the model without this layer"
        )
    if not _is_quantized({"config": source.config}):
        return None
    mode = source.config["dtype"]["config"]["mode"]
    if not isinstance(mode, str):
        raise CorruptFile(f"{source.label} has the quantization mode {quoted(mode)}")
    bits, _, block = mode.partition("/")
    if mode == "float8":
        return "float8"
    if bits not in ("int8", "int4"):
        raise UnsupportedLayer(f"{source.label} is quantized as {quoted(mode)}; fnet knows int8, int4 and float8")
    dynamic = _quantizes_inputs(source, bits)
    if bits == "int8":
        return "int8" if dynamic else "int8_weight_only"
    if block in ("", "-1", "None"):
        return "int4_dynamic" if dynamic else "int4"
    try:
        scheme(mode)
    except ValueError as error:
        raise CorruptFile(f"{source.label} has the quantization mode {quoted(mode)}") from error
    if source.policy not in ("float32", "mixed_float16", "mixed_bfloat16"):
        raise UnsupportedLayer(f"{source.label} is quantized as {quoted(mode)} from {source.policy}, not from float32")
    if dynamic:
        raise UnsupportedLayer(f"{source.label} is quantized as {quoted(mode)} with quantized inputs")
    return mode


def _is_quantized(value: Any) -> bool:
    """Whether a config value is a layer with a quantized policy."""
    config = value.get("config") if isinstance(value, Mapping) else None
    dtype = config.get("dtype") if isinstance(config, Mapping) else None
    return isinstance(dtype, Mapping) and isinstance(dtype.get("config"), Mapping) and "mode" in dtype["config"]


def _quantizes_inputs(source: KerasObject, bits: str) -> bool:
    """Whether the inputs are rounded to integers as well: Keras's default for int8 and, without a config, for the
    reverse of a ReversibleEmbedding; only Keras's own default rounding is known."""
    config = source.config.get("quantization_config")
    if config is None:
        return bits == "int8" or source.class_name == "ReversibleEmbedding"
    inner = config.get("config") if isinstance(config, Mapping) else None
    if not isinstance(inner, Mapping):
        raise CorruptFile(f"{source.label} has the quantization_config {quoted(config)}")
    quantizer = inner.get("activation_quantizer")
    if quantizer is None:
        return False
    own = quantizer.get("config") if isinstance(quantizer, Mapping) else None
    own = own if isinstance(own, Mapping) else {}
    wanted = {"value_range": [-127, 127], "epsilon": 1e-07, "output_dtype": "int8"}
    same = {key: own.get(key) for key in wanted} == wanted and own.get("axis") in (None, -1, [-1])
    if not same or quantizer.get("class_name") != "AbsMaxQuantizer":
        raise UnsupportedLayer(f"{source.label} rounds its inputs by {quoted(quantizer)}; fnet knows Keras's default")
    return True


# --- attention layers -----------------------------------------------------------------------------


def mark_attention(made: Converted, file: WeightTree) -> bool:
    """Write the option `quantization` into the configs of the attention layers whose arrays are integers.

    Whether the inputs are quantized too is not in the arrays: it is as in the other layers of the file, which one
    call of `model.quantize` treats alike, else Keras's default. Returns whether there are any such layers.
    """
    if not any(_is_special(held.arrays) for held in file.groups.values()):
        return False
    walk = Walk()
    walk.visit(made, "", {})
    parts = list(within(made))
    others = {quantization(part.source) for part in parts}
    marked = False
    for part in parts:
        group = walk.groups.get(walk.identity(part))
        if part.source.class_name in ATTENTION and group is not None and part.entry is not None:
            places = [join(group, place_of(part.entry.groups, name)) for name in PROJECTIONS]
            held = [variables_of(file, place).arrays for place in places]
            found = _by_arrays(part.source.label, [arrays for arrays in held if arrays], others)
            if found is not None:
                part.source.config["quantization"] = found
                marked = True
    return marked


def _is_special(arrays: tuple[StoredArray, ...]) -> bool:
    """Whether these can be the arrays of a quantized layer: a kernel of integers, or the six more of "float8"."""
    return bool(arrays) and (arrays[0].dtype == "int8" or _is_float8(arrays))


def _is_float8(arrays: tuple[StoredArray, ...]) -> bool:
    """Whether there are scales and histories behind the kernel and bias."""
    return len(arrays) in (7, 8) and [len(array.shape) for array in arrays[-6:]] == [0, 1] * 3


def _by_arrays(label: str, held: list[tuple[StoredArray, ...]], others: set[str | None]) -> str | None:
    """The option that the arrays of the projections ask for; `others`: those of the other layers of the file."""
    if held and all(map(_is_float8, held)):
        return "float8"
    whole = {arrays[0].dtype == "int8" for arrays in held}
    if True not in whole:
        return None
    if {"int8", "int8_weight_only"} <= others or {"int4", "int4_dynamic"} <= others:
        raise UnsupportedLayer(
            f"{label}: other layers are quantized with and without inputs, and this one does not say"
        )
    if False in whole:
        raise UnsupportedLayer(f"{label} has some projections in integers and some in floats")
    if all(len(arrays[0].shape) > 2 for arrays in held):  # 4 bits are packed as a matrix
        return "int8_weight_only" if "int8_weight_only" in others else "int8"
    if not all("int8" in [array.dtype for array in arrays[1:]] for arrays in held):  # no zero points
        return "int4_dynamic" if "int4_dynamic" in others else "int4"
    blocks = [_block(label, arrays[-1].load()) for arrays in held]
    split = [block for block, groups in blocks if groups > 1]
    return f"int4/{split[0] if split else max([DEFAULT_BLOCK, *(block for block, _ in blocks)])}"


def _block(label: str, groups: Any) -> tuple[int, int]:
    """(rows in the first group, number of groups) of the array g_idx."""
    rows = np.asarray(groups)
    count = int((rows == 0).sum())
    if not count or rows.ndim != 1 or not np.array_equal(rows, np.arange(rows.size) // count):
        raise WeightsMismatch(f"{label} has rows in groups of uneven sizes")
    return count, math.ceil(rows.size / count)
