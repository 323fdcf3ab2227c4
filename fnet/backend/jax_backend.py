"""JAX: the same names as the NumPy backend, on jax.numpy, for use under jit, grad, vmap and sharding."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fnet import tree
from fnet.backend import contraction
from fnet.backend.jax_conv import (
    clip,
    conv,
    conv_transpose,
    finish,
    max_over,
    max_pool,
    on_cpu,
    pad,
    sum_pool,
    winograd,
)
from fnet.backend.jax_index import (
    digamma,
    dynamic_slice,
    dynamic_update_slice,
    erfc,
    erfinv,
    is_spread,
    lgamma,
    lu,
    rows,
    scatter,
    stop_gradient,
    take_axis,
)
from fnet.backend.jax_recurrence import recurrent_stack, scan
from fnet.backend.jax_tanh import tanh
from fnet.errors import IN_32_BITS, InvalidInput
from fnet.masks import Masked, values_of
from fnet.strings import is_strings


def _also_for_strings(name: str) -> Callable[..., Any]:
    """The function of jax.numpy for numbers, that of NumPy for arrays and lists of strings."""
    for_numbers, for_strings = getattr(jnp, name), getattr(np, name)

    @functools.wraps(for_numbers)
    def call(x: Any, *args: Any, **options: Any) -> Any:
        strings = is_strings(x) and not isinstance(x, str)
        return (for_strings if strings else for_numbers)(x, *args, **options)

    return call


_MOVING = (
    "broadcast_to", "concatenate", "expand_dims", "flip", "moveaxis", "repeat", "reshape", "roll", "split", "squeeze",
    "stack", "swapaxes", "take", "take_along_axis", "tile", "transpose",
)  # fmt: skip
"""Functions that only move entries, and so also take strings, which stay in NumPy: no device holds them."""
xp = SimpleNamespace(**vars(jnp) | {name: _also_for_strings(name) for name in _MOVING})
P = ParamSpec("P")
R = TypeVar("R")

# fmt: off
__all__ = [
    "affine", "ahead", "asarray", "at_once", "awaited", "bincount", "canonical", "cast", "center", "clip", "compiled",
    "conv", "conv_transpose", "digamma", "dynamic_slice", "dynamic_update_slice", "einsum", "elementwise", "erf",
    "erfc", "erfinv", "exactly", "exponentials", "finish", "flatten", "gathered", "is_array", "is_traced", "jit",
    "key_data", "lgamma", "lu", "matmul", "max_over", "max_pool", "mean", "mean_square", "native", "on_cpu", "opaque",
    "pad", "place_of", "recurrences", "recurrent_stack", "round_bfloat16", "scan", "scatter", "scores", "sigmoid",
    "stop_gradient", "sum_pool", "take", "take_axis", "tanh", "to_numpy", "total", "UNTRACEABLE", "weighted_take",
    "whole", "winograd",
]
# fmt: on

CONFIG: Any = jax.config
"""JAX's, whose attributes it gives no types."""

recurrences: dict[str, Callable[..., Any]] = {}
"""No kernels: XLA fuses the steps of a scan by itself."""

jax.tree_util.register_dataclass(Masked, data_fields=["values", "mask"], meta_fields=[])


def asarray(x: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    """`x` as an array of this backend; strings stay NumPy arrays on both, as do integers beyond 32 bits here.

    copy: True for one that shares no memory with `x`.
    """
    if not isinstance(x, jax.Array):
        x = _native(np.asarray(x))
        if x.dtype.kind in "SUO" or _needs_64_bits(x):
            return x
        with np.errstate(over="ignore"):  # JAX would compile a program for each shape that narrows or copies
            x = x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=bool(copy))
        dtype, copy = dtype or x.dtype, None
    return jnp.asarray(x, None if dtype is None else jax.dtypes.canonicalize_dtype(dtype), copy=copy)


def canonical(dtype: str) -> str:
    """The dtype that JAX computes in where `dtype` is asked for: unless `jax_enable_x64` is set, it has 32 bits."""
    return f"{dtype[:-2]}32" if dtype in ("int64", "uint64", "float64") and not CONFIG.jax_enable_x64 else dtype


def _needs_64_bits(x: np.ndarray[Any, Any]) -> bool:
    """Whether JAX would cut these integers to 32 bits; lookups and hashes, which run in NumPy, need them whole."""
    if x.dtype.itemsize != 8 or x.dtype.kind not in "iu" or x.size == 0 or CONFIG.jax_enable_x64:
        return False
    limits = np.iinfo(np.int32 if x.dtype.kind == "i" else np.uint32)
    return bool(x.min() < limits.min or x.max() > limits.max)


