"""One case of fnet.operations on Keras and on fnet, and how their results are compared."""

from __future__ import annotations

import functools
import importlib
import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from compare import yardstick
from fnet import operations, tree
from fnet.core.layer import bind
from fnet.core.rules import call_of
from params.table.operations import OPERATIONS, operation
from tests.cases.operations import CASES, OpCase

ROWS = {entry.layer: (key, entry) for key in OPERATIONS for entry in [operation(*key)]}
DEMOTED = {"int64": "int32", "float64": "float32", "complex128": "complex64"}
"""{dtype of 64 bits: JAX's dtype for it by default}."""


# --- Keras ----------------------------------------------------------------------------------------


def called(case: OpCase, args: tuple[Any, ...], **defaults: Any) -> Any:
    """The Keras class of the case called on tensors, or on symbolic ones."""
    (module, name), _ = ROWS[case.layer]
    cls = getattr(importlib.import_module(module), name)
    legal = set(inspect.signature(cls.__init__).parameters)
    call = {key: value for key, value in case.options.items() if key not in legal}
    if "axes_lengths" in call:
        call |= call.pop("axes_lengths")
    if name == "GetItem":
        key = call.pop("key", None) if len(args) == 1 else args[1]
        args = (args[0], tuple(key) if isinstance(key, list) else key)
    config = {key: value for key, value in case.options.items() if key in legal}
    return cls(**{**defaults, **config})(*args, **call)


def keras_result(case: OpCase, inputs: Any, dtype: str) -> Any:
    """The output of the Keras class of the case, for inputs with floats in `dtype`."""
    import tensorflow as tf

    args = tree.map(lambda a: tf.convert_to_tensor(as_dtype(a, dtype)) if isinstance(a, np.ndarray) else a, inputs)
    if case.layer.__name__ in TWINS:
        return plain(TWINS[case.layer.__name__](*args, **case.options))
    wide = case.layer is operations.multi_hot and dtype == "float64"
    return plain(called(case, args, **({"dtype": "float32"} if wide else {})))


def _keras_function(name: str) -> Any:
    def call(*args: Any, **options: Any) -> Any:
        import keras

        return getattr(keras.ops, name)(*args, **options)

    return call


def _keras_activation(name: str) -> Any:
    def call(x: Any, **options: Any) -> Any:
        import keras

        return getattr(keras.activations, name)(x, **options)

    return call


def _complex(x: Any) -> Any:
    import tensorflow as tf

    return tf.complex(x[..., 0], x[..., 1])


TWINS = {
    "quantile": _keras_function("quantile"),  # the class forgets the method
    "conv_transpose": _keras_function("conv_transpose"),  # the class mixes up its arguments
    "relu": _keras_activation("relu"),  # the class of keras.ops has no options
    "histogram": _keras_function("histogram"),  # the class calls a missing function
    "trapezoid": lambda y, positions=None, **options: _keras_function("trapezoid")(y, x=positions, **options),
    "view_as_complex": _complex,  # Keras multiplies by a Python 1j, which TensorFlow refuses
}
"""{operation: replacement for a Keras class that fails on TensorFlow}."""


def _warped(images: Any, start: Any, end: Any, *, fill_value: float = 0, data_format: str = "channels_last") -> Any:
    """`perspective_transform` in float64, interpolated linearly: h of the nine numbers that A h = 0 asks for."""
    axis = -3 if data_format == "channels_first" else -1
    planes = np.moveaxis(np.float64(images), axis, 1)
    points = np.concatenate([end, np.ones((4, 1))], axis=1)
    none = np.zeros(3)
    rows = [[(*p, *none, *(-x * p)), (*none, *p, *(-y * p))] for (x, y), p in zip(start, points, strict=True)]
    h = np.linalg.svd(np.reshape(rows, (8, 9)))[2][-1].reshape(3, 3)
    i, j = np.indices(planes.shape[2:])
    x, y, k = np.einsum("ab,bij->aij", h, [j, i, np.ones(i.shape)])
    drawn = [
        [
            ndimage.map_coordinates(plane, [y / k, x / k], order=1, mode="grid-constant", cval=fill_value)
            for plane in image
        ]
        for image in planes
    ]
    return np.moveaxis(np.stack(drawn), 1, axis)


