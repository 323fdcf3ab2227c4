"""How a function of TensorFlow becomes a layer, and how its shape rule follows values.

`@function(rule, "math.add", ...)` turns `f(x, y, *, options)` into an operation (see `fnet.operations.rules`) under the
names that files use. A rule returns Specs with dtypes and never computes on data. Small vectors of integers are the
exception: their Specs carry the values, so that `reshape(x, [shape(x)[0], 12])` has a shape before there is any `x`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fnet import tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.layer import bind
from fnet.core.options import asking
from fnet.core.room import size
from fnet.core.rules import Call, layer, rules_of
from fnet.dtypes import tensor, together
from fnet.masks import Masked, strip
from fnet.operations.rules import Operation, borrowing, named, operation
from fnet.shapes import require_made, shape_of, total
from fnet.strings import is_strings
from fnet.types import Params, Shape, Spec

HOME = "fnet.tf_functions"

FUNCTIONS: dict[str, Operation] = {}
"""{name in files: function}."""

Sizes = Any
"""Small integers: a sequence of numbers (some may be tensors), or one tensor."""

_FEW = 64
"""Rules follow the values of vectors up to this size."""
_PROBES = (1, 1009, 2003)
"""Sizes to try for an unknown one: a result that is equal for all does not depend on it."""


def function(
    shape: Callable[..., Any],
    *names: str,
    sizes: tuple[str, ...] = (),
    rows: bool = False,
    same: bool = False,
    room: Callable[..., tuple[int, int]] | None = None,
    host: bool = False,
) -> Callable[[Callable[..., Any]], Operation]:
    """Declare `f(*arrays, *, options)` to be the function that files call by `names`.

    shape: its rule; takes Specs (numbers and lists stay as they are) and the options it needs, returns Specs.
    sizes: arguments that the rule reads, so that numbers in files stay numbers. rows: whether rows are independent.
    same: whether it may return its argument itself, with its mask. room: see `Rules`. host: see `Entrance`.
    """

    def decorate(f: Callable[..., Any]) -> Operation:
        call = Call(numbers=sizes, reads_values=True)
        declared = operation(
            _following(shape, f), home=HOME, call=call, room=room, by_row=1 if rows else None, host=host
        )(_at_once(f))
        declared = _handing_on(declared) if same else declared
        FUNCTIONS.update(dict.fromkeys(names, declared))
        return declared

    return decorate


def of_keras(
    operation: Operation, *names: str, alike: bool = True
) -> Callable[[Callable[..., tuple[Any, dict[str, Any]]]], Operation]:
    """Declare `f` to be the function that files call by `names`: an operation of Keras with other arguments.

    f: (*tensors, *, options) -> the input of that operation, and its options; for arrays and, in rules, for Specs.
    alike: whether the tensors have one dtype.
    """

    def decorate(f: Callable[..., tuple[Any, dict[str, Any]]]) -> Operation:
        single = sum(p.kind is not p.KEYWORD_ONLY for p in inspect.signature(f).parameters.values()) == 1

        @functools.wraps(f)
        def apply(*arrays: Any, **options: Any) -> Any:
            x, how = f(*(together(*arrays) if alike else map(tensor, arrays)), **options)
            return operation({}, x, **how)

        def specs(inputs: tuple[Any, ...]) -> list[Spec]:
            return [Spec(as_spec(x).shape, dtype_like(*inputs) if alike else as_spec(x).dtype) for x in inputs]

        def rule(*inputs: Any, **options: Any) -> Any:
            x, how = f(*specs(inputs), **options)
            return rule_of(operation, x, **how)

        def room(x: Any, **options: Any) -> tuple[int, int]:
            chosen = specs((x,) if single else tuple(x))
            x, how = f(*chosen, **options)
            memory, work = room_of(operation, x, **how)
            constants = sum(size(leaf) for leaf in tree.leaves(x) if not any(leaf is spec for spec in chosen))
            return memory + constants, work + constants

        return function(asking(rule, f), *names, room=asking(room, f))(apply)

    return decorate


def same_in_keras(operation: Operation, tensors: str, options: str, *names: str, alike: bool = True) -> Operation:
    """The function that files call by `names`: an operation of Keras, of the same `options`. tensors: their names."""

    def apply(*arrays: Any, **chosen: Any) -> tuple[Any, dict[str, Any]]:
        return arrays if len(arrays) > 1 else arrays[0], chosen

    arguments = borrowing(apply, tensors.split(), operation, *options.split())
    return of_keras(operation, *names, alike=alike)(named(operation.__name__, operation.__doc__ or "", arguments))


def _at_once(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, with results on sizes that are known also while JAX traces."""

    @functools.wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        return ops.at_once(f, *args, **options)

    return call


