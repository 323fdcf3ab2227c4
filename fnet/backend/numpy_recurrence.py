"""Recurrent layers over a whole sequence in NumPy: one product for all inputs, then a loop without garbage.

Gates lie along the first axis, (gates, batch, units), so that every slice is contiguous. A sigmoid gate is
0.5 tanh(x / 2) + 0.5 with the 1 / 2 folded into the weights, so that all gates take one call of tanh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Advance: TypeAlias = Callable[[int, tuple[Array, ...], tuple[Array, ...]], None]
Swept: TypeAlias = tuple[Array, Array | None, tuple[Array, ...]]


def _gates(kernel: Array, order: Sequence[int], halved: int) -> Array:
    """(in, gates * units) -> (gates, in, units) in a new order, the first `halved` gates times 1 / 2."""
    parts = np.stack([np.split(kernel, len(order), axis=-1)[i] for i in order])
    parts[:halved] *= 0.5
    return parts


def _inputs(xs: Array, kernel: Array, bias: Array | None) -> Array:
    """(time, batch, in) @ (gates, in, units) -> (gates, time, batch, units)."""
    time, batch, features = xs.shape
    zs = np.matmul(xs.reshape(time * batch, features), kernel)
    if bias is not None:
        zs += bias
    projected: Array = zs.reshape(len(kernel), time, batch, kernel.shape[-1])
    return projected


def _sweep(
    advance: Advance, time: int, states: Sequence[Array], mask: Array | None, previous: Array, keep: bool
) -> Swept:
    """Run `advance(t, old, new)`, which writes the states after step t into `new`; states[0] is the output."""
    old = tuple(states)
    ys = np.empty((time, *old[0].shape), old[0].dtype) if keep else None
    spare = [tuple(np.empty_like(state) for state in old) for _ in range(2)]
    if mask is not None:
        return _sweep_masked(advance, old, spare, mask, previous, ys)
    for t in range(time):
        new = spare[t % 2] if ys is None else (ys[t], *spare[t % 2][1:])
        advance(t, old, new)
        old = new
    return old[0], ys, old


def _sweep_masked(
    advance: Advance, old: tuple[Array, ...], spare: list[tuple[Array, ...]], mask: Array, y: Array, ys: Array | None
) -> Swept:
    """As `_sweep`; where the mask is False states stay and the output repeats. Steps without any row are free."""
    full: Array = np.asarray(mask.all(axis=1))
    some: Array = np.asarray(mask.any(axis=1))
    hidden = ~mask[:, :, None]
    turn = 0
    for t in range(len(mask)):
        if some[t]:
            new = spare[turn]
            advance(t, old, new)
            if full[t]:
                y = new[0]
            else:
                y = np.where(hidden[t], y, new[0])
                for after, before in zip(new, old, strict=True):
                    np.copyto(after, before, where=hidden[t])
            old, turn = new, 1 - turn
        if ys is not None:
            ys[t] = y
    return y, ys, old


def simple_rnn(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """h' = tanh(x @ kernel + bias + h @ recurrent_kernel)."""
    kernel = params["recurrent_kernel"]
    (zs,) = _inputs(xs, params["kernel"][None], params.get("bias"))

    def advance(t: int, old: tuple[Array, ...], new: tuple[Array, ...]) -> None:
        (h,) = new
        np.matmul(old[0], kernel, out=h)
        np.add(h, zs[t], out=h)
        np.tanh(h, out=h)

    return _sweep(advance, len(xs), states, mask, previous, keep)


def lstm(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """c' = f c + i tanh(z_c); h' = o tanh(c'). Here the gates are in the order i, f, o, c."""
    order = (0, 1, 3, 2)
    kernel = _gates(params["recurrent_kernel"], order, 3)
    bias = params.get("bias")
    zs = _inputs(xs, _gates(params["kernel"], order, 3), None if bias is None else _gates(bias[None], order, 3))
    z = np.empty((4, *states[0].shape), zs.dtype)
    sigmoids, (i, f, o, g), tanh_c = z[:3], z, np.empty_like(z[0])

    def advance(t: int, old: tuple[Array, ...], new: tuple[Array, ...]) -> None:
        h, c = new
        np.matmul(old[0], kernel, out=z)
        np.add(z, zs[:, t], out=z)
        np.tanh(z, out=z)
        np.multiply(sigmoids, 0.5, out=sigmoids)
        np.add(sigmoids, 0.5, out=sigmoids)
        np.multiply(old[1], f, out=c)
        np.multiply(i, g, out=i)
        np.add(c, i, out=c)
        np.tanh(c, out=tanh_c)
        np.multiply(o, tanh_c, out=h)

    return _sweep(advance, len(xs), states, mask, previous, keep)


def gru(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """h' = z h + (1 - z) tanh(x_h + r (h @ R_h + b_h)), as candidate + z (h - candidate)."""
    order = (0, 1, 2)
    kernel = _gates(params["recurrent_kernel"], order, 2)
    bias, candidate_bias = params.get("bias"), None
    if bias is not None:
        (*_, candidate_bias), bias = _gates(bias[1:], order, 2), _gates(bias[:1], order, 2) + _zero_last(bias[1:])
    zs = _inputs(xs, _gates(params["kernel"], order, 2), bias)
    y = np.empty((3, *states[0].shape), zs.dtype)
    gates, (update, reset, candidate) = y[:2], y

    def advance(t: int, old: tuple[Array, ...], new: tuple[Array, ...]) -> None:
        np.matmul(old[0], kernel, out=y)
        np.add(gates, zs[:2, t], out=gates)
        _sigmoid_of_half(gates)
        if candidate_bias is not None:
            np.add(candidate, candidate_bias, out=candidate)
        np.multiply(candidate, reset, out=candidate)
        np.add(candidate, zs[2, t], out=candidate)
        _mix(update, np.tanh(candidate, out=candidate), old[0], new[0])

    return _sweep(advance, len(xs), states, mask, previous, keep)


def _zero_last(bias: Array) -> Array:
    """The recurrent bias of the gates z and r, which may be added to that of the inputs; zero for h."""
    parts = _gates(bias, (0, 1, 2), 2)
    parts[2] = 0
    return parts


def gru_reset_before(params: Any, xs: Array, states: Any, mask: Array | None, previous: Array, keep: bool) -> Swept:
    """h' = z h + (1 - z) tanh(x_h + (r h) @ R_h)."""
    order = (0, 1, 2)
    kernel = _gates(params["recurrent_kernel"], order, 2)
    bias = params.get("bias")
    zs = _inputs(xs, _gates(params["kernel"], order, 2), None if bias is None else _gates(bias[None], order, 2))
    gates = np.empty((2, *states[0].shape), zs.dtype)
    (update, reset), candidate = gates, np.empty_like(gates[0])

    def advance(t: int, old: tuple[Array, ...], new: tuple[Array, ...]) -> None:
        np.matmul(old[0], kernel[:2], out=gates)
        np.add(gates, zs[:2, t], out=gates)
        _sigmoid_of_half(gates)
        np.multiply(reset, old[0], out=reset)
        np.matmul(reset, kernel[2], out=candidate)
        np.add(candidate, zs[2, t], out=candidate)
        _mix(update, np.tanh(candidate, out=candidate), old[0], new[0])

    return _sweep(advance, len(xs), states, mask, previous, keep)


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
