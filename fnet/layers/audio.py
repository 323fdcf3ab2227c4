"""Spectrograms of audio signals."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from fnet.backend import xp
from fnet.core.room import size
from fnet.core.rules import layer
from fnet.dtypes import require_no_strings
from fnet.errors import InvalidInput
from fnet.layers.windows import same_padding
from fnet.strings import NumpyArray
from fnet.types import Array, DataFormat, Padding, Param, Params, ParamTree, Positive, Range, Spec, Window

EPSILON = 1e-7
"""Keras's `backend.epsilon()`: the least power, and the least magnitude under the logarithm."""

Samples: TypeAlias = Annotated[int, Range(1, 1 << 24)]
"""Steps of a signal that a frame may span: minutes."""

AnyWindow: TypeAlias = str | Sequence[float] | None
"""Windows of kernels that are made once: also SciPy's other names, for which the kernels must be in the file."""


# --- windows and frames ---------------------------------------------------------------------------


def window_of(window: AnyWindow, length: int, periodic: bool) -> NumpyArray:
    """float64[length]: "hann" or "hamming" by name, given numbers, or ones for None.

    Raises ValueError for another name: SciPy, which has more, is needed to make a model, not to run one.
    """
    if window is None:
        return np.ones(length)
    if not isinstance(window, str):
        return np.asarray(window, np.float64)
    terms = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46)}
    if window not in terms:
        raise ValueError(f"window {window!r}: hann and hamming are known by name; give the numbers of others")
    a, b = terms[window]
    period = length if periodic else max(length - 1, 1)
    return a - b * np.cos(2 * np.pi * np.arange(length) / period) if length > 1 else np.ones(1)


def frame_window(window: Window, length: int, size: int) -> NumpyArray | None:
    """float64[size]: a window of `length` in the middle of zeros, or None where frames are not weighted.

    A window given by name is periodic if `length` is even, as in TensorFlow.
    """
    if window is None:
        return None
    before = (size - length) // 2
    return np.pad(window_of(window, length, periodic=length % 2 == 0), (before, size - length - before))


def require_window(window: AnyWindow, length: int, fft_length: int) -> None:
    """Raise ValueError where a window does not have its `length`, or is longer than `fft_length`."""
    if length > fft_length or not (window is None or isinstance(window, str) or len(window) == length):
        raise ValueError(f"a window of {length} numbers for a transform of {fft_length}: got window={window!r:.60}")


