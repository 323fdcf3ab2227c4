"""A functional model as a graph: every call of a layer is a node, with its arguments as sources."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import fnet
from fnet import tree
from fnet.core import infer
from fnet.core.compose import Graph, Sequential, graph, sequential
from fnet.core.layer import Bound, bind
from fnet.core.model import Node
from fnet.core.options import option_names
from fnet.core.rules import rules_of
from fnet.core.sources import Ref, at, mapped, references, resolve, unmasked
from fnet.dtypes import compute_dtype, is_float_spec, result_type
from fnet.layers.basic import constant
from fnet.records import dataclass
from fnet.types import Array, Spec
from params.convert.call_order import keras_order
from params.convert.calls import Literal, by_keyword, end_of, require_operands, step_and_sources, tensors
from params.convert.conversion import Conversion, Converted, named, over_batch_axes
from params.convert.generations import (
    HEADS_DELETE_MASKS,
    INPUTS_KEEP_FLOATS,
    MEANS_WEIGH_TO,
    TAKE_FLOATS_AS_THEY_COME,
    Version,
)
from params.convert.mask_effects import (
    Marks,
    after_call,
    as_keras_2_hands_on,
    as_masked,
    losing_cast,
    paths_of,
    require_expressible,
    with_masks_carried,
    with_rule,
)
from params.errors import CorruptFile, LimitExceeded, UnsupportedLayer, quoted
from params.file.keras_objects import (
    POLICIES,
    KerasObject,
    Names,
    Tensor,
    is_call,
    is_object,
    is_triple,
    literal,
    numbers,
    policy,
    shown,
)
from params.table.layers import GIVES_INDICES

LOSSES = frozenset({
    "BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy",
    *(f"keras.backend.{loss}crossentropy" for loss in ("binary_", "categorical_", "sparse_categorical_")),
})  # fmt: skip
"""Operations, and functions of Keras 2, that look where their probabilities come from."""
MOST_OUTPUTS = 100_000
"""The most outputs of all calls: one layer may give many, and a model inside others has as many as it lists."""
OUTPUTS = ("sigmoid", "softmax")
"""Activations that remember what they were given."""
IDENTITY = bind(fnet.activation, activation=None)


@dataclass(eq=False)
class _Building:
    """A graph in the making."""

    source: KerasObject
    conversion: Conversion
    layers: dict[str, KerasObject]
    flags: dict[tuple[str, int], bool | None]
    """{(layer, number of the call): whether it runs as in training}."""
    parts: dict[str, Converted]
    nodes: dict[str, Any] = field(default_factory=dict)
    calls: dict[tuple[str, int], str] = field(default_factory=dict)
    """{(layer, number of the call): node}."""
    specs: dict[str, Any] = field(default_factory=dict)
    """{node: its output Spec tree}."""
    preset: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    """The names of nodes and layers."""
    paths: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    """{node: paths of its outputs, in Keras's order}."""
    wide: dict[str, bool] = field(default_factory=dict)
    """{node: whether its output is float64}."""
    called: dict[str, Converted] = field(default_factory=dict)
    """{node: the layer that it calls}."""
    logits: dict[str, str | Ref | None] = field(default_factory=dict)
    """{node: the source of what the sigmoid or softmax at its end was given}, for those that losses read."""

    def add(self, name: str, step: Any, sources: Any, spec: Any, *entry: str) -> str:
        """Add a node that is no call in the file; its name, `name` if that is free."""
        name = self.names.fresh(name)
        self.nodes[name], self.specs[name] = (step, sources, *entry), spec
        return name


def functional(
    source: KerasObject, conversion: Conversion, parts: dict[str, Converted], flags: dict[tuple[str, int], bool | None]
) -> Converted:
    """The graph of a functional model with the layers `parts`. flags: whether each call runs as in training."""
    if "name" not in source.config:
        raise CorruptFile(f"{source.label} is a Functional model without a name")
    for item in source.config["layers"]:
        if not {"name", "inbound_nodes"} <= item.keys():
            raise CorruptFile(f"{source.label} has a layer without its name or calls: {quoted(item)}")
    build = _Building(source, conversion, {name: part.source for name, part in parts.items()}, flags, parts)
    build.names = Names(build.layers)
    cast = _cast_inputs(build) if (3, 0) <= conversion.version < INPUTS_KEEP_FLOATS else {}
    for layer in build.layers.values():
        if layer.class_name == "InputLayer":
            _add_input(build, layer, cast.get(layer.name))
    _call_all(build, [layer for layer in build.layers.values() if layer.class_name != "InputLayer"])
    return _connected(build)


def _cast_inputs(build: _Building) -> dict[str, str]:
    """{layer: the dtype to which the last layer that reads it casts floats}."""
    casting = [
        part.source
        for part in build.parts.values()
        if not (part.operation or part.source.is_model or part.source.class_name in TAKE_FLOATS_AS_THEY_COME)
    ]
    return {
        tensor.layer: compute_dtype(source.policy)
        for source in casting
        if source.policy in POLICIES
        for call in source.calls
        for tensor in tensors(call)
    }


def _add_input(build: _Building, layer: KerasObject, cast: str | None) -> None:
    """An input as a node without sources. cast: the dtype of its floats for all that read it."""
    if layer.calls:
        raise CorruptFile(f"{layer.label} is called on {quoted(layer.calls)}, but an input reads nothing")
    part = build.parts[layer.name]
    if is_float_spec(spec := infer.input_spec(part.step)) and cast not in (None, spec.dtype):
        part.step = bind(part.step, dtype=cast)
    build.nodes[layer.name] = part.step
    build.calls[layer.name, 0] = layer.name
    build.specs[layer.name] = infer.input_spec(part.step)


def _connected(build: _Building) -> Converted:
    """The graph of the nodes between the inputs and outputs of the model, without input layers that are not listed."""
    source, conversion = build.source, build.conversion
    inputs = _unpacked(_ends(build, source.config.get("input_layers"), "input_layers"))
    listed = dict.fromkeys(references(inputs))
    for name in listed:
        if build.layers.get(name, source).class_name != "InputLayer":
            raise CorruptFile(f"{source.label}: the input {quoted(name)} is not an InputLayer")
    outputs = _unpacked(_ends(build, source.config.get("output_layers"), "output_layers"))
    nodes = {name: build.nodes[name] for name in _order(build, outputs)}
    nodes = {name: node for name, node in nodes.items() if isinstance(node, tuple) or name in listed}
    marks = Marks(tuple(references(inputs)))
    if source is not conversion.root:
        marks.carrying.update(marks.inputs)
    if conversion.masked:
        nodes, outputs = _with_masks(build, marks, nodes, outputs)
    ends = [tree.get(outputs, path) for path in paths_of(outputs)]
    whole = graph(nodes, inputs=inputs, outputs=outputs)
    return Converted(source, whole, parts=build.parts, preset=build.preset, effects=marks.effects(ends))


def _with_masks(build: _Building, marks: Marks, nodes: dict[str, Any], outputs: Any) -> tuple[dict[str, Any], Any]:
    """The nodes in execution order, and the outputs, with explicit masks where earlier calls changed them."""
    written = {}
    for name, node in nodes.items():
        if isinstance(node, tuple):
            step, sources, *entry = node
            if name in build.called:
                sources = tree.map(marks.read, sources)
                after_call(marks, name, build.called[name], sources, build.specs, build.conversion)
            marks.roots[name] = marks.roots_of(sources)
            node = (step, sources, *entry)
        written[name] = node
    require_expressible(marks, build.source, build.conversion)
    return written, tree.map(marks.read, outputs)


def _order(build: _Building, outputs: Any) -> list[str]:
    """The names of the nodes in the order of the file; in Keras's execution order where that matters for masks."""
    if not build.conversion.masked or not any(_changes_masks(part, build.conversion) for part in build.parts.values()):
        return list(build.nodes)
    layer_of = {name: layer for (layer, _), name in build.calls.items()}
    parents: dict[str, list[str]] = {name: [] for name in layer_of}
    for layer in build.layers.values():
        for number, call in enumerate(layer.calls):
            parents[build.calls[layer.name, number]] = [build.calls[t.layer, t.call] for t in tensors(call)]
    ends = [name for path in paths_of(outputs) for name in references(tree.get(outputs, path))]
    reads = {name: references(node[1]) if isinstance(node, tuple) else [] for name, node in build.nodes.items()}
    first = [name for name, read in reads.items() if not read]
    calls = keras_order(ends, parents, layer_of)
    ran = [name for call in calls for name in (*(read for read in reads[call] if read not in layer_of), call)]
    return list(dict.fromkeys([*first, *ran, *build.nodes]))


def _changes_masks(part: Converted, conversion: Conversion) -> bool:
    """Whether a layer, or one inside it, may change masks that others read."""
    deletes = part.source.class_name == "MultiHeadAttention" and conversion.version >= HEADS_DELETE_MASKS
    masked = part.source.is_model and any("mask" in call.get("kwargs", {}) for call in part.source.calls)
    return deletes or masked or any(_changes_masks(inner, conversion) for inner in part.parts.values())


def _call_all(build: _Building, layers: list[KerasObject]) -> None:
    """Add a node for each call, after the calls that it reads, otherwise in the order of the layers."""
    calls = [(layer, number, call, list(tensors(call))) for layer in layers for number, call in enumerate(layer.calls)]
    missing: dict[int, set[tuple[str, int]]] = {}
    """{place of a call: what it reads that is not there yet}."""
    readers: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, (layer, number, _, read) in enumerate(calls):
        missing[place] = {need for need in _read_by(layer, number, read) if need not in build.calls}
        for need in missing[place]:
            readers[need].append(place)
        ready = [] if missing[place] else [place]
        while ready:
            now = heapq.heappop(ready)
            _call(build, *calls[now])
            done = calls[now][0].name, calls[now][1]
            for reader in readers.pop(done, ()):
                missing[reader].discard(done)
                if not missing[reader]:
                    heapq.heappush(ready, reader)
    waiting = {place: needs for place, needs in missing.items() if needs}
    if waiting:
        raise CorruptFile(f"{build.source.label}: {_unreadable(build, calls, waiting)}")


def _read_by(layer: KerasObject, number: int, read: list[Tensor]) -> Iterator[tuple[str, int]]:
    """(layer, call) of all that a call waits for: its tensors, and the previous call of the same layer."""
    if number:
        yield layer.name, number - 1
    for tensor in read:
        yield tensor.layer, tensor.call


def _unreadable(build: _Building, calls: list[Any], waiting: Mapping[int, set[tuple[str, int]]]) -> str:
    """The message for calls that are left: one reads what does not exist, or they form a circle."""
    for place, missing in waiting.items():
        for name, number in sorted(missing):
            reader = quoted(calls[place][0].name)
            if name not in build.layers:
                return f"{reader} reads {quoted(name)}, which is not a layer of the model"
            if number >= len(build.layers[name].calls):
                count = len(build.layers[name].calls)
                return f"{reader} reads call {number} of {quoted(name)}, which is called {count} times"
    names = ", ".join(quoted(calls[place][0].name, 30) for place in list(waiting)[:5])
    return f"calls that read each other in a circle: {names}"


def _call(build: _Building, layer: KerasObject, number: int, call: Any, read: list[Tensor]) -> None:
    """One call of a layer, on the tensors `read`, as a node."""
    args, kwargs = _arguments(build, layer, call, read)
    training = build.flags[layer.name, number]
    part = _for_call(build, layer, training)
    step, sources = _of_its_age(build, part, args, kwargs)
    if number and infer.keeps_states(step):
        raise UnsupportedLayer(
            f"{layer.label} is stateful and called several times: each call would begin with the states of the one "
            "before; build the model without stateful=True"
        )
    name = layer.name if number == 0 else build.names.fresh(f"{layer.name}_{number}")
    with named(layer, part.is_own):
        inputs = resolve(unmasked(tree.freeze(sources)), build.specs)
        if build.conversion.keras2:
            step = over_batch_axes(step, inputs)
        require_no_cast(part, inputs, build.conversion)
        build.specs[name], needed = infer.infer(step, inputs)
        step = as_keras_2_hands_on(part, step, inputs, build.specs[name], build.conversion)
        require_dtypes_of_today(part, inputs, build.specs[name], build.conversion.version)
    build.conversion.dtypes.update(spec.dtype for spec in tree.leaves(build.specs[name]))
    if build.conversion.dtypes.total() > MOST_OUTPUTS:
        raise LimitExceeded(f"the calls of layers give more than {MOST_OUTPUTS} arrays")
    build.calls[layer.name, number] = name
    build.called[name] = part
    shares = number > 0 and bool(needed or part.parts)  # a weights file counts what holds layers, even without weights
    build.nodes[name] = (step, sources, layer.name) if shares else (step, sources)
    _give_keys(build, part, name, shares, training)


def _of_its_age(build: _Building, part: Converted, args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """(step, sources) of a call, as the Keras that wrote it treats masks and losses."""
    source, conversion = part.source, build.conversion
    step, sources = step_and_sources(part, args, kwargs, conversion.keras2)
    if source.class_name == "GlobalAveragePooling1D" and kwargs.get("mask") and conversion.version < MEANS_WEIGH_TO:
        step = bind(step, weighs=True)
    if conversion.masked and part.is_own and type(sources) is tuple and rules_of(step).mask in (None, "keep"):
        step = with_rule(step, "first")  # Keras hands on the masks of the first argument
    step, sources = with_masks_carried(part, step, sources, conversion)
    if conversion.masked and conversion.keras2:
        sources = as_masked(part, sources, kwargs, build.specs, conversion)
    elif conversion.masked and conversion.mixed:
        sources = mapped(lambda each: _cast_first(build, part, each), tree.freeze(sources))
    loses = part.operation and LOSSES & {source.class_name, source.config.get("function")}
    given = sources[1] if loses and isinstance(sources, tuple) else None
    logits = _logits(build, given) if isinstance(given, str) else None
    if logits is not None:  # so on TensorFlow, whatever the call says
        return bind(step, from_logits=True), (sources[0], logits)
    return step, sources


def _cast_first(build: _Building, part: Converted, source: str | Ref) -> str | Ref:
    """A source of a call; where the layer loses its mask by a cast, the cast is a node before it."""
    spec = resolve(source, build.specs)
    if (cast := losing_cast(part, spec, build.conversion)) is None:
        return source
    return build.add(f"{part.source.name}_cast", cast, source, infer.infer(cast, spec)[0])


def _logits(build: _Building, name: str) -> str | Ref | None:
    """The source of what the sigmoid or softmax was given of which a node passes on the output; None without one."""
    passed = list[str]()
    while name not in build.logits:
        passed.append(name)
        node = build.nodes[name]
        if not isinstance(node, tuple):
            build.logits[name] = None
        elif _is_passing(node[0]) and isinstance(node[1], str) and build.specs[node[1]] == build.specs[name]:
            name = node[1]
        else:
            build.logits[name] = _linear_node(build, name, node)
    build.logits.update(dict.fromkeys(passed, build.logits[name]))
    return build.logits[name]


def _linear_node(build: _Building, name: str, node: tuple[Any, ...]) -> str | Ref | None:
    """The source of a node without the sigmoid or softmax at its end; None where it has none."""
    linear = _linear(node[0])
    if linear is None or (linear == IDENTITY and isinstance(node[1], str | Ref)):
        return None if linear is None else node[1]
    logits = build.add(f"{name}_logits", linear, node[1], build.specs[name], node[2] if len(node) > 2 else name)
    build.called[logits] = build.called[name]
    return logits


def _linear(step: Any) -> Any:
    """A layer or model without the sigmoid or softmax at its end; None where it has none."""
    if isinstance(step, Sequential):
        *before, (name, last) = step.steps
        return None if (inner := _linear(last)) is None else sequential([*before, (name, inner)])
    if isinstance(step, Graph):
        last = dict(step.nodes).get(step.outputs) if isinstance(step.outputs, str) else None
        read = {name for _, node in step.nodes for name in references(node.sources)}
        if last is None or step.outputs in read or (inner := _linear(last.step)) is None:
            return None
        new = Node(inner, last.sources, last.params)
        return Graph(
            tuple((key, new if key == step.outputs else n) for key, n in step.nodes), step.inputs, step.outputs
        )
    if not isinstance(step, Bound) or not step.function.__module__.startswith(("fnet.layers", "fnet.operations")):
        return None
    name = step.function.__name__
    if name in OUTPUTS:
        return IDENTITY
    ends_with_it = "recurrent_dropout" not in step.all_options  # except in a recurrent layer, which continues with it
    return bind(step, activation=None) if ends_with_it and step.all_options.get("activation") in OUTPUTS else None


def _is_passing(step: Any) -> bool:
    """Whether a step passes on a tensor of the same dtype as it is."""
    return isinstance(step, Bound) and step.function.__name__ in ("cast", "convert_to_tensor")


def _give_keys(build: _Building, part: Converted, name: str, shares: bool, training: bool | None) -> None:
    """Add the random keys of a call in training; refused where other calls share its params."""
    rng = build.conversion.rng_leaves(part) if training else {}
    if shares and (rng or part.source.name in build.preset):
        label = part.source.label
        raise UnsupportedLayer(f"{label} is shared by several calls, of which some are with training=True")
    if rng:
        build.preset[name] = rng


def require_no_cast(part: Converted, inputs: Any, conversion: Conversion) -> None:
    """Refuse floats for a layer with a policy of integers, booleans or strings, to which Keras 3 would cast them."""
    source, of_keras = part.source, part.entry.arguments and not (part.operation or part.source.is_model)
    if conversion.keras2 or not of_keras or source.policy in POLICIES or source.class_name in GIVES_INDICES:
        return
    casts = rules_of(part.step).in_predict
    unfit = [spec for spec in tree.leaves(inputs) if is_float_spec(spec) or (casts and spec.dtype != source.policy)]
    if unfit:
        what = "floats" if any(map(is_float_spec, unfit)) else unfit[0].dtype
        raise UnsupportedLayer(
            f"{source.label} gets {what} and has the dtype policy {source.policy}, to which Keras casts them; "
            "give it a policy of floats"
        )


def require_dtypes_of_today(part: Converted, inputs: Any, outputs: Any, version: Version) -> None:
    """Refuse integers for which earlier versions of Keras 3 returned another dtype."""
    leaves, name = tree.leaves(inputs), part.source.class_name
    dtypes = {leaf.dtype for leaf in leaves if isinstance(leaf, Spec)}
    several = (len(leaves) > 1 or name == "Prod") and not any(map(is_float_spec, tree.leaves(outputs)))
    narrow = name == "Einsum" and dtypes == {"int8"} and version < (3, 1)
    wide = "uint64" in dtypes and several and result_type(*dtypes) == "uint32" and (3, 0) <= version < (3, 12)
    if narrow or wide:
        before, now, until = ("int8", "int32", "3.0") if narrow else ("uint64", "uint32", "3.11")
        raise UnsupportedLayer(
            f"{part.source.label} takes {before}, which it gave as {before} up to Keras {until} and gives as {now} "
            "since (fnet too): cast it to int64 before"
        )


def _arguments(build: _Building, layer: KerasObject, call: Any, read: list[Tensor]) -> tuple[list[Any], dict[str, Any]]:
    """(positional, keyword) arguments of a call: sources for its tensors, values for the rest."""
    if not is_call(call):
        raise CorruptFile(f"{layer.label}: a call is not {{'args': [...], 'kwargs': {{...}}}} but {quoted(call)}")
    if not read:
        raise CorruptFile(f"{layer.label} is called on no tensor of the model")
    part = build.parts[layer.name]
    entry = part.entry
    require_operands(part, call)
    options = {*option_names(entry.layer), *entry.literal}
    names = [*entry.arguments, *[""] * len(call["args"])]
    reading = _Call(build, layer, _float(build, read), entry.call is not None)
    args = [reading.value(item, name in options) for item, name in zip(call["args"], names, strict=False)]
    kwargs = {key: reading.value(item, key in options, key) for key, item in call["kwargs"].items()}
    return by_keyword("" if part.operation else layer.class_name, args, kwargs)


def _for_call(build: _Building, layer: KerasObject, training: bool | None) -> Converted:
    """The conversion of a layer for one call: `training` changes what some layers compute."""
    part = build.parts[layer.name]
    if training is build.flags[layer.name, 0]:
        return part
    other = build.conversion.inner(layer, training)
    if other.step != part.step or (other.source.is_model and _draws(part) is not _draws(other)):
        raise UnsupportedLayer(
            f"{layer.label} is called several times, in some with training=True: Keras changes what it holds from one "
            "call to the next; give these calls layers of their own"
        )
    return other


def _draws(part: Converted) -> bool:
    """Whether a model holds random keys at any depth."""
    return any(path[-1] == "rng" for path, _ in tree.items(part.preset)) or any(map(_draws, part.parts.values()))


def _float(build: _Building, read: list[Tensor]) -> str:
    """The dtype of literal floats in a call: float64 where a tensor is."""
    for name in {build.calls[t.layer, t.call] for t in read}:
        if name not in build.wide:
            build.wide[name] = any(spec.dtype == "float64" for spec in tree.leaves(build.specs[name]))
        if build.wide[name]:
            return "float64"
    return "float32"


@dataclass(frozen=True, eq=False, slots=True)
class _Call:
    """The arguments of one call of a layer: symbolic tensors as sources, arrays as nodes of their own."""

    build: _Building
    layer: KerasObject
    float: str
    """The dtype of the floats in lists."""
    function: bool
    """Whether it calls a function of TensorFlow, which makes tensors of short lists itself."""

    def value(self, value: Any, option: bool = False, name: str = "") -> Any:
        """An argument. option: the step takes it as an option, or its rule reads it, so arrays become numbers."""
        if isinstance(value, list):
            return self._list(value, option, name)
        if is_object(value):
            if value["class_name"].startswith("__"):
                decoded = literal(value)
                if isinstance(decoded, Tensor):
                    return _source(self.build, decoded)
                if option and hasattr(decoded, "dtype"):
                    return decoded.tolist()
                return _constant(self.build, self.layer, decoded) if hasattr(decoded, "dtype") else Literal.of(decoded)
            if value["class_name"] in ("DTypePolicy", "Policy"):
                return Literal.of(policy(value, self.layer))
            raise UnsupportedLayer(f"{self.layer.label} was called with {shown(value['class_name'])} as an argument")
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return Literal.of(value)

    def _list(self, value: list[Any], option: bool, name: str) -> Any:
        """Keras 2 wrote arrays as nested lists, without their dtype."""
        if not self.build.conversion.keras2:
            return [self.value(item) for item in value]
        array = None if option else numbers(value, self.float)
        if array is None or (self.function and array.ndim == 1 and array.size <= SHORT and array.dtype.kind == "i"):
            return [self.value(item, option) for item in value]
        if name == "initial_state" and array.ndim == 3:  # one for each state
            return [self.value(item) for item in value]
        return _constant(self.build, self.layer, array)


SHORT = 16
"""A list of up to so many integers may be sizes, which rules read."""

FEW = 4096
"""Up to so many integers of a constant are checked where they are indices."""


def _constant(build: _Building, layer: KerasObject, value: Array) -> str:
    """Add a node for an array in the arguments; its numbers are in the params."""
    shape, dtype = value.shape, str(value.dtype)
    few = value.dtype.kind == "i" and value.size <= FEW
    spec = Spec(shape, dtype, tuple(value.reshape(-1).tolist()) if few else None)
    name = build.add(f"{layer.name}_constant", bind(constant, shape=shape, dtype=dtype), (), spec)
    build.preset[name] = {"value": value}
    return name


def _source(build: _Building, tensor: Tensor) -> str | Ref:
    """The source for a symbolic tensor: outputs are numbered in Keras's order, dicts by sorted key."""
    name = build.calls[tensor.layer, tensor.call]
    if name not in build.paths:
        build.paths[name] = paths_of(build.specs[name])
    paths = build.paths[name]
    if tensor.index >= len(paths):
        raise CorruptFile(f"output {tensor.index} of {quoted(tensor.layer)}, which gives {len(paths)}")
    path = paths[tensor.index]
    return at(name, *path) if path else name


def _ends(build: _Building, value: Any, what: str) -> Any:
    """`input_layers` or `output_layers` as a tree of sources."""
    if is_triple(value):
        end = end_of(value, build.layers)
        if (end.layer, end.call) not in build.calls:
            raise CorruptFile(f"{build.source.label}: {what} names {quoted(value)}, which does not exist")
        return _source(build, end)
    if isinstance(value, list) and value:
        return [_ends(build, item, what) for item in value]
    if isinstance(value, dict) and value:
        return {key: _ends(build, item, what) for key, item in value.items()}
    raise CorruptFile(f"{build.source.label}: {what} is {quoted(value)}")


def _unpacked(ends: Any) -> Any:
    """A list of one end as that end: so Keras returns it, and inputs are accepted either way."""
    return ends[0] if isinstance(ends, list) and len(ends) == 1 else ends
