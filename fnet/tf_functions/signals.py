"""Fourier transforms and frames of sequences. Source: tf.signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from fnet import operations
from fnet.backend import xp
from fnet.core.room import size as bytes_of
from fnet.core.room import work_of_products
from fnet.dtypes import tensor
from fnet.layers.audio import frame_count, frames
from fnet.operations.rules import Operation, named
from fnet.shapes import positive
from fnet.tf_functions.rules import REAL, Sizes, as_spec, function, ints, room_of, same_rule, sizes_of
from fnet.types import Array, Positive, Spec

_COMPLEX = {real: name for name, real in REAL.items()}


def _transform(name: str, text: str, compute: Callable[[Array], Array]) -> Operation:
    def apply(x: Array) -> Array:
        x = tensor(x)
        return tensor(compute(x), x.dtype.name)

    return function(same_rule, f"signal.{name}")(named(name, text, apply))


fft = _transform("fft", "The Fourier transform of the last axis.", lambda x: xp.fft.fft(x))
ifft = _transform("ifft", "The inverse of fft.", lambda x: xp.fft.ifft(x))
fft2d = _transform("fft2d", "The Fourier transform of the last two axes.", lambda x: xp.fft.fft2(x))
ifft2d = _transform("ifft2d", "The inverse of fft2d.", lambda x: xp.fft.ifft2(x))


def _rfft_rule(input_tensor: Any, fft_length: Any = None) -> Spec:
    spec = as_spec(input_tensor)
    length = spec.shape[-1] if fft_length is None else sizes_of(fft_length)[0]
    return Spec((*spec.shape[:-1], None if length is None else length // 2 + 1), _COMPLEX[spec.dtype])


@function(_rfft_rule, "signal.rfft", sizes=("fft_length",))
def rfft(input_tensor: Array, fft_length: Sizes = None) -> Array:
    """The Fourier transform of real numbers in the last axis, cut or filled with 0 to `fft_length`."""
    x = tensor(input_tensor)
    return tensor(xp.fft.rfft(x, None if fft_length is None else ints(fft_length)[0]), _COMPLEX[x.dtype.name])


def _irfft_rule(input_tensor: Any, fft_length: Any = None) -> Spec:
    spec = as_spec(input_tensor)
    size = spec.shape[-1]
    length = (None if size is None else 2 * (size - 1)) if fft_length is None else sizes_of(fft_length)[0]
    return Spec((*spec.shape[:-1], length), REAL[spec.dtype])


@function(_irfft_rule, "signal.irfft", sizes=("fft_length",))
def irfft(input_tensor: Array, fft_length: Sizes = None) -> Array:
    """The inverse of rfft."""
    x = tensor(input_tensor)
    return tensor(xp.fft.irfft(x, None if fft_length is None else ints(fft_length)[0]), REAL[x.dtype.name])


@function(same_rule, "signal.fftshift")
def fftshift(x: Array, *, axes: Any = None) -> Array:
    """`x` with the zero frequency moved to the middle."""
    return xp.fft.fftshift(tensor(x), axes=axes)


@function(same_rule, "signal.ifftshift")
def ifftshift(x: Array, *, axes: Any = None) -> Array:
    """The inverse of fftshift."""
    return xp.fft.ifftshift(tensor(x), axes=axes)


# --- frames ---------------------------------------------------------------------------------------


def _count(size: int | None, length: int, step: int, pad_end: bool) -> int | None:
    return -(-size // step) if pad_end and size is not None else frame_count(size, length, step)


def _frame_rule(signal: Any, *, frame_length: int, frame_step: int, pad_end: bool, axis: int) -> Spec:
    spec = as_spec(signal)
    place = positive(axis, len(spec.shape))
    count = _count(spec.shape[place], frame_length, frame_step, pad_end)
    return Spec((*spec.shape[:place], count, frame_length, *spec.shape[place + 1 :]), spec.dtype)


def _cut(spec: Spec, frame_length: int, pad_end: bool, axis: int = -1) -> Spec:
    """The Spec from which frames are cut: `axis` last, with the largest margin that `pad_end` may add."""
    place = positive(axis, len(spec.shape))
    size = (spec.shape[place] or 1) + frame_length * pad_end
    return Spec((*spec.shape[:place], *spec.shape[place + 1 :], size), spec.dtype)


def _frame_room(signal: Any, *, frame_length: int, frame_step: int, pad_end: bool, axis: int) -> tuple[int, int]:
    cut = _cut(as_spec(signal), frame_length, pad_end, axis)
    return room_of(operations.extract_sequences, cut, sequence_length=frame_length, sequence_stride=frame_step)


@function(_frame_rule, "signal.frame", room=_frame_room)
def frame(
    signal: Array,
    *,
    frame_length: Positive,
    frame_step: Positive,
    pad_end: bool = False,
    pad_value: float = 0,
    axis: int = -1,
) -> Array:
    """Windows of `frame_length` entries of `axis`, every `frame_step`; `pad_end`: also those that pass the end."""
    x = xp.moveaxis(tensor(signal), axis, -1)
    place = positive(axis, x.ndim)
    count = _count(x.shape[-1], frame_length, frame_step, pad_end) or 0
    missing = max((count - 1) * frame_step + frame_length - x.shape[-1], 0)
    x = xp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)], constant_values=pad_value)
    return xp.moveaxis(frames(x, frame_length, frame_step), (-2, -1), (place, place + 1))


def _overlap_rule(signal: Any, *, frame_step: int) -> Spec:
    *lead, count, length = signal.shape
    size = None if count is None or length is None else (count - 1) * frame_step + length
    return Spec((*lead, size), signal.dtype)


def _overlap_room(signal: Any, *, frame_step: int) -> tuple[int, int]:
    """Each frame is padded to the length of the output."""
    rows = (signal.shape[-2] or 1) * bytes_of(_overlap_rule(signal, frame_step=frame_step))
    return rows, 2 * rows


@function(_overlap_rule, "signal.overlap_and_add", room=_overlap_room)
def overlap_and_add(signal: Array, *, frame_step: int) -> Array:
    """(..., frames, length) -> (..., time): frames `frame_step` apart, added up."""
    x = tensor(signal)
    *lead, count, length = x.shape
    total = (count - 1) * frame_step + length
    rows = [
        xp.pad(x[..., i, :], [(0, 0)] * len(lead) + [(i * frame_step, total - length - i * frame_step)])
        for i in range(count)
    ]
    return sum(rows[1:], rows[0])


def _fft_length(frame_length: int, fft_length: int | None) -> int:
    return 1 << (frame_length - 1).bit_length() if fft_length is None else fft_length


def _hann(length: int, dtype: str) -> Array:
    steps = np.arange(length)
    return (0.5 - 0.5 * np.cos(2 * np.pi * steps / length)).astype(dtype)  # periodic


def _stft_rule(signals: Any, *, frame_length: int, frame_step: int, fft_length: int | None, pad_end: bool) -> Spec:
    spec = as_spec(signals)
    count = _count(spec.shape[-1], frame_length, frame_step, pad_end)
    return Spec((*spec.shape[:-1], count, _fft_length(frame_length, fft_length) // 2 + 1), _COMPLEX[spec.dtype])


def _stft_room(
    signals: Any, *, frame_length: int, frame_step: int, fft_length: int | None, pad_end: bool
) -> tuple[int, int]:
    length = max(frame_length, _fft_length(frame_length, fft_length))
    cut = _cut(as_spec(signals), length, pad_end)
    how = {"sequence_length": length, "sequence_stride": frame_step, "fft_length": length, "center": False}
    return room_of(operations.stft, cut, **how)


@function(_stft_rule, "signal.stft", room=_stft_room)
def stft(
    signals: Array,
    *,
    frame_length: Positive,
    frame_step: Positive,
    fft_length: Positive | None = None,
    pad_end: bool = False,
) -> Array:
    """(..., time) -> (..., frames, frequencies), complex: the Fourier transform of each frame under a Hann window."""
    x = tensor(signals)
    parts = frame({}, x, frame_length=frame_length, frame_step=frame_step, pad_end=pad_end)
    y = xp.fft.rfft(parts * _hann(frame_length, x.dtype.name), _fft_length(frame_length, fft_length))
    return tensor(y, _COMPLEX[x.dtype.name])


def _dct_rule(x: Any, *, type: int, n: int | None, axis: int) -> Spec:  # noqa: A002
    if type != 2 or axis != -1:
        raise NotImplementedError(f"dct of type {type}, axis {axis}: only type 2 of the last axis is known")
    spec = as_spec(x)
    return Spec((*spec.shape[:-1], spec.shape[-1] if n is None else n), spec.dtype)


def _dct_room(x: Any, *, type: int, n: int | None, axis: int) -> tuple[int, int]:  # noqa: A002
    """A table of float64 is made in three steps; the input is multiplied by it."""
    y = _dct_rule(x, type=type, n=n, axis=axis)
    table = 3 * bytes_of(Spec((y.shape[-1], y.shape[-1]), "float64"))
    return table, table + work_of_products(y, y.shape[-1] or 1)[1]


@function(_dct_rule, "signal.dct", room=_dct_room)
def dct(
    x: Array,
    *,
    type: int = 2,  # noqa: A002 - TensorFlow's name
    n: Positive | None = None,
    axis: int = -1,
    norm: Literal["ortho"] | None = None,
) -> Array:
    """The discrete cosine transform (II) of the last axis, cut or filled with 0 to `n`; `norm` "ortho"."""
    x = tensor(x)
    size: Any = _dct_rule(x, type=type, n=n, axis=axis).shape[-1]
    x = x[..., :size] if size <= x.shape[-1] else xp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - x.shape[-1])])
    k = np.arange(size)
    table = 2 * np.cos(np.pi * k[None, :] * (2 * k[:, None] + 1) / (2 * size))
    if norm == "ortho":
        table = table * np.sqrt(np.where(k == 0, 1 / (4 * size), 1 / (2 * size)))
    return xp.matmul(x, tensor(table, x.dtype.name))
