"""Recurrent layers on top of each other in JAX: both directions in one loop, time turned round outside of it.

What a step computes with `exp` is a state, or several states read it. XLA fuses all else into the loop that reads it,
and does not use vectors in a loop with several `exp`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.lax import logistic

from fnet.backend.jax_index import is_spread, rows
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
        y = rows(params["embeddings"], y)
    for number, (cell, ways) in enumerate(cells):
        weights = params[f"layer_{number}"]
        zs = _looked_up(params["table"], y) if y.ndim == 2 else _projected(weights, y)
        last, hs = _sweep(cell, weights, _turned(zs), None if valid is None else _turned(jnp.stack([valid] * ways, 1)))
        y = jnp.concatenate(list(_turned(hs).swapaxes(0, 1)), axis=-1)
    if not keep:
        return jnp.concatenate(list(last), axis=-1)
    y = y if valid is None or ways == 1 else jnp.where(valid, y, 0)
    return y.swapaxes(0, 1)


def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int) -> tuple[Any, Any]:
    """`jax.lax.scan`, which on a mesh begins with a carry that is spread as that of a step is."""
    if is_spread((init, xs)) or jax.sharding.get_abstract_mesh().manual_axes:  # the latter in a shard_map
        carry, _ = jax.eval_shape(f, init, jax.tree.map(lambda a: a[0], xs))
        init = jax.tree.map(_spread_as, init, carry)
    return jax.lax.scan(f, init, xs, length=length)


def _spread_as(x: Any, like: Any) -> Any:
    """`x` spread over a mesh of explicit axes, or differing from device to device, as `like` is."""
    lax: Any = jax.lax
    if axes := tuple(_varying(like) - _varying(jax.typeof(x))):
        return lax.pcast(x, axes, to="varying") if hasattr(lax, "pcast") else lax.pvary(x, axes)
    reshard: Callable[..., Any] = jax.sharding.reshard  # which JAX has no types for
    return reshard(x, like.sharding) if like.sharding.mesh.explicit_axes else x


def _varying(kind: Any) -> frozenset[str]:
    """The axes of a mesh along which an array of this kind differs inside a `shard_map`."""
    told = getattr(kind, "manual_axis_type", None)  # in older versions `vma`
    return frozenset((getattr(kind, "vma", None) if told is None else told.varying) or ())


def _turned(xs: Array) -> Array:
    """(time, ways, ...) with the time of the second way turned round."""
    return xs if xs.shape[1] == 1 else jnp.stack([xs[:, 0], xs[::-1, 1]], axis=1)


def _looked_up(table: Array, ids: Array) -> Array:
    """(gates, ways, rows, units), (time, batch) -> (time, ways, batch, gates * units)."""
    zs = rows(table, ids, 2).transpose(2, 1, 3, 0, 4)
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
    states, hs = scan(step, (zero,) if cell == "simple_rnn" else (zero, zero), (zs, valid), zs.shape[0])
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


def _gru(weights: Mapping[str, Array], reset_after: bool = True) -> Cell:
    """States: (candidate, update gate * (h - candidate)), whose sum is the output."""
    kernel, bias = _side_by_side(weights["recurrent_kernel"]), weights.get("candidate_bias")
    last = 2 * kernel.shape[1]

    def advance(z: Array, states: States) -> States:
        h = _sum(states)
        y = _times(h, kernel if reset_after else kernel[..., :last])
        update, reset = jnp.split(logistic(-z[..., :last] - y[..., :last]), 2, axis=-1)
        if reset_after:
            inner = reset * (y[..., last:] if bias is None else y[..., last:] + bias)
        else:
            inner = _times(reset * h, kernel[..., last:])
        candidate = tanh(z[..., last:] + inner)
        return candidate, update * (h - candidate)

    return advance, _sum


def _sum(states: States) -> Array:
    return states[0] + states[1]


_CELLS: dict[str, Callable[[Mapping[str, Array]], Cell]] = {
    "simple_rnn": _simple_rnn,
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_before": functools.partial(_gru, reset_after=False),
}
