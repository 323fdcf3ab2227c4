"""Config -> fnet model: every object through the table, calls of functional models as nodes of a graph."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fnet
from fnet import modelling, random, tree
from fnet.activations import ACTIVATIONS
from fnet.compose import (
    Ref,
    at,
    graph,
    option_names,
    references,
    resolve,
    rules,
    sequential,
)
from fnet.compose import bind as bind_step
from fnet.layers.core import constant
from fnet.types import Array
from params.calls import Literal, step_and_sources, unmasked
from params.catalogue import REFUSED, TRAINING_MATTERS
from params.converted import Converted
from params.entry import IGNORED, Entry
from params.errors import CorruptFile, ModelFileError, UnsafeFile, UnsupportedLayer, quoted
from params.fits import fits, kinds
from params.naming import snake_case
from params.objects import (
    LAMBDA,
    POLICIES,
    KerasObject,
    Tensor,
    is_object,
    is_triple,
    literal,
    parse,
    policy,
    shown,
)
from params.op_table import OPERATIONS, REFUSED_OPERATIONS
from params.order import keras_order
from params.quantization import quantization
from params.table import LAYERS

TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
"""Ends of the config keys that only training reads."""

KERAS_MODULES = re.compile(
    r"(tf_)?keras(\.src)?(\.(layers|models|engine|ops|applications|activations|quantizers)(\.\w+)*)?"
)
"""Where Keras's own classes say that they live. Only compared: nothing named in a file is ever imported."""

BROKEN = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError)
"""What shape rules and `bind` raise when a config asks for the impossible."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """The settings of one load, and the objects that became steps so far."""

    custom: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    keras2: bool = False
    """The file is from Keras 2: `hard_sigmoid` means another function."""
    legacy: bool = False
    """The format writes no modules."""
    mixed: bool = False
    """Some dtype policy is not float32, so every step says its own."""
    rng: Array | None = None
    numbers: Iterator[int] = field(default_factory=itertools.count)
    """Of the layers that get a key of their own."""
    made: dict[int, Converted] = field(default_factory=dict)


def convert(
    config: Mapping[str, Any],
    *,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    keras2: bool = False,
    legacy: bool = False,
    rng: Array | int | None = None,
) -> Converted:
    """The model that a config in Keras 3 form describes."""
    key = random.key(rng) if isinstance(rng, int) else rng
    found = set(_policies(config))
    known = Conversion(custom or {}, keras2, legacy, bool(found - {"float32"}), key)
    root = parse(config)
    if not root.is_model and _custom(root, known) is None:
        raise UnsupportedLayer(_no_graph(root))
    return convert_object(root, known)


def _no_graph(root: KerasObject) -> str:
    if root.class_name in LAYERS:
        return f"the file holds the single layer {root.label}, not a model: wrap it in keras.Sequential and save again"
    return (
        f"{shown(root.class_name)} is a subclassed model: its file holds constructor arguments, not what it computes. "
        "Rebuild it as a Functional model, or write it with fnet and fill it by load_weights(path, model, params)"
    )


def _policies(value: Any) -> Iterator[str]:
    """The float policies of all layers in a config."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _policies(item)
    elif isinstance(value, Mapping):
        config = value.get("config")
        if is_object(value) and isinstance(config, dict) and value["class_name"] != "InputLayer":
            dtype = config.get("dtype")
            if is_object(dtype) or (isinstance(dtype, str) and "trainable" in config):
                name = policy(dtype, shown(value["class_name"]))
                yield from [name] if name in POLICIES else []
        for item in value.values():
            yield from _policies(item)


# --- one object -----------------------------------------------------------------------------------


def convert_object(source: KerasObject, known: Conversion, training: bool | None = None) -> Converted:
    """A layer or model as a step. training: what an enclosing model was called with, which wins over its own calls."""
    if source.class_name == "Sequential" and _is_keras(source, "Sequential", known):
        made = _sequential(source, known, training)
    elif source.class_name == "Functional" and _is_keras(source, "Functional", known):
        made = _functional(source, known, training)
    else:
        made = _layer(source, known, training)
    known.made[id(made.step)] = made
    return made


