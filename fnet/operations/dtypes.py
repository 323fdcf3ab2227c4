"""Keras's dtype promotion (`keras.backend.result_type` on TensorFlow): NumPy's own would bring in float64.

A Python number is weak: it takes the dtype of the tensors it meets, an int among ints, a float among floats;
a float beside ints gives float32. int64 beside float32 is float32. Source: keras.src.backend.common.dtypes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fnet.backend import ops
from fnet.types import Array

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float", "float16", "float32", "float64")
_COMPLEX = ("complex64", "complex128")


@functools.cache
def result_type(*names: str) -> str:
    """The dtype of an operation on these; "int" and "float" are Python's weak ones."""
    if any(name in _COMPLEX for name in names):
        return "complex128" if {"complex128", "float64"} & set(names) else "complex64"
    floats = [name for name in names if "float" in name]
    if not floats:
        return _integers([name for name in names if name != "bool"])
    if {"bfloat16", "float16"} <= set(floats):
        floats.append("float32")
    widest = max(floats, key=lambda name: _FLOATS.index(name.removeprefix("b")))
    return "float32" if widest == "float" else widest


def _integers(names: list[str]) -> str:
    """The result type of integers (none: bool); a signed one that holds both where signs differ."""
    strong = [name for name in names if name != "int"]
    if not strong:
        return "int32" if names else "bool"
    signed = [int(name[3:]) for name in strong if name.startswith("int")]
    unsigned = [int(name[4:]) for name in strong if name.startswith("uint")]
    if not signed:
        return f"uint{min(max(unsigned), 32)}" if len(strong) > 1 or unsigned[0] > 32 else strong[0]
    bits = max(signed) if not unsigned else max(*signed, 2 * max(unsigned))
    return f"int{bits}" if bits <= 64 else "float32"


def dtype_of(value: Any) -> str:
    """The name by which `value` takes part in promotion; weak for Python numbers."""
    if hasattr(value, "dtype"):
        return str(value.dtype.name)
    if isinstance(value, bool | int | float | complex):
        return {bool: "bool", int: "int", float: "float"}.get(type(value), "complex64")
    return str(tensor(value).dtype.name)


def tensor(value: Any, dtype: str | None = None) -> Array:
    """`value` as an array: Python numbers and lists of them are int32, float32 or bool, as Keras makes them."""
    if not hasattr(value, "dtype"):
        if isinstance(value, list | tuple) and any(hasattr(item, "dtype") for item in value):
            from fnet.operations.joining import stacked

            value = stacked([tensor(item) for item in value])
        else:
            value = ops.asarray(value)
            small = {"int64": "int32", "float64": "float32", "complex128": "complex64"}.get(value.dtype.name)
            value = value if small is None else ops.cast(value, small)
    else:
        value = ops.asarray(value)
    return value if dtype is None or value.dtype.name == dtype else ops.cast(value, dtype)


def promoted(*values: Any) -> list[Any]:
    """`values` as arrays of their result type; Python numbers are weak, and stay numbers where that is the same."""
    names = [dtype_of(value) for value in values]
    dtype = result_type(*names)
    stays = ("int", "float") if dtype in names else ()
    return [value if name in stays else tensor(value, dtype) for value, name in zip(values, names, strict=True)]


def strong(*values: Any) -> list[Array]:
    """`values` as arrays of their result type, Python numbers counting as int32 and float32 tensors."""
    arrays = [tensor(value) for value in values]
    dtype = result_type(*(a.dtype.name for a in arrays))
    return [tensor(a, dtype) for a in arrays]


def floating(*values: Any) -> list[Array]:
    """`values` as arrays of one float dtype: float32 unless a tensor is of another one."""
    arrays = [tensor(value) for value in values]
    dtype = result_type(*(a.dtype.name for a in arrays), "float")
    return [tensor(a, dtype) for a in arrays]


def is_float(x: Array) -> bool:
    """Whether `x` holds real floats."""
    return "float" in x.dtype.name


def is_complex(x: Array) -> bool:
    """Whether `x` holds complex numbers."""
    return x.dtype.name in _COMPLEX


def is_bool(x: Array) -> bool:
    """Whether `x` holds truth values."""
    return bool(x.dtype.name == "bool")


def counted(x: Array) -> Array:
    """`x` in the dtype in which Keras sums: small ints and bool widen to 32 bits."""
    name = x.dtype.name
    wide = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}.get(name)
    return x if wide is None else ops.cast(x, wide)


def without_bool(x: Array) -> Array:
    """`x`, truth values as int32."""
    return ops.cast(x, "int32") if is_bool(x) else x


def bounds(dtype: str) -> tuple[float, float]:
    """The smallest and the largest number of a dtype."""
    if dtype == "bfloat16":
        return -3.3895313892515355e38, 3.3895313892515355e38
    if dtype == "bool":
        return 0, 1
    if dtype in INTEGERS:
        whole = np.iinfo(dtype)
        return int(whole.min), int(whole.max)
    info = np.finfo(dtype)
    return float(info.min), float(info.max)
