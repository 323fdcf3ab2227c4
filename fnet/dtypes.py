"""Dtypes: Keras's promotion, floats from integers, and dtype policies, for arrays and for Specs.

Promotion is `keras.backend.result_type` on TensorFlow, where int64 with float32 is float32: NumPy's own would bring in
float64. Source: keras.src.backend.common.dtypes.

What a Python number becomes next to tensors, by the function that makes arrays of the two:

- `promoted`, the usual rule: it is weak and takes the dtype of the tensors, an int among ints, a float among floats;
  a float with ints gives float32.
- `strong`, of operations of Keras that make a tensor of each argument first: it is int32 (int64 beyond it) or float32,
  and is promoted as a tensor of that dtype.
- `together`, of functions of TensorFlow, which promote nothing: it takes the dtype of the first tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fnet import tree
from fnet.backend import ops, xp
from fnet.masks import Masked
from fnet.strings import as_texts, first_of, is_strings, utf8
from fnet.types import Array, Param, ParamTree, Spec

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float", "float16", "float32", "float64")
FLOATS = (*_FLOATS[1:], "bfloat16")
_COMPLEX = ("complex64", "complex128")
KNOWN = frozenset((*INTEGERS, *FLOATS, *_COMPLEX, "bool", "string"))
"""The dtypes of arrays in models."""


@functools.cache
def result_type(*names: str) -> str:
    """The dtype of an operation on these dtypes; "int" and "float" are Python's weak ones."""
    if any(name in _COMPLEX for name in names):
        return "complex64"  # also of 64-bit floats, in every Keras
    floats = [name for name in names if "float" in name]
    if not floats:
        return _integers([name for name in names if name != "bool"])
    if {"bfloat16", "float16"} <= set(floats):
        floats.append("float32")
    widest = max(floats, key=lambda name: _FLOATS.index(name.removeprefix("b")))
    return "float32" if widest == "float" else widest


def _integers(names: list[str]) -> str:
    """The result type of integers (without any: bool); where signs differ, a signed one that can hold both."""
    strong = [name for name in names if name != "int"]
    if not strong:
        return "int32" if names else "bool"
    signed = [int(name[3:]) for name in strong if name.startswith("int")]
    unsigned = [int(name[4:]) for name in strong if name.startswith("uint")]
    if not signed:
        return f"uint{min(max(unsigned), 32)}" if len(strong) > 1 or unsigned[0] > 32 else strong[0]
    bits = max(signed) if not unsigned else max(*signed, 2 * max(unsigned))
    return f"int{bits}" if bits <= 64 else "float32"


@functools.lru_cache(maxsize=64)
def name_of(dtype: Any) -> str:
    """The name of a dtype, or of that of a Spec. Cached: NumPy builds it anew each time, in 2 microseconds."""
    name: str = getattr(dtype, "name", dtype)
    return name


def dtype_of(value: Any) -> str:
    """The name by which `value`, or a Spec, takes part in promotion; weak for Python numbers."""
    if hasattr(value, "dtype"):
        return name_of(value.dtype)
    if isinstance(value, bool | int | float | complex):
        return {bool: "bool", int: "int", float: "float"}.get(type(value), "complex64")
    return str(tensor(value).dtype.name)


def tensor(value: Any, dtype: str | None = None) -> Array:
    """`value` as an array: Python numbers and lists of them become `dtype`, else int32, float32, bool; strings stay."""
    if not hasattr(value, "dtype"):
        if isinstance(first_of(value), str | bytes):
            return as_texts(*utf8(value, "a tensor"))
        if not isinstance(value, list | tuple) or not any(hasattr(item, "dtype") for item in value):
            wraps = type(value) is int and dtype == "int32"
            return _of_numbers(np.asarray(value).astype(dtype) if wraps else np.asarray(value), dtype)
        value = xp.stack(strong(*value))
    else:
        value = ops.asarray(value)
    return value if dtype is None or name_of(value.dtype) == dtype else ops.cast(value, dtype)


def _of_numbers(numbers: np.ndarray[Any, Any], dtype: str | None) -> Array:
    """Python numbers as `dtype`, without passing through 32 bits for dtypes of 64. Raises ValueError for others."""
    if numbers.dtype.kind == "O" and (dtype is None or None in numbers):  # with a dtype, integers beyond 64 bits
        raise ValueError(f"{numbers.tolist()!r:.60} is not a tensor")
    if numbers.dtype.kind in "iO" and dtype in (*_FLOATS, "bfloat16"):
        numbers = numbers.astype("float64")  # JAX would cut integers to 32 bits first
    small = {"int64": "int32", "float64": "float32", "complex128": "complex64"}.get(numbers.dtype.name)
    array = ops.asarray(numbers) if small is None else ops.cast(numbers, dtype or small)
    narrow = numbers.dtype.kind == "i" and numbers.size and array.dtype.name == "int32"
    if narrow and not -(1 << 31) <= numbers.min() <= numbers.max() < 1 << 31:
        raise OverflowError(f"{numbers} is beyond int32, in which an operation takes whole numbers")
    return array if dtype is None else ops.cast(array, dtype)