def _is_keras(source: KerasObject, name: str, known: Conversion) -> bool:
    """Whether the object is Keras's own: a foreign module or registered name under a known class is a spoof."""
    module, registered = source.module, source.registered_name
    own = known.legacy if module is None else bool(KERAS_MODULES.fullmatch(module))
    if own and registered in (None, name):
        return True
    raise UnsafeFile(
        f"{source.label} claims the module {quoted(module)} and the registered name {quoted(registered)}, "
        f"but {name} is a class of Keras: class, module and registered name must agree"
    )


def _custom(source: KerasObject, known: Conversion) -> Entry | None:
    """The caller's own layer for a registered name."""
    for name in (source.registered_name, source.class_name):
        if name is not None and name in known.custom:
            step = known.custom[name]
            rules(step)
            return Entry(step, arguments=())
    return None


def _entry(source: KerasObject, known: Conversion) -> Entry:
    custom = _custom(source, known)
    if custom is not None:
        return custom
    name = source.class_name
    if name in REFUSED:
        raise UnsupportedLayer(f"{source.label} is not supported: {REFUSED[name]}")
    module = source.module or ""
    untrained = "trainable" not in source.config and name != "InputLayer"
    if (
        module.startswith("keras.src.ops.")
        or (module, name) in OPERATIONS
        or (known.legacy and not module and untrained)
    ):
        found = _operation(module, name)
        if found is not None:
            _is_keras(source, name, known)
            return found
        if module:
            why = REFUSED_OPERATIONS.get(name, f"{quoted(module)} has no such operation that fnet knows")
            raise UnsupportedLayer(f"the operation {shown(name)} (node {quoted(source.name)}) is not supported: {why}")
    if name in LAYERS:
        _is_keras(source, name, known)
        return LAYERS[name]
    raise UnsupportedLayer(_unknown(source, known))


def _unknown(source: KerasObject, known: Conversion) -> str:
    """The message for a class without a row: a layer of Keras's, or somebody's own."""
    module, name = source.module or "", source.registered_name or source.class_name
    public = KERAS_MODULES.fullmatch(module) is not None and not module.startswith("keras.src.")
    what = "a layer of Keras that fnet does not have (see `fnet layers`)"
    if not public and not (known.legacy and ">" not in name):
        what = "a custom layer"
    return f"{source.label} is {what}: give its pure function, load_keras(..., custom={{{quoted(name)}: my_layer}})"


def _operation(module: str, name: str) -> Entry | None:
    """The row of an operation; legacy files write no module."""
    if module:
        return OPERATIONS.get((module, name))
    return next((entry for (_, known), entry in OPERATIONS.items() if known == name), None)


def _layer(source: KerasObject, known: Conversion, training: bool | None) -> Converted:
    entry = _entry(source, known)
    config = {key: _value(key, item, source, known) for key, item in source.config.items() if not _skipped(key, entry)}
    if (how := quantization(source)) is not None:
        config["quantization"] = how
    is_operation = _is_operation(source, entry)
    if not is_operation:
        _finite(config, source)
    options = _options(entry, config, source)
    legal = option_names(entry.layer)
    if training and "training" in legal:
        options["training"] = True
    elif training and source.class_name in TRAINING_MATTERS:
        raise UnsupportedLayer(
            f"{source.label} was called with training=True, which changes what it computes; "
            "build the model without that argument, or as training=False"
        )
    if known.mixed and source.policy in POLICIES and "dtype" not in legal and not is_operation:
        options["dtype"] = source.policy
    with _Named(source):
        step = bind_step(entry.layer, **options)
        parts = modelling.children(step)
    parts |= {key: item for key, item in config.items() if key.endswith("activation")}
    found: dict[str, Converted] = {}
    for key, child in parts.items():
        part = known.made.get(id(child))
        if part is not None and part.step is child:
            found[key] = _again(part) if part in found.values() else part
    if entry.container:
        entry = dataclasses.replace(entry, groups=elements(entry.container, found))
    return Converted(source, step, entry, found, operation=is_operation)


def _finite(config: Mapping[str, Any], source: KerasObject) -> None:
    """Infinity is an argument of operations; as the option of a layer it would only make NaN later."""
    for key, value in config.items():
        for leaf in tree.leaves(value):
            if isinstance(leaf, float) and not math.isfinite(leaf):
                raise CorruptFile(f"{source.label} has the option {quoted(key)} = {leaf}; it must be finite")


