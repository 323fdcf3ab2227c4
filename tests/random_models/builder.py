"""The builder: grows a Keras functional model one drawn step at a time; the steps are in the modules next to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st

Step: TypeAlias = Callable[["Builder", Any], Any]
"""(builder, Keras tensor) -> Keras tensor of any rank from 2 to 5."""

ACTIVATIONS = ["relu", "tanh", "gelu", "sigmoid", "selu", "softplus", "hard_silu", "mish", "leaky_relu", "softmax"]
MORE_ACTIVATIONS = ["elu", "silu", "softsign", "celu", "squareplus", "log_sigmoid", "hard_tanh", "soft_shrink", "relu6"]
TIME, SIZE = 6, 8
LARGEST = 900
"""The most numbers of one row in a tensor; beyond, the model shrinks."""


class Builder:
    """The state of a growing model: its inputs, shared layers, and outputs besides the main one.

    steps: {rank: steps for a tensor of that rank; 0: for any}. narrow: computes in 16 bits, so that
    discontinuous steps (comparisons) are left out. depth: the level of nesting of this model.
    """

    def __init__(
        self, keras: Any, draw: Any, steps: dict[int, Sequence[Step]], narrow: bool = False, depth: int = 0
    ) -> None:
        self.keras, self.draw, self.steps = keras, draw, steps
        self.layers, self.ops = keras.layers, keras.ops
        self.narrow, self.depth = narrow, depth
        self.inputs: list[Any] = []
        self.extras: list[Any] = []
        self.shared: dict[Any, Any] = {}

    # --- drawing ---

    def pick(self, options: Iterable[Any]) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def activation(self) -> Any:
        """The name of an activation or, now and then, a layer in its place."""
        if self.number(0, 9) == 9:
            return self.pick([self.layers.LeakyReLU(0.1), self.layers.ELU(0.5), self.layers.ReLU(6.0)])
        return self.pick([*ACTIVATIONS, *MORE_ACTIVATIONS])

    def padding(self, x: Any, kernel: Sequence[int] = (2, 2, 3)) -> str:
        """A drawn padding; "valid" only where every window of `kernel` fits."""
        sizes = x.shape[1:-1]
        fits = all(size >= window for size, window in zip(sizes, kernel[-len(sizes) :], strict=True))
        return self.pick(["same", "valid"]) if fits else "same"

    # --- growing ---

    def input(self, shape: Sequence[int | None], dtype: str | None = None) -> Any:
        x = self.keras.Input(shape, dtype=dtype)
        self.inputs.append(x)
        return x

    def child(self) -> Builder:
        """A builder for a nested model."""
        return Builder(self.keras, self.draw, self.steps, self.narrow, self.depth + 1)

    def grow(self, x: Any, steps: int) -> Any:
        for _ in range(steps):
            x = self.step(x)
        return x

    def step(self, x: Any) -> Any:
        x = self.smaller(x)
        own = self.steps[len(x.shape)]
        return self.pick([*own, *own, *self.steps[0]])(self, x)

    def smaller(self, x: Any) -> Any:
        """`x`, pooled or projected if it has become large."""
        if math.prod(x.shape[1:]) <= LARGEST:
            return x
        if len(x.shape) == 2 or x.shape[-1] > 8:
            return self.layers.Dense(3)(x)
        if len(x.shape) == 5:
            return self.layers.Conv3D(2, 2, strides=2, padding="same")(x)
        pool = getattr(self.layers, f"AdaptiveAveragePooling{len(x.shape) - 2}D")
        return pool(3)(x)


def size(x: Any) -> int:
    """The smallest spatial size of a tensor (batch, ..., channels)."""
    return min(x.shape[1:-1])
