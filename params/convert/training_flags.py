"""The `training=` flag of each call, by the rules of the Keras that wrote the file.

In Keras 2 the flag of the call itself has priority over those of the models around it, also in `predict`. In Keras 3
`predict` overrides them all; in a bare `model(x)` the outermost has priority, and a call without a flag has that of the
call before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from params.convert.call_order import keras_order
from params.convert.calls import by_keyword, end_of, tensors
from params.convert.conversion import Conversion
from params.errors import UnsupportedLayer, quoted
from params.file.keras_objects import KerasObject, histories, is_call, layers_of
from params.table.layers import RESTS_BY_DEFAULT, TRAINS_BY_DEFAULT

Flag: TypeAlias = bool | None
Call: TypeAlias = tuple[str, int]
"""(layer, number of the call)."""


def flags_of(
    model: KerasObject, layers: Sequence[KerasObject], conversion: Conversion, around: Flag
) -> dict[Call, Flag]:
    """{call: whether it runs as in training} in a model that is itself called with training=`around`.

    A sequential model calls each layer once.
    """
    sequential, outer = model.class_name == "Sequential", conversion.bare and not conversion.keras2
    if outer and around is None:
        return _steps(layers) if sequential else _walk(model, layers)[0]
    if sequential:
        return {(layer.name, 0): around for layer in layers}
    if conversion.keras2:
        return {place: around if flag is None else flag for place, flag in _own(layers).items()}
    return dict.fromkeys(_calls(layers), around if outer else None)


def _steps(layers: Sequence[KerasObject]) -> dict[Call, Flag]:
    """The flags of a sequential model by the rules of a bare call in Keras 3."""
    flags, flag = dict[Call, Flag](), None
    for layer in layers:
        default = by_default(layer)
        flag = flags[layer.name, 0] = flag if default is None else default
        flag = _after(layer, flag)
    return flags


def _calls(layers: Sequence[KerasObject]) -> dict[Call, Any]:
    return {(layer.name, number): call for layer in layers for number, call in enumerate(layer.calls)}


def _own(layers: Sequence[KerasObject]) -> dict[Call, Flag]:
    """The flags in the calls themselves."""
    return {(layer.name, number): _flag(layer, call) for layer in layers for number, call in enumerate(layer.calls)}


def _flag(layer: KerasObject, call: Any) -> Flag:
    if not is_call(call):
        return None
    flag = by_keyword(layer.class_name, call["args"], call["kwargs"])[1].get("training")
    if flag is None or isinstance(flag, bool) or flag in (0, 1):
        return None if flag is None else bool(flag)
    raise UnsupportedLayer(f"{layer.label} was called with training={quoted(flag)}")


def _walk(model: KerasObject, layers: Sequence[KerasObject]) -> tuple[dict[Call, Flag], Flag]:
    """({call: flag}, the last flag), in Keras 3's execution order: a call without a flag inherits the previous one."""
    by_name, own = {layer.name: layer for layer in layers}, _own(layers)
    parents = {
        place: [(t.layer, t.call) for t in tensors(call) if by_name[t.layer].calls]
        for place, call in _calls(layers).items()
    }
    ended = (end_of(history[:3], by_name) for history in histories(model.config.get("output_layers")))
    ends = [place for end in ended if (place := (end.layer, end.call)) in own]
    flags, flag = dict[Call, Flag](), None
    for place in keras_order(ends, parents, {place: place[0] for place in own}):
        flag = flag if own[place] is None else own[place]
        flags[place] = flag
        flag = _after(by_name[place[0]], flag)
    return {place: flags.get(place) for place in own}, flag


def _after(layer: KerasObject, flag: Flag) -> Flag:
    """The flag that the next call inherits from a call with `flag`."""
    if flag is not None or not layer.is_model:
        return flag
    layers = layers_of(layer)
    if layer.class_name == "Sequential":
        return _after(layers[-1], _steps(layers)[layers[-1].name, 0]) if layers else None
    return _walk(layer, layers)[1]


def by_default(layer: KerasObject) -> Flag:
    """The default of `training` in the call of a Keras 3 layer, which a functional model writes into its calls."""
    if layer.class_name in TRAINS_BY_DEFAULT:
        return True
    return False if layer.class_name in RESTS_BY_DEFAULT else None