def elements(container: str, parts: Mapping[str, Converted]) -> dict[str, str]:
    """The groups of the layers in a list: by class, numbered."""
    names: list[str] = []
    for part in parts.values():
        names.append(fresh(snake_case(part.source.class_name), names))
    return {key: f"{container}/{name}" for key, name in zip(parts, names, strict=True)}


def _is_operation(source: KerasObject, entry: Entry) -> bool:
    return any(entry is row for row in OPERATIONS.values())


def _skipped(key: str, entry: Entry) -> bool:
    if key.endswith(TRAINING_ONLY) or key in entry.ignored or key == "quantization_config":
        return True
    return "*" in entry.ignored and key != "name"


def _again(part: Converted) -> Converted:
    """A second object of the same description: the backward half of a Bidirectional."""
    source = dataclasses.replace(part.source, shared=None)
    return dataclasses.replace(part, source=source, parts={k: _again(p) for k, p in part.parts.items()})


def _options(entry: Entry, config: dict[str, Any], source: KerasObject) -> dict[str, Any]:
    """The options that a config gives a layer; refuses what the layer does not know."""
    with _Named(source):
        changed = config if entry.options is None else entry.options(dict(config))
    legal = option_names(entry.layer)
    options = {}
    for key, value in changed.items():
        if key in legal:
            if not fits(value, kinds(entry.layer).get(key, Any)):
                raise CorruptFile(f"{source.label} has the option {quoted(key)} = {quoted(value)}, of the wrong type")
            if _differs(value, legal[key]):
                options[key] = value
        elif not (
            key in IGNORED
            or key in entry.ignored
            or "*" in entry.ignored
            or value is None
            or any(not _differs(value, same) for same in entry.neutral.get(key, ()))
        ):
            raise UnsupportedLayer(f"{source.label} has the option {quoted(key)} = {quoted(value)}, unknown to fnet")
    return options


def _differs(value: Any, default: Any) -> bool:
    """Whether an option needs to be said (records hold no defaults)."""
    return type(value) is not type(default) or value != default


def _value(key: str, value: Any, source: KerasObject, known: Conversion) -> Any:
    """A config value: lists as tuples, nested layers as steps, activations by name."""
    if key == "dtype":
        return policy(value, source.label)
    if key.endswith("activation"):
        return _activation(value, source, known)
    if isinstance(value, list):
        return tuple(_value("", item, source, known) for item in value)
    if not is_object(value):
        return {k: _value("", v, source, known) for k, v in value.items()} if isinstance(value, dict) else value
    if value["class_name"].startswith("__"):
        made = literal(value)
        return _tuples(made.tolist()) if hasattr(made, "tolist") else made
    if value["class_name"] in ("DTypePolicy", "Policy"):
        return policy(value, source.label)
    return convert_object(parse(value), known).step


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _activation(value: Any, source: KerasObject, known: Conversion) -> Any:
    """An activation: a name of Keras's, or a layer."""
    if value is None:
        return "linear"
    if is_object(value) and value["class_name"] in ("function", "__lambda__", "Lambda"):
        value = _function(value, source, known)
    if is_object(value):
        return convert_object(parse(value), known).step
    if isinstance(value, dict) or callable(value):
        if callable(value):
            return value
        raise UnsupportedLayer(f"{source.label} has a Python function as activation: {LAMBDA}")
    if value not in ACTIVATIONS or value in ("threshold", "hard_sigmoid_keras2"):
        custom = known.custom.get(value) if isinstance(value, str) else None
        if custom is not None:
            return bind_step(custom)
        raise UnsupportedLayer(
            f"{source.label} has the activation {quoted(value)}, which is not one of Keras's; if it is your own, "
            f"give it as a layer: custom={{{quoted(value)}: my_activation}}"
        )
    return "hard_sigmoid_keras2" if known.keras2 and value == "hard_sigmoid" else value


def _function(value: dict[str, Any], source: KerasObject, known: Conversion) -> Any:
    """A function in a config: one of Keras's activations by name, or the caller's own."""
    name, registered = value["config"], value.get("registered_name")
    if value["class_name"] != "function" or not isinstance(name, str):
        raise UnsupportedLayer(f"{source.label} has a Python lambda as activation: {LAMBDA}")
    for full in (registered, name):
        if isinstance(full, str) and full in known.custom:
            return bind_step(known.custom[full])
    if registered not in (None, name):
        return registered
    return name


