"""Fourier transforms, frames of sequences, and sums over segments. Complex numbers are pairs (real, imaginary).

Source: keras.ops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnet.backend import ops, xp
from fnet.core.room import size as bytes_of
from fnet.dtypes import bounds, floating, tensor
from fnet.errors import InvalidInput
from fnet.layers.audio import frame_count, frame_window, frames, require_window
from fnet.operations.rules import Operation, broadcast, named, operation
from fnet.shapes import fits, joined, require_made, shape_of, sized
from fnet.types import Array, Positive, Spec, Window

Pair = tuple[Array, Array]

PASSES = 32
"""About how many times a Fourier transform writes its numbers."""


def _complex(x: Sequence[Array]) -> Array:
    real, imag = (tensor(part) for part in x)
    return real + 1j * imag if real.dtype.name != "float64" else ops.cast(real, "complex128") + 1j * imag


def _pair(z: Array, dtype: str) -> Pair:
    return tensor(xp.real(z), dtype), tensor(xp.imag(z), dtype)


def _name(x: Sequence[Array]) -> str:
    return str(tensor(x[0]).dtype.name)


def _pair_rule(x: Sequence[Spec]) -> tuple[Spec, Spec]:
    whole = Spec(joined(x[0].shape, x[1].shape), x[0].dtype)
    return whole, whole


def _transform(name: str, text: str, transform: Callable[[Array], Array]) -> Operation:
    """An operation from a pair (real, imaginary) to one of the same shape."""

    def apply(x: Sequence[Array]) -> Pair:
        return _pair(transform(_complex(x)), _name(x))

    return operation(_pair_rule)(named(name, text, apply))


fft = _transform("fft", "The Fourier transform of the last axis.", lambda z: xp.fft.fft(z))
fft2 = _transform("fft2", "The Fourier transform of the last two axes.", lambda z: xp.fft.fft2(z))
ifft2 = _transform("ifft2", "The inverse of fft2.", lambda z: xp.fft.ifft2(z))


def _rfft_rule(x: Spec, *, fft_length: int | None) -> tuple[Spec, Spec]:
    length = x.shape[-1] if fft_length is None else fft_length
    half = Spec((*x.shape[:-1], None if length is None else length // 2 + 1), x.dtype)
    return half, half


@operation(_rfft_rule)
def rfft(x: Array, *, fft_length: int | None = None) -> Pair:
    """The Fourier transform of real numbers in the last axis (cut or filled with 0 to `fft_length`): a pair."""
    x = tensor(x)
    return _pair(xp.fft.rfft(x, fft_length), x.dtype.name)


def _irfft_rule(x: Sequence[Spec], *, fft_length: int | None) -> Spec:
    *batch, half = joined(x[0].shape, x[1].shape)
    length = 2 * (half - 1) if fft_length is None and half is not None else fft_length
    return Spec((*batch, length), x[0].dtype)


@operation(_irfft_rule)
def irfft(x: Sequence[Array], *, fft_length: int | None = None) -> Array:
    """The inverse of rfft, of a pair."""
    return tensor(xp.fft.irfft(_complex(x), fft_length), _name(x))


def _complex_rule(x: Any) -> Spec:
    if isinstance(x, Spec) and x.shape[-1:] not in ((2,), (None,)):
        raise ValueError(f"view_as_complex takes a last axis of 2, the real and the imaginary part; got {x}")
    real, shape = (x[0], x[0].shape) if isinstance(x, list | tuple) else (x, x.shape[:-1])
    return Spec(shape, "complex128" if real.dtype == "float64" else "complex64")


@operation(_complex_rule)
def view_as_complex(x: Array) -> Array:
    """(..., 2) of real and imaginary parts -> complex (...)."""
    x = tensor(x)
    return _complex((x[..., 0], x[..., 1]))


@operation(lambda x: Spec((*x.shape, 2), "float64" if x.dtype == "complex128" else "float32"))
def view_as_real(x: Array) -> Array:
    """Complex (...) -> (..., 2) of real and imaginary parts."""
    x = tensor(x)
    return xp.stack([xp.real(x), xp.imag(x)], axis=-1)


@operation(lambda abs_, angle: Spec(broadcast(abs_, angle), "complex64" if abs_.dtype != "float64" else "complex128"))
def polar(abs_: Array, angle: Array) -> Array:
    """The complex numbers of magnitude `abs_` and argument `angle`."""
    abs_, angle = floating(abs_, angle)
    return _complex((abs_ * xp.cos(angle), abs_ * xp.sin(angle)))


# --- frames ---------------------------------------------------------------------------------------


def _extract_rule(x: Spec, *, sequence_length: int, sequence_stride: int) -> Spec:
    count = frame_count(x.shape[-1], sequence_length, sequence_stride)
    return Spec((*x.shape[:-1], count, sequence_length), x.dtype)


def _frames_room(x: Spec, length: int, stride: int) -> tuple[int, int]:
    """(bytes of the frames, bytes of gathering them): two copies and the positions of all their numbers."""
    count = frame_count(x.shape[-1] or 1, length, stride) or 0
    frames = Spec((*x.shape[:-1], count, length), x.dtype)
    return bytes_of(frames), 2 * bytes_of(frames) + 8 * length * (count + 1)


def _extract_room(x: Spec, *, sequence_length: int, sequence_stride: int) -> tuple[int, int]:
    _, memory = _frames_room(x, sequence_length, sequence_stride)
    return memory, memory


@operation(_extract_rule, room=_extract_room)
def extract_sequences(x: Array, *, sequence_length: Positive, sequence_stride: Positive) -> Array:
    """(..., time) -> (..., frames, sequence_length): windows that begin every `sequence_stride` steps."""
    return frames(tensor(x), sequence_length, sequence_stride)


def _stft_rule(
    x: Spec, *, sequence_length: int, sequence_stride: int, fft_length: int, window: Window, center: bool
) -> tuple[Spec, Spec]:
    require_window(window, sequence_length, fft_length)
    size = x.shape[-1]
    padded = None if size is None else size + 2 * (fft_length // 2) * center
    y = Spec((*x.shape[:-1], frame_count(padded, fft_length, sequence_stride), fft_length // 2 + 1), x.dtype)
    return y, y


def _stft_room(x: Spec, *, sequence_stride: int, fft_length: int, center: bool) -> tuple[int, int]:
    padded = Spec((*x.shape[:-1], (x.shape[-1] or 1) + 2 * (fft_length // 2) * center), x.dtype)
    frames, memory = _frames_room(padded, fft_length, sequence_stride)
    return bytes_of(padded) + memory + 2 * frames, bytes_of(padded) + memory + PASSES * frames


@operation(_stft_rule, room=_stft_room)
def stft(
    x: Array,
    *,
    sequence_length: Positive,
    sequence_stride: Positive,
    fft_length: Positive,
    window: Window = "hann",
    center: bool = True,
) -> Pair:
    """(..., time) -> a pair (..., frames, fft_length // 2 + 1): Fourier transforms of windowed frames.

    window: "hann", "hamming", `sequence_length` numbers, or None. center: reflect at both ends first.
    """
    x = tensor(x)
    if center:
        x = xp.pad(x, [(0, 0)] * (x.ndim - 1) + [(fft_length // 2,) * 2], mode="reflect")
    parts = frames(x, fft_length, sequence_stride)
    shape = frame_window(window, sequence_length, fft_length)
    parts = parts if shape is None else parts * tensor(shape, x.dtype.name)
    return _pair(xp.fft.rfft(parts, fft_length), x.dtype.name)


def _istft_rule(
    x: Sequence[Spec],
    *,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None,
    window: Window,
    center: bool,
) -> Spec:
    require_window(window, sequence_length, fft_length)
    *batch, frames, _ = joined(x[0].shape, x[1].shape)
    whole = None if frames is None else fft_length + sequence_stride * (frames - 1) - 2 * (fft_length // 2) * center
    return Spec((*batch, whole if length is None else length), x[0].dtype)


def _istft_room(x: Sequence[Spec], *, sequence_stride: int, fft_length: int) -> tuple[int, int]:
    """Frames are cut into parts of one stride; each part is added to the whole sequence."""
    *batch, count, _ = sized(x[0].shape, 1)
    parts = -(-fft_length // sequence_stride)
    frames = bytes_of(Spec((*batch, count, parts * sequence_stride), x[0].dtype))
    whole = bytes_of(Spec((*batch, count + parts - 1, sequence_stride), x[0].dtype))
    return 4 * frames + 3 * whole, PASSES * frames + 2 * parts * whole


@operation(_istft_rule, room=_istft_room)
def istft(
    x: Sequence[Array],
    *,
    sequence_length: Positive,
    sequence_stride: Positive,
    fft_length: Positive,
    length: int | None = None,
    window: Window = "hann",
    center: bool = True,
) -> Array:
    """The inverse of stft: a pair (..., frames, bins) -> (..., time); overlapping frames add up."""
    dtype = _name(x)
    frames = tensor(xp.fft.irfft(_complex(x), fft_length), dtype)
    shape = frame_window(window, sequence_length, fft_length)
    if shape is not None:
        frames = frames * _inverse_window(tensor(shape, dtype), sequence_stride)
    y = _overlap_add(frames, sequence_stride)
    start = fft_length // 2 if center else 0
    stop = start + length if length is not None else y.shape[-1] - start
    return y[..., start:stop]


def _inverse_window(window: Array, stride: int) -> Array:
    """`window` divided by the sum of squares of all overlapping windows; 0 where that is 0, as in TensorFlow 2.20.
    Source: tf.signal.inverse_stft_window_fn."""
    size = window.shape[0]
    overlaps = -(-size // stride)
    squares = xp.pad(window * window, (0, overlaps * stride - size)).reshape(overlaps, stride)
    weight = xp.tile(xp.sum(squares, axis=0), overlaps)[:size]
    return window / xp.where(weight == 0, 1, weight)


def _overlap_add(frames: Array, stride: int) -> Array:
    """(..., frames, size) -> (..., time)."""
    *batch, count, size = frames.shape
    parts = -(-size // stride)
    cut = xp.pad(frames, [(0, 0)] * len(batch) + [(0, 0), (0, parts * stride - size)])
    cut = cut.reshape(*batch, count, parts, stride)
    total = xp.zeros((*batch, count + parts - 1, stride), frames.dtype)
    for part in range(parts):
        shift = [(0, 0)] * len(batch) + [(part, parts - 1 - part), (0, 0)]
        total = total + xp.pad(cut[..., part, :], shift)
    return total.reshape(*batch, -1)[..., : size + stride * (count - 1)]


# --- segments -------------------------------------------------------------------------------------


def _segment_rule(data: Spec, segment_ids: Any, *, num_segments: int | None) -> Spec:
    ids = shape_of(segment_ids)
    if not data.shape or not fits(ids, data.shape[:1]):
        raise InvalidInput(f"segments take one id for each row; got ids {ids} for data {tuple(data.shape)}")
    return Spec((num_segments, *data.shape[1:]), data.dtype)


def _segment_room(x: Sequence[Any], *, num_segments: int | None, sorted: bool) -> tuple[int, int]:  # noqa: A002
    """Memory for comparing each id with each segment, to find those without rows."""
    memory = 2 * bytes_of(Spec((*shape_of(x[1]), num_segments))) * sorted
    return memory, memory


def _segments(name: str, text: str, by: str, start: Callable[[str], float]) -> Operation:
    """An operation that combines the rows of `data` with the same id; an id without rows gives `start(dtype)`.

    With `sorted=True` such an id gives 0, as in TensorFlow, except for products.
    """

    def apply(
        data: Array,
        segment_ids: Array,
        *,
        num_segments: int | None = None,
        sorted: bool = False,  # noqa: A002
    ) -> Array:
        data, ids = tensor(data), tensor(segment_ids)
        _segment_rule(data, ids, num_segments=num_segments)
        count = int(xp.max(ids)) + 1 if num_segments is None else num_segments
        require_made(count, *data.shape[1:])
        nothing = 0 if sorted and by != "mul" else start(data.dtype.name)
        y = _combined(xp.full((count, *data.shape[1:]), start(data.dtype.name), data.dtype), ids, data, by)
        return y if nothing == start(data.dtype.name) else _filled(y, ids, nothing)

    return operation(_segment_rule, room=_segment_room)(named(name, text, apply))


def _combined(empty: Array, ids: Array, data: Array, by: str) -> Array:
    """Rows combined into the segments of `empty`; other ids go to one more segment, which is cut off."""
    count = empty.shape[0]
    place = xp.where((ids >= 0) & (ids < count), ids, count)
    room = xp.concatenate([empty, xp.ones((1, *empty.shape[1:]), empty.dtype)])
    return ops.scatter(room, place[:, None], data, by)[:count]


def _filled(y: Array, ids: Array, nothing: float) -> Array:
    """`y` with `nothing` in the segments without rows."""
    present = (ids[:, None] == xp.arange(y.shape[0])).any(axis=0)
    return xp.where(present.reshape((-1,) + (1,) * (y.ndim - 1)), y, xp.full_like(y, nothing))


segment_sum = _segments("segment_sum", "The sum of the rows with each id.", "add", lambda dtype: 0)
segment_prod = _segments("segment_prod", "The product of the rows with each id.", "mul", lambda dtype: 1)
segment_max = _segments(
    "segment_max",
    "The largest of the rows with each id; NaN stays, which in TensorFlow depends on its place.",
    "max",
    lambda dtype: bounds(dtype)[0],
)
segment_min = _segments(
    "segment_min",
    "The smallest of the rows with each id; for NaN see `segment_max`.",
    "min",
    lambda dtype: bounds(dtype)[1],
)
