"""`convert`: from a config to an fnet model. Layers, operations and sequential models; graphs are in `functional`."""

from __future__ import annotations

import dataclasses
import itertools
import marshal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

import fnet
from fnet import random
from fnet.core import infer
from fnet.core.compose import sequential
from fnet.core.layer import bind
from fnet.core.options import option_names
from fnet.layers import own_name
from fnet.types import Array
from params.convert.conversion import BROKEN, OVER_BATCHES, Conversion, Converted, named, of_layer, over_batch_axes
from params.convert.functional import functional, require_no_cast
from params.convert.generations import (
    HEADS_HAVE_POLICIES,
    INPUTS_KEEP_FLOATS,
    NEWEST,
    Version,
    options_of_age,
    policies_of_heads,
    policy_of_result,
)
from params.convert.layer_options import EXACT, config_values, layer_options, meant_options
from params.convert.mask_effects import losing_cast, makes_mask, of_sequential
from params.convert.quantization import quantization
from params.convert.recognition import as_own, custom_entry, find_entry, require_own
from params.convert.requirements import no_graph, require_dense, require_layer, require_plain_inside, takes_training
from params.convert.training_flags import flags_of
from params.errors import CorruptFile, UnsupportedLayer
from params.file.keras_objects import POLICIES, KerasObject, Names, elements, is_shape, layers_of, parse, survey
from params.table.entry import Entry
from params.table.layers import GIVES_INDICES, TRAINS_BY_DEFAULT, WRAPPERS


def convert(
    config: Mapping[str, Any],
    *,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    version: Version = NEWEST,
    legacy: bool = False,
    rng: Array | int | None = None,
    bare: bool = False,
    from_arrays: Mapping[int, Mapping[str, Any]] | None = None,
) -> Converted:
    """The model that a config in Keras 3 form describes."""
    custom = custom or {}
    objects, conversion = begin(config, custom, version, legacy)
    conversion = dataclasses.replace(
        conversion,
        rng=random.key(rng) if isinstance(rng, int) else rng,
        bare=bare,
        from_arrays=from_arrays or {},
        policies=policies_of_heads(objects, custom) if version < HEADS_HAVE_POLICIES else {},
    )
    root = conversion.root
    if not root.is_model and custom_entry(root, conversion) is None:
        raise UnsupportedLayer(no_graph(root))
    require_dense(objects, custom)
    converted = convert_object(root, conversion)
    if "float64" in conversion.dtypes and not conversion.mixed:
        # layers cast a quotient or average of integers, a float64, to their own dtype
        again = dataclasses.replace(
            conversion, mixed=True, numbers=itertools.count(), by_step={}, by_description={}, dtypes=Counter()
        )
        converted = convert_object(root, again)
    conversion.check_used(_names(objects) if custom else [])
    return converted


def begin(
    config: Mapping[str, Any], custom: Mapping[str, Callable[..., Any]], version: Version, legacy: bool
) -> tuple[list[dict[str, Any]], Conversion]:
    """All objects of a config in Keras 3 form, and the conversion for them."""
    objects, floats, masked, quantized = survey(config, custom)
    mixed = bool(floats - {"float32"})
    return objects, Conversion(convert_object, custom, version, legacy, mixed, parse(config), masked, quantized)


def _names(objects: Sequence[dict[str, Any]]) -> list[str]:
    """The names of layers, then of classes and functions."""
    named = [item for item in objects if not item["class_name"].startswith("__") and "Policy" not in item["class_name"]]
    layers = [item["config"].get("name") for item in named if isinstance(item["config"], dict)]
    classes = [item.get("registered_name") or item["class_name"] for item in named]
    return list(dict.fromkeys(name for name in (*layers[1:], *classes) if isinstance(name, str)))


def convert_object(source: KerasObject, conversion: Conversion, training: bool | None = None) -> Converted:
    """A layer or model as a step. training: the flag of its call; None without one."""
    if "/" in source.name and not (conversion.keras2 or conversion.legacy):
        raise CorruptFile(f"{source.label} has a name with a '/', which Keras 3 takes for no layer")
    if (policy := conversion.policies.get(id(source.config))) is not None:
        source = dataclasses.replace(source, config={**source.config, "dtype": policy})
    if source.is_model:
        require_own(source, conversion)
        converted = _model(source, conversion.inside(source), training)
    else:
        try:
            converted = _layer(source, conversion, training)
        except BROKEN as error:
            if (clear := of_layer(source, error)) is error:
                raise
            raise clear from error
    conversion.by_step[id(converted.step)] = converted
    return converted


