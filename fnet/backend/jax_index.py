"""JAX: gathering, scattering, blocks at computed places, and functions that jax.numpy does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnet.strings import is_strings


def is_spread(arrays: Any) -> bool:
    """Whether any of the arrays is spread over a mesh of explicit axes, where JAX wants to be told how results are."""
    return any(isinstance(a, jax.Array) and jax.typeof(a).sharding.mesh.explicit_axes for a in jax.tree.leaves(arrays))


def rows(table: Any, ids: Any, axis: int = 0) -> Any:
    """The entries `ids` of an axis of `table`; a negative id counts from the end, one that is too large gives NaN."""
    if not is_spread((table, ids)):
        return jnp.take(table, ids, axis=axis, mode="fill")
    one, all_ = jax.typeof(table).sharding.spec, jax.typeof(ids).sharding
    sharding = all_.update(spec=(*one[:axis], *all_.spec, *one[axis + 1 :]))
    return table.at[(slice(None),) * axis + (ids,)].get(mode="fill", out_sharding=sharding)


def take_axis(x: Any, indices: Any, axis: int) -> Any:
    """Entries of `axis`; negative indices count from the end, one that is too large gives NaN."""
    if is_strings(x):  # which no device holds
        return np.take(x, np.asarray(indices), axis=axis)
    return jnp.take(x, indices, axis=axis, mode="fill")


def scatter(x: Any, indices: Any, updates: Any, by: str) -> Any:
    """`x` with `updates` at `indices` (..., depth), put there ("set") or combined by "add", "max", "min", "mul"."""
    place = jnp.asarray(x).at[tuple(jnp.moveaxis(indices, -1, 0))]
    name = {"mul": "multiply"}.get(by, by)
    return getattr(place, name)(updates)


def dynamic_slice(x: Any, starts: Any, shape: Sequence[int]) -> Any:
    """The block of `shape` that begins at `starts`, or else at the next place inside `x`."""
    return jax.lax.dynamic_slice(x, tuple(starts), shape)


def dynamic_update_slice(x: Any, updates: Any, starts: Any) -> Any:
    """`x` with the block that begins at `starts`, or else at the next place inside `x`, replaced."""
    return jax.lax.dynamic_update_slice(x, updates, tuple(jnp.maximum(start, 0) for start in starts))


def stop_gradient(x: Any) -> Any:
    """`x`, a constant for gradients."""
    return jax.lax.stop_gradient(x)


def erfc(x: Any) -> Any:
    """1 - erf(x), exact also where erf is nearly 1."""
    return jax.scipy.special.erfc(x)


def erfinv(x: Any) -> Any:
    """The inverse of erf."""
    return jax.scipy.special.erfinv(x)


def lu(x: Any) -> tuple[Any, Any]:
    """(L below and U on and above the diagonal, int32 row order) of matrices, by partial pivoting."""
    factors, _, order = jax.lax.linalg.lu(x)
    return factors, order


def lgamma(x: Any) -> Any:
    """log|gamma(x)|, infinite at 0, -1, -2, ..."""
    return jax.scipy.special.gammaln(x)


def digamma(x: Any) -> Any:
    """The derivative of lgamma, NaN at 0, -1, -2, ..."""
    return jax.scipy.special.digamma(x)
