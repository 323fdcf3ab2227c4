"""Recurrent layers over a whole sequence in NumPy: one product for all inputs, then a loop without garbage.

Arrays of a loop are (gates, ways, rows, units): a way is a direction of reading, both go through one product. Gates
come first, so that every slice is contiguous, in the form that `fnet.backend.gates` gives their weights. Rows lie
packed: sorted by their number of steps, and of each step only the rows that have it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from fnet.backend.gates import CELLS, laid_out

Array: TypeAlias = np.ndarray[Any, Any]
Weights: TypeAlias = Mapping[str, Array]
Advance: TypeAlias = Callable[[Array, Array, Array], None]
"""(z (gates, ways, n, units), h, new (ways, n, units)): one step; its output goes into `new`. One gate has no axis."""
Begin: TypeAlias = Callable[..., tuple[Advance, Sequence[Array]]]
"""(h, *other states (ways, n, units)) -> (the steps of n rows, where they keep the other states)."""
Swept: TypeAlias = tuple[Array, Array | None, tuple[Array, ...]]


class Whole:
    """The places of rows that have all steps, (time, batch) flat."""

    def __init__(self, batch: int, time: int) -> None:
        self.batch, self.time, self.running, self.runs = batch, time, batch, [(batch, time)]

    def gather(self, xs: Array) -> Array:
        """(time, batch, ...) -> (places, ...)."""
        return xs.reshape(self.time * self.batch, *xs.shape[2:])

    def mirrored(self, y: Array) -> Array:
        """At each place what the same row has as many steps from its other end: (places, ...) -> (places, ...)."""
        return y.reshape(self.time, self.batch, *y.shape[1:])[::-1].reshape(y.shape)

    def last(self, hs: Array) -> Array:
        """(ways, places, units) -> (ways, batch, units), the output of each row's last step."""
        return hs[:, hs.shape[1] - self.batch :]

    def spread(self, y: Array, previous: Any) -> Array:
        """(places, units) -> (time, batch, units)."""
        return y.reshape(self.time, self.batch, y.shape[-1])

    def sorted(self, state: Array) -> Array:
        """(ways, batch, units) -> the rows in the order of places."""
        return state

    def unsorted(self, state: Array) -> Array:
        """The inverse of `sorted`."""
        return state


class Packed:
    """The places of the steps that a mask (time, batch) leaves: by step, and of each step the longest rows first."""

    def __init__(self, mask: Array) -> None:
        lengths = np.count_nonzero(mask, axis=0)
        self.mask, self.order = mask, np.argsort(-lengths, kind="stable")
        lengths = lengths[self.order]
        counts = np.count_nonzero(lengths[:, None] > np.arange(lengths.max(initial=0)), axis=0)
        self.runs, self.starts = _runs(counts), np.cumsum(counts) - counts
        self.running = np.count_nonzero(lengths)
        step = np.repeat(np.arange(len(counts)), counts)
        rank = np.arange(len(step)) - self.starts[step]
        _, times = np.nonzero(mask.T[self.order])
        self.times = times[(np.cumsum(lengths) - lengths)[rank] + step]
        self.rows = self.order[rank]
        self.mirror = self.starts[lengths[rank] - 1 - step] + rank
        self.ends = self.starts[lengths[: self.running] - 1] + np.arange(self.running)

    def gather(self, xs: Array) -> Array:
        """(time, batch, ...) -> (places, ...)."""
        gathered: Array = xs[self.times, self.rows]
        return gathered

    def mirrored(self, y: Array) -> Array:
        """At each place what the same row has as many steps from its other end: (places, ...) -> (places, ...)."""
        mirrored: Array = y[self.mirror]
        return mirrored

    def last(self, hs: Array) -> Array:
        """(ways, places, units) -> (ways, running, units), each row's last output, in the order of places."""
        return hs[:, self.ends]

    def spread(self, y: Array, previous: Any) -> Array:
        """(places, units) -> (time, batch, units): a masked step repeats the output before it, `previous` at first."""
        done = np.cumsum(self.mask, axis=0)
        if not len(y):
            return np.broadcast_to(previous, (*done.shape, y.shape[-1])).copy()
        rank = np.empty_like(self.order)
        rank[self.order] = np.arange(len(rank))
        ys: Array = np.take(y, self.starts[done - 1] + rank, axis=0, mode="clip")
        np.copyto(ys, previous, where=(done == 0)[:, :, None])
        return ys

    def sorted(self, state: Array) -> Array:
        """(ways, batch, units) -> the rows in the order of places."""
        return state[:, self.order]

    def unsorted(self, state: Array) -> Array:
        """The inverse of `sorted`."""
        y = np.empty_like(state)
        y[:, self.order] = state
        return y


