"""Recurrent layers over a whole sequence in NumPy: one product for all inputs, then a loop without garbage.

Arrays of a loop are (gates, ways, rows, units): a way is a direction of reading, both go through one product. Gates
come first, so that every slice is contiguous, in the form that `fnet.backend.gates` gives their weights. Rows lie
packed: sorted by their number of steps, and of each step only the rows that have it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from fnet.backend.gates import CELLS, laid_out

Array: TypeAlias = np.ndarray[Any, Any]
Weights: TypeAlias = Mapping[str, Array]
Advance: TypeAlias = Callable[[Array, Array, Array], None]
"""(z (gates, ways, n, units), h, new (ways, n, units)): one step, whose output goes into `new`."""
Begin: TypeAlias = Callable[..., tuple[Advance, Sequence[Array]]]
"""(h, *other states (ways, n, units)) -> (the steps of n rows, where they keep the other states)."""
Swept: TypeAlias = tuple[Array, Array | None, tuple[Array, ...]]


class Packed:
    """Where the steps of packed rows come from: those that a mask (batch, time) leaves.

    order: the rows, those with the most steps first. runs: [(rows, steps that have this many)]. rows, times: of each
    place. mirror: the place of the same row's step counted from its end. ends: of each row in `order` its last place.
    """

    def __init__(self, mask: Array) -> None:
        lengths = np.count_nonzero(mask, axis=1)
        self.mask = mask
        self.order = np.argsort(-lengths, kind="stable")
        lengths = lengths[self.order]
        counts = np.count_nonzero(lengths[:, None] > np.arange(lengths.max(initial=0)), axis=0)
        self.starts = np.cumsum(counts) - counts
        self.runs = _runs(counts)
        step = np.repeat(np.arange(len(counts)), counts)
        rank = np.arange(len(step)) - self.starts[step]
        _, times = np.nonzero(mask[self.order])
        self.times = times[(np.cumsum(lengths) - lengths)[rank] + step]
        self.rows = self.order[rank]
        self.mirror = self.starts[lengths[rank] - 1 - step] + rank
        self.running = np.count_nonzero(lengths)
        last = lengths[: self.running] - 1
        self.ends = self.starts[last] + np.arange(self.running)

    def spread(self, hs: Array, previous: Array) -> Array:
        """(places, units) -> (time, batch, units): a masked step repeats the output before it, `previous` at first."""
        done = np.cumsum(self.mask.T, axis=0)
        if not len(hs):
            return np.broadcast_to(previous, (*done.shape, previous.shape[-1])).copy()
        rank = np.empty_like(self.order)
        rank[self.order] = np.arange(len(rank))
        ys: Array = np.take(hs, self.starts[done - 1] + rank, axis=0, mode="clip")
        np.copyto(ys, previous, where=(done == 0)[:, :, None])
        return ys


def _runs(counts: Array) -> list[tuple[int, int]]:
    """Falling row counts of each step -> [(rows, steps in a row with this many)]."""
    changes = np.flatnonzero(np.diff(counts, prepend=-1, append=-1)).tolist()
    return [(int(counts[a]), b - a) for a, b in zip(changes, changes[1:], strict=False)]


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
        new_steps = hs[:, place:end].reshape(ways, steps, n, units).transpose(1, 0, 2, 3)
        for z, new in zip(z_steps, new_steps, strict=True):
            advance(z, h, new)
            h = new
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
        np.add(new, z[0], new)
        np.tanh(new, new)

    return lambda h: (advance, ())


def _lstm(weights: Weights) -> Begin:
    """2 c' = (1 + f) c + (1 + i) g; 2 h' = (1 + o) tanh(c'), of the tanh of the gates i, f, o, g; h comes doubled."""
    kernel = weights["recurrent_kernel"]

    def begin(h: Array, c: Array) -> tuple[Advance, Sequence[Array]]:
        work = np.empty((5, *c.shape), c.dtype)
        gates, sigmoids, inner, outer, output, cell = work[:4], work[:3], work[:2], work[3:], work[2], work[4]
        products = np.empty((2, *c.shape), c.dtype)
        (first, second), one, half = products, *_numbers(c)
        cell[...] = c

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel, gates)
            np.add(gates, z, gates)
            np.tanh(gates, gates)
            np.add(sigmoids, one, sigmoids)
            np.multiply(inner, outer, products)  # (1 + i) g and (1 + f) c
            np.add(first, second, cell)
            np.multiply(cell, half, cell)
            np.tanh(cell, first)
            np.multiply(output, first, new)

        return advance, (cell,)

    return begin