def frame_count(time: int | None, length: int, step: int) -> int | None:
    """How many windows of `length`, one every `step`, fit into `time` steps; None where that is unknown."""
    return None if time is None else max((time - length) // step + 1, 0)


def frames(x: Array, length: int, step: int) -> Array:
    """(..., time) -> (..., frames, length): windows of `length`, one every `step`, that fit."""
    count = frame_count(x.shape[-1], length, step) or 0
    return x[..., np.arange(count)[:, None] * step + np.arange(length)]


# --- STFT with kernels ----------------------------------------------------------------------------


def _sizes(frame_length: int, frame_step: int | None, fft_length: int | None) -> tuple[int, int]:
    """(step, frequencies)."""
    if (fft_length or frame_length) < frame_length or (frame_step or 1) > frame_length:
        raise ValueError(f"frames of {frame_length}: a step of {frame_step}, an fft_length of {fft_length}")
    fft = fft_length or 2 ** math.ceil(math.log2(frame_length))
    return frame_step or frame_length // 2, fft // 2 + 1


def _frame_count(time: int, length: int, step: int, padding: str) -> int:
    if padding == "valid" and time < length:
        raise ValueError(f"{time} steps are less than one frame of {length}")
    return -(-time // step) if padding == "same" else 1 + (time - length) // step


def stft_kernel(
    side: str, window: AnyWindow, scaling: str | None, periodic: bool
) -> Callable[[Array, Sequence[int]], Array]:
    """The initializer of a kernel (frame_length, 1, frequencies): the windowed cosines or sines of a DFT."""

    def make(key: Array, shape: Sequence[int]) -> Array:
        length, _, frequencies = shape
        shaped = window_of(window, length, periodic)[:, None, None]
        norm = {"density": np.sqrt(np.sum(shaped**2)), "spectrum": np.sum(np.abs(shaped)), None: 1.0}[scaling]
        angle = -2 * np.pi * np.arange(length)[:, None, None] * np.arange(frequencies) / (2 * (frequencies - 1))
        wave = np.cos(angle) if side == "real" else np.sin(angle)
        return xp.asarray(wave * shaped / (1.0 if window is None else norm), dtype="float32")

    return make


def _stft_rule(
    x: Spec,
    *,
    mode: str,
    frame_length: int,
    frame_step: int | None,
    fft_length: int | None,
    window: AnyWindow,
    periodic: bool,
    scaling: str | None,
    padding: str,
    expand_dims: bool,
    data_format: str | None,
) -> tuple[Spec, ParamTree]:
    if len(x.shape) != 3:
        raise ValueError(f"stft_spectrogram takes (batch, time, channels), or channels before time; got {x}")
    step, frequencies = _sizes(frame_length, frame_step, fft_length)
    require_window(window, frame_length, frame_length)
    sides = {"real": ["real"], "imag": ["imag"]}.get(mode, ["real", "imag"])
    shape = (frame_length, 1, frequencies)
    params = {f"{s}_kernel": Param(shape, stft_kernel(s, window, scaling, periodic)) for s in sides}
    first = data_format == "channels_first"
    batch, channels, time = (x.shape[0], *x.shape[1:]) if first else (x.shape[0], x.shape[2], x.shape[1])
    count = None if time is None else _frame_count(time, frame_length, step, padding)
    bands = frequencies * (2 if mode == "stft" else 1)
    if expand_dims:
        return Spec((batch, channels, count, bands) if first else (batch, count, bands, channels), x.dtype), params
    flat = None if channels is None else channels * bands
    return Spec((batch, flat, count) if first else (batch, count, flat), x.dtype), params


@layer(shape=_stft_rule, mask="drop", floats=True)
def stft_spectrogram(
    params: Params,
    x: Array,
    *,
    mode: Literal["log", "magnitude", "psd", "real", "imag", "angle", "stft"] = "log",
    frame_length: Positive = 256,
    frame_step: Positive | None = None,
    fft_length: Positive | None = None,
    window: AnyWindow = "hann",
    periodic: bool = False,
    scaling: Literal["density", "spectrum"] | None = "density",
    padding: Padding = "valid",
    expand_dims: bool = False,
    data_format: DataFormat | None = "channels_last",
) -> Array:
    """(batch, time, channels) -> (batch, frames, channels * frequencies), or (batch, frames, frequencies, channels).

    The second with `expand_dims`; channels come first with data_format="channels_first". A frame of
    `frame_length` steps every `frame_step` is multiplied by the kernels (window included: the options `window`,
    `periodic`, `scaling` say how fresh kernels are made). mode: real, imag, stft (both), angle, psd, magnitude, log.

    params: real_kernel, imag_kernel (frame_length, 1, frequencies), one of them for mode real or imag.
    Mask: dropped. Source: keras.layers.STFTSpectrogram.
    """
    step, _ = _sizes(frame_length, frame_step, fft_length)
    signal = x if data_format == "channels_first" else xp.swapaxes(x, 1, 2)  # (batch, channels, time)
    if padding == "same":
        signal = xp.pad(signal, [(0, 0), (0, 0), same_padding(signal.shape[-1], frame_length, step)])
    pieces = frames(signal, frame_length, step)
    # (batch, channels, frames, frequencies)
    parts = [pieces @ params[f"{s}_kernel"][:, 0] for s in ("real", "imag") if f"{s}_kernel" in params]
    y = _combined(mode, *parts)
    if data_format == "channels_first":
        return y if expand_dims else xp.swapaxes(y, 2, 3).reshape(y.shape[0], y.shape[1] * y.shape[3], y.shape[2])
    if expand_dims:
        return y.transpose(0, 2, 3, 1)
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], y.shape[1] * y.shape[3])


def _combined(mode: str, real: Array, imag: Array | None = None) -> Array:
    """The output of `mode`, from the real and imaginary parts (only one of them for "real" and "imag")."""
    if imag is None:
        return real
    if mode == "angle":
        return xp.arctan2(imag, real)
    if mode == "stft":
        return xp.concatenate([real, imag], axis=-1)
    power = real * real + imag * imag
    if mode == "psd":
        inner = np.ones(power.shape[-1], power.dtype)
        inner[1:-1] = 2
        return power * inner
    magnitude = xp.sqrt(xp.maximum(power, EPSILON))
    return magnitude if mode == "magnitude" else xp.log(xp.maximum(magnitude, EPSILON))


# --- mel ------------------------------------------------------------------------------------------


