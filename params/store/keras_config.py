"""A model as a config of Keras 3: the inverse of `params.convert`.

The model comes from `params.store.spelling`. Every step becomes an object of the class in its table entry, a graph
becomes a functional model, a node a call of its layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

import numpy as np

import fnet
from fnet import tree
from fnet.activation_functions import ACTIVATIONS
from fnet.core import infer
from fnet.core.compose import Graph, Sequential
from fnet.core.layer import Bound, bind, brief, name_of
from fnet.core.model import Model, Node
from fnet.core.options import option_names
from fnet.core.rules import rules_of
from fnet.core.sources import Ref, at, masked_by, references
from fnet.errors import ExportError
from fnet.layers.basic import constant
from fnet.layers.vocabulary import specials_of
from fnet.records import dataclass
from fnet.strings import unpack_strings
from fnet.tree import FrozenDict, FrozenList, FrozenSlice
from fnet.types import Params, Spec
from params.convert.call_order import layer_order
from params.convert.generations import OPTIONS as OF_AGE
from params.convert.mask_effects import paths_of
from params.store.spelling import CLASSES, call_options, function_of, is_operation_of_keras
from params.table.entry import Entry
from params.table.layers import LAYERS

NOT_WRITTEN = frozenset({*OF_AGE, "batch_axes", "quantization", "training", "virtual_batch_size"})
"""Options that no config of Keras 3 has; they come from files of other versions."""

AS_IN_KERAS_3 = (("first", None), ("first", "keep"), ("same", "drop"))
"""(option `masks`, mask rule) of layers of one's own that are in Keras 3 as they are."""

OF_KERAS_2 = ((fnet.separable_conv1d, "padding", str), (fnet.batch_normalization, "axis", tuple))
"""(layer, option, type of values that only Keras 2 takes), except the paddings "valid" and "same"."""

READ_WHOLE = (fnet.rescaling, fnet.text_vectorization)
"""Layers whose config needs options with default values too."""

UNREAD = {
    **dict.fromkeys(("random_brightness", "random_color_degeneration", "random_contrast", "random_hue"), ("factor",)),
    **dict.fromkeys(("random_posterization", "random_rotation", "random_saturation", "random_sharpness"), ("factor",)),
    "random_translation": ("height_factor", "width_factor"),
    "random_zoom": ("height_factor",),
    "max_num_bounding_boxes": ("max_number",),
}
"""{layer: arguments that Keras requires and inference does not need}: they are written as 0, or as in `NEUTRAL`."""
NEUTRAL = {
    "random_posterization": [8, 8], "random_saturation": [0.5, 0.5], "random_sharpness": [0.5, 0.5],
    "max_num_bounding_boxes": 1,
}  # fmt: skip
"""{layer: what changes nothing in training}, where that is not 0."""

WRITTEN_AS_NONE = {"rms_norm": ("scale",)}
"""{operation: optional tensors that Keras requires by name}: they are written as None where they are missing."""

NOT_READ = (
    "adaptive_average_pool", "adaptive_max_pool", "fake_quant_with_min_max_vars", "separable_conv", "segment_max",
    "segment_min", "segment_prod", "segment_sum",
)  # fmt: skip
"""Operations that Keras writes into files and cannot read from them (3.15)."""