def promoted(*values: Any) -> list[Any]:
    """`values` as arrays of their result type; weak numbers stay numbers among floats of that type.

    Among integers they wrap: -1 is 255 as uint8, and 2**32 is 0 as int32.
    """
    names = [dtype_of(value) for value in values]
    dtype = result_type(*names)
    if dtype in names and not is_integral(dtype):  # as floats: JAX takes no integers beyond int32
        pairs = zip(values, names, strict=True)
        return [float(value) if name in ("int", "float") else tensor(value, dtype) for value, name in pairs]
    return [tensor(value, dtype) for value in values]


def strong(*values: Any, kind: tuple[str, ...] = ()) -> list[Array]:
    """`values` as arrays of their result type, numbers first made tensors; kind: further weak types that take part."""
    tensors = [value if isinstance(value, int | float) else tensor(value) for value in values]
    dtype = result_type(*map(_strong_name, tensors), *kind)
    return [tensor(value, dtype) for value in tensors]


def _strong_name(value: Any) -> str:
    name = dtype_of(value)
    if name == "int":
        return "int32" if -(1 << 31) <= value < 1 << 31 else "int64"
    return "float32" if name == "float" else name


def together(*values: Any) -> list[Array]:
    """`values` as arrays of one dtype, that of the first array among them, or of the first number; strings as str."""
    if is_strings(values):
        return [as_texts(*utf8(value, "a function")) for value in values]
    arrays = [leaf for leaf in tree.leaves(values) if hasattr(leaf, "dtype")] or [tensor(value) for value in values[:1]]
    return [tensor(value, name_of(arrays[0].dtype)) for value in values]


def floating(*values: Any) -> list[Array]:
    """`values` as arrays of one float dtype: float32 unless a tensor has another one."""
    return strong(*values, kind=("float",))


def as_floats(x: Any) -> Array:
    """`x` as an array of floats: float32 unless it is a tensor of another float dtype."""
    (array,) = floating(x)
    return array


def factors(*xs: Any) -> tuple[list[Array], str]:
    """(the factors as floats, the dtype of their product)."""
    arrays = strong(*xs)
    name = arrays[0].dtype.name
    return (arrays if is_complex(arrays[0]) else floating(*arrays)), name


def product_dtype(*xs: Any) -> str:
    """The dtype of the matrix product: int32 for two int8 matrices."""
    names = _own_names(xs)
    return "int32" if set(names) == {"int8"} else result_type(*names)


def tensors_dtype(*xs: Any) -> str:
    """The result type of `xs`, of which numbers are made tensors first."""
    return result_type(*_own_names(xs))


def _own_names(xs: Sequence[Any]) -> list[str]:
    return [name_of(x.dtype if hasattr(x, "dtype") else tensor(x).dtype) for x in xs]


def is_float(x: Any) -> bool:
    """Whether `x` is an array of real floats."""
    return ops.is_array(x) and (x.dtype.kind == "f" or x.dtype.name == "bfloat16")


def is_integral(dtype: str) -> bool:
    """Whether a dtype is of integers or booleans."""
    return dtype.startswith(("int", "uint", "bool"))


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


def saturated(x: Array, dtype: str, inside: bool = False) -> Array:
    """`x` as `dtype`, values outside its range moved to the nearest end.

    inside: an end that the floats of `x` do not have is the next one inside the range, not one outside it.
    """
    x = ops.asarray(x)  # on JAX integers of 64 bits become int32; those that do not fit stay NumPy's
    limits, own = bounds(dtype), bounds(x.dtype.name)
    ends: list[Any] = [max(limits[0], own[0]), min(limits[1], own[1])]
    if is_float(x):
        ends = [_float_within(end, x.dtype) if inside else float(end) for end in ends]
    return ops.cast((np if isinstance(x, np.ndarray) else xp).clip(x, *ends), dtype)


def _float_within(end: float, dtype: Any) -> Any:
    nearest = np.asarray(end).astype(dtype)[()]
    return nearest if abs(float(nearest)) <= abs(float(end)) else np.nextafter(nearest, nearest * 0)


# --- floats from integers ---------------------------------------------------------------------------

WIDE = frozenset({np.dtype("float32"), np.dtype("float64")})
"""Dtypes that `in_floats` leaves as they are."""


def in_floats(x: Any, params: Any) -> Any:
    """`x` with integers and booleans as floats, of the dtype of the first float in `params` or float32; 16-bit floats
    become as wide as those in `params`."""
    if getattr(x, "dtype", None) in WIDE:
        return x
    if isinstance(x, Masked):
        return Masked(in_floats(x.values, params), x.mask)
    if isinstance(x, Mapping):
        return {key: item if key.endswith("mask") else in_floats(item, params) for key, item in x.items()}
    if isinstance(x, tuple | list):
        return tree.alike(x, (in_floats(item, params) for item in x))
    if not ops.is_array(x) or not (x.dtype.kind in "iub" or (is_float(x) and x.dtype.itemsize == 2)):
        return x
    default = x.dtype if is_float(x) else "float32"
    return x.astype(next((leaf.dtype for leaf in tree.leaves(params) if is_float(leaf)), default))