EXACT = {"perspective_transform": _warped}
"""{operation: its values in float64}, where Keras computes in float32 whatever its inputs are."""


def plain(result: Any) -> Any:
    """The tensors of a Keras result as arrays, in a list or alone."""
    import tensorflow as tf

    result = np.int32(result) if isinstance(result, int) else result
    result = list(result) if isinstance(result, tuple | list) else result
    return tree.map(lambda a: np.asarray(tf.sparse.to_dense(a) if isinstance(a, tf.SparseTensor) else a), result)


def as_dtype(a: np.ndarray, dtype: str) -> np.ndarray:
    return a.astype(dtype) if a.dtype.name == "float32" else a


@dataclass(frozen=True)
class Reference:
    """Keras's results for one case."""

    inputs: tuple[Any, ...]
    keras32: Any
    exact: Any
    """The result in float64; `keras32` where TensorFlow has no kernel for that."""


@functools.cache
def reference(number: int) -> Reference:
    """Keras's results for a case."""
    import tensorflow as tf

    case = CASES[number]
    inputs = case.draw()
    keras32 = keras_result(case, inputs, "float32")
    if case.layer.__name__ in EXACT and case.options.get("interpolation") != "nearest":
        return Reference(inputs, keras32, EXACT[case.layer.__name__](*inputs, **case.options))
    try:
        return Reference(inputs, keras32, keras_result(case, inputs, "float64"))
    except tf.errors.OpError:  # InTopK, SearchSorted and NCHW convolutions know float32 only
        return Reference(inputs, keras32, keras32)


# --- fnet -----------------------------------------------------------------------------------------


def fnet_input(case: OpCase, inputs: tuple[Any, ...]) -> Any:
    """`x` of the layer: the one argument, or the tuple of them."""
    names = call_of(case.layer).arguments
    single = len(names) == 1 and not names[0].startswith("*")
    return inputs[0] if single else inputs


def arrays_of(value: Any) -> list[np.ndarray]:
    return [a for a in tree.leaves([value]) if isinstance(a, np.ndarray)]


def run(case: OpCase, inputs: tuple[Any, ...], arrays: list[Any]) -> Any:
    """The operation on `inputs` with their arrays replaced by `arrays`; literals (numbers, slices) are never traced."""
    left = iter(arrays)
    x = tree.map(lambda a: next(left) if isinstance(a, np.ndarray) else a, fnet_input(case, inputs))
    return bind(case.layer, **case.options)({}, x)


def compare(ours: Any, theirs: Reference, mode: str, case: OpCase) -> None:
    ours = list(ours) if isinstance(ours, tuple | list) else ours
    a, b, c = tree.leaves(ours), tree.leaves(theirs.keras32), tree.leaves(theirs.exact)
    assert len(a) == len(b), f"{len(a)} results, Keras gives {len(b)}"
    for mine, other in zip(a, b, strict=True):
        assert mine.shape == other.shape, f"shape {mine.shape}, Keras gives {other.shape}"
        wanted = other.dtype.name
        wanted = DEMOTED.get(wanted, wanted) if mode.startswith("jax") else wanted
        assert str(mine.dtype) == wanted, f"dtype {mine.dtype}, Keras gives {wanted}"
    if case.check is not None:
        a, b, c = (case.check(*map(np.asarray, x)) for x in (a, b, c))
    for mine, other, exact in zip(a, b, c, strict=True):
        policy = "float16" if other.dtype.name == "float16" else "float32"
        found = yardstick.judge(mine, other, exact, policy)
        assert policy == "float16" or found.keras < yardstick.LOUD, (
            f"Keras is off by {found.keras:.2g}: the row shows nothing"
        )
        shown = f"\nfnet  {np.asarray(mine).ravel()[:6]}\nexact {exact.ravel()[:6]}"
        assert found.error <= found.allowed + case.floor, f"{found}{shown}"
