"""Convolution and pooling on JAX: the same names as the NumPy kernels. Channels last."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnet.backend.winograd import transforms

Sizes = tuple[int, ...]
Pads = Sequence[tuple[int, int]]
Clamp = tuple[float | None, float | None]

MOST_TAPS = 64
"""The largest window whose taps are written out, one product each."""

FEW_CHANNELS, FEW_TAPS = 4, 9
"""Channels and taps of a first convolution, which XLA's own form takes longest for."""

SMALL_PICTURE = 1 << 16
"""Numbers of its result up to which one product with the windows written out is fastest; else a sum is, of each channel
of each tap times its filters, for it writes nothing out."""

MANY_CHANNELS = 256
"""From so many channels on a small window is as fast as one product for each tap, and on 7x7 places twice as fast."""

_LAYOUTS = {1: ("NWC", "WIO"), 2: ("NHWC", "HWIO"), 3: ("NDHWC", "DHWIO")}


_anywhere = contextvars.ContextVar("_anywhere", default=0)


@contextlib.contextmanager
def anywhere(axes: int = 3) -> Iterator[None]:
    """Inside, what is traced is for any device: convolutions are XLA's own, of so many axes at most."""
    token = _anywhere.set(axes)
    try:
        yield
    finally:
        _anywhere.reset(token)


def on_cpu() -> bool:
    """Whether arrays are on a CPU, where some forms are faster than XLA's own."""
    return jax.default_backend() == "cpu" and not _anywhere.get()


def conv(
    x: Any,
    kernel: Any,
    bias: Any = None,
    *,
    strides: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int = 1,
    clamp: Clamp | None = None,
) -> Any:
    """(n, *spatial, c), (*window, c / groups, f) -> (n, *output, f): correlation, plus bias (f,) if given.

    clamp: (least, most) of the result.
    """
    x, kernel = _same_dtype(x, kernel)
    window = kernel.shape[:-2]
    if on_cpu() and groups == x.shape[-1] > 1 and math.prod(window) <= MOST_TAPS:
        y = _depthwise(x, kernel, strides, padding, dilation)
    elif on_cpu() and groups == 1 and math.prod(window) == 1 and not any(map(any, padding)):
        y = lax.slice(x, (0,) * x.ndim, x.shape, (1, *strides, 1)) @ kernel.reshape(kernel.shape[-2:])
    elif on_cpu() and groups == 1 and x.shape[-1] <= FEW_CHANNELS and math.prod(window) <= FEW_TAPS:
        y = _of_few_channels(x, kernel, strides, padding, dilation)
    elif on_cpu() and groups == 1 and x.shape[-1] >= MANY_CHANNELS and math.prod(window) <= FEW_TAPS:
        parts = _shifted(x, window, strides, padding, dilation)
        taps = kernel.reshape(-1, *kernel.shape[-2:])
        products = map(functools.partial(jnp.matmul, preferred_element_type=_wide(x.dtype)), parts, taps)
        y = functools.reduce(operator.add, products).astype(x.dtype)
    else:
        y = _of_xla(x, kernel, strides, padding, dilation, groups=groups)
    return finish(y, bias, clamp)


def _of_few_channels(x: Any, kernel: Any, strides: Sizes, padding: Pads, dilation: Sizes) -> Any:
    """`conv` as one product with the windows written out, or as a sum."""
    *window, last, c, filters = kernel.shape
    parts = _shifted(x, (*window, last), strides, padding, dilation)
    sizes = [size for size in parts[0].shape[:-1] if isinstance(size, int)]  # the number of rows may be open
    if math.prod(sizes) * filters < SMALL_PICTURE:
        return jnp.concatenate(parts, axis=-1) @ kernel.reshape(-1, filters)
    rows = _shifted(x, (*window, 1), (*strides[:-1], 1), padding, dilation)
    taps = kernel.reshape(-1, last, c, filters).swapaxes(1, 2).reshape(-1, last, filters)
    return _shifted_sums([row[..., i : i + 1] for row in rows for i in range(c)], taps, strides[-1], dilation[-1])


