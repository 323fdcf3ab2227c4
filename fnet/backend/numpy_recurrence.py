"""Recurrent layers over a whole sequence in NumPy: one product for all inputs, then a loop without garbage.

Gates lie along the first axis, (gates, rows, units), so that every slice is contiguous. A sigmoid gate is
0.5 tanh(x / 2) + 0.5 with the 1 / 2 folded into the weights, so that all gates take one call of tanh.
Under a mask the rows are sorted by their number of steps and only those that have a step left are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Advance: TypeAlias = Callable[[Array, Array, Array], None]
"""(z (gates, n, units), h, new (n, units)): one step, whose output goes into `new`."""
Begin: TypeAlias = Callable[..., Advance]
"""(n, *other states (n, units)) -> the steps of n rows, which change the other states in place."""
Swept: TypeAlias = tuple[Array, Array | None, tuple[Array, ...]]


def _gates(kernel: Array, order: Sequence[int], halved: int) -> Array:
    """(in, gates * units) -> (gates, in, units) in a new order, the first `halved` gates times 1 / 2."""
    parts = np.stack([np.split(kernel, len(order), axis=-1)[i] for i in order])
    parts[:halved] *= 0.5
    return parts


class _Steps:
    """The steps that a mask (time, batch) leaves, in the order of computing: by step, the longest rows first."""

    def __init__(self, mask: Array) -> None:
        lengths = np.count_nonzero(mask, axis=0)
        self.mask = mask
        self.order = np.argsort(-lengths, kind="stable")
        self.rank = np.empty_like(self.order)
        self.rank[self.order] = np.arange(len(self.order))
        lengths = lengths[self.order]
        running = lengths[:, None] > np.arange(lengths[0])
        self.counts = np.count_nonzero(running, axis=0)
        self.starts = np.cumsum(self.counts) - self.counts
        step = np.repeat(np.arange(len(self.counts)), self.counts)
        rank = np.arange(len(step)) - self.starts[step]
        _, times = np.nonzero(mask.T[self.order])
        self.times = times[(np.cumsum(lengths) - lengths)[rank] + step]
        self.rows = self.order[rank]

    def spread(self, hs: Array, previous: Array) -> Array:
        """(steps, units) -> (time, batch, units): a masked step repeats the output before it, `previous` at first."""
        done = np.cumsum(self.mask, axis=0)
        if not len(hs):
            return np.broadcast_to(previous, (*done.shape, previous.shape[-1])).copy()
        ys: Array = np.take(hs, self.starts[done - 1] + self.rank, axis=0, mode="clip")
        np.copyto(ys, previous, where=(done == 0)[:, :, None])
        return ys


def _sweep(
    begin: Begin,
    xs: Array,
    kernel: Array,
    bias: Array | None,
    states: Sequence[Array],
    mask: Array | None,
    previous: Array,
    keep: bool,
) -> Swept:
    """Run the steps over xs (time, batch, in), projected by `kernel` (gates, in, units); states[0] is the output."""
    time, batch, features = xs.shape
    steps = None if mask is None or mask.all() else _Steps(mask)
    if steps is None:
        counts, xs, states = [batch] * time, xs.reshape(time * batch, features), [states[0], *map(np.copy, states[1:])]
    else:
        counts, xs = steps.counts.tolist(), xs[steps.times, steps.rows]
        states = [state[steps.order] for state in states]
    zs = np.matmul(xs, kernel)
    if bias is not None:
        zs += bias
    (h, *others), units = states, kernel.shape[-1]
    final = np.array(h)
    hs = np.empty((zs.shape[1], units), final.dtype) if keep else None
    turns = np.empty((2, batch, units), final.dtype)
    place, rows = 0, -1
    for t, n in enumerate(counts):
        if n != rows:
            final[n : len(h)] = h[n:]
            advance, h, rows = begin(n, *(other[:n] for other in others)), h[:n], n
        new = turns[t % 2, :n] if hs is None else hs[place : place + n]
        advance(zs[:, place : place + n], h, new)
        h, place = new, place + n
    final[: len(h)] = h
    if steps is None:
        return final, None if hs is None else hs.reshape(time, batch, units), (final, *others)
    ended = tuple(state[steps.rank] for state in (final, *others))
    y = np.where(np.any(steps.mask, axis=0, keepdims=True).T, ended[0], previous)
    return y, None if hs is None else steps.spread(hs, previous), ended


def simple_rnn(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """h' = tanh(x @ kernel + bias + h @ recurrent_kernel)."""
    kernel = params["recurrent_kernel"]

    def advance(z: Array, h: Array, new: Array) -> None:
        np.matmul(h, kernel, out=new)
        np.add(new, z[0], out=new)
        np.tanh(new, out=new)

    return _sweep(lambda n: advance, xs, params["kernel"][None], params.get("bias"), states, mask, previous, keep)


