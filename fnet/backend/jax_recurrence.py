"""Recurrent layers on top of each other in JAX: both directions in one loop, time turned round outside of it.

A step is in two halves: `begin` makes what the gates need of the next input, `finish` the states of it. The loop
carries what lies between, which XLA otherwise computes anew in each fusion that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.lax import logistic

from fnet.backend.jax_tanh import tanh

Array: TypeAlias = Any
States: TypeAlias = tuple[Array, ...]
Begin: TypeAlias = Callable[[Array, States], Any]
"""(z (ways, batch, gates * units), states (ways, batch, units)) -> what `finish` needs."""
Finish: TypeAlias = Callable[[Any, States], States]
"""(what `begin` gave, states) -> the states after the step, first of them the output."""


def recurrent_stack(
    cells: Sequence[tuple[str, int]], params: Mapping[str, Any], x: Array, mask: Array | None, keep: bool
) -> Array:
    """The last output (batch, features) of layers on top of each other, or, to `keep`, all, (batch, time, features).

    As the function of this name in `fnet.backend.numpy_recurrence`.
    """
    y, valid = jnp.asarray(x).swapaxes(0, 1), None if mask is None else jnp.asarray(mask).T[:, :, None]
    if "embeddings" in params:
        y = jnp.take(params["embeddings"], y, axis=0, mode="fill")
    for number, (cell, ways) in enumerate(cells):
        weights = params[f"layer_{number}"]
        zs = _looked_up(params["table"], y) if y.ndim == 2 else _projected(weights, y)
        last, hs = _sweep(cell, weights, _turned(zs), None if valid is None else _turned(jnp.stack([valid] * ways, 1)))
        y = jnp.concatenate(list(_turned(hs).swapaxes(0, 1)), axis=-1)
    if not keep:
        return jnp.concatenate(list(last), axis=-1)
    y = y if valid is None or ways == 1 else jnp.where(valid, y, 0)
    return y.swapaxes(0, 1)


def _turned(xs: Array) -> Array:
    """(time, ways, ...) with the time of the second way turned round."""
    return xs if xs.shape[1] == 1 else jnp.stack([xs[:, 0], xs[::-1, 1]], axis=1)


def _looked_up(table: Array, ids: Array) -> Array:
    """(gates, ways, rows, units), (time, batch) -> (time, ways, batch, gates * units)."""
    zs = jnp.take(table, ids, axis=2, mode="fill").transpose(2, 1, 3, 0, 4)
    return zs.reshape(*zs.shape[:3], table.shape[0] * table.shape[3])


def _projected(weights: Mapping[str, Array], y: Array) -> Array:
    """(time, batch, in) -> (time, ways, batch, gates * units), by one product."""
    gates, ways, features, units = weights["kernel"].shape
    kernel = weights["kernel"].transpose(2, 1, 0, 3).reshape(features, ways * gates * units)
    zs = (y @ kernel).reshape(*y.shape[:2], ways, gates * units).swapaxes(1, 2)
    return zs + _side_by_side(weights["bias"]) if "bias" in weights else zs


def _side_by_side(weights: Array) -> Array:
    """(gates, ways, in, units) -> (ways, in, gates * units)."""
    gates, ways, features, units = weights.shape
    return weights.transpose(1, 2, 0, 3).reshape(ways, features, gates * units)


def _sweep(cell: str, weights: Mapping[str, Array], zs: Array, valid: Array | None) -> tuple[Array, Array]:
    """(last output (ways, batch, units), outputs (time, ways, batch, units)); a masked step keeps the states."""
    begin, finish = _CELLS[cell](weights)

    def selected(pre: Any, states: States, now: Array | None) -> States:
        new = finish(pre, states)
        return new if now is None else tuple(jnp.where(now, a, b) for a, b in zip(new, states, strict=True))

    def step(carry: Any, inputs: Any) -> Any:
        (states, pre), (z, now) = carry, inputs
        states = selected(pre, states, now)
        return (states, begin(z, states)), states[0]

    zero = jnp.zeros((*zs.shape[1:3], weights["recurrent_kernel"].shape[-1]), zs.dtype)
    states: States = (zero, zero) if cell == "lstm" else (zero,)
    before, end = (None, None) if valid is None else (valid[:-1], valid[-1])
    (states, pre), hs = jax.lax.scan(step, (states, begin(zs[0], states)), (zs[1:], before))
    last = selected(pre, states, end)[0]
    return last, jnp.concatenate([hs, last[None]])


def _times(h: Array, kernel: Array) -> Array:
    """(ways, batch, in) @ (ways, in, out)."""
    return jnp.einsum("wni,wio->wno", h, kernel)


def _simple_rnn(weights: Mapping[str, Array]) -> tuple[Begin, Finish]:
    kernel = _side_by_side(weights["recurrent_kernel"])
    return lambda z, states: tanh(z + _times(states[0], kernel)), lambda pre, states: (pre,)


def _lstm(weights: Mapping[str, Array]) -> tuple[Begin, Finish]:
    kernel = _side_by_side(weights["recurrent_kernel"])
    last = 3 * kernel.shape[1]

    def finish(pre: Any, states: States) -> States:
        gates, g = pre
        i, f, o = jnp.split(gates, 3, axis=-1)
        c = f * states[1] + i * g
        return o * tanh(c), c

    def begin(z: Array, states: States) -> Any:
        y = z + _times(states[0], kernel)
        return logistic(-y[..., :last]), tanh(y[..., last:])

    return begin, finish


def _gru(weights: Mapping[str, Array]) -> tuple[Begin, Finish]:
    kernel, bias = _side_by_side(weights["recurrent_kernel"]), weights.get("candidate_bias")
    units = kernel.shape[1]

    def begin(z: Array, states: States) -> Any:
        y = _times(states[0], kernel)
        inner = y[..., 2 * units :] if bias is None else y[..., 2 * units :] + bias
        return logistic(-z[..., : 2 * units] - y[..., : 2 * units]), z[..., 2 * units :], inner

    def finish(pre: Any, states: States) -> States:
        gates, z, inner = pre
        return _mixed(gates[..., :units], tanh(z + gates[..., units:] * inner), states[0])

    return begin, finish


def _gru_reset_before(weights: Mapping[str, Array]) -> tuple[Begin, Finish]:
    kernel = _side_by_side(weights["recurrent_kernel"])
    units = kernel.shape[1]

    def begin(z: Array, states: States) -> Any:
        return logistic(-z[..., : 2 * units] - _times(states[0], kernel[..., : 2 * units])), z[..., 2 * units :]

    def finish(pre: Any, states: States) -> States:
        gates, z = pre
        candidate = tanh(z + _times(gates[..., units:] * states[0], kernel[..., 2 * units :]))
        return _mixed(gates[..., :units], candidate, states[0])

    return begin, finish


def _mixed(update: Array, candidate: Array, h: Array) -> States:
    return (candidate + update * (h - candidate),)


_CELLS: dict[str, Callable[[Mapping[str, Array]], tuple[Begin, Finish]]] = {
    "simple_rnn": _simple_rnn,
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_before": _gru_reset_before,
}
