"""Steps for (batch, features)."""

from __future__ import annotations

from typing import Any

from tests.random_models.builder import TIME, Builder


def dense(b: Builder, x: Any) -> Any:
    return b.layers.Dense(5, activation=b.activation())(x)


def repeat(b: Builder, x: Any) -> Any:
    return b.layers.RepeatVector(TIME)(x)


def reshape(b: Builder, x: Any) -> Any:
    shape = b.pick([(x.shape[-1], 1), (1, -1), (1, 1, -1)])
    return b.layers.Reshape(shape)(x)


def dot(b: Builder, x: Any) -> Any:
    other = b.layers.Dense(x.shape[-1])(x)
    return b.layers.Dot(axes=1, normalize=b.flag())([x, other])


def outer(b: Builder, x: Any) -> Any:
    return b.ops.einsum("bi,bj->bij", x, b.layers.Dense(3)(x))


def gated(b: Builder, x: Any) -> Any:
    """A gate of squeeze-and-excite."""
    return b.layers.Multiply()([x, b.layers.Dense(x.shape[-1], activation="sigmoid")(x)])


def linear_algebra(b: Builder, x: Any) -> Any:
    y = b.layers.Dense(3)(x)
    return b.ops.matmul(b.ops.expand_dims(x, -1), b.ops.expand_dims(y, 1))


STEPS = [dense, dense, repeat, reshape, dot, outer, gated, linear_algebra]
