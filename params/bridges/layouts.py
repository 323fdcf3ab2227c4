"""The layouts of layer parameters in PyTorch, flax.nnx and Equinox, and their conversion to Keras's, which is fnet's.

An entry is one array of the other library: its name, its path in the params of fnet, and the conversions there and
back. Where arrays do not correspond one to one (biases, heads in one matrix) there are separate functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

import fnet
from fnet.core.layer import bind
from fnet.errors import ExportError
from fnet.records import dataclass
from fnet.types import Params

Arrays: TypeAlias = dict[str, Any]
Options: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """The two conversions of one layer: (params, options) -> arrays of the other library, and back."""

    there: Callable[[Params, Options], Arrays]
    back: Callable[[Mapping[str, Any], Options], Arrays]


Change: TypeAlias = Callable[[Any], Any]

SWITCHES = {"bias": "use_bias", "beta": "center", "gamma": "scale"}
"""{param: the option that removes it}: all others are required."""


def same(a: Any) -> Any:
    """The array as it is."""
    return a


def turned(a: Any) -> Any:
    """(in, out) as (out, in)."""
    return a.T


def channels_first(a: Any) -> Any:
    """A kernel (*window, in, out) as (out, in, *window); of a transposed convolution, (*window, out, in)."""
    return np.moveaxis(a, (-1, -2), (0, 1))


def channels_last(a: Any) -> Any:
    """A kernel (out, in, *window) as (*window, in, out)."""
    return np.moveaxis(a, (0, 1), (-1, -2))


def renamed(
    *pairs: tuple[str, str] | tuple[str, str, Change, Change], check: Callable[[Options], None] = lambda options: None
) -> Layout:
    """Arrays that correspond one to one: (name there, name here, conversion there, conversion back)."""
    full = [(*pair, same, same)[:4] if len(pair) == 2 else pair for pair in pairs]

    def there(params: Params, options: Options) -> Arrays:
        check(options)
        return {theirs: go(params[ours]) for theirs, ours, go, _ in full if ours in params}

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        present = {ours: options.get(SWITCHES.get(ours, ""), True) for _, ours, *_ in full}
        return {ours: come(arrays[theirs]) for theirs, ours, _, come in full if present[ours]}

    return Layout(there, back)


def depthwise() -> Layout:
    """A kernel (*window, in, multiplier) as (in * multiplier, 1, *window), a convolution in groups of one channel."""

    def there(params: Params, options: Options) -> Arrays:
        kernel = params["kernel"]
        flat = kernel.reshape(*kernel.shape[:-2], 1, -1)
        return {"weight": channels_first(flat), **({"bias": params["bias"]} if "bias" in params else {})}

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        kernel = channels_last(arrays["weight"])
        multiplier = options.get("depth_multiplier", 1)
        bias = {"bias": arrays["bias"]} if options["use_bias"] else {}
        return {"kernel": kernel.reshape(*kernel.shape[:-2], -1, multiplier), **bias}

    return Layout(there, back)


def gates(a: Any, order: tuple[int, ...]) -> Any:
    """The blocks of the last axis, one for each gate, in another order."""
    parts = np.split(a, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1)


TO_RZN = (1, 0, 2)
"""Keras has update, reset, new; the others reset, update, new. The order is its own inverse."""


def _plain_cell(options: Options, *others: str) -> None:
    """Raise ExportError for activations that the cells of other libraries lack."""
    for name, value, more in (("activation", "tanh", others), ("recurrent_activation", "sigmoid", ())):
        if options.get(name, value) not in (value, *more):
            raise ExportError(f"{name}={options[name]!r}: the cells of other libraries have {value!r}")


def torch_rnn(kind: str, suffix: str = "_l0") -> Layout:
    """`torch.nn.LSTM`, `GRU` and `RNN` of one layer: two matrices and two biases."""
    names = [f"{part}{suffix}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def there(params: Params, options: Options) -> Arrays:
        _plain_cell(options, *(["relu"] if kind == "simple_rnn" else []))
        order = _order(kind, options)
        arrays = [gates(params[key], order).T for key in ("kernel", "recurrent_kernel")]
        if "bias" in params:
            bias = np.asarray(params["bias"])
            both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
            arrays += [gates(row, order) for row in both]
        return dict(zip(names, arrays, strict=False))

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        order = _order(kind, options)
        params = {
            key: gates(arrays[name].T, order) for key, name in zip(("kernel", "recurrent_kernel"), names, strict=False)
        }
        if options["use_bias"]:
            both = np.stack([gates(arrays[name], order) for name in names[2:]])
            params["bias"] = both if kind == "gru" else both[0] + both[1]
        return params

    return Layout(there, back)


def torch_both_ways() -> Layout:
    """A bidirectional recurrent layer: arrays of the backward half end in "_reverse"."""

    def halves(options: Options) -> tuple[dict[str, Layout], Options]:
        kind = bind(options["layer"]).function.__name__
        if options["backward_layer"] is not None or kind not in ("lstm", "gru", "simple_rnn"):
            raise ExportError("PyTorch reads both ways with one LSTM, GRU or RNN: no backward_layer of another kind")
        both = {"forward_layer": torch_rnn(kind), "backward_layer": torch_rnn(kind, "_l0_reverse")}
        return both, bind(options["layer"]).all_options

    def there(params: Params, options: Options) -> Arrays:
        both, inner = halves(options)
        parts = [half.there(params[key], inner) for key, half in both.items()]
        return parts[0] | parts[1]

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        both, inner = halves(options)
        return {key: half.back(arrays, inner) for key, half in both.items()}

    return Layout(there, back)


def _order(kind: str, options: Options) -> tuple[int, ...]:
    if kind == "gru" and not options.get("reset_after", True):
        raise ExportError("a gru with reset_after=False resets before it multiplies, which no other library does")
    return {"lstm": (0, 1, 2, 3), "gru": TO_RZN, "simple_rnn": (0,)}[kind]


def torch_heads() -> Layout:
    """`torch.nn.MultiheadAttention(dim, heads, batch_first=True)`: the three projections in one matrix (3 dim, dim)."""
    parts = ("query_dense", "key_dense", "value_dense")
    apart = heads_by_name({**{part: part for part in parts}, "output_dense": "out_proj"}, "weight", True)

    def there(params: Params, options: Options) -> Arrays:
        dims = {params[part]["kernel"].shape[0] for part in parts}
        sizes = {int(np.prod(params[part]["kernel"].shape[1:])) for part in parts}
        out = params["output_dense"]["kernel"].shape[-1]
        if len(dims | sizes | {out}) > 1:
            raise ExportError(
                f"the heads of PyTorch share one size: inputs {sorted(dims)}, heads {sorted(sizes)}, output {out}"
            )
        arrays = apart.there(params, options)
        arrays["in_proj_weight"] = np.concatenate([arrays.pop(f"{part}.weight") for part in parts])
        if "out_proj.bias" in arrays:
            arrays["in_proj_bias"] = np.concatenate([arrays.pop(f"{part}.bias") for part in parts])
        return arrays

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        kinds = ("weight", "bias") if options["use_bias"] else ("weight",)
        rows = {
            f"{part}.{kind}": rows
            for kind in kinds
            for part, rows in zip(parts, np.split(arrays[f"in_proj_{kind}"], 3), strict=True)
        }
        return apart.back({**arrays, **rows}, options)

    return Layout(there, back)


def heads_by_name(there_names: Mapping[str, str], weight: str, turn: bool) -> Layout:
    """Heads whose projections are separate modules. turn: whether as matrices (out, in), else as in Keras."""

    def there(params: Params, options: Options) -> Arrays:
        arrays: Arrays = {}
        for ours, theirs in there_names.items():
            kernel, last = params[ours]["kernel"], ours == "output_dense"
            flat = kernel.reshape(-1, kernel.shape[-1]) if last else kernel.reshape(kernel.shape[0], -1)
            arrays[f"{theirs}.{weight}"] = flat.T if turn else kernel
            if "bias" in params[ours]:
                arrays[f"{theirs}.bias"] = params[ours]["bias"].reshape(-1) if turn else params[ours]["bias"]
        return arrays

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        params: Arrays = {}
        for ours, theirs in there_names.items():
            kernel = arrays[f"{theirs}.{weight}"]
            bias = arrays[f"{theirs}.bias"] if options["use_bias"] else None
            last, heads = ours == "output_dense", options["num_heads"]
            if turn:
                flat = kernel.T
                kernel = flat.reshape(heads, -1, flat.shape[1]) if last else flat.reshape(flat.shape[0], heads, -1)
                bias = bias if last or bias is None else bias.reshape(heads, -1)
            params[ours] = {"kernel": kernel, **({} if bias is None else {"bias": bias})}
        return params

    return Layout(there, back)


def flax_gru() -> Layout:
    """`nnx.GRUCell`: one bias, of the inputs; that of the new state next to the reset gate must be zero."""
    kernels = {"dense_i.kernel": "kernel", "dense_h.kernel": "recurrent_kernel"}

    def there(params: Params, options: Options) -> Arrays:
        _plain_cell(options)
        order = _order("gru", options)
        arrays = {name: gates(params[key], order) for name, key in kernels.items()}
        units = len(params["recurrent_kernel"])
        inputs, state = params.get("bias", np.zeros((2, 3 * units), np.float32))
        if np.any(state[2 * units :]):
            raise ExportError("nnx.GRUCell has no bias of the state for the new state; here it is not zero")
        return {**arrays, "dense_i.bias": gates(inputs + state, order)}

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        order = _order("gru", options)
        bias = gates(arrays["dense_i.bias"], order)
        params = {key: gates(arrays[name], order) for name, key in kernels.items()}
        if options["use_bias"]:
            return {**params, "bias": np.stack([bias, np.zeros_like(bias)])}
        if np.any(bias):
            raise ExportError("dense_i.bias is not zero, and this gru has no bias (use_bias=False)")
        return params

    return Layout(there, back)


def equinox_gru() -> Layout:
    """`eqx.nn.GRUCell`: one bias, and that of the state for the new state by itself."""
    kernels = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel"}

    def there(params: Params, options: Options) -> Arrays:
        _plain_cell(options)
        order = _order("gru", options)
        arrays = {name: gates(params[key], order).T for name, key in kernels.items()}
        if "bias" not in params:
            return arrays
        inputs, state = params["bias"]
        units = len(state) // 3
        both = inputs + np.concatenate([state[: 2 * units], np.zeros_like(state[2 * units :])])
        return {**arrays, "bias": gates(both, order), "bias_n": state[2 * units :]}

    def back(arrays: Mapping[str, Any], options: Options) -> Arrays:
        order = _order("gru", options)
        params = {key: gates(arrays[name].T, order) for name, key in kernels.items()}
        if not options["use_bias"]:
            return params
        state = np.concatenate([np.zeros_like(arrays["bias_n"])] * 2 + [arrays["bias_n"]])
        return {**params, "bias": np.stack([gates(arrays["bias"], order), state])}

    return Layout(there, back)


_CONV = renamed(("weight", "kernel", channels_first, channels_last), ("bias", "bias"))
_CONVOLUTIONS = (fnet.conv1d, fnet.conv2d, fnet.conv3d)
_TRANSPOSED = (fnet.conv1d_transpose, fnet.conv2d_transpose, fnet.conv3d_transpose)
_DEPTHWISE = (fnet.depthwise_conv1d, fnet.depthwise_conv2d)


def _no_rms(options: Options) -> None:
    if options.get("rms_scaling"):
        raise ExportError("rms_scaling divides by the deviation and leaves the mean, which no other library does")


_SCALES = renamed(("weight", "gamma"), ("bias", "beta"), check=_no_rms)

TORCH: dict[Callable[..., Any], Layout] = {
    fnet.dense: renamed(("weight", "kernel", turned, turned), ("bias", "bias")),
    **dict.fromkeys((*_CONVOLUTIONS, *_TRANSPOSED), _CONV),
    **dict.fromkeys(_DEPTHWISE, depthwise()),
    fnet.batch_normalization: renamed(
        ("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean"), ("running_var", "moving_variance")
    ),
    fnet.layer_normalization: _SCALES,
    fnet.group_normalization: _SCALES,
    fnet.embedding: renamed(("weight", "embeddings")),
    fnet.lstm: torch_rnn("lstm"),
    fnet.gru: torch_rnn("gru"),
    fnet.simple_rnn: torch_rnn("simple_rnn"),
    fnet.bidirectional: torch_both_ways(),
    fnet.multi_head_attention: torch_heads(),
}
"""Of `torch.nn`: Linear, Conv, ConvTranspose, BatchNorm, LayerNorm, GroupNorm, Embedding, LSTM, GRU, RNN, also
bidirectional, MultiheadAttention."""

_HEADS = {"query_dense": "query", "key_dense": "key", "value_dense": "value", "output_dense": "out"}
_FLAX_KERNEL = renamed(("kernel", "kernel"), ("bias", "bias"))
_FLAX_SCALES = renamed(("scale", "gamma"), ("bias", "beta"), check=_no_rms)

FLAX: dict[Callable[..., Any], Layout] = {
    **dict.fromkeys((fnet.dense, *_CONVOLUTIONS), _FLAX_KERNEL),
    fnet.batch_normalization: renamed(
        ("scale", "gamma"), ("bias", "beta"), ("mean", "moving_mean"), ("var", "moving_variance")
    ),
    fnet.layer_normalization: _FLAX_SCALES,
    fnet.group_normalization: _FLAX_SCALES,
    fnet.embedding: renamed(("embedding", "embeddings")),
    fnet.lstm: renamed(  # the bias is with the state
        ("dense_i.kernel", "kernel"), ("dense_h.kernel", "recurrent_kernel"), ("dense_h.bias", "bias")
    ),
    fnet.gru: flax_gru(),
    fnet.multi_head_attention: heads_by_name(_HEADS, "kernel", False),
}
"""Of `flax.nnx`: Linear, Conv, BatchNorm, LayerNorm, GroupNorm, Embed, OptimizedLSTMCell, GRUCell,
MultiHeadAttention."""

_PROJECTIONS = {ours: f"{theirs}_proj" for ours, theirs in _HEADS.items()} | {"output_dense": "output_proj"}


def equinox_conv(axes: int) -> Layout:
    """`eqx.nn.Conv`: a bias (out, 1, ...), with an axis for each of the window."""
    bias = ("bias", "bias", lambda flat: flat.reshape(-1, *[1] * axes), lambda tall: tall.reshape(-1))
    return renamed(("weight", "kernel", channels_first, channels_last), bias)


EQUINOX: dict[Callable[..., Any], Layout] = {
    fnet.dense: TORCH[fnet.dense],
    **{function: equinox_conv(axes) for axes, function in enumerate(_CONVOLUTIONS, 1)},
    fnet.layer_normalization: _SCALES,
    fnet.group_normalization: _SCALES,
    fnet.embedding: TORCH[fnet.embedding],
    fnet.lstm: renamed(
        ("weight_ih", "kernel", turned, turned),
        ("weight_hh", "recurrent_kernel", turned, turned),
        ("bias", "bias"),
        check=_plain_cell,
    ),
    fnet.gru: equinox_gru(),
    fnet.multi_head_attention: heads_by_name(_PROJECTIONS, "weight", True),
}
"""Of `equinox.nn`: Linear, Conv, LayerNorm, GroupNorm, Embedding, LSTMCell, GRUCell, MultiheadAttention."""
