"""Names for what flows: arrays of either backend, parameter trees, and descriptions of both."""

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
    """The numbers that an option may be, both ends included."""

    least: float
    most: float = float("inf")

    def __contains__(self, value: Any) -> bool:
        is_number = isinstance(value, numbers.Real)
        return is_number and bool(self.least <= value <= self.most)

    def __str__(self) -> str:
        return f"at least {self.least}" if self.most == float("inf") else f"from {self.least} to {self.most}"


@dataclass(frozen=True)
class OneOf:
    """The texts that an option may be."""

    texts: tuple[str, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.texts

    def __str__(self) -> str:
        return " or ".join(map(repr, self.texts))


Axis: TypeAlias = int | Sequence[int] | None
"""The axes over which something is done: one, several, or None for all."""
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
"""By the rules of which Keras a layer treats masks; "keras3" is the newest."""
DataFormat: TypeAlias = Annotated[str, OneOf(("channels_last", "channels_first"))]

Window: TypeAlias = Literal["hann", "hamming"] | Sequence[float] | None
"""How a frame is weighed before its Fourier transform: by name, number by number, or not at all."""

Shape: TypeAlias = tuple[int | None, ...]
"""Sizes of the axes, batch axis first; None where any size will do."""


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of an array that flows: `Spec((None, 32, 32, 3))`."""

    shape: Shape
    dtype: str = "float32"
    value: tuple[int | None, ...] | None = field(default=None, compare=False)
    """The numbers in it where rules know them (sizes that functions of TensorFlow give), None for an unknown one."""

    def __repr__(self) -> str:
        return f"{self.dtype}[{', '.join('None' if d is None else str(d) for d in self.shape)}]"


@dataclass(frozen=True)
class Param:
    """What one parameter must be: shape (None: any size), dtype, Keras's default initializer, and
    whether training moves it (moving statistics, tables and quantized kernels do not move)."""

    shape: Shape
    initializer: str | Callable[[Array, Any], Array] = "glorot_uniform"
    """A name from `fnet.initializers`, or a function (key, shape) -> array."""
    dtype: str = "float32"
    trainable: bool = True


ParamTree: TypeAlias = Mapping[str, Any]
"""Nested dicts of `Param`, in the order in which Keras stores the arrays."""