def _places(mask: Array | None, batch: int, time: int) -> Whole | Packed:
    return Whole(batch, time) if mask is None or (mask.size and mask.all()) else Packed(mask)


def _runs(counts: Array) -> list[tuple[int, int]]:
    """Falling row counts of each step -> [(rows, steps in a row with this many)]."""
    changes = np.flatnonzero(np.diff(counts, prepend=-1, append=-1)).tolist()
    return [(int(counts[a]), b - a) for a, b in itertools.pairwise(changes)]


SMALL = 1024
"""Entries of a step's output up to which it pays to copy, so that all of a step is in one place."""


@np.errstate(over="ignore")  # of the exponential of a closed gate
def _sweep(begin: Begin, zs: Array, h: Array, others: Sequence[Array], runs: Sequence[tuple[int, int]]) -> Array:
    """The output of every place, (ways, places, units), from its projected input zs (gates, ways, places, units).

    h, others: the states (ways, batch, units) to begin with. The others are changed in place: each row's has its value
    after the row's last step.
    """
    gates, ways, places, units = zs.shape
    hs, place = np.empty((ways, places, units), h.dtype), 0
    for n, steps in runs:
        end = place + n * steps
        h = h[:, :n]
        advance, kept = begin(h, *(other[:, :n] for other in others))
        z_steps = zs[:, :, place:end].reshape(gates, ways, steps, n, units).transpose(2, 0, 1, 3, 4)
        outputs = new_steps = hs[:, place:end].reshape(ways, steps, n, units).transpose(1, 0, 2, 3)
        if n * units <= SMALL:
            z_steps, new_steps = np.ascontiguousarray(z_steps), np.empty(outputs.shape, h.dtype)
        for z, new in zip(z_steps if gates > 1 else z_steps[:, 0], new_steps, strict=True):
            advance(z, h, new)
            h = new
        if new_steps is not outputs:
            outputs[...] = new_steps
        for other, now in zip(others, kept, strict=True):
            other[:, :n] = now
        place = end
    return hs


# --- the cells ------------------------------------------------------------------------------------


def _simple_rnn(weights: Weights) -> Begin:
    """h' = tanh(z + h @ recurrent_kernel)."""
    kernel = weights["recurrent_kernel"][0]

    def advance(z: Array, h: Array, new: Array) -> None:
        np.matmul(h, kernel, new)
        np.add(new, z, new)
        np.tanh(new, new)

    return lambda h: (advance, ())


def _lstm(weights: Weights) -> Begin:
    """c' = c / (1 + e^-f) + tanh(g) / (1 + e^-i); h' = tanh(c') / (1 + e^-o)."""
    kernel = weights["recurrent_kernel"]

    def begin(h: Array, c: Array) -> tuple[Advance, Sequence[Array]]:
        work = np.empty((5, *c.shape), c.dtype)
        gates, sigmoids, inner, outer, (output, candidate, cell) = work[:4], work[:3], work[:2], work[3:], work[2:]
        products, ones = np.empty((2, *c.shape), c.dtype), np.ones_like(sigmoids)
        first, second = products
        cell[...] = c

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel, gates)
            np.add(gates, z, gates)
            np.exp(sigmoids, sigmoids)
            np.add(sigmoids, ones, sigmoids)
            np.tanh(candidate, candidate)
            np.divide(outer, inner, products)  # candidate and cell
            np.add(first, second, cell)
            np.tanh(cell, first)
            np.divide(first, output, new)

        return advance, (cell,)

    return begin


def _gru(weights: Weights, reset_after: bool = True) -> Begin:
    """h' = candidate + (h - candidate) / (1 + e^-z), candidate = tanh(x_h + (h @ R_h + b_h) / (1 + e^-r)).

    Without `reset_after` candidate = tanh(x_h + (h / (1 + e^-r)) @ R_h).
    """
    whole, bias = weights["recurrent_kernel"], weights.get("candidate_bias")
    kernel, inner = (whole, None) if reset_after else (whole[:2], whole[2])

    def begin(h: Array) -> tuple[Advance, Sequence[Array]]:
        work = np.empty((3, *h.shape), h.dtype)
        gates, (update, reset, candidate), ones = work[:2], work, np.ones_like(work[:2])
        products = work[: len(kernel)]

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel, products)
            np.add(gates, z[:2], gates)
            np.exp(gates, gates)
            np.add(gates, ones, gates)
            if bias is not None:
                np.add(candidate, bias, candidate)
            if inner is None:
                np.divide(candidate, reset, candidate)
            else:
                np.divide(h, reset, reset)
                np.matmul(reset, inner, candidate)
            np.add(candidate, z[2], candidate)
            np.tanh(candidate, candidate)
            np.subtract(h, candidate, new)
            np.divide(new, update, new)
            np.add(new, candidate, new)

        return advance, ()

    return begin


