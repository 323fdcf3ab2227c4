"""Options that are not in a config but follow from the arrays of the file: {id of the config: options}.

- The boundaries of a Discretization of Keras 2. Its file has a summary of the data that it was adapted to, of which
  Keras 2 does not compute them when it loads the file.
- The quantization of the projections of an attention layer. Keras saves only the policy of the whole layer, float32,
  and cannot load such a file itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnet.types import ParamTree
from params.assign.group_names import Walk, join, namings, place_of, within
from params.assign.weight_paths import variables_of
from params.convert.conversion import Converted
from params.convert.generations import Version
from params.convert.quantization import quantization
from params.errors import UnsupportedLayer, WeightsMismatch, quoted
from params.file.model_file import StoredArray, WeightTree
from params.table.entry import ADAPTED, MOST_BINS

Options = dict[int, dict[str, Any]]

SUMMARY = "summary"
ATTENTION = ("MultiHeadAttention", "GroupQueryAttention")
PROJECTIONS = ("query_dense", "key_dense", "value_dense", "gate_dense", "output_dense")
DEFAULT_BLOCK = 128
WITHOUT_INPUTS_TOO = (("int8", "int8_weight_only"), ("int4", "int4_dynamic"), ("int4_rows", "int4_rows_dynamic"))


def options_from_arrays(converted: Converted, expected: ParamTree, file: WeightTree, version: Version) -> Options:
    """All such options of a model with the params `expected`. version: that of the Keras that wrote it."""
    if version < (3, 0):
        return _boundaries(converted, expected, file)
    return _quantizations(converted, expected, file, version)


def _groups(converted: Converted, expected: ParamTree, file: WeightTree) -> Callable[[Converted], str | None]:
    """The group of an object of the model."""
    walk = Walk(namings(file.version, file.groups)[0])
    walk.visit(converted, "", expected)
    return lambda part: walk.groups.get(walk.identity(part))


def _boundaries(converted: Converted, expected: ParamTree, file: WeightTree) -> Options:
    """The boundaries of adapted Discretization layers."""
    homes = [(part, top) for top in converted.parts.values() for part in within(top)]
    adapted = [(part, top) for part, top in homes if {ADAPTED, "num_bins"} <= part.source.config.keys()]
    if not adapted:
        return {}
    group_of, options = _groups(converted, expected, file), Options()
    for part, top in adapted:
        array = _summary(part, top, group_of(part), file)
        options[id(part.source.config)] = {"bin_boundaries": boundaries(array, part.source.config["num_bins"])}
    return options


def _summary(part: Converted, top: Converted, group: str | None, file: WeightTree) -> StoredArray:
    """The summary of an adapted layer, which is `top` or inside it. In a legacy file its name lacks that of the layer
    if the layer was adapted before it was called."""
    arrays = list(variables_of(file, group).arrays) if group is not None and file.groups else []
    stored = [(f"/{layer.name}/{n.split(':')[0]}", array) for layer in file.layers for n, array in layer.arrays]
    own = [array for name, array in stored if name.endswith(f"/{part.source.name}/{SUMMARY}")]
    arrays += own or [array for name, array in stored if name == f"/{top.source.name}/{SUMMARY}"]
    if len(arrays) != 1 or len(arrays[0].shape) != 2 or arrays[0].shape[0] != 2 or not arrays[0].shape[1]:
        raise WeightsMismatch(f"{part.source.label} was adapted, but no summary in the file can only be its own")
    return arrays[0]


def boundaries(array: StoredArray, bins: Any) -> tuple[float, ...]:
    """The boundaries of `bins` bins: quantiles of the (values, weights) in a summary."""
    values, weights = array.load()
    if type(bins) is not int or bins < 1 or bins > MOST_BINS:
        raise WeightsMismatch(f"{quoted(array.place)}: {quoted(bins)} bins")
    if len(values) >= bins:  # else as many as there are
        with np.errstate(all="ignore"):  # NaN is refused below
            sums = weights.cumsum()
            values = np.interp(1 / bins + np.arange(0.0, 1.0, 1 / bins), sums / sums[-1], values).astype("float32")
    if not np.isfinite(values[:-1]).all():
        raise WeightsMismatch(f"{quoted(array.place)} holds NaN or infinity")
    return tuple(values[:-1].tolist())


def _quantizations(converted: Converted, expected: ParamTree, file: WeightTree, version: Version) -> Options:
    """The option `quantization` of the attention layers with integer arrays.

    Whether inputs are quantized too is not in the arrays: it is taken from the other layers, which one call of
    `model.quantize` treats alike, else it is Keras's default.
    """
    if not any(_is_special(group.arrays) for group in file.groups.values()):
        return {}
    group_of, parts, options = _groups(converted, expected, file), list(within(converted)), Options()
    others = {quantization(part.source, version) for part in parts}
    for part in parts:
        group = group_of(part)
        if part.source.class_name in ATTENTION and group is not None:
            places = [join(group, place_of(part.entry.groups, name)) for name in PROJECTIONS]
            projections = [variables_of(file, place).arrays for place in places]
            heads = part.source.config.get("num_heads", part.source.config.get("num_query_heads"))
            how = _by_arrays(part.source.label, [arrays for arrays in projections if arrays], others, heads)
            if how is not None:
                options[id(part.source.config)] = {"quantization": how}
    return options


def _is_special(arrays: tuple[StoredArray, ...]) -> bool:
    """Whether these can be the arrays of a quantized layer: with an integer kernel, or six more arrays for "float8"."""
    return bool(arrays) and (arrays[0].dtype == "int8" or _is_float8(arrays))


def _is_float8(arrays: tuple[StoredArray, ...]) -> bool:
    """Whether scales and histories follow the kernel and bias."""
    return len(arrays) in (7, 8) and [len(array.shape) for array in arrays[-6:]] == [0, 1] * 3


def _by_arrays(
    label: str, projections: list[tuple[StoredArray, ...]], others: set[str | None], heads: Any
) -> str | None:
    """The option by the arrays of the projections. others: the options of the other layers of the file. heads: the
    number of heads, over which the last projection sums."""
    if projections and all(map(_is_float8, projections)):
        return "float8"
    whole = {arrays[0].dtype == "int8" for arrays in projections}
    if True not in whole:
        return None
    if any({a, b} <= others for a, b in WITHOUT_INPUTS_TOO):
        raise UnsupportedLayer(f"{label}: other layers are quantized with and without inputs; this one does not say")
    if False in whole:
        raise UnsupportedLayer(f"{label} has some projections in integers and some in floats")
    if all(len(arrays[0].shape) > 2 for arrays in projections):  # 4 bits are packed as a matrix
        three = ("int4_rows", "int4_rows_dynamic", "int8_weight_only")
        alone = "int8" if projections[-1][0].shape[0] == heads else "int4_rows_dynamic"
        return next((how for how in three if how in others), alone)
    if not all("int8" in [array.dtype for array in arrays[1:]] for arrays in projections):  # no zero points
        return "int4_dynamic" if "int4_dynamic" in others else "int4"
    blocks = [_block(label, arrays[-1].load()) for arrays in projections]
    split = [block for block, groups in blocks if groups > 1]
    return f"int4/{split[0] if split else max([DEFAULT_BLOCK, *(block for block, _ in blocks)])}"


def _block(label: str, groups: Any) -> tuple[int, int]:
    """(rows in the first group, number of groups) of the array g_idx."""
    rows = np.asarray(groups)
    count = int((rows == 0).sum())
    if not count or rows.ndim != 1 or not np.array_equal(rows, np.arange(rows.size) // count):
        raise WeightsMismatch(f"{label} has rows in groups of uneven sizes")
    return count, math.ceil(rows.size / count)