def _model(source: KerasObject, conversion: Conversion, training: bool | None) -> Converted:
    """A model as a step: first its layers, each once, then their calls."""
    layers = layers_of(source)
    flags = flags_of(source, layers, conversion, training)
    parts = {layer.name: _part(source, layer, conversion, flags.get((layer.name, 0))) for layer in layers}
    return (_sequential if source.class_name == "Sequential" else functional)(source, conversion, parts, flags)


def _part(parent: KerasObject, source: KerasObject, conversion: Conversion, training: bool | None) -> Converted:
    """A layer of a model as a step, which layers that differ in their name alone share, as most in a deep model do.

    Layers with others inside do not share steps: the inner ones are identified by the ids of their steps.
    """
    if source.class_name == "InputLayer":
        part = convert_object(source, conversion)
        if conversion.keras2 and conversion.masked and parent is not conversion.root:
            part.step = bind(part.step, masks="keras2")  # inside a model of Keras 2 a cast drops the mask
        return part
    if source.is_model or conversion.custom or conversion.from_arrays:
        return convert_object(source, conversion, training)
    config = {key: value for key, value in source.config.items() if key != "name"}
    description = (source.class_name, source.python_name, source.module, source.registered_name, config, training)
    key = marshal.dumps(description, 2)  # version 2 has no references: equal values of equal types give equal bytes
    if (earlier := conversion.by_description.get(key)) is not None:
        return dataclasses.replace(earlier, source=source)
    part = convert_object(source, conversion, training)
    if not part.parts:
        conversion.by_description[key] = part
    return part


def _layer(source: KerasObject, conversion: Conversion, training: bool | None) -> Converted:
    """A layer or an operation as a step, with options from its config and by the version of Keras."""
    own = custom_entry(source, conversion)
    if own is not None:
        source = as_own(source, own.layer)
    entry = own or find_entry(source, conversion)
    operation = own is None and entry.rules.call is not None  # in the place of a layer it is one of Keras's layers
    trains = _trains(source, conversion, training)
    require_layer(source, entry, conversion.version, trains)
    config = config_values(source, entry, conversion, operation, training)
    config |= conversion.from_arrays.get(id(source.config), {})
    if conversion.quantized and (form := quantization(source, conversion.version)) is not None:
        config["quantization"] = form
    options = layer_options(entry, config, source, operation) | _implied(source, entry, conversion, operation, trains)
    step = bind(entry.layer, **options)
    if step.misfit is not None:
        exact = frozenset[str]() if conversion.keras2 or operation else EXACT
        step = bind(entry.layer, **meant_options(options, entry, source, exact))
    inside = {} if entry.rules.children is None else dict(infer.children(step))
    inside |= {key: item for key, item in config.items() if key.endswith("activation")}
    parts = _parts(inside, conversion)
    if source.class_name in WRAPPERS:
        require_plain_inside(source, parts, conversion.keras2)
    if entry.container:
        class_names = {key: part.source.class_name for key, part in parts.items()}
        entry = dataclasses.replace(entry, groups=elements(entry.container, class_names))
    return Converted(source, step, entry, parts, operation=operation)


def _trains(source: KerasObject, conversion: Conversion, training: bool | None) -> bool | None:
    """Whether a layer computes as in training. training: the flag of its call; None without one."""
    if source.class_name == "BatchNormalization" and source.config.get("trainable", True) is False:
        return False  # a frozen layer uses its moving statistics
    by_default = conversion.bare and source.class_name in TRAINS_BY_DEFAULT
    return True if training is None and by_default else training


def _implied(
    source: KerasObject, entry: Entry, conversion: Conversion, operation: bool, trains: bool | None
) -> dict[str, Any]:
    """The options of a layer that no config has: they follow from the version of Keras, training and dtype policies."""
    name = f"ops.{source.class_name}" if operation else source.class_name
    options = dict(options_of_age(name, source.config, conversion.version))
    if source.policy not in POLICIES and source.class_name not in GIVES_INDICES:
        # other policies cast nothing in `predict`: inputs of other dtypes are refused (`require_no_cast`)
        legal, in_predict = option_names(entry.layer), entry.rules.in_predict
        options |= {key: not value for key, value in in_predict.items() if legal.get(key, value) is None}
    if trains and takes_training(source, entry):
        options["training"] = True
    else:
        options.pop("masked_moments", None)  # moving moments ignore masks
    if not operation:
        options |= _dtype(source, entry, conversion)
    says = entry.rules.mask is not None or "masks" in option_names(entry.layer)
    if source.class_name == "Lambda" and not says and not source.config.get("mask"):
        options["masks"] = "drop"  # a function in its place that does not say what becomes of masks
    return options


def _dtype(source: KerasObject, entry: Entry, conversion: Conversion) -> dict[str, Any]:
    """The dtype policy of a layer as an option, in a model where not all are float32."""
    if not conversion.mixed or source.policy not in POLICIES or "dtype" in option_names(entry.layer):
        return {}
    policy = policy_of_result(source.class_name, source.config, source.policy, conversion.version)
    return {} if policy is None else {"dtype": policy}


