"""Recurrent layers on top of each other in JAX: both directions in one loop, time turned round outside of it.

What a step computes with `exp` is a state, or several states read it. XLA fuses all else into the loop that reads it,
and does not use vectors in a loop with several `exp`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.lax import logistic

from fnet.backend.jax_tanh import tanh

Array: TypeAlias = Any
States: TypeAlias = tuple[Array, ...]
Cell: TypeAlias = tuple[Callable[[Array, States], States], Callable[[States], Array]]
"""((z (ways, batch, gates * units), states (ways, batch, units)) -> the states after the step; states -> output)."""


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
    advance, output = _CELLS[cell](weights)

    def step(states: States, inputs: Any) -> tuple[States, Array]:
        z, now = inputs
        new = advance(z, states)
        states = new if now is None else tuple(jnp.where(now, a, b) for a, b in zip(new, states, strict=True))
        return states, output(states)

    zero = jnp.zeros((*zs.shape[1:3], weights["recurrent_kernel"].shape[-1]), zs.dtype)
    states, hs = jax.lax.scan(step, (zero,) if cell == "simple_rnn" else (zero, zero), (zs, valid))
    return output(states), hs


def _times(h: Array, kernel: Array) -> Array:
    """(ways, batch, in) @ (ways, in, out)."""
    return jnp.einsum("wni,wio->wno", h, kernel)


def _simple_rnn(weights: Mapping[str, Array]) -> Cell:
    """States: (h,)."""
    kernel = _side_by_side(weights["recurrent_kernel"])
    return lambda z, states: (tanh(z + _times(states[0], kernel)),), itemgetter(0)


def _lstm(weights: Mapping[str, Array]) -> Cell:
    """States: (h, c)."""
    kernel = _side_by_side(weights["recurrent_kernel"])
    last = 3 * kernel.shape[1]

    def advance(z: Array, states: States) -> States:
        y = z + _times(states[0], kernel)
        i, f, o = jnp.split(logistic(-y[..., :last]), 3, axis=-1)
        c = f * states[1] + i * tanh(y[..., last:])
        return o * tanh(c), c

    return advance, itemgetter(0)


def _gru(weights: Mapping[str, Array]) -> Cell:
    """States: (candidate, update gate * (h - candidate)), whose sum is the output."""
    kernel, bias = _side_by_side(weights["recurrent_kernel"]), weights.get("candidate_bias")
    units = kernel.shape[1]

    def advance(z: Array, states: States) -> States:
        h = _sum(states)
        y = _times(h, kernel)
        inner = y[..., 2 * units :] if bias is None else y[..., 2 * units :] + bias
        update, reset = jnp.split(logistic(-z[..., : 2 * units] - y[..., : 2 * units]), 2, axis=-1)
        candidate = tanh(z[..., 2 * units :] + reset * inner)
        return candidate, update * (h - candidate)

    return advance, _sum


def _gru_reset_before(weights: Mapping[str, Array]) -> Cell:
    """States: as in `_gru`."""
    kernel = _side_by_side(weights["recurrent_kernel"])
    units = kernel.shape[1]

    def advance(z: Array, states: States) -> States:
        h = _sum(states)
        gates = logistic(-z[..., : 2 * units] - _times(h, kernel[..., : 2 * units]))
        update, reset = jnp.split(gates, 2, axis=-1)
        candidate = tanh(z[..., 2 * units :] + _times(reset * h, kernel[..., 2 * units :]))
        return candidate, update * (h - candidate)

    return advance, _sum


def _sum(states: States) -> Array:
    return states[0] + states[1]


_CELLS: dict[str, Callable[[Mapping[str, Array]], Cell]] = {
    "simple_rnn": _simple_rnn,
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_before": _gru_reset_before,
}
