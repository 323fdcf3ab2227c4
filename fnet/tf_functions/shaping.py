"""Functions about shapes: sizes, reshaping, joining, splitting, repeating, padding, new tensors.

Sizes are numbers in the file, or tensors from other functions; `tf.shape` is a NumPy array on both backends, so that
sizes computed from it are known under `jax.jit` too. Source: TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet import operations
from fnet.backend import ops, xp
from fnet.dtypes import tensor as as_tensor
from fnet.dtypes import together
from fnet.operations.rules import Operation, named, viewed
from fnet.shapes import (
    axes_of,
    broadcast_shapes,
    joined,
    positive,
    require_made,
    reshaped,
    shape_of,
    steps_between,
    stretched,
    total,
)
from fnet.strings import is_strings
from fnet.tf_functions.elementwise import quotient, truediv_rule
from fnet.tf_functions.rules import (
    Sizes,
    as_spec,
    dtype_like,
    function,
    ints,
    known,
    number,
    of_keras,
    rule_of,
    same_in_keras,
    same_rule,
    sizes_of,
)
from fnet.types import Array, Axis, Spec

# --- sizes ----------------------------------------------------------------------------------------


def _shape_rule(x: Any, *, out_type: str) -> Spec:
    sizes = tuple(shape_of(x))
    return Spec((len(sizes),), out_type, sizes)


@function(_shape_rule, "shape", "keras.backend.shape")
def shape(x: Array, *, out_type: str = "int32") -> Array:
    """The sizes of the axes."""
    return np.asarray(as_tensor(x).shape, out_type)


@function(lambda x, *, out_type: Spec((), out_type, (total(shape_of(x)),)), "size")
def size(x: Array, *, out_type: str = "int32") -> Array:
    """The number of entries."""
    return np.asarray(math.prod(as_tensor(x).shape), out_type)


@function(lambda x: Spec((), "int32", (len(shape_of(x)),)), "rank")
def rank(x: Array) -> Array:
    """The number of axes."""
    return np.asarray(as_tensor(x).ndim, "int32")


def _reshape_rule(tensor: Any, shape: Any) -> Spec:
    spec, sizes = as_spec(tensor), tuple(None if n == -1 else n for n in sizes_of(shape))
    return Spec(sizes if sizes.count(None) > 1 else reshaped(spec.shape, sizes), spec.dtype)


@function(_reshape_rule, "reshape", "keras.backend.reshape", sizes=("shape",))
def reshape(tensor: Array, shape: Sizes) -> Array:
    """`tensor` with the shape `shape`, of which one size may be -1; the order of the numbers stays."""
    return xp.reshape(as_tensor(tensor), ints(shape))


def _transpose_rule(a: Any, perm: Any = None) -> Spec:
    return Spec(viewed(np.transpose, as_spec(a), axes=None if perm is None else sizes_of(perm)).shape, as_spec(a).dtype)


@function(_transpose_rule, "transpose", "keras.backend.permute_dimensions", sizes=("perm",))
def transpose(a: Array, perm: Sizes = None, *, conjugate: bool = False) -> Array:
    """`a` with its axes in the order `perm` (None: reversed)."""
    y = xp.transpose(as_tensor(a), None if perm is None else ints(perm))
    return xp.conj(y) if conjugate else y


expand_dims = same_in_keras(operations.expand_dims, "x", "axis", "expand_dims")


@of_keras(operations.squeeze, "squeeze")
def squeeze(x: Array, *, axis: Axis = None) -> Any:
    """`x` without the axes `axis`, which have size 1 (None or empty: all of size 1)."""
    return x, {"axis": None if isinstance(axis, Sequence) and not axis else axis}


@function(lambda x: Spec((x.shape[0], total(x.shape[1:])), x.dtype), "keras.backend.batch_flatten", rows=True)
def batch_flatten(x: Array) -> Array:
    """(batch, ...) -> (batch, product of the other sizes)."""
    x = as_tensor(x)
    return x.reshape((x.shape[0], math.prod(x.shape[1:])))


# --- order ----------------------------------------------------------------------------------------


def _axes_rule(x: Any, *numbers: Any) -> Spec:
    """The rule of functions whose last argument is axes; arguments before it have a number for each axis, and without
    these each comes once."""
    axes, rank = sizes_of(numbers[-1]), len(as_spec(x).shape)
    known = [axis for axis in axes if axis is not None]
    axes_of(sorted({positive(axis, rank) for axis in known}) if numbers[1:] else known, rank)
    if any(None in sizes_of(n) or len(sizes_of(n)) != len(axes) for n in numbers if not hasattr(n, "dtype")):
        raise ValueError(f"one number is needed for each axis; got {', '.join(map(repr, numbers)):.90}")
    return same_rule(x)


@function(_axes_rule, "reverse", sizes=("axis",))
def reverse(tensor: Array, axis: Sizes) -> Array:
    """`tensor` with the order along the axes `axis` reversed."""
    return xp.flip(as_tensor(tensor), axis=tuple(ints(axis)))


@function(_axes_rule, "roll", sizes=("shift", "axis"))
def roll(x: Array, shift: Sizes, axis: Sizes) -> Array:
    """`x` moved by `shift` along `axis`; entries beyond one end come in at the other."""
    return xp.roll(as_tensor(x), tuple(ints(shift)), axis=tuple(ints(axis)))


def _reverse_rule(x: Any, seq_lengths: Any, *, seq_axis: int, batch_axis: int) -> Spec:
    shape = as_spec(x).shape
    axes_of((seq_axis, batch_axis), len(shape))
    joined(as_spec(seq_lengths).shape, (shape[batch_axis],))
    return same_rule(x)


@function(_reverse_rule, "reverse_sequence")
def reverse_sequence(x: Array, seq_lengths: Array, *, seq_axis: int, batch_axis: int = 0) -> Array:
    """The first `seq_lengths[i]` entries of each row i reversed, the others as they are."""
    x, lengths = xp.moveaxis(as_tensor(x), (batch_axis, seq_axis), (0, 1)), as_tensor(seq_lengths)[:, None]
    steps = xp.arange(x.shape[1])[None, :]
    order = xp.where(steps < lengths, lengths - 1 - steps, steps).reshape(x.shape[:2] + (1,) * (x.ndim - 2))
    y = xp.take_along_axis(x, xp.broadcast_to(order, x.shape), axis=1)
    return xp.moveaxis(y, (0, 1), (batch_axis, seq_axis))


# --- joining and splitting ------------------------------------------------------------------------


def _specs(values: Any) -> list[Spec]:
    """The Specs of a list of tensors of one dtype; literals are vectors of that dtype."""
    dtype = dtype_like(*values)
    return [Spec(as_spec(item).shape, dtype) for item in values]


def _concat_rule(values: Any, *, axis: int) -> Spec:
    return same_rule(values) if hasattr(values, "dtype") else rule_of(operations.concatenate, _specs(values), axis=axis)


@function(_concat_rule, "concat")
def concat(values: Array | Sequence[Array], *, axis: int) -> Array:
    """The tensors of a list one after the other along `axis`; a single tensor is returned as it is."""
    return values if hasattr(values, "dtype") else xp.concatenate(together(*values), axis=axis)


def _stack_rule(values: Any, *, axis: int) -> Spec:
    if hasattr(values, "dtype"):
        return rule_of(operations.moveaxis, values, source=0, destination=axis)
    return rule_of(operations.stack, _specs(values), axis=axis)


@function(_stack_rule, "stack", "keras.backend.stack")
def stack(values: Array | Sequence[Array], *, axis: int = 0) -> Array:
    """The tensors of a list, all of one shape, along a new axis; a single tensor counts as the list of its rows."""
    if hasattr(values, "dtype"):
        return xp.moveaxis(as_tensor(values), 0, axis)
    return xp.stack(together(*values), axis=axis)


unstack = same_in_keras(operations.unstack, "value", "num axis", "unstack")


def _part_sizes(size: int | None, sizes: Any, count: int | None) -> list[int | None]:
    """The sizes of the parts of an axis: of a number of equal parts, or as listed (-1: the rest)."""
    one = not isinstance(sizes, list | tuple) and not shape_of(sizes)
    if one:
        parts = known(sizes)
        if parts is None or not 0 < parts <= 1 << 16 or (size is not None and size % parts):
            raise ValueError(f"an axis of size {size} cannot be split into {parts} equal parts")
        return [None if size is None else size // parts] * parts
    listed = list(sizes_of(sizes)) if not isinstance(sizes, Spec) or count is None else [None] * count
    rest = None if size is None or None in listed else size - sum(n for n in listed if n not in (None, -1))
    if rest is not None and (rest < 0 or (rest and -1 not in listed)):
        raise ValueError(f"an axis of size {size} cannot be split into parts of {listed}")
    return [rest if n == -1 else n for n in listed]


def _split_rule(value: Any, num_or_size_splits: Any, *, axis: int, num: int | None) -> list[Spec]:
    axis = positive(axis, len(value.shape))
    sizes = _part_sizes(value.shape[axis], num_or_size_splits, num)
    return [Spec((*value.shape[:axis], n, *value.shape[axis + 1 :]), value.dtype) for n in sizes]


@function(_split_rule, "split", sizes=("num_or_size_splits",))
def split(value: Array, num_or_size_splits: Sizes, *, axis: int = 0, num: int | None = None) -> list[Array]:
    """`value` cut along `axis` into a number of equal parts, or into parts of the listed sizes (-1: the rest)."""
    x = as_tensor(value)
    size = x.shape[axis]
    one = not isinstance(num_or_size_splits, list | tuple) and not np.ndim(num_or_size_splits)
    sizes = _part_sizes(size, number(num_or_size_splits) if one else ints(num_or_size_splits), num)
    ends = np.cumsum([n or 0 for n in sizes])[:-1].tolist()
    return list(xp.split(x, ends, axis=axis))


# --- repeating and padding ------------------------------------------------------------------------


def _tile_rule(x: Any, multiples: Any) -> Spec:
    spec = as_spec(x)
    times = sizes_of(multiples)
    sizes = (None if None in pair else math.prod(pair) for pair in zip(spec.shape, times, strict=True))  # type: ignore[arg-type]
    return Spec(tuple(sizes), spec.dtype)


@function(_tile_rule, "tile", "keras.backend.tile", sizes=("multiples",))
def tile(x: Array, multiples: Sizes) -> Array:
    """`x` repeated `multiples` times along each axis."""
    return xp.tile(as_tensor(x), ints(multiples, each=as_tensor(x).size))


def _repeat_rule(x: Any, repeats: Any, *, axis: int | None) -> Spec:
    spec = as_spec(x)
    flat = Spec((total(spec.shape),), spec.dtype) if axis is None else spec
    place = positive(axis or 0, len(flat.shape))
    one_each = isinstance(repeats, Spec) and repeats.shape == (None,)  # of an unknown number of entries
    times = (None,) if one_each else sizes_of(repeats)
    size = flat.shape[place]
    if len(times) != 1 and size not in (None, len(times)):
        raise ValueError(f"{len(times)} repeats for {size} entries")
    if None in times or (len(times) == 1 and size is None):
        size_of_axis = None
    else:
        size_of_axis = sum(n or 0 for n in times) if len(times) > 1 else (size or 0) * (times[0] or 0)
    return Spec((*flat.shape[:place], size_of_axis, *flat.shape[place + 1 :]), spec.dtype)


@function(_repeat_rule, "repeat", sizes=("repeats",))
def repeat(x: Array, repeats: Sizes, *, axis: int | None = None) -> Array:
    """Each entry of `axis` (None: of the flat tensor) `repeats` times; one number, or one for each entry."""
    times = ints(repeats)
    require_made(as_tensor(x).size, max(times, default=0))
    return xp.repeat(as_tensor(x), times[0] if len(times) == 1 else np.asarray(times), axis=axis)


def _grown(size: int | None, before: int | None, after: int | None) -> int | None:
    return None if size is None or before is None or after is None else before + size + after


def _pad_rule(tensor: Any, paddings: Any, *rest: Any) -> Spec:
    spec, flat = as_spec(tensor), sizes_of(paddings)
    if len(flat) != 2 * len(spec.shape) or any(n is not None and n < 0 for n in flat):
        raise ValueError(f"paddings {flat} for {spec}: two for each axis are expected, of at least 0")
    return Spec(tuple(map(_grown, spec.shape, flat[::2], flat[1::2])), spec.dtype)


@function(_pad_rule, "pad", sizes=("paddings",))
def pad(tensor: Array, paddings: Sizes, constant_values: Any = 0, *, mode: str = "CONSTANT") -> Array:
    """`tensor` with (before, after) more entries on every axis; `mode` "CONSTANT", "REFLECT" or "SYMMETRIC"."""
    flat = ints(paddings)
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    x = as_tensor(tensor)
    require_made(*(size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True)))
    how: Any = mode.lower()
    if how != "constant":
        return xp.pad(x, pairs, mode=how)
    x, fill = together(x, "" if is_strings(x) and not is_strings(constant_values) else constant_values)
    return xp.pad(x, pairs, constant_values=fill)


def _broadcast_rule(x: Any, shape: Any) -> Spec:
    spec = as_spec(x)
    return Spec(stretched(spec.shape, sizes_of(shape)), spec.dtype)


@function(_broadcast_rule, "broadcast_to", sizes=("shape",))
def broadcast_to(x: Array, shape: Sizes) -> Array:
    """`x` repeated along axes of size 1 to `shape`."""
    return xp.broadcast_to(as_tensor(x), ints(shape, each=1))


# --- new tensors ----------------------------------------------------------------------------------


@function(lambda dims, value: Spec(sizes_of(dims), as_spec(value).dtype), "fill", sizes=("dims",))
def fill(dims: Sizes, value: Array) -> Array:
    """`value` in the shape `dims`."""
    return xp.broadcast_to(as_tensor(value, as_spec(value).dtype), ints(dims, each=1))


def _made(name: str) -> Operation:
    """`zeros` or `ones`."""

    def apply(shape: Sizes, *, dtype: str = "float32") -> Array:
        return ops.cast(getattr(xp, name)(ints(shape, each=1)), dtype)

    rule = function(lambda shape, *, dtype: Spec(sizes_of(shape), dtype), name, sizes=("shape",))
    return rule(named(name, f"{name.title()} in `shape`.", apply))


zeros, ones = _made("zeros"), _made("ones")


@function(
    lambda x, *, dtype: Spec(as_spec(x).shape, dtype or as_spec(x).dtype), "zeros_like", "keras.backend.zeros_like"
)
def zeros_like(x: Array, *, dtype: str | None = None) -> Array:
    """Zeros of the shape of `x`; empty strings of strings."""
    x = as_tensor(x)
    if dtype is None and is_strings(x):
        return np.full(x.shape, "", object)
    return operations.zeros_like({}, x, dtype=dtype)


ones_like = same_in_keras(operations.ones_like, "x", "dtype", "ones_like", "keras.backend.ones_like")


_RANKED = ("int32", "int64", "float32", "float64")


def _range_dtype(values: Sequence[Any], dtype: str | None) -> str:
    names = [as_spec(v).dtype for v in values if v is not None]
    return dtype or max(names, key=_RANKED.index)


def _range_rule(start: Any, limit: Any = None, delta: Any = 1, *, dtype: str | None) -> Spec:
    if any(map(shape_of, (start, limit, delta))):
        raise ValueError(f"range takes numbers, not {(start, limit, delta)}")
    start, limit = (0, start) if limit is None else (start, limit)
    name = _range_dtype((start, limit, delta), dtype)
    if not name.startswith("int"):
        return Spec((None,), name)
    first, last, step = (known(v) for v in (start, limit, delta))
    if first is None or last is None or step is None:
        return Spec((None,), name)
    return Spec((steps_between(first, last, step),), name)


@function(_range_rule, "range", sizes=("start", "limit", "delta"))
def numbers(start: Any, limit: Any = None, delta: Any = 1, *, dtype: str | None = None) -> Array:
    """start, start + delta, ... below limit (or 0, 1, ... below start)."""
    start, limit = (0, start) if limit is None else (start, limit)
    name = _range_dtype((start, limit, delta), dtype)
    first, last, step = (np.asarray(v).item() for v in (start, limit, delta))
    require_made(steps_between(first, last, step))
    return np.arange(first, last, step).astype(name)


def _linspace_rule(start: Any, stop: Any, num: Any, *, axis: int) -> Spec:
    y = broadcast_shapes(as_spec(start).shape, as_spec(stop).shape)
    place = axis if axis >= 0 else len(y) + 1 + axis
    return Spec((*y[:place], known(num), *y[place:]), truediv_rule(start, stop).dtype)


@function(_linspace_rule, "linspace", sizes=("num",))
def linspace(start: Array, stop: Array, num: Sizes, *, axis: int = 0) -> Array:
    """`num` equally spaced numbers from `start` to `stop` on a new axis; float64 from integers, as in `truediv`."""
    start, stop = (quotient(x, xp.ones_like(x)) for x in together(start, stop))
    return as_tensor(xp.linspace(start, stop, number(num, each=start.size * stop.size), axis=axis), start.dtype.name)


def _eye_rule(num_rows: Any, num_columns: Any = None, batch_shape: Any = (), *, dtype: str) -> Spec:
    columns = known(num_rows if num_columns is None else num_columns)
    return Spec((*sizes_of(batch_shape), known(num_rows), columns), dtype)


@function(_eye_rule, "eye", "linalg.eye", sizes=("num_rows", "num_columns", "batch_shape"))
def eye(num_rows: Sizes, num_columns: Sizes = None, batch_shape: Sizes = (), *, dtype: str = "float32") -> Array:
    """Matrices with ones on the diagonal."""
    rows = number(num_rows)
    columns = rows if num_columns is None else number(num_columns)
    batch = ints([batch_shape, rows, columns], each=1)[:-2]
    y = ops.cast(xp.eye(rows, columns), dtype)
    return xp.broadcast_to(y, (*batch, *y.shape))


def _mask_rule(lengths: Any, maxlen: Any = None, *, dtype: str) -> Spec:
    return Spec((*as_spec(lengths).shape, None if maxlen is None else known(maxlen)), dtype)


@function(_mask_rule, "sequence_mask", sizes=("maxlen",))
def sequence_mask(lengths: Array, maxlen: Sizes = None, *, dtype: str = "bool") -> Array:
    """True for the first `lengths` of `maxlen` positions (None: the largest length), on a new last axis."""
    lengths = as_tensor(lengths)
    steps = xp.arange(number(xp.max(lengths) if maxlen is None else maxlen, each=lengths.size))
    return ops.cast(steps < lengths[..., None], dtype)