def native(x: Any) -> Any:
    """`x`, an array or a tree of them, in native byte order: JAX takes no other, some versions as garbage."""
    return tree.map(_native, x) if any(_native(leaf) is not leaf for leaf in tree.leaves(x)) else x


def whole(x: Any) -> Any:
    """`native(x)`. Raises InvalidInput for integers that a compiled program would cut to 32 bits."""
    for leaf in map(values_of, tree.leaves(x)):
        if isinstance(leaf, np.ndarray) and _needs_64_bits(leaf):
            raise InvalidInput(f"{leaf.dtype} values beyond {canonical(leaf.dtype.name)}{IN_32_BITS}")
    return native(x)


def _native(x: Any) -> Any:
    if isinstance(x, Masked):
        return x if _native(x.values) is x.values else Masked(_native(x.values), x.mask)
    foreign = isinstance(x, np.ndarray) and not x.dtype.isnative and x.dtype.kind != "U"
    return x.astype(x.dtype.newbyteorder("=")) if foreign else x


def gathered(x: Any) -> Any:
    """A tree of arrays, those that are spread over a mesh of explicit axes as NumPy's: JAX picks no rows of them."""
    return tree.map(lambda leaf: np.asarray(leaf) if is_spread(leaf) else leaf, x) if is_spread(x) else x


def to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """`x` as a NumPy array. Raises TypeError for a tracer: what runs in NumPy cannot run inside `jax.jit`."""
    if isinstance(x, jax.core.Tracer):
        raise TypeError(
            "this layer takes strings or ids and runs in NumPy, so it cannot be traced by jax.jit: use "
            "fnet.jit(model), which runs it in front of the jitted part, or jit only what follows: "
            'model["embedding":]'
        )
    return np.asarray(x)


LOOKS = 300
"""How often to look whether XLA is done before the thread sleeps, from which it takes 40 µs to wake."""
PAUSE = 0.01
"""For how many seconds nobody looks after looks in vain: a processor that looks is missed where all are busy."""

_looks_from = 0.0


def awaited(x: Any) -> np.ndarray[Any, Any]:
    """`to_numpy` of what XLA computes at this moment, which is done soon if it is little."""
    global _looks_from
    is_ready: Any = getattr(x, "is_ready", None)
    if is_ready and time.monotonic() >= _looks_from and not any(is_ready() for _ in range(LOOKS)):
        _looks_from = time.monotonic() + PAUSE
    return np.asarray(x)


def key_data(key: Any) -> Any:
    """The numbers of a key of randomness, those of a typed key of `jax.random.key` too; two drawn from it where it is
    one of another generator (`jax_default_prng_impl`)."""
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    data = jax.random.key_data(key)
    return data if data.shape[-1:] == (2,) or key.shape else jax.random.bits(key, (2,), "uint32")


flatten: Callable[[Any], tuple[list[Any], Any]] = jax.tree_util.default_registry.flatten
"""`fnet.tree.flatten`, several times as fast; a Mapping that is not a dict is a leaf to it."""


def is_array(x: Any) -> bool:
    """Whether `x` is an array that this backend computes with."""
    return isinstance(x, jax.Array | np.ndarray | np.generic)


def is_traced(x: Any) -> bool:
    """Whether `x` is a tracer: an array whose values are not known yet."""
    return isinstance(x, jax.core.Tracer)


UNTRACEABLE: tuple[type[Exception], ...] = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What `jit` raises where a size depends on values."""


class _Dict(tuple[Any, ...]):
    """The items of a dict, whose order JAX keeps; from its own dicts it makes sorted ones."""


jax.tree_util.register_pytree_node(
    _Dict,
    lambda items: (tuple(item for _, item in items), tuple(key for key, _ in items)),
    lambda keys, values: _Dict(zip(keys, values, strict=True)),
)


def _jit(f: Callable[..., Any], dicts: list[Any]) -> Any:
    """`jax.jit(f)` that gives `_Dict` for dicts, and notes the names in those that it meets while traced in `dicts`."""

    def items(y: Any) -> Any:
        if isinstance(y, Mapping):
            dicts.append(list(y))
            return _Dict((key, items(item)) for key, item in y.items())
        return type(y)(map(items, y)) if type(y) in (list, tuple) else y

    return jax.jit(lambda *args: items(f(*args)))


def _ordered(y: Any) -> Any:
    """What `_jit` compiled gives, with the dicts of `f` in their own order."""
    if type(y) is _Dict:
        return {key: _ordered(item) for key, item in y}
    return type(y)(map(_ordered, y)) if type(y) in (list, tuple) else y


def jit(f: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit(f)`; dicts in the result keep their order, as on NumPy. Raises InvalidInput for arrays of no numbers."""
    dicts: list[Any] = []
    run = _jit(f, dicts)

    def call(*args: Any) -> Any:
        try:
            y = run(*args)
        except TypeError as error:
            kinds = [leaf.dtype for leaf in map(values_of, tree.leaves(args)) if isinstance(leaf, np.ndarray)]
            if strange := [kind for kind in kinds if kind.kind in "OSUMmV"]:
                raise InvalidInput(f"JAX takes numbers; got {strange[0]}") from error
            raise
        return _ordered(y) if dicts else y

    return call