def _handing_on(operation: Operation) -> Operation:
    """A function that passes the mask on where it returns its argument itself.

    In Keras 2 a mask is an attribute of a tensor, and a cast to the same dtype returns the same tensor.
    """
    run = operation.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(operation)
    def call(params: Params, x: Any, **options: Any) -> Any:
        y = run(params, strip(x), **options)
        same = next((leaf for leaf in tree.leaves(x) if isinstance(leaf, Masked) and leaf.values is y), None)
        if same is None:
            return y
        spec, _ = infer.infer(bind(handing_on, **options), infer.spec(strip(x)))
        return same if spec.dtype == y.dtype.name else y  # JAX without 64 bits makes no new array of a cast to them

    own = rules_of(operation)
    handing_on = layer(shape=own.shape, mask="own", call=own.call, by_row=own.by_row)(call)
    return handing_on


# --- numbers that rules know ----------------------------------------------------------------------


def _following(shape: Callable[..., Any], f: Callable[..., Any]) -> Callable[..., Any]:
    """The rule `shape` of `f`, which also follows the values of small vectors of integers."""
    parameters = inspect.signature(shape).parameters
    options = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    slices = "slice_spec" in parameters  # a dict is a slice there

    def rule(*inputs: Any, **chosen: Any) -> Any:
        if not slices and any(isinstance(item, dict) for item in inputs):
            raise ValueError(f"no tensors: {inputs!r:.90}")
        outputs = shape(*inputs, **{name: chosen[name] for name in options})
        texts = [leaf for leaf in tree.leaves(inputs) if isinstance(leaf, bytes)]
        if texts and not any(getattr(leaf, "dtype", "") == "string" for leaf in tree.leaves((inputs, outputs))):
            raise ValueError(f"the string {texts[0]!r:.60} among numbers")
        return _with_numbers(outputs, f, inputs, chosen)

    return asking(rule, f)


def _is_few(spec: Any) -> bool:
    """Whether a Spec is that of a small vector of integers, or of one integer."""
    return (
        isinstance(spec, Spec)
        and spec.dtype in ("int32", "int64")
        and len(spec.shape) < 2
        and (total(spec.shape) or 0 if spec.shape else 1) <= _FEW
        and None not in spec.shape
    )


