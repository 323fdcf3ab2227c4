"""Discretization of Keras 2, whose file holds a summary of the data that it was adapted to instead of the boundaries.

Keras 2 itself forgets to compute the boundaries from it when it loads such a file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from params.assign.walk import Naming, Walk, within
from params.assign.weight_paths import variables_of
from params.convert.converted import Converted
from params.errors import WeightsMismatch, quoted
from params.file.model_file import StoredArray, WeightTree
from params.table.entry import ADAPTED

SUMMARY = "summary"


def mark_boundaries(made: Converted, wanted: Any, file: WeightTree, naming: Naming) -> bool:
    """Write the boundaries into the configs of adapted Discretization layers; whether there are any such."""
    homes = [(part, top) for top in made.parts.values() for part in within(top)]
    adapted = [(part, top) for part, top in homes if {ADAPTED, "num_bins"} <= part.source.config.keys()]
    if adapted:
        walk = Walk(naming)
        walk.visit(made, "", wanted)
        for part, top in adapted:
            array = _summary(part, top, walk.groups.get(walk.identity(part)), file)
            part.source.config["bin_boundaries"] = boundaries(array, part.source.config["num_bins"])
    return bool(adapted)


def _summary(part: Converted, top: Converted, group: str | None, file: WeightTree) -> StoredArray:
    """The array of an adapted layer, which is `top` or inside it. One that was adapted before it was called wrote
    no name before "summary" into a legacy file."""
    arrays = list(variables_of(file, group).arrays) if group is not None and file.groups else []
    stored = [(f"/{layer.name}/{n.split(':')[0]}", array) for layer in file.layers for n, array in layer.arrays]
    own = [array for name, array in stored if name.endswith(f"/{part.source.name}/{SUMMARY}")]
    arrays += own or [array for name, array in stored if name == f"/{top.source.name}/{SUMMARY}"]
    if len(arrays) != 1 or len(arrays[0].shape) != 2 or arrays[0].shape[0] != 2 or not arrays[0].shape[1]:
        raise WeightsMismatch(f"{part.source.label} was adapted, but no summary in the file can only be its own")
    return arrays[0]


def boundaries(array: StoredArray, bins: Any) -> list[float]:
    """The boundaries of `bins` bins: quantiles of the (values, weights) that a summary holds."""
    values, weights = array.load()
    if type(bins) is not int or bins < 1 or bins > 1_000_000:
        raise WeightsMismatch(f"{quoted(array.place)}: {quoted(bins)} bins")
    if len(values) < bins:  # as many values as there are, but the last
        return [float(value) for value in values[:-1]]
    sums = weights.cumsum()
    made = np.interp(1 / bins + np.arange(0.0, 1.0, 1 / bins), sums / sums[-1], values).astype("float32")
    return [float(value) for value in made[:-1]]
