"""Params of a layer or model as the arrays of another library, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from fnet import tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.diagnosis import require_order
from fnet.core.layer import bind, name_of
from fnet.core.model import Model
from fnet.core.parameters import misplaced
from fnet.errors import ExportError, InvalidParams
from fnet.inference.arrays import array
from fnet.types import Params
from params.bridges.layouts import EQUINOX, FLAX, TORCH, Arrays, Layout

Layouts = Mapping[Callable[..., Any], Layout]


def to_torch(step: Any, params: Params) -> dict[str, Any]:
    """The state dict of the PyTorch module for a layer or model of fnet, as NumPy arrays.

    In a model, the arrays of each layer are under its name, "block.conv.weight". PyTorch has channels first, which
    changes the order of features in a Linear after a Flatten. An LSTM, GRU or Bidirectional is a module of one layer;
    MultiheadAttention needs the same size for query, key and value. `running_mean` and `running_var` are those of
    Keras: PyTorch updates them with the sample variance.
    Raises fnet.ExportError for a layer that PyTorch does not have in this form, fnet.InvalidParams for params that lack
    an array or have one too many.

    >>> import fnet, numpy as np
    >>> from params.bridges import to_torch
    >>> to_torch(fnet.dense, {"kernel": np.ones((3, 2)), "bias": np.zeros(2)})["weight"].shape
    (2, 3)
    """
    return _there(step, _numpy("to_torch(model, params)", step, params), TORCH, "PyTorch")


def from_torch(step: Any, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a layer or model of fnet from a PyTorch state dict, of NumPy arrays or tensors on a CPU.

    Raises fnet.ExportError for an array that is missing, or not used, such as those of a second layer in one LSTM, and
    in a model that declares its input for one of another shape or dtype.
    """
    return _fitting(step, _back(step, _numpy("from_torch(model, arrays)", step, arrays), TORCH, "PyTorch"))


def to_flax(step: Any, params: Params) -> dict[str, Any]:
    """The arrays of the flax.nnx module for a layer, by path, "query.kernel".

    lstm is an OptimizedLSTMCell, gru a GRUCell, which lacks one bias: that must be zero. Errors: as `to_torch`.
    """
    return _there(step, _numpy("to_flax(model, params)", step, params), FLAX, "flax.nnx")


def from_flax(step: Any, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a layer or model of fnet from the arrays of a flax.nnx module, by path."""
    return _fitting(step, _back(step, _numpy("from_flax(model, arrays)", step, arrays), FLAX, "flax.nnx"))


def to_equinox(step: Any, params: Params) -> dict[str, Any]:
    """The arrays of the Equinox module for a layer, by path, "query_proj.weight".

    lstm is an LSTMCell, gru a GRUCell. There is no BatchNorm, which keeps its statistics elsewhere. The errors are
    those of `to_torch`.
    """
    return _there(step, _numpy("to_equinox(model, params)", step, params), EQUINOX, "Equinox")


def from_equinox(step: Any, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a layer or model of fnet from the arrays of an Equinox module, by path."""
    return _fitting(step, _back(step, _numpy("from_equinox(model, arrays)", step, arrays), EQUINOX, "Equinox"))


def _numpy(call: str, step: Any, arrays: Any) -> Any:
    """The arguments of a call as NumPy arrays. Raises InvalidInput where they are not what it says."""
    require_order(call, step, arrays)
    return tree.map(lambda leaf: ops.to_numpy(array(leaf)), arrays)


def _crosses(inner: Any, given: Any, layouts: Layouts) -> bool:
    """Whether a step of a model has something to convert: a layer without params of any kind has not."""
    return bool(given) or isinstance(inner, Model) or bind(inner).function in layouts


def _there(step: Any, params: Params, layouts: Layouts, library: str) -> dict[str, Any]:
    if isinstance(step, Model):
        steps = {key: inner for _, key, inner in step.entries}
        if others := sorted(params.keys() - steps):
            raise InvalidParams(f"the model has no layers for the params {', '.join(others)}")
        arrays: Arrays = {}
        for key, inner in steps.items():
            if _crosses(inner, params.get(key), layouts):
                part = _there(inner, params.get(key, {}), layouts, library)
                named = {f"{key}.{name}": array for name, array in part.items()}
                if both := sorted(arrays.keys() & named):
                    raise ExportError(f"{library} would have two arrays called {', '.join(both)}: rename a layer")
                arrays |= named
        return arrays
    bound = bind(step)
    options = bound.all_options
    layout = _layout(bound.function, layouts, library)
    try:
        arrays = layout.there(params, options)
        kept = {path: leaf.shape for path, leaf in tree.items(layout.back(arrays, options))}
    except KeyError as error:
        lacking = f"{name_of(bound.function)}: its params lack what is {error} in {library}"
        raise InvalidParams(f"{lacking}; there are {sorted(params)}") from None
    lost = [path for path, leaf in tree.items(params) if kept.get(path) != leaf.shape]
    if lost and not options.get("renorm"):  # whose params inference does not read
        raise ExportError(f"{name_of(bound.function)}: {library} has no place for {', '.join(map(str, lost))}")
    return arrays


def _back(step: Any, arrays: Mapping[str, Any], layouts: Layouts, library: str) -> dict[str, Any]:
    params: Arrays = {}
    if isinstance(step, Model):
        parts: dict[str, Arrays] = {key: {} for _, key, _ in step.entries}
        left = dict(arrays)
        for key in sorted(parts, key=len, reverse=True):  # a name may begin with that of another layer, and a dot
            for name in [name for name in left if name.startswith(f"{key}.")]:
                parts[key][name.removeprefix(f"{key}.")] = left.pop(name)
        _none_left(left, (), "the model", library)
        for _, key, inner in step.entries:
            if _crosses(inner, parts[key], layouts):
                params[key] = _back(inner, parts[key], layouts, library)
        return {key: part for key, part in params.items() if part}
    bound = bind(step)
    layout, options, name = _layout(bound.function, layouts, library), bound.all_options, name_of(bound.function)
    try:
        params = layout.back(arrays, options)
    except KeyError as error:
        raise ExportError(f"{name}: the arrays of {library} lack {error}; there are {sorted(arrays)}") from None
    _none_left(arrays, {*layout.there(params, options), "num_batches_tracked"}, name, library)
    return params


def _fitting(step: Any, params: dict[str, Any]) -> dict[str, Any]:
    """`params`; raises ExportError for arrays that do not fit a model that declares its input."""
    if (spec := infer.input_spec(step)) is not None:
        leaves = dict(tree.items(params))
        expected = {path: param for path, param in tree.items(infer.infer(step, spec)[1]) if path in leaves}
        if lines := misplaced(expected, tree.nest({path: leaves[path] for path in expected})):
            raise ExportError("these arrays do not fit the model:\n  " + "\n  ".join(lines))
    return params


def _none_left(arrays: Mapping[str, Any], taken: Collection[str], name: str, library: str) -> None:
    if left := sorted(arrays.keys() - taken):
        raise ExportError(f"{name}: nothing here takes these arrays of {library}: {', '.join(left)}")


def _layout(function: Callable[..., Any], layouts: Layouts, library: str) -> Layout:
    if function not in layouts:
        names = ", ".join(sorted(f.__name__ for f in layouts))
        raise ExportError(f"there is no bridge for {name_of(function)} to {library}; there are those of {names}")
    return layouts[function]
