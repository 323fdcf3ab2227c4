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

# fmt: off
__all__ = [
    "asarray", "cast", "center", "einsum", "erf", "is_array", "jit", "mean_square", "quiet",
    "round_bfloat16", "scan", "softmax", "take", "to_numpy",
]
# fmt: on

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


def einsum(equation: str, *operands: Any) -> Any:
    """`jax.numpy.einsum`."""
    return jnp.einsum(equation, *operands)


def softmax(x: Any, axis: Any) -> Any:
    """exp(x) normalised to sum 1 over `axis` (an int, a tuple, or None for all)."""
    e = jnp.exp(x - jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True)))
    return e / jnp.sum(e, axis=axis, keepdims=True)


def center(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """(x - mean, variance) over `axes`, kept as axes of size 1; exact also where mean >> deviation."""
    c = x - jnp.mean(x, axis=axes, keepdims=True)
    c = c - jnp.mean(c, axis=axes, keepdims=True)  # what rounding left in the first mean
    return c, mean_square(c, axes)


def mean_square(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean of x^2 over `axes`, kept as axes of size 1."""
    return jnp.mean(x * x, axis=axes, keepdims=True)
