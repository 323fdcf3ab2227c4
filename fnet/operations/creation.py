"""Operations that make tensors: one-hot vectors, constants, ranges, sizes, casts, reinterpreted bytes.

Where the length depends on the values (arange) NumPy computes it; under `jax.jit` it cannot be known.
Source: keras.ops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet.backend import ops, xp
from fnet.core import room
from fnet.dtypes import dtype_of, floating, is_integral, result_type, saturated, tensor, without_bool
from fnet.operations.rules import Operation, broadcast, like, named, operation
from fnet.shapes import reduced_shape, require_made, shape_of, steps_between, stretched
from fnet.types import Array, Spec

# --- classes --------------------------------------------------------------------------------------


def _one_hot_rule(x: Spec, *, num_classes: int, axis: int, dtype: str | None) -> Spec:
    place = axis if axis >= 0 else len(x.shape) + 1 + axis
    return Spec((*x.shape[:place], num_classes, *x.shape[place:]), dtype or "float32")


def _hot(x: Array, num_classes: int, axis: int, dtype: str | None) -> Array:
    x = ops.cast(tensor(x), "int32")
    place = axis if axis >= 0 else x.ndim + 1 + axis
    steps = xp.arange(num_classes).reshape(-1, *(1,) * (x.ndim - place))
    return ops.cast(xp.expand_dims(x, place) == steps, dtype or "float32")


@operation(_one_hot_rule)
def one_hot(x: Array, *, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False) -> Array:
    """Each id as a vector on a new axis, 1 at the position of the id; ids outside 0 ... num_classes - 1 give zeros.

    `sparse` is how Keras stores the result; here it is dense.
    """
    return _hot(x, num_classes, axis, dtype)


def _multi_hot_rule(inputs: Spec, *, num_classes: int, axis: int, dtype: str | None) -> Spec:
    hot = _one_hot_rule(inputs, num_classes=num_classes, axis=axis, dtype=dtype)
    return Spec(reduced_shape(hot.shape, 1 if len(inputs.shape) > 1 else 0, False), hot.dtype)


def _multi_hot_room(inputs: Spec, *, num_classes: int) -> tuple[int, int]:
    """Memory for comparing each id with each class."""
    memory = 2 * room.size(Spec((*inputs.shape, num_classes)))
    return memory, memory


@operation(_multi_hot_rule, room=_multi_hot_room)
def multi_hot(
    inputs: Array, *, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False
) -> Array:
    """Each row of ids as one vector, 1 at the positions of all its ids.

    `sparse` is how Keras stores the result; here it is dense.
    """
    return xp.max(_hot(inputs, num_classes, axis, dtype), axis=1 if tensor(inputs).ndim > 1 else 0)


# --- new tensors ----------------------------------------------------------------------------------


def _alike(name: str, text: str, make: str) -> Operation:
    """An operation that makes a tensor of the shape of `x`, by a function of `xp`."""

    def apply(x: Array, *, dtype: str | None = None) -> Array:
        return tensor(getattr(xp, make)(tensor(x)), dtype)

    return operation(lambda x, *, dtype: Spec(x.shape, dtype or x.dtype))(named(name, text, apply))


zeros_like = _alike("zeros_like", "Zeros of the shape of `x`.", "zeros_like")
ones_like = _alike("ones_like", "Ones of the shape of `x`.", "ones_like")
empty_like = _alike(
    "empty_like", "Zeros of the shape of `x`: as TensorFlow has it, Keras promises nothing.", "zeros_like"
)


@operation(lambda x, fill_value, *, dtype: Spec(x.shape, dtype or x.dtype))
def full_like(x: Array, fill_value: Any, *, dtype: str | None = None) -> Array:
    """`fill_value` in the shape of `x`."""
    x = tensor(x)
    return xp.broadcast_to(tensor(fill_value, dtype or x.dtype.name), x.shape)


@operation(lambda fill_value, *, shape, dtype: Spec(stretched(shape_of(fill_value), shape), dtype or "float32"))
def full(fill_value: Any, *, shape: Sequence[int], dtype: str | None = None) -> Array:
    """`fill_value` in `shape`."""
    return xp.broadcast_to(tensor(fill_value, dtype or "float32"), tuple(shape))


def _arange_rule(start: Any, stop: Any = None, step: Any = None, *, dtype: str | None) -> Spec:
    if any(map(shape_of, (start, stop, step))):
        raise ValueError(f"arange takes numbers; got {(start, stop, step)}")
    name = dtype or result_type(*(dtype_of(v) for v in (start, stop, step) if v is not None))
    first, last, width = (0, start, 1) if stop is None else (start, stop, 1 if step is None else step)
    known = all(isinstance(v, int | float) for v in (first, last, width))
    return Spec((steps_between(first, last, width) if known else None,), name)


@operation(_arange_rule)
def arange(start: Any, stop: Any = None, step: Any = None, *, dtype: str | None = None) -> Array:
    """start, start + step, ... below stop (or 0, 1, ... below start). The length depends on the values."""
    dtype = dtype or result_type(*(dtype_of(v) for v in (start, stop, step) if v is not None))
    start, stop = (0, start) if stop is None else (start, stop)
    first, last, width = (v.item() if hasattr(v, "item") else v for v in (start, stop, 1 if step is None else step))
    require_made(steps_between(first, last, width))
    return ops.cast(xp.arange(first, last, width), dtype)


def _spaced_rule(start: Any, stop: Any, *, num: int, axis: int, dtype: str | None) -> Spec:
    spread = broadcast(start, stop)
    place = axis if axis >= 0 else len(spread) + 1 + axis
    name = dtype or result_type(dtype_of(start), dtype_of(stop), "float")
    return Spec((*spread[:place], num, *spread[place:]), name)


def _linspace_rule(start: Any, stop: Any, *, num: int, axis: int, dtype: str | None, retstep: bool) -> Any:
    y = _spaced_rule(start, stop, num=num, axis=axis, dtype=dtype)
    return (y, Spec(broadcast(start, stop), "float64" if is_integral(y.dtype) else y.dtype)) if retstep else y


@operation(_linspace_rule)
def linspace(
    start: Array,
    stop: Array,
    *,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Any:
    """`num` equally spaced numbers from `start` to `stop` on a new axis; with `retstep` also their distance."""
    start, stop = _ends(start, stop, dtype)
    y = _spaced(start, stop, num, endpoint, axis, dtype)
    steps = num - 1 if endpoint else num
    return (y, (stop - start) / steps if steps > 0 else (stop - start) * xp.nan) if retstep else y


def _ends(start: Array, stop: Array, dtype: str | None) -> list[Array]:
    """Both ends cast to `dtype`; if that is an integer, then to float64, without fractions."""
    if dtype is None:
        return floating(start, stop)
    return [tensor(tensor(end, dtype), "float64" if is_integral(dtype) else dtype) for end in (start, stop)]


def _spaced(start: Array, stop: Array, num: int, endpoint: bool, axis: int, dtype: str | None) -> Array:
    """Equally spaced numbers between the `_ends` of `dtype`; integers are rounded down."""
    y: Array = xp.linspace(start, stop, num, endpoint=endpoint, axis=axis).astype(start.dtype)
    return y if dtype is None else ops.cast(xp.floor(y) if is_integral(dtype) else y, dtype)


def _powers(base: float, exponents: Array) -> Array:
    return xp.power(tensor(base, exponents.dtype.name), exponents)


@operation(_spaced_rule)
def logspace(
    start: Array,
    stop: Array,
    *,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: str | None = None,
    axis: int = 0,
) -> Array:
    """`base` to the power of `num` equally spaced exponents from `start` to `stop`."""
    start, stop = _ends(start, stop, dtype)
    return _powers(base, _spaced(start, stop, num, endpoint, axis, dtype))


@operation(lambda *ends, num, axis, dtype: _spaced_rule(*ends, num=num, axis=axis, dtype=dtype or "float32"))
def geomspace(
    start: Array, stop: Array, *, num: int = 50, endpoint: bool = True, dtype: str | None = None, axis: int = 0
) -> Array:
    """`num` numbers of equal ratio from `start` to `stop`, which must have the same sign."""
    start, stop = (tensor(v, dtype or "float32") for v in (start, stop))
    first, last = (xp.log(xp.abs(v)) / math.log(10) for v in (start, stop))
    return _powers(10.0, _spaced(first, last, num, endpoint, axis, None)) * xp.expand_dims(xp.sign(start), axis)


@operation(lambda x: Spec((), "int32"))
def ndim(x: Array) -> Array:
    """The number of axes."""
    return xp.asarray(tensor(x).ndim, "int32")


@operation(lambda x: Spec((), "int32"))
def size(x: Array) -> Array:
    """The number of entries."""
    return xp.asarray(math.prod(tensor(x).shape), "int32")


def _view_rule(x: Spec, *, dtype: str | None) -> Spec:
    if dtype is None:
        return x
    old, new = np.dtype(x.dtype).itemsize, np.dtype(dtype).itemsize
    last = x.shape[-1] if x.shape else None
    if last is not None and last * old % new:
        raise ValueError(f"{x} cannot be read as {dtype}: a row of it has {last * old} bytes")
    return Spec((*x.shape[:-1], None if last is None else last * old // new) if x.shape else (), dtype)


@operation(_view_rule)
def view(x: Array, *, dtype: str | None = None) -> Array:
    """The bytes of `x` read as `dtype`; the last axis grows or shrinks when the widths differ."""
    x = tensor(x)
    return x if dtype is None else xp.array(x.reshape(-1)).reshape(x.shape).view(dtype)  # of a contiguous copy


def _vander_rule(x: Spec, *, N: int | None) -> Spec:  # noqa: N803 - Keras's name
    if len(x.shape) != 1:
        raise ValueError(f"vander takes a vector; got {x}")
    return Spec((*x.shape, x.shape[0] if N is None else N), x.dtype)


@operation(_vander_rule)
def vander(x: Array, *, N: int | None = None, increasing: bool = False) -> Array:  # noqa: N803 - Keras's name
    """(n,) -> (n, N): the powers of each number, the highest first unless `increasing`."""
    x = tensor(x)
    count = x.shape[0] if N is None else N
    powers = xp.arange(count) if increasing else xp.arange(count - 1, -1, -1)
    wide = result_type(x.dtype.name, "float32")
    return tensor(xp.power(tensor(x, wide)[:, None], tensor(powers, wide)), x.dtype.name)


# --- dtypes ---------------------------------------------------------------------------------------


@operation(like)
def cast(x: Array, *, dtype: str) -> Array:
    """`x` as `dtype`; floats lose their fraction when they become integers.

    Floats beyond the range of the integers have no defined result: in TensorFlow it depends on the position in the
    array (from 2.20 on -5.0 is 0 or 251 in uint8). `saturate_cast` is defined for them.
    """
    return ops.cast(tensor(x), dtype)


@operation(like)
def saturate_cast(x: Array, *, dtype: str) -> Array:
    """`x` as `dtype`, values outside its range moved to the nearest end."""
    return saturated(without_bool(tensor(x)), dtype)


@operation(lambda x, *, dtype: x.shape)
def convert_to_tensor(x: Array, *, dtype: str | None = None) -> Array:
    """`x` as an array of `dtype`."""
    return tensor(x, dtype)


@operation(like)
def array(x: Array, *, dtype: str | None = None) -> Array:
    """`x` as an array of `dtype`."""
    return tensor(x, dtype)