def _shifted_sums(parts: list[Any], taps: Any, stride: int, dilation: int) -> Any:
    """The sum over the taps along the last axis of the sum of parts (..., f or 1) times taps (parts, taps, f).

    Sums are shifted, not `parts`: of a tap that meets no padding XLA would compute what comes before once more.
    """
    wide, last = _wide(taps.dtype), taps.shape[1]
    stop = parts[0].shape[-2] - (last - 1) * dilation
    sums = [
        lax.slice_in_dim(
            _sum_of_products(parts, taps[:, i].astype(wide)), i * dilation, i * dilation + stop, stride, -2
        )
        for i in range(last)
    ]
    return functools.reduce(operator.add, sums).astype(taps.dtype)


def _sum_of_products(parts: list[Any], kernel: Any) -> Any:
    """The sum of each part (..., f or 1) times its row of `kernel` (parts, f); half floats are added as float32."""
    wide = _wide(kernel.dtype)
    products = [part.astype(wide) * row for part, row in zip(parts, kernel, strict=True)]
    return functools.reduce(operator.add, products).astype(kernel.dtype)


def _wide(dtype: Any) -> Any:
    """The dtype in which products are added: float32 for half floats."""
    return jnp.promote_types(dtype, "float32") if jnp.issubdtype(dtype, jnp.floating) else dtype


def _of_xla(
    x: Any, kernel: Any, strides: Sizes, padding: Pads, dilation: Sizes, stretch: Sizes | None = None, groups: int = 1
) -> Any:
    """XLA's convolution of `x`, with `stretch` - 1 zeros between numbers; of planes beyond the axes of `anywhere`."""
    stretch = stretch or (1,) * len(strides)
    if len(strides) > (_anywhere.get() or 3):
        return _of_planes(x, kernel, strides, padding, dilation, stretch, groups)
    data, weights = _LAYOUTS[len(strides)]
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        list(padding),
        lhs_dilation=stretch,
        rhs_dilation=dilation,
        dimension_numbers=(data, weights, data),
        feature_group_count=groups,
    )


def _of_planes(x: Any, kernel: Any, strides: Sizes, padding: Pads, dilation: Sizes, stretch: Sizes, groups: int) -> Any:
    """The same as a sum over the first axis of the kernel, of convolutions of one axis less."""
    if stretch[0] > 1:
        gaps = jnp.zeros((*x.shape[:2], stretch[0] - 1, *x.shape[2:]), x.dtype)
        stretched = jnp.concatenate([x[:, :, None], gaps], 2).reshape(-1, x.shape[1] * stretch[0], *x.shape[2:])
        x = stretched[:, : stretched.shape[1] - stretch[0] + 1]
    x = pad(x, ((0, 0), padding[0], *((0, 0),) * len(strides)))
    outputs = (x.shape[1] - (kernel.shape[0] - 1) * dilation[0] - 1) // strides[0] + 1
    parts = []
    for tap in range(kernel.shape[0]):
        start = tap * dilation[0]
        part = lax.slice_in_dim(x, start, start + (outputs - 1) * strides[0] + 1, strides[0], 1)
        planes = part.reshape(-1, *part.shape[2:])
        y = _of_xla(planes, kernel[tap], strides[1:], padding[1:], dilation[1:], stretch[1:], groups)
        parts.append(y.reshape(-1, outputs, *y.shape[1:]))
    return functools.reduce(operator.add, parts)


def finish(y: Any, bias: Any, clamp: Clamp | None) -> Any:
    """y + bias (f,), clamped."""
    y = y if bias is None else y + bias
    return y if clamp is None else clip(y, *clamp)


def pad(x: Any, widths: Pads, value: float = 0) -> Any:
    """`x` with `value` so often before and after along each axis."""
    x = jnp.asarray(x)
    fill = np.asarray(value, x.dtype)
    if all(isinstance(size, int) for size in x.shape):
        return lax.pad(x, fill, [(before, after, 0) for before, after in widths])
    for axis, (before, after) in enumerate(widths):  # of a program for any number of rows: jax2onnx cannot pad that
        x = jnp.concatenate([*_filled(x, axis, before, fill), x, *_filled(x, axis, after, fill)], axis)
    return x


def _filled(x: Any, axis: int, size: int, fill: Any) -> list[Any]:
    """[an array of `fill`, like `x` but of `size` along `axis`]; nothing for a size of 0."""
    return [jnp.broadcast_to(fill, (*x.shape[:axis], size, *x.shape[axis + 1 :]))] if size else []


def clip(x: Any, low: float | None, high: float | None) -> Any:
    """`x` between `low` and `high` (None: no bound); NaN stays. The slope at a bound is 0, as TensorFlow's."""
    x = x if low is None else jnp.where(x <= low, _bound(low, x), x)
    return x if high is None else jnp.where(x >= high, _bound(high, x), x)