VECTORS: dict[str, str | bool] = {"xla_cpu_prefer_vector_width": "512"}
"""XLA's loops use the widest vectors of the processor; by itself it takes those of half the width."""

NO_LIBRARY: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": "", "xla_cpu_multi_thread_eigen": False}
"""Convolutions, and products of the shapes that they come to, are slower in the library that XLA gives them to, but not
where several threads call it. Products of up to 128 rows, columns and sums are loops of XLA's own then, if it is told
that no other library shares them out to threads, which the larger ones do all the same."""


def ahead(f: Callable[..., Any], *args: Any, convolves: bool = False) -> Callable[..., Any] | None:
    """`f` compiled for arguments like these, so that threads can share it; None where they are not on one CPU.

    convolves: whether most of its work is convolutions, and one thread at a time asks for it.
    """
    devices = {device for leaf in jax.tree.leaves(args) if isinstance(leaf, jax.Array) for device in leaf.devices()}
    if len(devices) > 1 or any(device.platform != "cpu" for device in devices or {jax.devices()[0]}):
        return None
    dicts: list[Any] = []
    lowered = _jit(f, dicts).lower(*args)

    def ordered(run: Any) -> Callable[..., Any]:
        return (lambda *args: _ordered(run(*args))) if dicts else run

    for options in ([{**VECTORS, **NO_LIBRARY}] if convolves else []) + [VECTORS]:
        try:
            return ordered(lowered.compile(options))
        except jax.errors.JaxRuntimeError as error:  # a version of XLA without such an option
            if "INVALID_ARGUMENT" not in str(error):
                raise
    return ordered(lowered.compile())


@functools.lru_cache(maxsize=256)
def compiled(f: Callable[..., Any], *fixed: Any) -> Callable[..., Any]:
    """`f` with its first, hashable arguments fixed, compiled once for each of them and each shape of the rest.

    A loop that is called outside of `jit` needs it: `jax.lax.scan` over a function made anew compiles at each call,
    and keeps what it compiled.
    """
    return jax.jit(functools.partial(f, *fixed))