def _with_numbers(specs: Any, f: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The output Specs of `f` with their values, as far as they follow from known values of `inputs`."""
    read = [leaf for leaf in tree.leaves(inputs) if isinstance(leaf, Spec)]
    gives = tree.leaves(specs)
    if not gives or not read or not all(map(_is_few, gives)) or not all(map(_is_few, read)):
        return specs
    if all(spec.value is not None for spec in gives) or all(spec.value is None for spec in read):
        return specs
    try:
        probes = [_numbers(f, inputs, options, size) for size in _PROBES]
    except (ValueError, IndexError, ZeroDivisionError):
        return specs  # a size that was tried does not fit, such as an index
    values = [
        tuple(n[0] if len(set(n)) == 1 else None for n in zip(*flat, strict=True)) for flat in zip(*probes, strict=True)
    ]
    numbers = iter(values)
    return tree.map(lambda spec: replace(spec, value=next(numbers)), specs)


def _numbers(f: Callable[..., Any], inputs: Any, options: dict[str, Any], unknown: int) -> list[list[int]]:
    """The output values of `f`, with `unknown` for the unknown values of `inputs`."""

    def probe(leaf: Any) -> Any:
        if not isinstance(leaf, Spec):
            return leaf
        value = (None,) * math.prod(leaf.shape) if leaf.value is None else leaf.value  # type: ignore[arg-type]
        return np.array([unknown if n is None else n for n in value], leaf.dtype).reshape(leaf.shape)

    y = ops.exactly(f, *tree.map(probe, inputs), **options)
    return [np.asarray(leaf).reshape(-1).tolist() for leaf in tree.leaves(y)]


def sizes_of(sizes: Sizes) -> Shape:
    """The values of `sizes`, None for unknown ones. Raises ValueError where even their count is unknown."""
    if isinstance(sizes, Spec):
        count = total(sizes.shape) if sizes.shape else 1
        if count is None or count > _FEW:
            raise ValueError("how many axes the result has depends on values; give their sizes as a list")
        return (None,) * count if sizes.value is None else sizes.value
    if isinstance(sizes, list | tuple):
        return tuple(n for item in sizes for n in sizes_of(item))
    if sizes is None:
        return (None,)
    numbers = np.asarray(sizes).reshape(-1).tolist()
    if wrong := [n for n in numbers if type(n) not in (int, float) or n != n // 1]:  # Keras 2 repeats 2.0 times
        raise ValueError(f"sizes are integers, not {wrong[0]!r:.60}")
    return tuple(map(int, numbers))


def ints(sizes: Sizes, each: int | None = None) -> list[int]:
    """The numbers in `sizes` when the function runs. Under jit JAX says where they cannot be known.

    each: as many entries are made for each of their product, as far as `require_made` lets them.
    """
    if isinstance(sizes, list | tuple):
        numbers = [n for item in sizes for n in ints(item)]
    else:
        numbers = [int(n) for n in np.asarray(sizes).reshape(-1).tolist()]
    if each is not None:
        require_made(each, *numbers)
    return numbers


def number(size: Any, each: int | None = None) -> int:
    """One integer, from a number or a tensor; each: see `ints`."""
    (value,) = ints(size, each)
    return value


def known(spec: Any) -> int | None:
    """One integer in a shape rule, or None."""
    (value,) = sizes_of(spec)
    return value


def rule_of(operation: Operation, x: Any, **options: Any) -> Spec:
    """The output Spec of an operation of Keras."""
    spec: Spec = rules_of(operation).shape(x, **options)[0]
    return spec


def room_of(operation: Operation, x: Any, **options: Any) -> tuple[int, int]:
    """The `room` of an operation of Keras."""
    own = rules_of(operation).room
    specs = tuple(map(as_spec, x)) if isinstance(x, list | tuple) else as_spec(x)
    return bind(operation, **options).fill(own)(specs) if own else (0, 0)


def room_like(operation: Operation) -> Callable[[Any], tuple[int, int]]:
    """The `room` rule of a function with the same input as an operation of Keras."""
    return lambda x: room_of(operation, x)


# --- shapes and dtypes ----------------------------------------------------------------------------


REAL = {"complex64": "float32", "complex128": "float64"}
"""{complex dtype: dtype of its real part}."""


def as_spec(x: Any) -> Spec:
    """The Spec of a Spec, an array, a number or a list; numbers are int32, beyond it int64, float32 or bool."""
    if isinstance(x, Spec):
        return x
    if isinstance(x, list | tuple) and any(isinstance(leaf, Spec) for leaf in tree.leaves(x)):
        items = [as_spec(item) for item in x]
        return Spec((len(items), *items[0].shape), dtype_like(*items))
    beyond = isinstance(x, int) and not -(1 << 31) <= x < 1 << 31
    if is_strings(x):
        return Spec(shape_of(x), "string")
    array = tensor(x, "int64" if beyond else None)
    few = array.dtype.name in ("int32", "int64") and array.ndim < 2 and array.size <= _FEW
    return Spec(tuple(array.shape), array.dtype.name, tuple(np.asarray(array).reshape(-1).tolist()) if few else None)


def dtype_like(*values: Any) -> str:
    """The dtype of the first tensor among `values`; numbers and lists adopt it."""
    arrays = [leaf for leaf in tree.leaves(values) if hasattr(leaf, "dtype")]
    return str(arrays[0].dtype) if arrays else as_spec(values[0]).dtype


def zero_of(x: Any) -> Any:
    """What counts as 0 in a tensor: the empty string among strings."""
    return "" if is_strings(x) else 0


def same_rule(x: Any, *rest: Any) -> Spec:
    """The rule of functions that keep shape and dtype."""
    spec = as_spec(x)
    return Spec(spec.shape, spec.dtype)