_BEGINS: dict[str, Callable[[Weights], Begin]] = {
    "simple_rnn": _simple_rnn,
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_before": functools.partial(_gru, reset_after=False),
}


# --- one layer ------------------------------------------------------------------------------------


def _layer(cell: str, params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """A layer over xs (time, batch, in): (last output, outputs (time, batch, units) or None, states).

    mask: (time, batch). previous: the output that masked steps at the beginning repeat. keep: give the outputs.
    """
    weights = {name: value[:, None] for name, value in laid_out(cell, params).items()}
    places = _places(mask, xs.shape[1], xs.shape[0])
    h, *others = (places.sorted(np.array(state[None])) for state in states)
    zs = _projected(weights, places.gather(xs)[None])
    hs = _sweep(_BEGINS[cell](weights), zs, h, others, places.runs)
    h[:, : places.running] = places.last(hs)
    end, *ends = (places.unsorted(state)[0] for state in (h, *others))
    y = end if mask is None else np.where(np.any(mask, axis=0)[:, None], end, previous)
    return y, places.spread(hs[0], previous) if keep else None, (end, *ends)


def _projected(weights: Weights, x: Array) -> Array:
    """(ways, places, in) -> (gates, ways, places, units)."""
    zs: Array = np.matmul(x, weights["kernel"])
    if "bias" in weights:
        zs += weights["bias"]
    return zs


recurrences: dict[str, Callable[..., Swept]] = {cell: functools.partial(_layer, cell) for cell in CELLS}
"""{cell: (params, xs, states, mask, previous output, keep) -> (last output, outputs or None, states)}, time first."""


# --- several layers -------------------------------------------------------------------------------


def recurrent_stack(cells: Sequence[tuple[str, int]], params: Any, x: Array, mask: Array | None, keep: bool) -> Array:
    """The last output (batch, features) of layers on top of each other, or, to `keep`, all, (batch, time, features).

    cells: (cell, ways) of each layer; outputs of two ways are concatenated. params: those of `fnet.recurrent_stack`.
    x: (batch, time, in), or ids (batch, time) where params have a "table" or "embeddings". mask: (batch, time).
    At masked steps the outputs of two ways are zero; one way repeats the output before.
    """
    if mask is not None and not keep:
        steps = mask.any(axis=0)  # what no row has is left out
        x, mask = x[:, steps], mask[:, steps]
    xs, mask = x.swapaxes(0, 1), None if mask is None else mask.T
    time, batch = xs.shape[:2]
    places = _places(mask, batch, time)
    x = places.gather(xs)
    if "embeddings" in params:
        x = params["embeddings"][x]
    hs = x[None, :, None] if x.ndim == 1 else x[None]
    for number, (cell, ways) in enumerate(cells):
        weights = params[f"layer_{number}"]
        x = _each_way(places, hs, ways)
        zs = _looked_up(params["table"], x[..., 0]) if "table" in params and number == 0 else _projected(weights, x)
        h = np.zeros((ways, places.running, zs.shape[-1]), zs.dtype)
        hs = _sweep(_BEGINS[cell](weights), zs, h, [np.zeros_like(h)] if cell == "lstm" else [], places.runs)
    if keep:
        ys = places.spread(_each_way(places, hs, 1)[0], 0)
        return (ys if mask is None or ways == 1 else np.where(mask[:, :, None], ys, 0)).swapaxes(0, 1)
    y = np.zeros((ways, batch, hs.shape[-1]), hs.dtype)
    y[:, : places.running] = places.last(hs)
    return np.concatenate(list(places.unsorted(y)), axis=-1)


def _each_way(places: Whole | Packed, hs: Array, ways: int) -> Array:
    """(ways below, places, units) -> (ways, places, ways below * units), what each way reads."""
    below, count, units = hs.shape
    y = np.empty((ways, count, below, units), hs.dtype)
    for way, other in itertools.product(range(ways), range(below)):
        y[way, :, other] = hs[other] if way == other else places.mirrored(hs[other])
    return y.reshape(ways, count, below * units)


def _looked_up(table: Array, ids: Array) -> Array:
    """(gates, ways, rows, units), ids (ways, places) int32 -> (gates, ways, places, units)."""
    gates, ways, rows, units = table.shape
    if ids.size and ids.view(np.uint32).max() >= rows:
        ids = np.where(ids < 0, ids + rows, ids)
        if ids.min() < 0 or ids.max() >= rows:
            raise IndexError(f"an id that is none of the {rows} rows of the table")
    zs = np.empty((gates, ways, ids.shape[1], units), table.dtype)
    for gate, way in itertools.product(range(gates), range(ways)):
        np.take(table[gate, way], ids[way], axis=0, out=zs[gate, way], mode="clip")
    return zs