def at_once(f: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """`f(*args, **options)`; of NumPy arrays alone (sizes) computed also under jit, as NumPy arrays."""
    leaves = jax.tree.leaves(args)
    if any(isinstance(leaf, jax.Array) for leaf in leaves) or not any(isinstance(leaf, np.ndarray) for leaf in leaves):
        return f(*args, **options)
    with jax.ensure_compile_time_eval():
        return jax.tree.map(np.asarray, f(*args, **options))


@np.errstate(all="ignore")
def exactly(f: Callable[P, R], /, *args: P.args, **options: P.kwargs) -> R:
    """`f(*args, **options)`: products of float32 in float32, which GPUs and TPUs round to fewer bits unless told.

    The arrays in `args` may be of any byte order.
    Where the process has set `jax_default_matmul_precision`, that is what counts. XLA itself gives no warnings, but
    NumPy does when JAX casts a constant to a smaller type: not here.
    """
    args = native(args)
    if CONFIG.jax_default_matmul_precision is not None:
        return f(*args, **options)
    with jax.default_matmul_precision("highest"):
        return f(*args, **options)


def opaque(x: Any) -> Any:
    """`x` itself, rounded as it is: XLA may not fuse a product into a sum, or divide by means of a reciprocal."""
    return jnp.where(x == x, x, jnp.nan)  # an optimization_barrier is gone before XLA fuses


def round_bfloat16(x: Any) -> Any:
    """float32 rounded to the nearest bfloat16, still float32."""
    return jax.lax.reduce_precision(jnp.asarray(x, jnp.float32), 8, 7)


_NARROW = ("int8", "int16", "uint8", "uint16")


def cast(x: Any, dtype: str) -> Any:
    """`x` as `dtype`, 64 bits only where JAX has them; "bfloat16" gives float32 that holds bfloat16 values."""
    if dtype == "bfloat16":
        return round_bfloat16(x)
    if dtype in _NARROW and jnp.asarray(x).dtype.kind == "f":
        x = jnp.asarray(x).astype("int32")  # what is out of range wraps, as on NumPy; XLA alone takes the nearest end
    return jnp.asarray(x).astype(jax.dtypes.canonicalize_dtype(dtype))


def erf(x: Any) -> Any:
    """The error function."""
    return jax.scipy.special.erf(x)


def bincount(bins: Any, length: int, weights: Any = None) -> Any:
    """How often each of `length` bins occurs in `bins`, or the sum of its weights; negative bins are not counted."""
    if weights is not None and weights.dtype == bool:
        weights = weights.astype("int32")
    counts = jnp.zeros(length, "int32" if weights is None else weights.dtype)  # `jnp.bincount` wants a fixed length
    return counts.at[jnp.where(bins < 0, length, bins)].add(1 if weights is None else weights, mode="drop")


def place_of(x: Any, bounds: Any) -> Any:
    """How many of the rising `bounds` are at most x; all of them for NaN."""
    return jnp.sum(~(jnp.asarray(x)[..., None] < bounds), axis=-1, dtype="int32")


def weighted_take(x: Any, axis: int, pixels: Any, weights: Any, lerp: bool) -> Any:
    """sum_k x[pixels[k]] * weights[k] along `axis`; `lerp`: of two, as a + (b - a) * weights[1]."""
    read = [jnp.take(x, index, axis=axis, mode="clip") for index in pixels]
    if lerp:
        return read[0] + (read[1] - read[0]) * weights[1]
    return functools.reduce(operator.add, (pixel * weight for pixel, weight in zip(read, weights, strict=True)))


def take(table: Any, ids: Any) -> Any:
    """Rows of `table`; a negative id counts from the end, one that is too large gives NaN."""
    if isinstance(ids, np.ndarray) and _needs_64_bits(ids):
        ids = ids.clip(-(2**31), 2**31 - 1)  # JAX would cut 2**32 + 1 to 1
    return rows(jnp.asarray(table), ids)


def einsum(equation: str, *operands: Any) -> Any:
    """`jax.numpy.einsum`; axes that are summed together have one size."""
    # not `jnp.shape`, for which a converter puts arrays that it traces
    contraction.require_sizes(equation, *(np.shape(x) for x in operands))
    return jnp.einsum(equation, *operands)


def matmul(x: Any, kernel: Any) -> Any:
    """x (..., in) @ kernel (in, out)."""
    return x @ kernel


def scores(q: Any, k: Any) -> Any:
    """q @ k^T, (..., t, d) and (..., s, d) -> (..., t, s)."""
    return q @ jnp.swapaxes(k, -1, -2)


def exponentials(x: Any, axis: Any, own: bool = False) -> tuple[Any, Any]:
    """(exp(x - max), its sum) over `axis` (an int, a tuple, or None for all): a softmax before the division.

    own: it is all that reads `x`.
    """
    if x.size == 0:
        return x, 1
    e = jnp.exp(x - jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True)))
    if own and axis == -1 and _is_one_row(e, -1):
        return e, e @ jnp.ones((e.shape[-1], 1), e.dtype)
    return e, jnp.sum(e, axis=axis, keepdims=True)


def total(x: Any, axis: int) -> Any:
    """The sum over one axis, kept with size 1."""
    if axis == x.ndim - 2 and _is_one_row(x, axis):
        return jnp.ones((1, x.shape[axis]), x.dtype) @ x
    return jnp.sum(x, axis=axis, keepdims=True)


SHORT = 512
"""Terms of a sum up to which a product may take its place, which adds them one after the other."""


def _is_one_row(x: Any, axis: int) -> bool:
    """Whether a product adds up `axis` faster: on the CPU XLA is slow to sum in one row what it has just computed.

    Sizes that an export leaves open are not numbers.
    """
    rows, terms = x.shape[0], x.shape[axis]
    few = x.ndim > 2 and rows == 1 and isinstance(terms, int) and terms <= SHORT
    return few and x.dtype == jnp.float32 and on_cpu()


def mean(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean over `axes`, kept as axes of size 1."""
    return jnp.mean(x, axis=axes, keepdims=True)


def center(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """(x - mean, variance) over `axes`, kept as axes of size 1; exact also where mean >> deviation."""
    c = x - mean(x, axes)
    c = c - mean(c, axes)  # what rounding left in the first mean
    return c, mean_square(c, axes)


def mean_square(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean of x^2 over `axes`, kept as axes of size 1."""
    return mean(x * x, axes)


def elementwise(f: Callable[[Any], Any], x: Any) -> Any:
    """`f(x)` for an `f` of single entries that has many steps: XLA fuses them."""
    return f(x)


def affine(x: Any, factor: Any, offset: Any) -> Any:
    """x * factor + offset."""
    return x * factor + offset


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), whose gradient stays finite where the exponential overflows."""
    return jax.lax.logistic(x * 1.0)