def _gru(weights: Weights) -> Begin:
    """h' = candidate + (1 + z) / 2 (h - candidate), candidate = tanh(x_h + (1 + r) (h @ R_h + b_h) / 2)."""
    kernel, bias = weights["recurrent_kernel"], weights.get("candidate_bias")

    def begin(h: Array) -> tuple[Advance, Sequence[Array]]:
        work = np.empty((3, *h.shape), h.dtype)
        gates, (update, reset, candidate), (one, half) = work[:2], work, _numbers(h)

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel, work)
            np.add(gates, z[:2], gates)
            np.tanh(gates, gates)
            np.add(gates, one, gates)
            if bias is not None:
                np.add(candidate, bias, candidate)
            np.multiply(candidate, reset, candidate)
            np.add(candidate, z[2], candidate)
            np.tanh(candidate, candidate)
            _mix(update, candidate, h, new, half)

        return advance, ()

    return begin


def _gru_reset_before(weights: Weights) -> Begin:
    """The GRU with candidate = tanh(x_h + (1 + r) h @ R_h / 2)."""
    kernel, inner = weights["recurrent_kernel"][:2], weights["recurrent_kernel"][2]

    def begin(h: Array) -> tuple[Advance, Sequence[Array]]:
        work = np.empty((3, *h.shape), h.dtype)
        gates, (update, reset, candidate), (one, half) = work[:2], work, _numbers(h)

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel, gates)
            np.add(gates, z[:2], gates)
            np.tanh(gates, gates)
            np.add(gates, one, gates)
            np.multiply(reset, h, reset)
            np.matmul(reset, inner, candidate)
            np.add(candidate, z[2], candidate)
            np.tanh(candidate, candidate)
            _mix(update, candidate, h, new, half)

        return advance, ()

    return begin


def _mix(update: Array, candidate: Array, h: Array, new: Array, half: Array) -> None:
    """new <- candidate + update / 2 (h - candidate)."""
    np.subtract(h, candidate, new)
    np.multiply(new, update, new)
    np.multiply(new, half, new)
    np.add(new, candidate, new)


def _numbers(like: Array) -> tuple[Array, Array]:
    """1 and 1/2 as arrays, which ufuncs take faster than Python's numbers."""
    return np.full((1,) * like.ndim, 1, like.dtype), np.full((1,) * like.ndim, 0.5, like.dtype)


_BEGINS: dict[str, Callable[[Weights], Begin]] = {
    "simple_rnn": _simple_rnn,
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_before": _gru_reset_before,
}


# --- one layer ------------------------------------------------------------------------------------


def _layer(
    cell: str, params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool
) -> Swept:
    """A layer over xs (time, batch, in): (last output, outputs (time, batch, units) or None, states).

    mask: (time, batch). previous: the output that masked steps at the beginning repeat. keep: give the outputs.
    """
    weights = {name: value[:, None] for name, value in laid_out(cell, params).items()}
    time, batch, features = xs.shape
    packed = None if mask is None or mask.all() else Packed(mask.T)
    if packed is None:
        runs, xs = [(batch, time)], xs.reshape(time * batch, features)
        h, *others = (np.array(state[None]) for state in states)
    else:
        runs, xs = packed.runs, xs[packed.times, packed.rows]
        h, *others = (state[None, packed.order] for state in states)
    zs = np.matmul(xs, weights["kernel"])
    if "bias" in weights:
        zs += weights["bias"]
    doubled = CELLS[cell].doubled
    hs = _sweep(_BEGINS[cell](weights), zs, h * 2 if doubled else h, others, runs)[0]
    if doubled:
        hs *= 0.5
    if packed is None:
        ys = hs.reshape(time, batch, hs.shape[-1])
        return ys[-1], ys if keep else None, (ys[-1], *(other[0] for other in others))
    h[0, : packed.running] = hs[packed.ends]
    ended = []
    for state in (h, *others):
        ended.append(np.empty_like(state[0]))
        ended[-1][packed.order] = state[0]
    y = np.where(np.any(packed.mask, axis=1, keepdims=True), ended[0], previous)
    return y, packed.spread(hs, previous) if keep else None, tuple(ended)


recurrences: dict[str, Callable[..., Swept]] = {cell: functools.partial(_layer, cell) for cell in CELLS}
"""{cell: (params, xs, states, mask, previous output, keep) -> (last output, outputs or None, states)}, time first."""