def lstm(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """c' = f c + i tanh(z_c); h' = o tanh(c'). Here the gates are in the order i, f, o, c."""
    order = (0, 1, 3, 2)
    kernel, bias = _gates(params["recurrent_kernel"], order, 3), params.get("bias")

    def begin(n: int, c: Array) -> Advance:
        y = np.empty((4, *c.shape), c.dtype)
        sigmoids, (i, f, o, g) = y[:3], y

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel, out=y)
            np.add(y, z, out=y)
            np.tanh(y, out=y)
            np.multiply(sigmoids, 0.5, out=sigmoids)
            np.add(sigmoids, 0.5, out=sigmoids)
            np.multiply(c, f, out=c)
            np.multiply(i, g, out=i)
            np.add(c, i, out=c)
            np.multiply(o, np.tanh(c, out=i), out=new)

        return advance

    bias = None if bias is None else _gates(bias[None], order, 3)
    return _sweep(begin, xs, _gates(params["kernel"], order, 3), bias, states, mask, previous, keep)


def gru(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """h' = z h + (1 - z) tanh(x_h + r (h @ R_h + b_h)), as candidate + z (h - candidate)."""
    order = (0, 1, 2)
    kernel = _gates(params["recurrent_kernel"], order, 2)
    bias, candidate_bias = params.get("bias"), None
    if bias is not None:
        (*_, candidate_bias), bias = _gates(bias[1:], order, 2), _gates(bias[:1], order, 2) + _zero_last(bias[1:])

    def begin(n: int) -> Advance:
        y = np.empty((3, n, kernel.shape[1]), states[0].dtype)
        gates, (update, reset, candidate) = y[:2], y

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel, out=y)
            np.add(gates, z[:2], out=gates)
            _sigmoid_of_half(gates)
            if candidate_bias is not None:
                np.add(candidate, candidate_bias, out=candidate)
            np.multiply(candidate, reset, out=candidate)
            np.add(candidate, z[2], out=candidate)
            _mix(update, np.tanh(candidate, out=candidate), h, new)

        return advance

    return _sweep(begin, xs, _gates(params["kernel"], order, 2), bias, states, mask, previous, keep)


def _zero_last(bias: Array) -> Array:
    """The recurrent bias of the gates z and r, which may be added to that of the inputs; zero for h."""
    parts = _gates(bias, (0, 1, 2), 2)
    parts[2] = 0
    return parts


def gru_reset_before(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """h' = z h + (1 - z) tanh(x_h + (r h) @ R_h)."""
    order = (0, 1, 2)
    kernel, bias = _gates(params["recurrent_kernel"], order, 2), params.get("bias")

    def begin(n: int) -> Advance:
        y = np.empty((3, n, kernel.shape[1]), states[0].dtype)
        gates, (update, reset, candidate) = y[:2], y

        def advance(z: Array, h: Array, new: Array) -> None:
            np.matmul(h, kernel[:2], out=gates)
            np.add(gates, z[:2], out=gates)
            _sigmoid_of_half(gates)
            np.multiply(reset, h, out=reset)
            np.matmul(reset, kernel[2], out=candidate)
            np.add(candidate, z[2], out=candidate)
            _mix(update, np.tanh(candidate, out=candidate), h, new)

        return advance

    bias = None if bias is None else _gates(bias[None], order, 2)
    return _sweep(begin, xs, _gates(params["kernel"], order, 2), bias, states, mask, previous, keep)


def _sigmoid_of_half(x: Array) -> None:
    """x <- 0.5 tanh(x) + 0.5, the sigmoid of 2 x."""
    np.tanh(x, out=x)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)


def _mix(update: Array, candidate: Array, h: Array, into: Array) -> None:
    """into <- update h + (1 - update) candidate."""
    np.subtract(h, candidate, out=into)
    np.multiply(into, update, out=into)
    np.add(into, candidate, out=into)


recurrences: dict[str, Callable[..., Swept]] = {
    "simple_rnn": simple_rnn,
    "lstm": lstm,
    "gru": gru,
    "gru_reset_before": gru_reset_before,
}
"""{cell: (params, xs, states, mask, previous output, keep) -> (last output, outputs or None, states)}, time first."""