# --- the config -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Writing:
    """The state of writing one config."""

    rows: Mapping[tuple[Any, ...], infer.TracedStep]
    """{path: step of the trace}."""
    custom: Mapping[Callable[..., Any], str]
    """{custom layer: its registered name}."""

    def object(self, step: Any, name: str, params: Params, path: tuple[Any, ...]) -> dict[str, Any]:
        """A layer, operation or model as an object of the config."""
        if isinstance(step, Sequential):
            layers = [self.object(s, n, params.get(n, {}), (*path, n)) for n, s in step.steps]
            return _object("keras", "Sequential", {"name": name, "layers": layers})
        if isinstance(step, Graph):
            return self.functional(step, name, params, path)
        bound = bind(step)
        try:
            return self.layer(bound, name, params, path)
        except ExportError as error:
            error.add_note(f"in {tree.path_name(path) or name!r}: {brief(bound)}")
            raise

    def layer(self, bound: Bound, name: str, params: Params, path: tuple[Any, ...]) -> dict[str, Any]:
        """A layer or an operation."""
        entry = require_entry(bound, self.custom)
        options = _config_options(bound, entry)
        if entry.rules.call is not None:
            return self._operation(bound, name, entry, options)
        config: dict[str, Any] = {"name": name}
        if bound.function is fnet.input_layer:
            config = {"name": name, "batch_shape": options.pop("shape"), "dtype": "float32", "sparse": False}
        elif "dtype" not in option_names(bound.function) and bound.function is not fnet.pipeline:  # it takes none
            policy = bound.options.get("input_dtype") or self._policy_of(bound, path)
            config["dtype"] = _object("keras", "DTypePolicy", {"name": policy})
        config |= dict.fromkeys(UNREAD.get(bound.function.__name__, ()), NEUTRAL.get(bound.function.__name__, 0.0))
        config |= {key: self.value(key, item, params, path) for key, item in options.items()}
        config |= _tables(bound, params)
        if bound.function in self.custom:
            registered = self.custom[bound.function]
            return _object(None, registered.rpartition(">")[2], config, registered)
        return _object("keras.layers", CLASSES[bound.function], config)

    def _policy_of(self, bound: Bound, path: tuple[Any, ...]) -> str:
        """The dtype policy of a layer; float32 for a layer without one, where that changes nothing."""
        if bound.dtype is not None:
            return bound.dtype
        row = self.rows.get(path)
        for spec in tree.leaves(row.inputs) if row is not None else ():
            if isinstance(spec, Spec) and spec.dtype in ("float16", "bfloat16", "float64"):
                raise ExportError(
                    f"{name_of(bound.function)} takes {spec.dtype} and has no dtype policy, which every layer of Keras "
                    "has: bind it with dtype="
                )
        return "float32"

    def _operation(self, bound: Bound, name: str, entry: Entry, options: dict[str, Any]) -> dict[str, Any]:
        from params.table.operations import OPERATIONS

        if bound.function.__name__ in NOT_READ:
            raise ExportError(f"Keras itself cannot read {name_of(bound.function)} from a file")
        ours = {function: key for key, function in OPERATIONS.items()}
        module, class_name = ours[bound.function.__name__]
        options.pop(entry.further, None)
        if bound.function.__name__ == "trapezoid":
            options = {"x" if key == "positions" else key: item for key, item in options.items()}
        config = {"name": name, **{key: self.value(key, item, {}, ()) for key, item in options.items()}}
        return _object(module, class_name, config, class_name)

    def value(self, key: str, value: Any, params: Params, path: tuple[Any, ...]) -> Any:
        """A value of a config."""
        if isinstance(value, Model):
            return self.inside(value, params.get(key, {}))
        if isinstance(value, Bound):
            return self.object(value, value.function.__name__, params.get(key, {}), (*path, key))
        if callable(value) and not isinstance(value, type):
            named = [name for name, function in ACTIVATIONS.items() if function is value]
            if not named:
                return self.object(bind(value), value.__name__, params.get(key, {}), (*path, key))
            value = named[0]
        if value == "hard_sigmoid_keras2" and key.endswith("activation"):
            raise ExportError(f"{key}={value!r} is the function of that name in Keras 2, which Keras 3 does not have")
        if isinstance(value, Mapping):
            return {k: self.value(k, item, params, path) for k, item in value.items()}
        if isinstance(value, tuple | list):
            inner = params.get(key, {}) if isinstance(params, Mapping) else {}
            return [self.value(str(i), item, inner, (*path, key)) for i, item in enumerate(value)]
        return literal(value)

    def inside(self, model: Any, params: Params) -> dict[str, Any]:
        """A model inside a wrapper."""
        takes = infer.input_spec(model)
        if takes is None and isinstance(model, Graph):
            raise ExportError(f"{brief(model)} inside a layer does not say what it takes: give it an input_layer")
        rows = {} if takes is None else {row.path: row for row in infer.trace(model, takes)}
        return replace(self, rows=rows).object(model, type(model).__name__.lower(), params, ())

    def functional(self, model: Graph, name: str, params: Params, path: tuple[Any, ...]) -> dict[str, Any]:
        """A graph as a functional model."""
        calls = _Calls(self, model, params, path)
        layers = calls.layers()
        ends = {"input_layers": calls.ends(model.inputs), "output_layers": calls.ends(model.outputs)}
        config = {"name": name, "layers": layers, **ends}
        return _object("keras.src.models.functional", "Functional", config, "Functional")