class _Named:
    """Errors of rules and options become typed ones that name the layer."""

    def __init__(self, source: KerasObject) -> None:
        self.source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, BROKEN) and not isinstance(error, ModelFileError):
            text = f"{self.source.label}: {type(error).__name__}: {error}"
            raise CorruptFile(f"the config describes an impossible layer: {text[:300]}") from error


# --- sequential -----------------------------------------------------------------------------------


def _layers(source: KerasObject) -> list[KerasObject]:
    layers = source.config.get("layers")
    if not isinstance(layers, list):
        raise CorruptFile(f"{source.label}: layers is {quoted(layers)}, not a list")
    found = [parse(item) for item in layers]
    names = [layer.name for layer in found]
    for name in names:
        if not name:
            raise CorruptFile(f"{source.label} has a layer without a name")
        if names.count(name) > 1:
            raise CorruptFile(f"{source.label} has several layers named {quoted(name)}")
    return found


def _sequential(source: KerasObject, known: Conversion, training: bool | None) -> Converted:
    layers = _layers(source)
    parts = {layer.name: convert_object(layer, known, training) for layer in layers}
    steps = [(name, part.step) for name, part in parts.items()]
    if not layers or layers[0].class_name != "InputLayer":
        shape = source.config.get("build_input_shape") or source.build_config.get("input_shape")
        if isinstance(shape, list | tuple) and _is_shape(shape):
            name = fresh("input_layer", parts)
            dtype = parts[layers[0].name].source.policy if layers else "float32"
            dtype = dtype.removeprefix("mixed_") if dtype in POLICIES else "float32"
            steps.insert(0, (name, bind_step(fnet.input_layer, shape=tuple(shape), dtype=dtype)))
    made = Converted(source, sequential(steps), parts=parts)
    for layer in layers:
        leaves = _rng(parts[layer.name], known, training)
        if leaves:
            made.given[layer.name] = leaves
    return made


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(d is None or type(d) is int for d in value)


def fresh(name: str, taken: Any) -> str:
    """`name`, or the first of `name_1`, `name_2`, ... that is free."""
    number, made = 0, name
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    return made


def _rng(part: Converted, known: Conversion, training: bool | None) -> dict[str, Any]:
    """The `rng` leaves of a layer called with training=True; none when it is not random."""
    if not training or part.source.is_model:
        return {}
    key = random.key(0) if known.rng is None else random.fold_in(known.rng, next(known.numbers))
    leaves = fnet.with_rng(part.step, {}, key)
    if leaves and known.rng is None:
        raise UnsupportedLayer(
            f"{part.source.label} was called with training=True, so this model is random also at inference; "
            "give the loader a key: load_keras(..., rng=0)"
        )
    return leaves


# --- functional -----------------------------------------------------------------------------------


@dataclass(eq=False)
class _Building:
    """A graph in the making."""

    source: KerasObject
    known: Conversion
    training: bool | None
    layers: dict[str, KerasObject]
    parts: dict[str, Converted] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)
    calls: dict[tuple[str, int], str] = field(default_factory=dict)
    """{(layer, number of the call): node}."""
    specs: dict[str, Any] = field(default_factory=dict)
    """{node: Spec tree of what it gives}."""
    given: dict[str, dict[str, Any]] = field(default_factory=dict)


def _functional(source: KerasObject, known: Conversion, training: bool | None) -> Converted:
    layers = _layers(source)
    build = _Building(source, known, training, {layer.name: layer for layer in layers})
    for layer in layers:
        if layer.class_name == "InputLayer":
            part = build.parts[layer.name] = convert_object(layer, known)
            build.nodes[layer.name] = part.step
            build.calls[layer.name, 0] = layer.name
            build.specs[layer.name] = modelling.input_spec(part.step)
        else:
            build.parts[layer.name] = convert_object(layer, known, training)
    _call_all(build, [layer for layer in layers if layer.class_name != "InputLayer"])
    inputs = _ends(build, source.config.get("input_layers"), "input_layers")
    for name in references(inputs):
        if build.layers.get(name, source).class_name != "InputLayer":
            raise CorruptFile(f"{source.label}: the input {quoted(name)} is not an InputLayer")
    outputs = _unpacked(_ends(build, source.config.get("output_layers"), "output_layers"))
    unused = set(build.specs).intersection(build.layers) - set(references(inputs)) - set(_read(build, outputs))
    kept = [name for name in _order(build, outputs) if name not in unused or isinstance(build.nodes[name], tuple)]
    nodes = {name: build.nodes[name] for name in kept}
    made = graph(nodes, inputs=inputs, outputs=outputs)
    return Converted(source, made, parts=build.parts, given=build.given)


