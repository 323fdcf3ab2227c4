"""tanh on JAX, exact to a unit in the last place."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def tanh(x: Any) -> Any:
    """tanh(x). XLA's own of float32 on a CPU is 4 units in the last place off, which recurrences add up."""
    return _tanh(jnp.asarray(x)) if x.dtype == np.float32 else jnp.tanh(x)


@jax.custom_jvp
def _tanh(x: Any) -> Any:
    """1 - 2 / (exp(2|x|) + 1) with x's sign; for small x, where that cancels, a polynomial fitted to tanh."""
    large = jnp.copysign(1 - 2 / (jnp.exp(2 * jnp.abs(x)) + 1), x)
    square = x * x
    series = functools.reduce(lambda y, coefficient: y * square + coefficient, _TANH)
    return jnp.where(jnp.abs(x) < 0.625, x + x * square * series, large)


_TANH = (-0.0057383687, 0.020671951, -0.053751, 0.13331598, -0.3333329)
"""(tanh(x) / x - 1) / x^2 for |x| < 0.625 as a polynomial of x^2, highest power first: least squares."""

_tanh.defjvps(lambda slope, y, x: slope * (1 - y * y))