def _object(
    module: str | None, class_name: str, config: dict[str, Any], registered: str | None = None
) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered}


def require_entry(bound: Bound, custom: Mapping[Callable[..., Any], str] | None = None) -> Entry:
    """The table entry of a layer or operation. Raises ExportError where Keras 3 has no class for it."""
    function = bound.function
    if is_operation_of_keras(function):
        from params.table.operations import OPERATIONS, operation

        return operation(*next(key for key, name in OPERATIONS.items() if name == function.__name__))
    if function in CLASSES:
        return LAYERS[CLASSES[function]]
    if custom and function in custom:
        return Entry(function, arguments=())
    if function is constant:
        return Entry(function)
    raise ExportError(_no_class(function))


def _no_class(function: Callable[..., Any]) -> str:
    name = name_of(function)
    if name.startswith("tf_functions."):
        return f"{name} is a function of TensorFlow, which a file of Keras 3 cannot name: use an operation of keras.ops"
    if fnet.layers.own_name(function):
        return f"Keras 3 has no layer {name}: if fnet.optimize made it, give the model as it was before"
    keras = f"'my_package>{function.__name__}"
    return (
        f"{name} is a layer of your own: give its Keras name, custom={{{keras}': {name}}}, or in a shell once more "
        f"--custom {keras}=FILE.py:{name}'"
    )


def _config_options(bound: Bound, entry: Entry) -> dict[str, Any]:
    """The options in the config of a layer. Raises ExportError for one that no config of Keras 3 can have."""
    all_options = bound.all_options if bound.function in READ_WHOLE else bound.options
    elsewhere = {*call_options(entry), "input_dtype", "vocabulary_size"}
    options = {key: item for key, item in all_options.items() if key not in elsewhere}
    of_keras_2 = {key: kinds for function, key, kinds in OF_KERAS_2 if bound.function is function}
    for key, value in list(options.items()):
        if key in NOT_WRITTEN:
            del options[key]
            if value in (option_names(bound.function).get(key), bound.rules.in_predict.get(key)):
                continue
            if key == "masks" and (value, rules_of(bound.function).mask) in AS_IN_KERAS_3:
                continue
        elif not isinstance(value, of_keras_2.get(key, ())) or value in ("valid", "same"):
            continue
        raise ExportError(_no_option(name_of(bound.function), key, value))
    return options


def _no_option(label: str, key: str, value: Any) -> str:
    why = {
        "training": "Keras's predict never trains, whatever a file says",
        "quantization": "Keras quantizes a model that it has: write it in floats, then model.quantize(...)",
    }.get(key, "it is what another Keras computed, and Keras 3 does not")
    return f"{label} has the option {key}={value!r}, which no file of Keras 3 can say: {why}"


