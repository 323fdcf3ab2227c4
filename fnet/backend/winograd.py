"""The matrices of Winograd's convolution: 3x3 windows, tile by tile, with fewer multiplications (Lavin and Gray 2016).

A tile of m x m outputs sees (m + 2) x (m + 2) inputs d. With the kernel g, and M * N by entry:
    y = A^T [ (G g G^T) * (B^T d B) ] A
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fnet.records import NamedTuple

Array = np.ndarray[Any, Any]

POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))}
"""{m: where the polynomials are evaluated, and infinity}. For m = 4 the usual 0, 1, -1, 2, -2 lose four times as
much in float32."""


class Transforms(NamedTuple):
    """For tiles of m x m outputs, a = m + 2: of the kernel (a, 3), the input (a, a), the output (m, a), in float64."""

    kernel: Array
    input: Array
    output: Array


@functools.cache
def transforms(m: int) -> Transforms:
    """By Cook and Toom: a product of polynomials from its values at `POINTS`, transposed."""
    points = np.array(POINTS[m])
    kernel, inputs, output = np.zeros((m + 2, 3)), np.zeros((m + 2, m + 2)), np.zeros((m, m + 2))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        output[:, i] = point ** np.arange(m)
        kernel[i] = point ** np.arange(3) / np.prod(point - others)
        inputs[i, :-1] = np.poly(others)[::-1]
    output[-1, -1] = kernel[-1, -1] = 1
    inputs[-1] = np.poly(points)[::-1]
    balance = 2.0 ** np.round(np.log2(np.abs(inputs).max(axis=1, keepdims=True)))
    return Transforms(kernel * balance, inputs / balance, output)


@functools.cache
def on_tiles(m: int) -> tuple[Array, Array]:
    """The transforms of input (a, a) and output (m, a), in float32."""
    _, inputs, output = transforms(m)
    return inputs.astype(np.float32), output.astype(np.float32)


def of_kernel(kernel: Any, m: int) -> Any:
    """(3, 3, c, f) -> (a * a, c, f), in float64 unless it is a tracer of JAX."""
    _, _, *channels = kernel.shape
    matrix = np.kron(transforms(m).kernel, transforms(m).kernel)
    return (matrix @ kernel.reshape(9, -1)).reshape(-1, *channels)