def _order(build: _Building, outputs: Any) -> list[str]:
    """The names of the nodes, as the layers come in the file; as Keras runs them where that shows in the result."""
    if not any(_unmasks(part) for part in build.parts.values()):
        return list(build.nodes)
    layer_of = {name: layer for (layer, _), name in build.calls.items()}
    parents: dict[str, list[str]] = {name: [] for name in layer_of}
    for layer in build.layers.values():
        for number, call in enumerate(layer.calls):
            parents[build.calls[layer.name, number]] = [build.calls[t.layer, t.call] for t in _tensors(call)]
    ends = [name for path in _paths(outputs) for name in references(tree.get(outputs, path))]
    ran = keras_order(ends, parents, layer_of)
    first = [name for name, node in build.nodes.items() if not isinstance(node, tuple) or not references(node[1])]
    return list(dict.fromkeys([*first, *ran, *build.nodes]))


def _unmasks(part: Converted) -> bool:
    """Whether a layer, or one inside a model, changes the masks that others read."""
    own = part.entry is not None and rules(part.entry.layer).unmasks
    return own or any(_unmasks(inner) for inner in part.parts.values())


def _read(build: _Building, outputs: Any) -> Iterator[str]:
    """The nodes that are read somewhere."""
    yield from references(outputs)
    for node in build.nodes.values():
        if isinstance(node, tuple):
            yield from references(node[1])


def _call_all(build: _Building, layers: list[KerasObject]) -> None:
    """Make nodes of all calls, each after those that it reads, first calls in the order of the layers."""
    waiting: list[tuple[KerasObject, int, Any]] = []
    for layer in layers:
        waiting += [(layer, number, call) for number, call in enumerate(layer.calls)]
        while (ready := next((item for item in waiting if _is_ready(build, *item)), None)) is not None:
            waiting.remove(ready)
            _call(build, *ready)
    if waiting:
        names = ", ".join(quoted(layer.name, 30) for layer, _, _ in waiting[:5])
        raise CorruptFile(f"{build.source.label}: calls that read each other or what does not exist: {names}")


def _is_ready(build: _Building, layer: KerasObject, number: int, call: Any) -> bool:
    """Whether everything that a call reads is there, earlier calls of the same layer included."""
    earlier = all((layer.name, n) in build.calls for n in range(number))
    return earlier and all((t.layer, t.call) in build.calls for t in _tensors(call))


def _tensors(value: Any) -> Iterator[Tensor]:
    """The symbolic tensors in the arguments of a call, in Keras's order."""
    if isinstance(value, list):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield literal(value)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _tensors(value[key])


def _call(build: _Building, layer: KerasObject, number: int, call: Any) -> None:
    """One call of a layer as a node."""
    if not isinstance(call, dict) or not isinstance(call.get("args"), list) or not isinstance(call.get("kwargs"), dict):
        raise CorruptFile(f"{layer.label}: a call is not {{'args': [...], 'kwargs': {{...}}}} but {quoted(call)}")
    args = [_argument(build, layer, item) for item in call["args"]]
    kwargs = {key: _argument(build, layer, item) for key, item in call["kwargs"].items()}
    training = kwargs.get("training") if build.training is None else build.training
    if layer.class_name == "Pipeline":
        training = build.training  # Keras writes its default, True, into every call
    if training is not None and not isinstance(training, bool):
        raise UnsupportedLayer(f"{layer.label} was called with training={quoted(training)}")
    part = _for_call(build, layer, number, training)
    step, sources = step_and_sources(part, args, kwargs)
    name = layer.name if number == 0 else fresh(f"{layer.name}_{number}", {*build.nodes, *build.layers})
    with _Named(layer):
        got = resolve(tree.freeze(unmasked(sources)), build.specs)
        build.specs[name], wanted = modelling.infer(step, got)
    build.calls[layer.name, number] = name
    shares = number > 0 and bool(wanted)
    leaves = _rng(part, build.known, training)
    if shares and (leaves or layer.name in build.given):
        raise UnsupportedLayer(f"{layer.label} is shared by several calls, of which some are with training=True")
    if leaves:
        build.given[name] = leaves
    build.nodes[name] = (step, sources, layer.name) if shares else (step, sources)