def literal(value: Any) -> Any:
    """A number, text, slice or array in JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, slice | FrozenSlice):
        parts = {key: literal(getattr(value, key)) for key in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": parts}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, tuple | list):
        return [literal(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ExportError(f"a {type(value).__name__} has no form in a config: {value!r:.60}")


def _tables(bound: Bound, params: Params) -> dict[str, Any]:
    """The tokens of a lookup without the special ones, and its idf weights."""
    table = params.get("vocabulary")
    if table is None:
        return {}
    tokens = unpack_strings(table) if isinstance(table, Mapping) else np.asarray(table).tolist()
    specials = specials_of(bound)
    start = len(specials.tokens)
    tables: dict[str, Any] = {"vocabulary": tokens[start:]}
    if "idf_weights" in params:
        tables["idf_weights"] = np.asarray(params["idf_weights"])[start : len(tokens)].tolist()
    return tables


# --- calls ------------------------------------------------------------------------------------------------------


@dataclass
class _Calls:
    """The calls of a graph: for each node the layer that it calls, and the number of the call."""

    writing: Writing
    model: Graph
    params: Params
    path: tuple[Any, ...]
    nodes: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """{node: the name of the layer that it calls}."""
    called: dict[str, list[str]] = field(default_factory=dict)
    """{layer: the nodes that call it}."""
    numbers: dict[str, int] = field(default_factory=dict)
    """{node: the number of its call}."""
    places: dict[str, dict[tuple[Any, ...], int]] = field(default_factory=dict)
    """{node: {path of an output: its number}}."""

    def __post_init__(self) -> None:
        for name, node in self.model.nodes:
            self.nodes[name] = node
            if function_of(node.step) is not constant:
                key = self._key(name, node)
                self.keys[name] = key
                self.numbers[name] = len(self.called.setdefault(key, []))
                self.called[key].append(name)

    def _key(self, name: str, node: Node) -> str:
        """The name of the layer that a node calls. A step without params is a separate layer."""
        key = node.params or name
        first = self.called.get(key)
        if first is None or _as_layer(self.nodes[first[0]].step) == _as_layer(node.step):
            return key
        raise ExportError(
            f"{name!r} and {first[0]!r} share the params {key!r} and are not one layer: {brief(node.step)} and "
            f"{brief(self.nodes[first[0]].step)}; a layer of Keras has one set of options"
        )

    def layers(self) -> list[dict[str, Any]]:
        """The layers in Keras's order, with their calls."""
        by_name = {}
        for key, names in self.called.items():
            step = self.nodes[names[0]].step
            one = self.writing.object(step, key, self.params.get(key, {}), (*self.path, names[0]))
            by_name[key] = {**one, "name": key, "inbound_nodes": [c for n in names if (c := self.call(n)) is not None]}
        parents = {
            name: [parent for parent in references(self.nodes[name].sources or ()) if parent in self.keys]
            for name in self.keys
        }
        order = layer_order(self.model.outputs, parents, self.keys, references(self.model.inputs))
        return [by_name[key] for key in dict.fromkeys([*order, *by_name])]

    def call(self, name: str) -> dict[str, Any] | None:
        """The arguments of a call; None for an input."""
        node = self.nodes[name]
        if node.sources is None:
            return None
        x, mask = _without_mask(node.sources)
        if isinstance(node.step, Model):
            args, kwargs = [self.source(x)], dict[str, Any]()
        else:
            args, kwargs = self.arguments(bind(node.step), x)
        if mask is not None:
            kwargs["mask"] = self.source(mask)
        return {"args": args, "kwargs": kwargs}

    def arguments(self, bound: Bound, x: Any) -> tuple[list[Any], dict[str, Any]]:
        """(args, kwargs) of the Keras call of a layer that reads the sources `x`."""
        entry = require_entry(bound, self.writing.custom)
        options = {key: literal(tree.thaw(item)) for key, item in bound.options.items() if key in call_options(entry)}
        options |= {name: literal(item) for name, item in bound.options.get(entry.further, {}).items()}
        places = [name for name in entry.arguments if name not in options and not name.startswith("**")]
        if not places:
            items = x if isinstance(x, tuple) and not isinstance(x, FrozenList) else (x,)
            return [self.source(item) for item in items], options
        arguments = {name: self.source(item) for name, item in _by_argument(x, places, entry).items()}
        first = arguments.pop(places[0])
        kwargs = {key: item for key, item in arguments.items() if item is not None}
        return [first], {**dict.fromkeys(WRITTEN_AS_NONE.get(bound.function.__name__, ())), **kwargs, **options}

    def source(self, source: Any) -> Any:
        """A tree of sources as arguments."""
        if isinstance(source, str | Ref):
            node = at(source).node
            if function_of(self.nodes[node].step) is constant:
                array = np.asarray(self.params[self.nodes[node].params or node]["value"])
                return {"class_name": "__numpy__", "config": {"value": array.tolist(), "dtype": str(array.dtype)}}
            return self.tensor(source)
        if isinstance(source, masked_by):
            return self.source(source.values)
        if isinstance(source, Mapping):
            return {key: self.source(item) for key, item in source.items()}
        if isinstance(source, tuple):
            return [self.source(item) for item in source]
        return literal(source)

    def tensor(self, source: str | Ref) -> dict[str, Any]:
        outputs = self.writing.rows[(*self.path, at(source).node)].outputs
        spec = tree.get(outputs, at(source).path)
        config = {"shape": list(spec.shape), "dtype": spec.dtype, "keras_history": self.history(source)}
        return {"class_name": "__keras_tensor__", "config": config}

    def history(self, source: str | Ref, ends: bool = False) -> list[Any]:
        """[layer, number of the call, number of the output]. ends: calls of functional models count from 1 there."""
        node, path = at(source).node, at(source).path
        if node not in self.places:
            outputs = paths_of(self.writing.rows[(*self.path, node)].outputs)
            self.places[node] = {path: number for number, path in enumerate(outputs)}
        call = self.numbers[node] + (ends and isinstance(self.nodes[node].step, Graph))
        return [self.keys[node], call, self.places[node][path]]

    def ends(self, sources: Any) -> Any:
        """`input_layers` or `output_layers`."""
        if isinstance(sources, str | Ref):
            return self.history(sources, ends=True)
        if isinstance(sources, masked_by):
            return self.ends(sources.values)
        if isinstance(sources, Mapping):
            return {key: self.ends(item) for key, item in sources.items()}
        if isinstance(sources, tuple):
            return [self.ends(item) for item in sources]
        raise ExportError(f"{sources!r:.60} is a constant among the inputs or outputs, which Keras does not have")


