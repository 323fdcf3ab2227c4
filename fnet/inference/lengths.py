"""Rows sorted by length: a model that begins by masking padding runs rows of similar length together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fnet import tree
from fnet.core import infer
from fnet.core.compose import Graph, Sequential
from fnet.core.layer import Bound, bind
from fnet.core.model import Model
from fnet.core.sources import references
from fnet.inference.schedule import LOOP
from fnet.layers.basic import embedding, identity, input_layer, masking
from fnet.records import NamedTuple
from fnet.rewrites import is_recurrent
from fnet.types import Array

CHUNK = 4096
"""Rows whose masks are made at a time, so that memory stays flat."""


class Lengths(NamedTuple):
    """How long the rows of a model are.

    steps: rows (n, time, ...) -> bool (n, time, ...), the steps that the model does not mask. shrinks: whether masked
    steps may be removed, because only a recurrent stack reads them, and it returns its last output. rank: the number of
    axes that the model declares, to which its input layer brings the rows.
    """

    steps: Callable[[Array], Array]
    shrinks: bool
    rank: int | None

    def of(self, x: Array) -> Array:
        """(n, time, ...) -> (n,), the number of steps of each row, or of words where a step has several."""
        return np.count_nonzero(self.steps(self._declared(x)).reshape(len(x), -1), axis=1)

    def shrunk(self, x: Any) -> Any:
        """Rows with their valid steps first, cut to the longest; to few widths, so that XLA compiles few shapes.

        x: a tree of one array; unchanged unless `shrinks`.
        """
        return tree.map(self._shrunk, x) if self.shrinks else x

    def _declared(self, x: Any) -> Array:
        """Rows with the axes of the model; as given, they may lack or add one of size 1 at the end."""
        x = np.asarray(x)
        return x if self.rank in (None, x.ndim) else x[..., None] if x.ndim < self.rank else x[..., 0]

    def _shrunk(self, x: Array) -> Array:
        x = self._declared(x)
        steps = self.steps(x)
        lengths = np.count_nonzero(steps, axis=1)
        width = min(_width(lengths.max(initial=1)), x.shape[1])
        if (steps != (np.arange(x.shape[1]) < lengths[:, None])).any():
            x = np.take_along_axis(x, np.argsort(~steps, axis=1, kind="stable"), axis=1)
        return x[:, :width]


def _width(steps: int) -> int:
    """The next of 8, 12, 16, 24, 32, 48, ..."""
    power = max(8, 1 << (int(steps) - 1).bit_length())
    return power * 3 // 4 if steps <= power * 3 // 4 and power > 8 else power


def batch_sizes(rows: int, batch_size: int, shares: Array | None = None) -> list[int]:
    """The sizes of batches. shares: the fraction of its width that each row fills, largest first.

    A batch of shorter rows has more of them, up to two parts for threads: as many steps as `batch_size` full rows.
    """
    sizes: list[int] = []
    while (start := sum(sizes)) < rows:
        most = batch_size if shares is None else min(2 * LOOP["numpy"], int(batch_size / max(shares[start], 1e-9)))
        sizes.append(min(max(batch_size, most), rows - start))
    return sizes


def lengths(model: Any) -> Lengths | None:
    """The lengths of the rows of a model; None where it has no recurrent layers, or does not begin with a mask."""
    if not any(map(is_recurrent, infer.layers_in(model))):
        return None
    from fnet.layers.recurrence_stack import is_lookup, parts, recurrent_stack

    step = first(model)
    if step is None:
        return None
    options, takes = bind(step).all_options, tree.leaves(infer.input_spec(model))
    rank = len(takes[0].shape) if takes else None
    if step.function is masking:
        return Lengths(lambda x: (x != options["mask_value"]).any(axis=-1), False, rank)
    if step.function is embedding:
        return Lengths(lambda x: x != 0, False, rank) if options["mask_zero"] else None
    if step.function is recurrent_stack and is_lookup(options["layers"][0]):
        ids, recurrent = parts(options["layers"])
        return Lengths(lambda x: x != 0, not recurrent[-1].return_sequences, rank) if ids["mask_zero"] else None
    return None


def first(model: Any) -> Bound | None:
    """The only layer that reads the input of the model; None where several do."""
    if isinstance(model, Sequential):
        return next((first(step) for _, step in model.steps if not _passes_on(step)), None)
    if not isinstance(model, Graph):
        return bind(model)
    name, nodes = model.inputs, dict(model.nodes)
    if isinstance(name, Mapping) and len(name) == 1:
        (name,) = name.values()
    step: Any = nodes[name].step if isinstance(name, str) and name in nodes else identity
    while isinstance(name, str) and _passes_on(step):
        readers = [(n, node) for n, node in model.nodes if name in references(node.sources)]
        if len(readers) != 1 or readers[0][1].sources != name or name in references(model.outputs):
            return None
        name, step = readers[0][0], readers[0][1].step
    return first(step) if isinstance(name, str) else None


def _passes_on(step: Any) -> bool:
    """Whether a step is a layer that returns its input."""
    return not isinstance(step, Model) and bind(step).function in (identity, input_layer)
