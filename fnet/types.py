"""Types: arrays of either backend, parameter trees, the Specs and Params that describe them, ranges of options."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, Literal, TypeAlias

from fnet.records import dataclass

Array: TypeAlias = Any
"""A NumPy array, a `jax.Array`, or a tracer."""

Params: TypeAlias = Mapping[str, Any]
"""The parameters of one layer or model: nested dicts of arrays."""


@dataclass(frozen=True)
class Range:
    """The range of an option, both ends included."""

    least: float
    most: float = float("inf")

    def __contains__(self, value: Any) -> bool:
        is_number = isinstance(value, numbers.Real)
        return is_number and bool(self.least <= value <= self.most)

    def __str__(self) -> str:
        return f"at least {self.least}" if self.most == float("inf") else f"from {self.least} to {self.most}"


@dataclass(frozen=True)
class OneOf:
    """The strings that an option may be."""

    texts: tuple[str, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.texts

    def __str__(self) -> str:
        return " or ".join(map(repr, self.texts))


Axis: TypeAlias = int | Sequence[int] | None
"""The axes of an operation: one, several, or None for all."""
PerAxis: TypeAlias = int | Sequence[int]
"""An option that is one int for all spatial axes, or one for each."""
Positive: TypeAlias = Annotated[int, Range(1)]
Natural: TypeAlias = Annotated[int, Range(0)]
NotNegative: TypeAlias = Annotated[float, Range(0)]
Rate: TypeAlias = Annotated[float, Range(0, 1)]
Buckets: TypeAlias = Annotated[int, Range(0, 1 << 20)]
"""How many ids unknown tokens share: each has a line in the table."""
Tokens: TypeAlias = Annotated[int, Range(2)]
OutputMode: TypeAlias = Annotated[str, OneOf(("int", "one_hot", "multi_hot", "count", "tf_idf"))]
Merge: TypeAlias = Annotated[str, OneOf(("concat", "sum", "ave", "mul"))]
Masks: TypeAlias = Literal["keras2", "keras3"]
"""The Keras by whose rules a layer treats masks; "keras3" is the newest."""
Padding: TypeAlias = Annotated[str, OneOf(("valid", "same"))]
CausalPadding: TypeAlias = Annotated[str, OneOf(("valid", "same", "causal"))]
DataFormat: TypeAlias = Annotated[str, OneOf(("channels_last", "channels_first"))]

Window: TypeAlias = Literal["hann", "hamming"] | Sequence[float] | None
"""The window function that weights a frame before its Fourier transform: a name, the weights, or None."""

Shape: TypeAlias = tuple[int | None, ...]
"""Sizes of the axes, batch axis first; None for any size."""


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of an array that flows: `Spec((None, 32, 32, 3))`."""

    shape: Shape
    dtype: str = "float32"
    value: tuple[int | None, ...] | None = field(default=None, compare=False)
    """Its values where rules know them (sizes that functions of TensorFlow return), None for an unknown one."""

    def __repr__(self) -> str:
        return f"{self.dtype}[{', '.join('None' if d is None else str(d) for d in self.shape)}]"


@dataclass(frozen=True)
class Param:
    """The description of one parameter: shape (None: any size), Keras's default initializer, dtype, and whether it is
    trainable (moving statistics, tables and quantized kernels are not)."""

    shape: Shape
    initializer: str | Callable[[Array, Any], Array] = "glorot_uniform"
    """A name from `fnet.initializers`, or a function (key, shape) -> array."""
    dtype: str = "float32"
    trainable: bool = True


ParamTree: TypeAlias = Mapping[str, Any]
"""Nested dicts of `Param`, in the order in which Keras stores the arrays."""