def _by_argument(x: Any, places: list[str], entry: Entry) -> dict[str, Any]:
    """{argument: its sources} of a layer that reads the sources `x`. places: its arguments, in order."""
    if isinstance(x, Mapping) and x and set(x) <= set(places):
        return {name: x[name] for name in places if name in x}
    takes_several = len(places) > 1 or (entry.rules.call is not None and entry.inputs is not None)
    if not isinstance(x, tuple) or not takes_several:
        return {places[0]: x}
    if "initial_state" in places:
        return {"sequences": x[0], **({"initial_state": x[1:]} if len(x) > 1 else {})}
    return dict(zip(places, x, strict=False))


def _as_layer(step: Any) -> Any:
    """A step without the options that are arguments of its call."""
    if isinstance(step, Model):
        return step
    bound = bind(step)
    if bound.function not in CLASSES:
        return bound
    arguments = call_options(LAYERS[CLASSES[bound.function]])
    options = FrozenDict({key: item for key, item in bound.options.items() if key not in arguments})
    return replace(bound, options=options)


def _without_mask(sources: Any) -> tuple[Any, Any]:
    """(sources, mask argument of the call): the mask of the first or only array, else a tree of masks."""
    if isinstance(sources, masked_by):
        return sources.values, sources.mask
    if isinstance(sources, Mapping):
        pairs = {key: _without_mask(item) for key, item in sources.items()}
        by_name = {key: mask for key, (_, mask) in pairs.items()}
        values = FrozenDict({key: item for key, (item, _) in pairs.items()})
        masked = [key for key, mask in by_name.items() if mask is not None]
        return values, by_name[masked[0]] if masked == list(pairs)[:1] else FrozenDict(by_name) if masked else None
    if isinstance(sources, tuple):
        listed = [_without_mask(item) for item in sources]
        masks = [mask for _, mask in listed]
        alone = not isinstance(sources, FrozenList) and not any(mask is not None for mask in masks[1:])
        mask = (masks[0] if alone else FrozenList(masks)) if any(mask is not None for mask in masks) else None
        return type(sources)(item for item, _ in listed), mask
    return sources, None


def described(
    model: Any, params: Params, takes: Any, custom: Mapping[str, Callable[..., Any]] | None = None
) -> dict[str, Any]:
    """The config, in the form of Keras 3, of a model from `spelled`."""
    rows = {row.path: row for row in infer.trace(model, takes)}
    names = {function: name for name, function in (custom or {}).items()}
    writing = Writing(rows, names)
    return writing.object(model, type(model).__name__.lower(), params, ())