def _mel_rule(
    x: Spec, *, sequence_stride: int, num_mel_bins: int, fft_length: int, sequence_length: int | None, window: Window
) -> tuple[Spec, ParamTree]:
    require_no_strings(x)
    require_window(window, sequence_length or fft_length, fft_length)
    time = x.shape[-1]
    _require_mirror(time, fft_length)
    count = frame_count(None if time is None else time + 2 * (fft_length // 2), fft_length, sequence_stride)
    return Spec((*x.shape[:-1], num_mel_bins, count), x.dtype if x.dtype == "float64" else "float32"), {}


def _require_mirror(time: int | None, fft_length: int) -> None:
    """Raise InvalidInput for signals too short to be mirrored at both ends by half a frame."""
    if time is not None and fft_length // 2 >= time:
        raise InvalidInput(f"mel_spectrogram takes signals of more than {fft_length // 2} steps; got {time}")


def _mel_room(x: Spec, *, sequence_stride: int, fft_length: int) -> tuple[int, int]:
    """Windowed frames, their complex spectrum, and its parts."""
    framed = size(Spec((*x.shape[:-1], 1 + (x.shape[-1] or 1) // sequence_stride, fft_length)))
    return 5 * framed, 12 * framed


@layer(shape=_mel_rule, room=_mel_room, mask="drop", by_row=0)  # decibels are cut below the largest of the batch
def mel_spectrogram(
    params: Params,
    x: Array,
    *,
    fft_length: Samples = 2048,
    sequence_stride: Samples = 512,
    sequence_length: Samples | None = None,
    window: Window = "hann",
    sampling_rate: Positive = 16000,
    num_mel_bins: Positive = 128,
    min_freq: float = 20.0,
    max_freq: float | None = None,
    power_to_db: bool = True,
    top_db: float = 80.0,
    mag_exp: float = 2.0,
    min_power: float = 1e-10,
    ref_power: float = 1.0,
) -> Array:
    """(..., time) -> (..., num_mel_bins, frames): the energy in mel bands, in decibels with `power_to_db`.

    Decibels are cut `top_db` below the largest of all rows of x, so they depend on the whole batch, as in Keras.
    No params. Mask: dropped. Source: keras.layers.MelSpectrogram; the mel scale is HTK's.
    """
    x = x if x.dtype.kind == "f" else x.astype("float32")
    half = fft_length // 2
    _require_mirror(x.shape[-1], fft_length)
    centered = xp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode="reflect")
    windowed = frames(centered, fft_length, sequence_stride)
    shaped = frame_window(window, sequence_length or fft_length, fft_length)
    windowed = windowed if shaped is None else windowed * shaped.astype(x.dtype)
    spectrum = xp.fft.rfft(windowed if windowed.dtype.itemsize > 2 else windowed.astype("float32"))
    magnitude = xp.sqrt(spectrum.real * spectrum.real + spectrum.imag * spectrum.imag)
    top = max_freq or int(sampling_rate / 2)
    bands = mel_matrix(num_mel_bins, half + 1, sampling_rate, min_freq, top)
    y = magnitude**mag_exp @ bands.astype(x.dtype)
    y = _decibels(y, ref_power, min_power, top_db) if power_to_db else y
    return xp.swapaxes(y, -1, -2)


def _decibels(power: Array, reference: float, least: float, top: float) -> Array:
    """10 log10(power / reference), both at least `least`; cut `top` below the largest."""
    y = 10.0 * xp.log10(xp.maximum(power, least)) - 10.0 * math.log10(max(abs(reference), least))
    return xp.maximum(y, xp.max(y, initial=-math.inf) - top)


@functools.lru_cache(maxsize=16)
def mel_matrix(bands: int, bins: int, sampling_rate: float, low: float, high: float) -> NumpyArray:
    """float32 (bins, bands): triangles on the mel scale, peak 1; the bin at 0 Hz has no part. In float32 as Keras."""
    f32 = np.float32

    def mel(hertz: Any) -> Any:
        return f32(1127.0) * np.log(f32(1) + hertz / f32(700.0))

    at = mel(np.linspace(f32(0), f32(sampling_rate) / f32(2), bins, dtype=f32)[1:])[:, None]
    edges = np.linspace(mel(f32(low)), mel(f32(high)), bands + 2, dtype=f32)
    left, peak, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(f32(0), np.minimum((at - left) / (peak - left), (right - at) / (right - peak)))
    return np.pad(weights, [(1, 0), (0, 0)])
