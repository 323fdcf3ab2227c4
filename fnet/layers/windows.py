"""Windows that slide over spatial axes: options, padding, output sizes, layouts. The one home of this arithmetic.

Convolution, pooling, patches and ConvLSTM use these functions, in shape rules (sizes may be None there) and at
the call, so that both agree by construction. Source: TensorFlow's padding rules (tf.nn, "Notes on padding").
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from fnet.backend import xp
from fnet.core.options import asking
from fnet.core.rules import layer
from fnet.errors import InvalidInput, InvalidParams
from fnet.records import NamedTuple
from fnet.shapes import sized
from fnet.types import Array, PerAxis, Shape, Spec

P = ParamSpec("P")
R = TypeVar("R")
Sizes: TypeAlias = tuple[int, ...]
Pads: TypeAlias = tuple[tuple[int, int], ...]
"""(before, after) for each spatial axis; negative values crop."""

LARGEST = 1 << 31
"""An upper bound of sizes, strides and rates of windows."""

DATA_FORMATS = (None, "channels_last", "channels_first")


remembered = functools.lru_cache(maxsize=4096, typed=True)
"""Decorates functions of shapes and options: computed once for each, so that no call checks them again."""


def per_axis(value: PerAxis, rank: int, name: str, least: int = 1) -> Sizes:
    """`value` for each of `rank` spatial axes: 3 -> (3, 3). Raises ValueError, naming the option."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * rank
    if len(values) != rank or not all(isinstance(v, int) and least <= v < LARGEST for v in values):
        raise ValueError(f"{name} must be one int >= {least}, or {rank} of them (one an axis); got {value!r}")
    return values


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """(before, after) so that ceil(size / stride) windows fit; the odd one goes after. TensorFlow's "same"."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def window_padding(sizes: Sizes, windows: Sizes, strides: Sizes, padding: str) -> Pads:
    """(before, after) of each axis for "valid", "causal" or else "same" padding; `windows` are dilated sizes."""
    if padding == "valid":
        return tuple((0, 0) for _ in sizes)
    if padding == "causal":
        return tuple((window - 1, 0) for window in windows)
    return tuple(map(same_padding, sizes, windows, strides))


def output_sizes(sizes: Shape, windows: Sizes, strides: Sizes, padding: str) -> Shape:
    """How many windows fit along each axis; None where the size is None.

    Raises InvalidInput when none fits: the window is larger than the input, or the input is empty.
    """
    sample = tuple(1 if size is None else size for size in sizes)
    pads = window_padding(sample, windows, strides, padding)
    counts = []
    for size, window, stride, (before, after) in zip(sizes, windows, strides, pads, strict=True):
        count = None if size is None else (size + before + after - window) // stride + 1
        if count is not None and count < 1:
            raise InvalidInput(
                f"a window of {windows} (dilation included) does not fit into spatial axes of {tuple(sizes)} "
                f"with padding={padding!r}: the input is too small for this layer"
            )
        counts.append(count)
    return tuple(counts)


def dilated(windows: Sizes, dilation: Sizes) -> Sizes:
    """The extent of windows whose taps are `dilation` apart."""
    return tuple((window - 1) * rate + 1 for window, rate in zip(windows, dilation, strict=True))


def transposed_size(size: int, window: int, stride: int, padding: str, extra: int | None) -> tuple[int, int]:
    """(output size, how much of its start is cropped) of a transposed convolution along one axis.

    window: dilated kernel size. extra: `output_padding`; None chooses the size as Keras does: size * stride
    for "same", (size - 1) * stride + max(window, stride) for "valid". The crop is the padding that the forward
    convolution from the output size to `size` would have.
    """
    if padding == "valid":
        return (size - 1) * stride + (max(window, stride) if extra is None else window + extra), 0
    output = size * stride if extra is None else (size - 1) * stride + window % 2 + extra
    return output, max((size - 1) * stride + window - output, 0) // 2


def counts_inside(size: int, window: int, stride: int, before: int, count: int) -> list[int]:
    """How many taps of each of `count` windows lie inside an axis of `size` that has `before` padding."""
    starts = [i * stride - before for i in range(count)]
    return [min(start + window, size) - max(start, 0) for start in starts]


# --- layouts --------------------------------------------------------------------------------------


def is_channels_first(data_format: str | None) -> bool:
    """Whether `data_format` puts the channels after the batch axis; None is "channels_last"."""
    if data_format not in DATA_FORMATS:
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first'; got {data_format!r}")
    return data_format == "channels_first"


def split_shape(name: str, shape: Shape, rank: int, data_format: str | None) -> tuple[Shape, int | None]:
    """(spatial sizes, channels) of an input of layer `name`. Raises InvalidInput for another rank."""
    if len(shape) != rank + 2:
        axes = "batch, channels, *spatial" if is_channels_first(data_format) else "batch, *spatial, channels"
        hint = "; add the batch axis, x[None]" if len(shape) == rank + 1 else ""
        raise InvalidInput(f"{name} takes {rank + 2} axes ({axes}); got shape {tuple(shape)}{hint}")
    if is_channels_first(data_format):
        return tuple(shape[2:]), shape[1]
    return tuple(shape[1:-1]), shape[-1]


def spatial_axes(name: str, shape: Shape, rank: int, data_format: str | None) -> range:
    """The `rank` axes of space in an input of layer `name`. Raises InvalidInput for another rank."""
    split_shape(name, shape, rank, data_format)
    return range(2, rank + 2) if is_channels_first(data_format) else range(1, rank + 1)


def split_sizes(name: str, shape: Sizes, rank: int, data_format: str | None) -> tuple[Sizes, int]:
    """As `split_shape`, of an array: every size is known."""
    spatial, channels = split_shape(name, shape, rank, data_format)
    return tuple(size or 0 for size in spatial), channels or 0


def join_shape(batch: int | None, spatial: Shape, channels: int | None, data_format: str | None) -> Shape:
    """The inverse of `split_shape`."""
    return (batch, channels, *spatial) if is_channels_first(data_format) else (batch, *spatial, channels)


def to_channels_last(x: Array, data_format: str | None) -> Array:
    """`x` with its channels as the last axis, as the backends compute."""
    return xp.moveaxis(x, 1, -1) if is_channels_first(data_format) else x


def from_channels_last(y: Array, data_format: str | None) -> Array:
    """The inverse of `to_channels_last`."""
    return xp.moveaxis(y, -1, 1) if is_channels_first(data_format) else y


# --- the options of a layer ---------------------------------------------------------------------------


class Windows(NamedTuple):
    """The window options of layer `name`, one value for each of `rank` spatial axes. Made by `windows`.

    size: of the kernel or pool; None where only the kernel itself tells (see `fitted`).
    """

    name: str
    rank: int
    size: Sizes | None
    strides: Sizes
    padding: str
    data_format: str | None
    dilation: Sizes

    @property
    def taps(self) -> Sizes:
        """`size`, which a shape rule cannot do without."""
        if self.size is None:
            raise ValueError(f"{self.name}: the shape rule needs kernel_size=, as in bind({self.name}, kernel_size=3)")
        return self.size

    @property
    def extent(self) -> Sizes:
        """The size with dilation."""
        return dilated(self.taps, self.dilation)

    def fitted(self, kernel: Sizes, tail: Shape) -> Windows:
        """These windows with the size of a kernel of this shape, which must be (*size, *tail); None fits any.

        Raises InvalidParams otherwise: the arrays and the options (or the input) do not belong together.
        """
        shape = (*(self.size or (None,) * self.rank), *tail)
        if len(kernel) != len(shape) or any(w not in (None, d) for w, d in zip(shape, kernel, strict=True)):
            expected = ", ".join("any" if w is None else str(w) for w in shape)
            raise InvalidParams(f"{self.name}: this input and these options need a kernel ({expected}); got {kernel}")
        return self._replace(size=kernel[: self.rank])

    def outputs(self, spatial: Shape) -> Shape:
        """How many windows fit along each axis (see `output_sizes`)."""
        return output_sizes(spatial, self.extent, self.strides, self.padding)

    def pads(self, spatial: Sizes) -> Pads:
        """(before, after) of each axis. Raises InvalidInput where no window fits."""
        self.outputs(spatial)
        return window_padding(spatial, self.extent, self.strides, self.padding)

    def padded(self, x: Spec) -> Spec:
        """The input `x` with its padding; open sizes count as 1."""
        spatial, channels = self.split(x.shape)
        sizes = sized(spatial, 1)
        pads = window_padding(sizes, self.extent, self.strides, self.padding)
        return Spec(
            (x.shape[0], *(n + before + after for n, (before, after) in zip(sizes, pads, strict=True)), channels),
            x.dtype,
        )

    def split(self, shape: Shape) -> tuple[Shape, int | None]:
        """(spatial sizes, channels) of an input (see `split_shape`)."""
        return split_shape(self.name, shape, self.rank, self.data_format)

    def split_known(self, shape: Sizes) -> tuple[Sizes, int]:
        """As `split`, of an array."""
        return split_sizes(self.name, shape, self.rank, self.data_format)

    def join(self, batch: int | None, spatial: Shape, channels: int | None) -> Shape:
        """The inverse of `split`."""
        return join_shape(batch, spatial, channels, self.data_format)


@remembered
def windows(
    family: str,
    rank: int,
    size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    data_format: str | None,
    dilation_rate: PerAxis = 1,
    size_option: str = "kernel_size",
) -> Windows:
    """The window options of a layer of `family`, as given by Keras's names. Raises ValueError, naming what is wrong."""
    name = family.format(rank)
    legal = ("valid", "same", "causal") if name in ("conv1d", "separable_conv1d") else ("valid", "same")
    if padding not in legal:
        raise ValueError(f"{name}: padding must be one of {', '.join(map(repr, legal))}; got {padding!r}")
    return Windows(
        name,
        rank,
        None if size is None else per_axis(size, rank, size_option),
        per_axis(strides, rank, "strides"),
        padding,
        data_format,
        per_axis(dilation_rate, rank, "dilation_rate"),
    )


