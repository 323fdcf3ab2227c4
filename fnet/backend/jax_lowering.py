"""Functions of JAX as programs for others: StableHLO by `jax.export`, ONNX by jax2onnx."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax

from fnet.backend.jax_conv import anywhere
from fnet.types import Spec

PLATFORMS = ("cpu", "cuda", "tpu")


def _symbolic(specs: Sequence[Spec]) -> list[Any]:
    """The shapes that JAX traces with: the number of rows, which is that of all inputs, and other free sizes."""
    free = [f"d{i}_{axis}" for i, spec in enumerate(specs) for axis, d in enumerate(spec.shape[1:], 1) if d is None]
    symbols = dict(zip(["rows", *free], jax.export.symbolic_shape(",".join(["rows", *free])), strict=True))
    shaped = []
    for i, spec in enumerate(specs):
        sizes = [
            (symbols[f"d{i}_{axis}"] if axis else symbols["rows"]) if d is None else d
            for axis, d in enumerate(spec.shape)
        ]
        struct: Any = jax.ShapeDtypeStruct
        shaped.append(struct(tuple(sizes), spec.dtype))
    return shaped


def stablehlo(f: Callable[..., Any], specs: Sequence[Spec]) -> bytes:
    """`f` of arrays like `specs`, serialised for CPU, CUDA and TPU."""
    with anywhere():
        return bytes(jax.export.export(jax.jit(f), platforms=PLATFORMS)(*_symbolic(specs)).serialize())


def called(program: bytes) -> tuple[list[str], Callable[..., Any]]:
    """(the dtypes that it takes, the function) of what `stablehlo` serialised."""
    loaded: Any = jax.export.deserialize(bytearray(program))
    return [aval.dtype.name for aval in loaded.in_avals], loaded.call


def onnx(f: Callable[..., Any], specs: Sequence[Spec], names: Sequence[str], opset: int) -> bytes:
    """`f` of arrays like `specs` as an ONNX model, whose inputs have these names."""
    import jax2onnx

    with anywhere(axes=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter, about itself
        model = jax2onnx.to_onnx(f, _symbolic(specs), opset=opset, input_names=list(names))
    return bytes(model.SerializeToString())