def _bound(value: float, x: Any) -> Any:
    """A bound of `x`; of its dtype, where that is of floats, for a loop in ONNX takes no other."""
    return np.asarray(value, x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else value


def winograd(x: Any, kernel: Any, bias: Any = None, *, padding: Pads, pool: int = 1, clamp: Clamp | None = None) -> Any:
    """(n, h, w, c), kernel ((m + 2)^2, c, f) of `winograd.of_kernel` -> (n, h', w', f): a 3x3 correlation, plus bias.

    pool: 2 for the maxima of 2x2 windows of it, taken before bias and clamp, which is the same.
    """
    m, filters = math.isqrt(len(kernel)) - 2, kernel.shape[-1]
    n, *spatial, c = x.shape
    sizes = [size + sum(pads) - 2 for size, pads in zip(spatial, padding, strict=True)]
    down, across = (-(-size // m) for size in sizes)
    ends = [(p[0], t * m + 2 - size - p[0], 0) for p, t, size in zip(padding, (down, across), spatial, strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *ends, (0, 0, 0)))
    _, inputs, output = transforms(m)
    places, a = range(m + 2), m + 2
    stops = [1 + m * (down - 1), 1 + m * (across - 1)]
    tiles = [
        [lax.slice(x, (0, i, j, 0), (n, i + stops[0], j + stops[1], c), (1, m, m, 1)) for j in places] for i in places
    ]
    columns = [_mixed(inputs, [tiles[i][j] for i in places]) for j in places]
    values = [jnp.stack(_mixed(inputs, [row[u] for row in columns])).reshape(a, -1, c) for u in places]
    products = [_products(values[u], kernel[u * a : (u + 1) * a]) for u in places]
    rows = [_mixed(output, [products[u][v] for u in places]) for v in places]
    y = [_mixed(output, [rows[v][i] for v in places]) for i in range(m)]
    kept = m // pool
    if pool > 1:
        y = [
            [
                functools.reduce(
                    jnp.maximum, (y[2 * i][2 * j], y[2 * i][2 * j + 1], y[2 * i + 1][2 * j], y[2 * i + 1][2 * j + 1])
                )
                for j in range(kept)
            ]
            for i in range(kept)
        ]
    parts = [[part.reshape(n, down, across, filters) for part in row] for row in y]
    joined = jnp.stack([jnp.stack(row, 3) for row in parts], 2).reshape(n, down * kept, across * kept, filters)
    return finish(joined[:, : sizes[0] // pool, : sizes[1] // pool], bias, clamp)


def _products(x: Any, kernel: Any) -> Any:
    """The arrays of x (a, n, c) @ kernel (a, c, f): all at once, which is less to begin with.

    From `MANY_CHANNELS` on one by one and half of the columns at a time: XLA gives a second thread some of what it can
    do next when that is more than 8 things.
    """
    half = kernel.shape[-1] // 2
    if half < MANY_CHANNELS // 2:
        return x @ kernel
    return [jnp.concatenate([t @ k[:, :half], t @ k[:, half:]], axis=-1) for t, k in zip(x, kernel, strict=True)]


def _mixed(matrix: Any, arrays: list[Any]) -> list[Any]:
    """`matrix` @ `arrays`, written out, without its zeros."""
    return [
        functools.reduce(operator.add, [float(w) * a for w, a in zip(row, arrays, strict=True) if w]) for row in matrix
    ]


def _depthwise(x: Any, kernel: Any, strides: Sizes, padding: Pads, dilation: Sizes) -> Any:
    """Each channel by windows of its own, as a sum of shifted products, a tenth of XLA's own time on the CPU."""
    *window, last, _, filters = kernel.shape
    x = jnp.repeat(x, filters // x.shape[-1], axis=-1)
    parts = _shifted(x, (*window, 1), (*strides[:-1], 1), padding, dilation)
    return _shifted_sums(parts, kernel.reshape(-1, last, filters), strides[-1], dilation[-1])


def _shifted(x: Any, window: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> list[Any]:
    """For each tap of the window what of `x` it meets, (n, *output, c)."""
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((before, after, 0) for before, after in padding), (0, 0, 0)))
    axes = zip(x.shape[1:-1], window, strides, dilation, strict=True)
    reach = [((n - (k - 1) * d - 1) // s) * s + 1 for n, k, s, d in axes]
    parts = []
    for tap in np.ndindex(*window):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        stops = [start + length for start, length in zip(starts, reach, strict=True)]
        parts.append(lax.slice(x, (0, *starts, 0), (x.shape[0], *stops, x.shape[-1]), (1, *strides, 1)))
    return parts


def conv_transpose(
    x: Any, kernel: Any, bias: Any = None, *, strides: Sizes, dilation: Sizes, crop: Sizes, sizes: Sizes
) -> Any:
    """(n, *spatial, c), (*window, f, c) -> (n, *sizes, f): the gradient of `conv` for its input, plus bias.

    crop: how much of the start of each axis is cut off.
    """
    x, kernel = _same_dtype(x, kernel)
    padding = []
    for n, k, s, d, cut, size in zip(x.shape[1:-1], kernel.shape, strides, dilation, crop, sizes, strict=False):
        before = (k - 1) * d - cut
        padding.append((before, size + (k - 1) * d - ((n - 1) * s + 1) - before))
    turned = jnp.flip(kernel, tuple(range(len(strides)))).swapaxes(-1, -2)
    y = _of_xla(x, turned, (1,) * len(strides), padding, dilation, strides)
    return y if bias is None else y + bias


def _same_dtype(x: Any, kernel: Any) -> tuple[Any, Any]:
    """Both as floats of one dtype; integers take the dtype of the kernel."""
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    dtype = jnp.result_type(x, kernel) if jnp.issubdtype(x.dtype, jnp.floating) else kernel.dtype
    return x.astype(dtype), kernel.astype(dtype)


def max_pool(x: Any, window: Sizes, strides: Sizes, padding: Pads) -> Any:
    """(n, *spatial, c) -> (n, *output, c): the maximum of each window; padding never wins, NaN always does.

    By pairwise maxima: XLA's own reductions with max lose NaN on the CPU (openxla/xla issue 21461).
    """
    x = jnp.asarray(x)
    if x.dtype == bool:
        least: Any = False
    else:
        least = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min
    if any(map(any, padding)):
        x = pad(x, ((0, 0), *padding, (0, 0)), least)
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True), start=1):
        x = _max_axis(x, axis, size, stride)
    return x


def _max_axis(x: Any, axis: int, window: int, stride: int) -> Any:
    """Maxima of windows along one axis: reach doubles until two overlapping parts cover a window."""
    count = (x.shape[axis] - window) // stride + 1
    reach = 1
    while 2 * reach <= window:
        n = x.shape[axis] - reach
        x = jnp.maximum(_slice(x, axis, 0, n), _slice(x, axis, reach, n))
        reach *= 2
    n = (count - 1) * stride + 1
    first = _slice(x, axis, 0, n, stride)
    return first if reach == window else jnp.maximum(first, _slice(x, axis, window - reach, n, stride))


def _slice(x: Any, axis: int, start: int, length: int, stride: int = 1) -> Any:
    return lax.slice_in_dim(x, start, start + length, stride, axis)


def sum_pool(x: Any, window: Sizes, strides: Sizes, padding: Pads) -> Any:
    """(n, *spatial, c) -> (n, *output, c): the sum of each window, padding counting as 0."""
    x = jnp.asarray(x)
    zero = np.zeros((), x.dtype)  # a literal in the program, as jax2onnx wants it
    return lax.reduce_window(x, zero, lax.add, (1, *window, 1), (1, *strides, 1), ((0, 0), *padding, (0, 0)))


def max_over(x: Any, axes: Sizes, keepdims: bool) -> Any:
    """The maximum over axes, pairwise; NaN wins, which XLA's own max does not grant."""
    x = jnp.asarray(x)
    kept = [n for axis, n in enumerate(x.shape) if axis not in axes]
    flat = jnp.moveaxis(x, axes, tuple(range(len(axes)))).reshape(math.prod(x.shape[a] for a in axes), *kept)
    y = _halve(jnp.maximum, flat)
    return jnp.expand_dims(y, axes) if keepdims else y


def _halve(combine: Callable[[Any, Any], Any], x: Any) -> Any:
    """All rows of `x` combined into one, halves with halves."""
    while len(x) > 1:
        half = len(x) // 2
        rest = x[2 * half :]
        x = combine(x[:half], x[half : 2 * half])
        if len(rest):
            x = jnp.concatenate([x, rest])
    return x[0]