def windowed(family: str, rule: Callable[..., R]) -> Callable[..., R]:
    """`rule(window, x, *, options)` as one that takes the rank and the options of the window instead."""

    def whole(
        rank: int,
        x: Any,
        *,
        kernel_size: PerAxis | None,
        strides: PerAxis,
        padding: str,
        data_format: str | None,
        dilation_rate: PerAxis,
        **options: Any,
    ) -> R:
        return rule(windows(family, rank, kernel_size, strides, padding, data_format, dilation_rate), x, **options)

    return asking(whole, rule)


def over_axes(
    family: str, shape: Callable[..., Any], room: Callable[..., tuple[int, int]] | None = None, **rules: Any
) -> Callable[[Callable[Concatenate[int, P], R]], Callable[[int, str], Callable[P, R]]]:
    """Declare `f(rank, params, x, *, options)` to be layers over 1, 2 or 3 axes: (rank, docstring) -> the layer.

    family: their names, "conv{}d", from which the docstrings get the class of Keras. shape, room: rules that take the
    rank first, too; `layer` tells of the others.
    """

    def decorate(function: Callable[Concatenate[int, P], R]) -> Callable[[int, str], Callable[P, R]]:
        def of_rank(rank: int, text: str) -> Callable[P, R]:
            one = functools.partial(function, rank)
            name = family.format(rank)
            source = name.title().replace("_", "").replace("Lstm", "LSTM")
            doc = f"{text.rstrip()}\n\n    Source: keras.layers.{source}.\n    "
            vars(one).update(__module__=function.__module__, __name__=name, __qualname__=name, __doc__=doc)
            room_of_rank = None if room is None else functools.partial(room, rank)
            return layer(shape=functools.partial(shape, rank), room=room_of_rank, **rules)(one)

        return of_rank

    return decorate