def _for_call(build: _Building, layer: KerasObject, number: int, training: bool | None) -> Converted:
    """The conversion of a layer for one call: `training` changes what some layers compute."""
    part = build.parts[layer.name]
    changed = training is not build.training and (training or part.source.is_model)
    if not changed:
        return part
    if number and part.source.is_model:
        raise UnsupportedLayer(f"{layer.label} is called several times, with and without an explicit training=")
    part = convert_object(layer, build.known, training)
    if number == 0 and len(layer.calls) == 1:
        build.parts[layer.name] = part
    elif part.source.is_model:
        raise UnsupportedLayer(f"{layer.label} is called several times, with and without an explicit training=")
    return part


def _argument(build: _Building, layer: KerasObject, value: Any) -> Any:
    """An argument of a call: symbolic tensors as sources, arrays as constant nodes, other values as they are."""
    if isinstance(value, list):
        return [_argument(build, layer, item) for item in value]
    if is_object(value):
        if value["class_name"].startswith("__"):
            made = literal(value)
            if isinstance(made, Tensor):
                return _source(build, made)
            return _constant(build, layer, made) if hasattr(made, "dtype") else Literal.of(made)
        if value["class_name"] in ("DTypePolicy", "Policy"):
            return Literal.of(policy(value, layer.label))
        raise UnsupportedLayer(f"{layer.label} was called with {shown(value['class_name'])} as an argument")
    if isinstance(value, dict):
        return {key: _argument(build, layer, item) for key, item in value.items()}
    return Literal.of(value)


def _constant(build: _Building, layer: KerasObject, value: Array) -> str:
    """An array in the arguments as a node of its own; its numbers are in the params."""
    name = fresh(f"{layer.name}_constant", {*build.nodes, *build.layers})
    step = bind_step(constant, shape=value.shape, dtype=str(value.dtype))
    build.nodes[name] = (step, ())
    build.specs[name] = fnet.Spec(value.shape, str(value.dtype))
    build.given[name] = {"value": value}
    return name


def _source(build: _Building, tensor: Tensor) -> str | Ref:
    """The source that a symbolic tensor is: outputs count in Keras's order, dicts by sorted key."""
    name = build.calls[tensor.layer, tensor.call]
    paths = _paths(build.specs[name])
    if tensor.index >= len(paths):
        raise CorruptFile(f"output {tensor.index} of {quoted(tensor.layer)}, which gives {len(paths)}")
    path = paths[tensor.index]
    return at(name, *path) if path else name


def _paths(spec: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(spec, Mapping):
        return [p for key in sorted(spec) for p in _paths(spec[key], (*path, key))]
    if isinstance(spec, list | tuple):
        return [p for i, item in enumerate(spec) for p in _paths(item, (*path, i))]
    return [path]


def _ends(build: _Building, value: Any, what: str) -> Any:
    """`input_layers` or `output_layers` as a tree of sources. Calls of a nested Functional count from 1 there."""
    if is_triple(value):
        layer, call, index = value
        nested = build.layers.get(layer)
        call -= nested is not None and nested.class_name == "Functional"
        if (layer, call) not in build.calls:
            raise CorruptFile(f"{build.source.label}: {what} names {quoted(value)}, which does not exist")
        return _source(build, Tensor(layer, call, index))
    if isinstance(value, list) and value:
        return [_ends(build, item, what) for item in value]
    if isinstance(value, dict) and value:
        return {key: _ends(build, item, what) for key, item in value.items()}
    raise CorruptFile(f"{build.source.label}: {what} is {quoted(value)}")


def _unpacked(outputs: Any) -> Any:
    """Keras gives a list of one output as that output."""
    return outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs
