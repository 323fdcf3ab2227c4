"""What a row of fnet.operations is: operation, inputs, options. The Keras twin is the class of the op table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fnet import tree


@dataclass(frozen=True)
class A:
    """A random input: shape, dtype, and the range of integers or the offset and scale of floats."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: int = -4
    high: int = 5
    center: float = 0.0
    scale: float = 1.0
    nan: bool = False

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        if self.dtype == "bool":
            return rng.random(self.shape) < 0.5
        if "int" in self.dtype:
            return rng.integers(0 if self.dtype[0] == "u" and self.low < 0 else self.low, self.high, self.shape).astype(
                self.dtype
            )
        values = rng.standard_normal(self.shape) * self.scale + self.center
        if self.nan:
            values = np.where(rng.random(self.shape) < 0.3, np.nan, values)
        return values.astype(self.dtype)


@dataclass(frozen=True)
class Gram(A):
    """Positive definite matrices."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        a = rng.standard_normal(self.shape)
        return (a @ np.swapaxes(a, -1, -2) + np.eye(self.shape[-1])).astype(self.dtype)


@dataclass(frozen=True)
class Deficient(A):
    """Matrices of rank 1, 2, ...: of a row, of two, ... that repeat."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        a = rng.standard_normal(self.shape)
        return np.stack([np.resize(a[i, : i + 1], a[i].shape) for i in range(len(a))]).astype(self.dtype)


@dataclass(frozen=True)
class Sorted(A):
    """Ascending numbers."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return np.sort(super().draw(rng))


@dataclass(frozen=True)
class Odd(A):
    """Floats with NaN, both infinities, both zeros and a number of each sign in them."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5])
        return np.resize(rng.permutation(values), self.shape).astype(self.dtype)


@dataclass(frozen=True)
class Complex(A):
    """Complex numbers."""

    dtype: str = "complex64"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return super().draw(rng) + np.complex64(1j) * super().draw(rng)


@dataclass(frozen=True)
class OpCase:
    """One row. inputs: the tensors and literals of the Keras call, in order. jit=False: its size depends on values.

    check: what of the result to compare, where it is unique up to signs or order only.
    """

    layer: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    jit: bool = True
    check: Callable[..., Any] | None = None
    skip_modes: tuple[str, ...] = ()
    floor: float = 0.0
    """Added to the yardstick where Keras itself is not exact to 1e-6."""
    idle: str = ""
    """Why the output may be constant or the input itself, or options may change nothing; see `tests.telling`."""

    def __post_init__(self) -> None:
        if not self.jit:
            object.__setattr__(self, "skip_modes", ("jax-jit",))

    @property
    def id(self) -> str:
        inputs = ",".join(
            f"{i.dtype}{list(i.shape)}" if isinstance(i, A) else repr(i)[:30] for i in tree.leaves(list(self.inputs))
        )
        options = ",".join(f"{k}={v!r:.30}" for k, v in self.options.items())
        return f"{self.layer.__name__}({inputs};{options})"

    def draw(self, seed: int = 0) -> tuple[Any, ...]:
        rng = np.random.default_rng(seed)
        return tree.map(lambda a: a.draw(rng) if isinstance(a, A) else a, self.inputs)


def rows(layers: Any, *inputs: Any, **options: Any) -> list[OpCase]:
    return [OpCase(layer, inputs, options) for layer in layers]


M = A((2, 3))
P = A((2, 3), center=3.0, scale=0.3)
U = A((2, 3), scale=0.3)
I = A((2, 3), "int32")  # noqa: E741
B = A((2, 3), "bool")
DTYPES = ("float32", "float16", "int32", "int64", "int8", "uint8", "uint16", "bool")
