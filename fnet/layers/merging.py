"""Merge layers: several arrays into one. `x` is a tuple or list of arrays.

Arrays of lower rank get axes of size 1 after the batch axis until the ranks agree; then NumPy's broadcasting
applies. Mask: the OR of the masks if every input has one, else none; with masks="keras2" the AND of the existing ones,
which do not affect the values. Concatenate and dot have their own rules.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, cast

from fnet.backend import ops, xp
from fnet.core.room import work_of_products
from fnet.core.rules import OF_FLOATS, layer
from fnet.dtypes import WIDE, in_floats, is_integral, name_of, require_no_strings, result_type
from fnet.errors import InvalidInput
from fnet.masks import mask_of, masked, values_of
from fnet.shapes import broadcast_shapes, joined, positive, require_numbers, sized
from fnet.strings import is_strings
from fnet.types import Array, Params, ParamTree, Shape, Spec

MergeMasks: TypeAlias = Literal["keras2", "keras3.3", "keras3"]
"""Values of `masks` here; "keras3.3": Keras 3.0 to 3.3, whose merge layers lose masks."""


def _several(name: str, x: Any, count: int | None = None) -> list[Any]:
    if not isinstance(x, tuple | list) or not x or (count is not None and len(x) != count):
        expected = "a tuple or list of arrays" if count is None else f"a tuple or list of {count} arrays"
        got = f"{len(x)} of them" if isinstance(x, tuple | list) else type(x).__name__
        raise InvalidInput(f"{name} takes {expected}; got {got}")
    return _one_dtype(x)


def _one_dtype(x: Sequence[Any]) -> list[Any]:
    """Arrays or specs in the dtype that Keras computes in: int64 with float32 is float32, two of uint64 are uint32."""
    if odd := [a for a in x if not hasattr(values_of(a), "dtype")]:
        raise InvalidInput(
            f"a merge layer takes arrays, and {odd[0]!r:.40} is none; fnet.operations.add(...) takes numbers"
        )
    kinds = {values_of(a).dtype for a in x}
    if len(x) < 2 or (len(kinds) == 1 and kinds <= WIDE) or kinds == {"string"} or is_strings(values_of(x[0])):
        return list(x)
    if isinstance(x[0], Spec):
        require_no_strings(*x)
        dtype = result_type(*(s.dtype for s in x))
        return [Spec(s.shape, dtype) for s in x]
    dtype = result_type(*(name_of(values_of(a).dtype) for a in x))
    return [masked(values_of(a).astype(dtype), mask_of(a)) for a in x]


def _merged_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape to which all broadcast, low ranks filled up after the batch axis; None where unknown."""
    rank = max(map(len, shapes))
    return broadcast_shapes(*((*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes))


def _merge_rule(x: Sequence[Spec]) -> tuple[Spec, ParamTree]:
    for spec in (specs := _several("a merge layer", x)):
        require_numbers(spec)
    return Spec(_merged_shape([s.shape for s in specs]), specs[0].dtype), {}


def _align(arrays: Sequence[Array]) -> list[Array]:
    rank = max(a.ndim for a in arrays)
    return [a if a.ndim == rank else a.reshape(*a.shape[:1], *(1,) * (rank - a.ndim), *a.shape[1:]) for a in arrays]


def _average_rule(x: Sequence[Spec]) -> tuple[Spec, ParamTree]:
    y, _ = _merge_rule(x)
    mean = "float64" if y.dtype.endswith(("32", "64")) else "float32"
    return Spec(y.shape, mean if y.dtype.startswith(("int", "uint")) else y.dtype), {}


def _merged_mask(x: Sequence[Any], masks: str) -> Array | None:
    """The mask of a merge: none if an input has none, else the OR of all; in Keras 2 the AND of those there are."""
    present = [mask_of(a) for a in x if mask_of(a) is not None]
    if masks != "keras3":
        return functools.reduce(xp.logical_and, present) if present and masks == "keras2" else None
    return functools.reduce(xp.logical_or, present) if len(present) == len(x) else None


def _merge(name: str, x: Any, masks: str, function: Callable[[list[Array]], Array]) -> Any:
    x = _several(name, x)
    return masked(function(_align([values_of(a) for a in x])), _merged_mask(x, masks))


@layer(shape=_merge_rule, mask="own")
def add(params: Params, x: Sequence[Array], *, masks: MergeMasks = "keras3") -> Any:
    """Several (batch, ...) -> (batch, ...): their sum. Source: keras.layers.Add.

    >>> add({}, (np.ones((1, 2, 2)), np.array([[1.0, 2.0]])))
    array([[[2., 3.],
            [2., 3.]]])
    """
    return _merge("add", x, masks, lambda arrays: functools.reduce(xp.add, arrays))


@layer(shape=lambda x: _merge_rule(_several("subtract", x, 2)), mask="own")
def subtract(params: Params, x: Sequence[Array], *, masks: MergeMasks = "keras3") -> Any:
    """Two (batch, ...) -> (batch, ...): the first minus the second. Source: keras.layers.Subtract.

    >>> subtract({}, (np.array([[3.0]]), np.array([[1.0]])))
    array([[2.]])
    """
    return _merge("subtract", _several("subtract", x, 2), masks, lambda arrays: arrays[0] - arrays[1])


@layer(shape=_average_rule, mask="own", rounding=OF_FLOATS)
def average(params: Params, x: Sequence[Array], *, masks: MergeMasks = "keras3") -> Any:
    """Several (batch, ...) -> (batch, ...): their mean. Integers are added as such; of 8 and 16 bits they then give
    float32, of more float64. Source: keras.layers.Average.

    >>> average({}, (np.array([[3.0]]), np.array([[1.0]])))
    array([[2.]])
    """

    def mean(arrays: list[Array]) -> Array:
        total = functools.reduce(xp.add, arrays)
        if total.dtype.kind in "iub":
            total = ops.cast(total, "float32" if total.dtype.itemsize < 4 else "float64")
        return total / len(arrays)

    return _merge("average", x, masks, mean)


@layer(shape=_merge_rule, mask="own")
def multiply(params: Params, x: Sequence[Array], *, masks: MergeMasks = "keras3") -> Any:
    """Several (batch, ...) -> (batch, ...): their product.

    Masked inputs count as 1 where they are hidden; where all are hidden the product is 0 (not with masks="keras2").
    Source: keras.layers.Multiply.

    >>> multiply({}, (np.array([[3.0]]), np.array([[2.0]])))
    array([[6.]])
    """
    if masks != "keras3":
        return _merge("multiply", x, masks, lambda arrays: functools.reduce(xp.multiply, arrays))
    x = _several("multiply", x)
    arrays, wide = _align([values_of(a) for a in x]), _wide_masks(x)
    factors = [a if m is None else xp.where(m, a, 1) for a, m in zip(arrays, wide, strict=True)]
    y = functools.reduce(xp.multiply, factors)
    seen = [m for m in wide if m is not None]
    if len(seen) == len(wide):
        y = xp.where(functools.reduce(xp.logical_or, seen), y, 0)
    return masked(y, _merged_mask(x, masks))


@layer(shape=_merge_rule, mask="own")
def maximum(params: Params, x: Sequence[Array], *, masks: MergeMasks = "keras3") -> Any:
    """Several (batch, ...) -> (batch, ...): the largest at each place, of what masks do not hide.

    Source: keras.layers.Maximum.

    >>> maximum({}, (np.array([[3.0]]), np.array([[2.0]])))
    array([[3.]])
    """
    return _extreme("maximum", x, masks, xp.maximum)


@layer(shape=_merge_rule, mask="own")
def minimum(params: Params, x: Sequence[Array], *, masks: MergeMasks = "keras3") -> Any:
    """Several (batch, ...) -> (batch, ...): the smallest at each place, of what masks do not hide.

    Source: keras.layers.Minimum.

    >>> minimum({}, (np.array([[3.0]]), np.array([[2.0]])))
    array([[2.]])
    """
    return _extreme("minimum", x, masks, xp.minimum)


def _wide_masks(x: Sequence[Any]) -> list[Array | None]:
    """Masks (batch, time, 1) that act on the values; Keras loses them where it raises the rank."""
    rank = max(values_of(a).ndim for a in x)
    return [
        None
        if mask_of(a) is None or values_of(a).ndim < rank
        else xp.broadcast_to(mask_of(a)[..., None], a.values.shape)
        for a in x
    ]


def _extreme(name: str, x: Any, masks: str, function: Callable[[Array, Array], Array]) -> Any:
    """`function` over the inputs in order; a hidden place of one takes what the other has there."""
    if masks != "keras3":
        return _merge(name, x, masks, lambda arrays: functools.reduce(function, arrays))
    x = _several(name, x)
    arrays, wide = _align([values_of(a) for a in x]), _wide_masks(x)
    y, seen = arrays[0], wide[0]
    for a, mask in zip(arrays[1:], wide[1:], strict=True):
        a = a if mask is None else xp.where(mask, a, y)
        y = y if seen is None else xp.where(seen, y, a)
        seen = None if mask is None or seen is None else xp.logical_or(seen, mask)
        y = function(y, a)
    return masked(y, _merged_mask(x, masks))


# --- concatenate ----------------------------------------------------------------------------------


def _concatenate_rule(x: Sequence[Spec], *, axis: int) -> tuple[Spec, ParamTree]:
    specs = _several("concatenate", x)
    at = positive(axis, len(specs[0].shape))
    sizes = [s.shape[at] for s in specs]
    rest = [(*s.shape[:at], 1, *s.shape[at + 1 :]) for s in specs]
    if any(len({*others} - {None}) > 1 for others in zip(*rest, strict=True)):
        raise InvalidInput(f"concatenate takes arrays of equal shape except along axis {axis}; got {specs}")
    shape = list(joined(*rest))
    shape[at] = None if None in sizes else sum(cast("list[int]", sizes))
    return Spec(tuple(shape), specs[0].dtype), {}


@layer(shape=_concatenate_rule, mask="own")
def concatenate(params: Params, x: Sequence[Array], *, axis: int = -1, masks: MergeMasks = "keras3") -> Any:
    """Several (batch, ...) of equal shape except along `axis` -> one, side by side along `axis`; strings, too.

    Mask: if an input has one, those of all (all True for inputs without), side by side too; along the last
    axis their OR, with masks="keras2" their AND. Source: keras.layers.Concatenate.

    >>> concatenate({}, (np.array([[3.0]]), np.array([[1.0, 2.0]])))
    array([[3., 1., 2.]])
    """
    x = _several("concatenate", x)
    arrays = [values_of(a) for a in x]
    lost = masks == "keras3.3" or all(mask_of(a) is None for a in x)
    mask = None if lost else _all_of(x, axis) if masks == "keras2" else _concatenated_mask(x, axis)
    return masked(xp.concatenate(arrays, axis=axis), mask)


def _all_of(x: Sequence[Any], axis: int) -> Array:
    """Keras 2's mask: masks (with an axis of size 1 for the features) next to each other along `axis`, True for inputs
    without; what has a False on the last axis is hidden."""
    rows = [xp.ones(values_of(a).shape, bool) if mask_of(a) is None else mask_of(a) for a in x]
    rows = [row if row.ndim == values_of(a).ndim else row[..., None] for row, a in zip(rows, x, strict=True)]
    return xp.all(xp.concatenate(rows, axis=axis), axis=-1)


def _concatenated_mask(x: Sequence[Any], axis: int) -> Array:
    rank = values_of(x[0]).ndim
    if axis % rank == rank - 1:
        return functools.reduce(xp.logical_or, [_row_mask(a) for a in x])
    return xp.concatenate([_row_mask(a) for a in x], axis=axis % rank)


def _row_mask(a: Any) -> Array:
    """The mask of one input over all axes but the last: True without a mask."""
    mask, shape = mask_of(a), values_of(a).shape
    if mask is None:
        return xp.ones(shape[:-1], bool)
    if mask.ndim == len(shape):
        return xp.any(mask, axis=-1)
    return xp.any(xp.broadcast_to(mask[..., None], shape), axis=-1)


# --- dot ------------------------------------------------------------------------------------------


def _dot_axes(axes: int | Sequence[int], ranks: Sequence[int]) -> tuple[int, int]:
    first, second = (axes, axes) if isinstance(axes, int) else axes
    pair = positive(first, ranks[0]), positive(second, ranks[1])
    if 0 in pair:
        raise ValueError(f"dot takes no product over the batch axis; got axes={axes} for ranks {list(ranks)}")
    return pair


def _dot_rule(x: Sequence[Spec], *, axes: int | Sequence[int], normalize: bool) -> tuple[Spec, ParamTree]:
    a, b = _several("dot", x, 2)
    i, j = _dot_axes(axes, (len(a.shape), len(b.shape)))
    for first, second in ((0, 0), (i, j)):
        if None not in (a.shape[first], b.shape[second]) and a.shape[first] != b.shape[second]:
            raise InvalidInput(f"dot takes axes of one size; got axis {first} of {a} and axis {second} of {b}")
    shape = (*a.shape[:i], *a.shape[i + 1 :], *b.shape[1:j], *b.shape[j + 1 :])
    dtype = "int32" if a.dtype == "int8" else a.dtype  # as below
    if normalize and is_integral(dtype):
        dtype = "float32"
    return Spec(shape if len(shape) > 1 else (*shape, 1), dtype), {}


def _dot_room(x: Sequence[Spec], *, axes: int | Sequence[int]) -> tuple[int, int]:
    i, j = _dot_axes(axes, [len(one.shape) for one in x])
    terms = max(sized((x[0].shape[i], x[1].shape[j]), 1))
    return work_of_products(_dot_rule(x, axes=axes, normalize=False)[0], terms)


@layer(shape=_dot_rule, room=_dot_room, mask="drop")
def dot(params: Params, x: Sequence[Array], *, axes: int | Sequence[int], normalize: bool = False) -> Array:
    """Two (batch, ...) -> (batch, rest of the first, rest of the second): products summed over one axis of each.

    axes: the axis, or (axis of the first, axis of the second). normalize: L2-normalise along them before, which
    gives the cosine. Two matrices (batch, n) give (batch, 1). Mask: dropped. Source: keras.layers.Dot.

    >>> dot({}, (np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])), axes=1)
    array([[11.]])
    """
    a, b = _several("dot", x, 2)
    if a.dtype.name == "int8":  # the only integers whose sums do not wrap around
        a, b = ops.cast(a, "int32"), ops.cast(b, "int32")
    i, j = _dot_axes(axes, (a.ndim, b.ndim))
    if normalize:
        a, b = in_floats(a, params), in_floats(b, params)
        a, b = l2_normalize(a, (i,), 1e-7), l2_normalize(b, (j,), 1e-7)
    if a.shape[0] != b.shape[0]:
        raise ValueError("batches of different sizes, which would broadcast")
    a, b = xp.moveaxis(a, i, -1), xp.moveaxis(b, j, 1)
    shape = (*a.shape[:-1], *b.shape[2:])
    a = a.reshape(a.shape[0], math.prod(a.shape[1:-1]), a.shape[-1])
    b = b.reshape(b.shape[0], b.shape[1], math.prod(b.shape[2:]))
    return (a @ b).reshape(shape if len(shape) > 1 else (*shape, 1))


def l2_normalize(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """x / |x| over `axes`; a norm below `epsilon` counts as `epsilon`."""
    norm = xp.sqrt(xp.sum(x * x, axis=axes, keepdims=True))
    return x * xp.minimum(1 / norm, 1 / epsilon)