def _parts(inside: Mapping[str, Any], conversion: Conversion) -> dict[str, Converted]:
    """The objects of the steps inside a layer; a step that is used twice (Bidirectional) becomes two objects."""
    parts: dict[str, Converted] = {}
    for key, step in inside.items():
        part = conversion.by_step.get(id(step))
        if part is not None and part.step is step:
            parts[key] = _again(part) if part in parts.values() else part
    return parts


def _again(part: Converted) -> Converted:
    """A copy that is a layer of its own."""
    source = dataclasses.replace(part.source, shared=None)
    return dataclasses.replace(part, source=source, parts={k: _again(p) for k, p in part.parts.items()})


def _sequential(
    source: KerasObject, conversion: Conversion, parts: dict[str, Converted], flags: Mapping[Any, bool | None]
) -> Converted:
    if not parts and not conversion.keras2:
        raise CorruptFile(f"{source.label} has no layers")
    steps = [*_implied_input(source, parts), *((name, part.step) for name, part in parts.items())]
    if conversion.keras2:
        steps = _with_batch_axes(steps)
    elif conversion.masked and conversion.mixed:
        steps = _with_casts(steps, parts, conversion)
    converted = Converted(source, sequential(steps), parts=parts)
    if conversion.custom or not all(part.source.policy in POLICIES for part in parts.values()):
        _require_no_casts(converted, steps, conversion)
    if conversion.masked:
        converted.effects = of_sequential(list(parts.values()), converted.step)
    for name, part in parts.items():
        if flags[name, 0] and (leaves := conversion.rng_leaves(part)):
            converted.preset[name] = leaves
    return converted


def _require_no_casts(converted: Converted, steps: list[tuple[str, Any]], conversion: Conversion) -> None:
    """`require_no_cast` for each layer of a sequential model whose input is known."""
    x = infer.input_spec(converted.step)
    for name, step in steps if x is not None else ():
        part = converted.parts.get(name, converted)
        with named(part.source, part.is_own):
            require_no_cast(part, x, conversion)
            x, _ = infer.infer(step, x)


def _implied_input(source: KerasObject, parts: dict[str, Converted]) -> list[tuple[str, Any]]:
    """The input of a sequential model without an InputLayer, if its config has the shape."""
    first = next(iter(parts.values()), None)
    shape = source.config.get("build_input_shape") or source.build_config.get("input_shape")
    if (first is not None and first.source.class_name == "InputLayer") or not is_shape(shape):
        return []
    policy = "float32" if first is None else first.source.policy
    dtype = policy.removeprefix("mixed_") if policy in POLICIES else "float32"
    return [(Names(parts).fresh("input_layer"), bind(fnet.input_layer, shape=tuple(shape), dtype=dtype))]


def _adapted(steps: list[tuple[str, Any]], adapt: Callable[[str, Any, Any], Any]) -> list[tuple[str, Any]]:
    """The steps of a sequential model, each replaced by what `adapt` makes of its name, itself and its input Spec."""
    adapted = list[tuple[str, Any]]()
    x = infer.input_spec(sequential(steps))
    for name, step in steps:
        new = [(name, step)] if x is None else adapt(name, step, x)
        adapted += new
        try:
            for _, each in new:
                x = None if x is None else infer.infer(each, x)[0]
        except BROKEN:  # of which the whole model tells
            x = None
    return adapted


def _with_batch_axes(steps: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The steps of a sequential model of Keras 2, each with `over_batch_axes` for what it reads."""
    if not any(own_name(getattr(step, "function", None)) in OVER_BATCHES for _, step in steps):
        return steps
    return _adapted(steps, lambda name, step, x: [(name, over_batch_axes(step, x))])


def _with_casts(
    steps: list[tuple[str, Any]], parts: Mapping[str, Converted], conversion: Conversion
) -> list[tuple[str, Any]]:
    """The steps of a sequential model; where a layer loses a mask by a cast, the cast is a step before it.

    Keras before 3.5 wrote the masks that are made in the model into the calls of their readers, which keep these.
    """
    names, before = Names(parts), conversion.version < INPUTS_KEEP_FLOATS

    def keeps(part: Converted) -> bool:
        return before and not part.source.is_model and makes_mask(part.source, conversion)

    losing = dict(takewhile(lambda item: not keeps(item[1]), parts.items()))

    def cast_first(name: str, step: Any, x: Any) -> list[tuple[str, Any]]:
        cast = losing_cast(losing[name], x, conversion) if name in losing else None
        return [(name, step)] if cast is None else [(names.fresh(f"{name}_cast"), cast), (name, step)]

    return _adapted(steps, cast_first)