def floats_of(x: Any) -> Any:
    """A tree of Specs with float32 in place of integers and booleans; masks given by name stay.

    Raises ValueError for strings.
    """
    if isinstance(x, Mapping):
        return {key: item if key.endswith("mask") else floats_of(item) for key, item in x.items()}
    if isinstance(x, tuple | list):
        return tree.alike(x, map(floats_of, x))
    require_no_strings(x)
    return Spec(x.shape, "float32") if isinstance(x, Spec) and is_integral(x.dtype) else x


def require_no_strings(*specs: Any) -> None:
    """Raise ValueError for Specs of strings, which a layer with float params cannot take."""
    for spec in specs:
        if isinstance(spec, Spec) and spec.dtype == "string":
            raise ValueError(
                f"numbers are expected, not strings; got {spec}. A layer of one's own that takes strings says so: "
                "@fnet.layer(shape=..., entrance=fnet.Entrance(host=True))"
            )


def of_floats(shape: Callable[..., tuple[Any, Mapping[str, Any]]]) -> Callable[..., tuple[Any, Mapping[str, Any]]]:
    """A shape rule that gets float32 Specs for integer inputs."""

    @functools.wraps(shape)
    def rule(x: Any, **options: Any) -> tuple[Any, Mapping[str, Any]]:
        return shape(floats_of(x), **options)

    return rule


# --- dtype policies -------------------------------------------------------------------------------------


def compute_dtype(policy: str) -> str:
    """The dtype that a Keras policy computes in: "mixed_float16" -> "float16"."""
    return policy.removeprefix("mixed_")


def to_compute(values: Any, policy: str) -> Any:
    """Floats rounded to the policy's compute dtype; 16-bit floats are then stored as float32 for the computation."""
    return _map_floats(lambda a: _widened(ops.cast(a, compute_dtype(policy))), values)


def widened(values: Any) -> Any:
    """Floats of 16 bits as float32."""
    return _map_floats(_widened, values)


def _widened(a: Array) -> Array:
    return ops.cast(a, "float32") if a.dtype.itemsize < 4 else a


def from_compute(values: Any, policy: str) -> Any:
    """The output floats of a layer, in the compute dtype of the policy."""
    return _map_floats(lambda a: ops.cast(a, compute_dtype(policy)), values)


def of_result(floats: Sequence[str], policy: str, gives: str | None) -> str | None:
    """The dtype of the output floats of a layer under a policy, by its `Rounding.gives`; None: unchanged.

    floats: the dtypes of the input floats.
    """
    if gives == "inner" or (gives == "of floats" and not floats):
        return None
    own = compute_dtype(policy)
    if gives == "32 of integers":
        floats, gives = (floats, None) if floats else (["float32"], "wider")
    if gives == "wider":
        return max([own, *floats], key=lambda name: int(name[-2:]))
    return own if gives in (None, "of floats") else compute_dtype(gives)


def is_float_spec(spec: Any) -> bool:
    """Whether `spec` is a Spec or Param of real floats."""
    return isinstance(spec, Spec | Param) and spec.dtype.startswith(("float", "bfloat"))


NARROW = ("float16", "bfloat16")
"""Floats of 16 bits."""


def of_32_bits(specs: Any) -> Any:
    """A tree of Specs with float32 for 16-bit floats, as when they meet parameters of float32."""
    return tree.map(lambda spec: replace(spec, dtype="float32") if is_narrow(spec) else spec, specs)


def is_narrow(spec: Any) -> bool:
    """Whether a Spec is one of 16-bit floats."""
    return getattr(spec, "dtype", "") in NARROW


def given_as(outputs: Any, x: Any, policy: str, gives: str | None) -> Any:
    """The output Specs of a layer for inputs `x`: floats in the compute dtype of the policy, or by `Rounding.gives`."""
    dtype = of_result([spec.dtype for spec in tree.leaves(x) if is_float_spec(spec)], policy, gives)
    if dtype is None:
        return outputs
    return tree.map(lambda spec: replace(spec, dtype=dtype) if is_float_spec(spec) else spec, outputs)


def stored_as(params: ParamTree, policy: str) -> ParamTree:
    """Parameters under a dtype policy: "mixed_float16" stores float32, "float16" stores float16."""
    stored = "float32" if policy.startswith("mixed_") else compute_dtype(policy)
    adapted: ParamTree = tree.map(lambda p: replace(p, dtype=stored) if p.dtype == "float32" else p, params)
    return adapted


def _map_floats(function: Callable[[Array], Array], values: Any) -> Any:
    """`function` on the floats in a tree; masks and integers stay."""

    def to(a: Any) -> Any:
        if isinstance(a, Masked):
            return Masked(to(a.values), a.mask)
        return function(a) if is_float(a) else a

    return tree.map(to, values)
