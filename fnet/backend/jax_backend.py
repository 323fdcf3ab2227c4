"""JAX: the same names as the NumPy backend, on jax.numpy, for use under jit, grad, vmap and sharding."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnet.masking import Masked

xp = jnp

__all__ = ["asarray", "cast", "erf", "is_array", "jit", "quiet", "round_bfloat16", "scan", "take", "to_numpy"]

jax.tree_util.register_dataclass(Masked, data_fields=["values", "mask"], meta_fields=[])


def asarray(x: Any, dtype: Any = None) -> Any:
    """`x` as an array of this backend; strings stay NumPy arrays on both."""
    if not isinstance(x, jax.Array):
        x = np.asarray(x)
        if x.dtype.kind in "SUO":
            return x
    return jnp.asarray(x, dtype)


def to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """`x` as a NumPy array."""
    return np.asarray(x)


def is_array(x: Any) -> bool:
    """Whether `x` is an array that this backend computes with."""
    return isinstance(x, jax.Array | np.ndarray | np.generic)


def jit(f: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit(f)`."""
    return jax.jit(f)


def quiet() -> contextlib.AbstractContextManager[Any]:
    """Nothing to silence: XLA gives no warnings."""
    return contextlib.nullcontext()


def round_bfloat16(x: Any) -> Any:
    """float32 rounded to the nearest bfloat16, still float32."""
    return jax.lax.reduce_precision(jnp.asarray(x, jnp.float32), 8, 7)


def cast(x: Any, dtype: str) -> Any:
    """`x` as `dtype`; "bfloat16" gives float32 that holds bfloat16 values."""
    return round_bfloat16(x) if dtype == "bfloat16" else jnp.asarray(x).astype(dtype)


def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int) -> tuple[Any, Any]:
    """`jax.lax.scan`."""
    return jax.lax.scan(f, init, xs, length=length)



def erf(x: Any) -> Any:
    """The error function."""
    return jax.scipy.special.erf(x)


def take(table: Any, ids: Any) -> Any:
    """Rows of `table`; a negative id counts from the end, one that is too large gives NaN."""
    return jnp.take(jnp.asarray(table), ids, axis=0, mode="fill")
