"""`spelled`: a model with all that a config of Keras needs.

Inputs are steps, sizes are options, sources are single arrays, and a model that Keras has no Sequential for is a graph.
Options for rules of other versions are left out where they change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import fnet
from fnet import tree
from fnet.core import infer
from fnet.core.compose import Graph, Sequential, graph, with_each
from fnet.core.layer import Bound, bind, name_of
from fnet.core.model import Model, Node
from fnet.core.sources import Ref, at, feed, mapped
from fnet.dtypes import is_integral
from fnet.errors import ExportError
from fnet.layers import own_name
from fnet.layers.basic import constant
from fnet.rewrites.folding import KERNELS
from fnet.tree import FrozenDict, FrozenList
from fnet.types import Params, Spec
from params.convert.mask_effects import has_masks
from params.file.keras_objects import Names
from params.table.entry import Entry
from params.table.layers import FOREIGN, LAYERS, RENAMED

CLASSES = {entry.layer: name for name, entry in LAYERS.items() if name not in FOREIGN and name not in RENAMED}
"""{layer: its class in Keras 3}."""


def call_options(entry: Entry) -> frozenset[str]:
    """The arguments of the Keras call of a layer; some are options here."""
    return frozenset({*entry.arguments, "return_attention_scores", "use_causal_mask"}).difference(entry.earlier)


RECURRENT = frozenset(
    {fnet.rnn, fnet.simple_rnn, fnet.lstm, fnet.gru, fnet.bidirectional}
    | {fnet.conv_lstm1d, fnet.conv_lstm2d, fnet.conv_lstm3d}
)
"""Layers whose option `masks` matters only with initial states."""

MAKE_NO_MASKS = {*CLASSES, constant}
"""Layers that make no masks, except those in `makes_masks`."""


def spelled(model: Any, params: Params, takes: Any) -> Any:
    """`model`, for inputs of the Spec tree `takes`, with all that a config needs; it computes the same."""
    if not isinstance(model, Model):
        raise ExportError(f"a single layer is not a model: give fnet.sequential({name_of(model)})")
    return _spelled(model if makes_masks(model) else _without_ages(model), params, takes)


def _spelled(model: Any, params: Params, takes: Any) -> Any:
    rows = {row.path: row for row in infer.trace(model, takes) if len(row.path) < 2}
    if isinstance(model, Sequential) and _is_plain(model, rows):
        inner = [(name, _step(step, params.get(name, {}), rows[name,].inputs)) for name, step in model.steps]
        return Sequential(tuple(_after_input(inner, takes)))
    whole = _with_inputs(_as_graph(model, takes), takes)
    rows = {row.path: row for row in infer.trace(whole, takes) if len(row.path) < 2}
    specs = {name: rows[name,].outputs for name, _ in whole.nodes}
    nodes = []
    for name, node in whole.nodes:
        step = _step(node.step, params.get(node.params or name, {}), rows[name,].inputs)
        nodes.append((name, Node(step, _by_element(node.sources, specs), node.params)))
    return Graph(tuple(nodes), whole.inputs, _by_element(whole.outputs, specs))


def _step(step: Any, params: Params, takes: Any) -> Any:
    """A step of a model, for inputs of the Spec tree `takes`."""
    if isinstance(step, Model):
        return _spelled(step, params, takes)
    integers = any(isinstance(spec, Spec) and is_integral(spec.dtype) for spec in tree.leaves(takes))
    return _complete(_without_idle_ages(bind(step), isinstance(takes, Spec), integers), params)


def _is_plain(model: Sequential, rows: Mapping[tuple[Any, ...], infer.TracedStep]) -> bool:
    """Whether Keras can have the steps in a Sequential: layers on one array, called without further arguments."""
    for name, step in model.steps:
        row = rows[name,]
        if not isinstance(row.inputs, Spec) or not isinstance(row.outputs, Spec):
            return False
        function = function_of(step)
        if function is not None and function in CLASSES:
            if set(bind(step).options) & call_options(LAYERS[CLASSES[function]]):
                return False
        elif is_operation_of_keras(function) or function is constant:
            return False
    return bool(model.steps)


def _after_input(steps: list[tuple[str, Any]], takes: Spec) -> list[tuple[str, Any]]:
    """The steps of a sequential model with an `input_layer` in front."""
    (name, first), *rest = steps
    if function_of(first) is fnet.input_layer:
        return [(name, _input(takes, first)), *rest]
    return [(Names(name for name, _ in steps).fresh("input_layer"), _input(takes)), *steps]


def _as_graph(model: Any, takes: Any) -> Graph:
    """The model as a graph, which may have several inputs."""
    if isinstance(model, Graph) or isinstance(takes, Spec):
        whole: Graph = model.as_graph()
        return whole
    names = Names(model.names)
    inputs = tree.map(lambda spec: names.fresh("input_layer"), takes)
    reads = [inputs, *model.names]
    nodes = {name: (step, source) for (name, step), source in zip(model.steps, reads, strict=False)}
    return graph(nodes, inputs=inputs, outputs=reads[-1])


def _with_inputs(model: Graph, takes: Any) -> Graph:
    """The graph with an `input_layer` for each input."""
    fed = feed(model.inputs, takes)
    names = Names([*model.names, *fed])
    inputs = {name: node for name, node in model.nodes if node.sources is None}
    nodes, renamed = dict[str, Node](), dict[str, str]()
    for name, spec in fed.items():
        if name not in inputs:
            nodes[name] = Node(_input(spec))
        elif function_of(inputs[name].step) is fnet.input_layer:
            nodes[name] = Node(_input(spec, inputs[name].step))
        else:  # a layer under the name of an input
            renamed[name] = names.fresh("input_layer")
            nodes[renamed[name]] = Node(_input(spec))
            nodes[name] = replace(inputs[name], sources=renamed[name])
    nodes |= {name: node for name, node in model.nodes if name not in nodes}
    return Graph(tuple(nodes.items()), mapped(lambda name: renamed.get(name, name), model.inputs), model.outputs)


def _input(spec: Any, layer: Any = None) -> Bound:
    """The input layer of a Spec; sizes other than the number of rows come from `layer`."""
    if not isinstance(spec, Spec):
        raise ExportError(f"an input of the structure {spec!r:.80} does not exist in Keras")
    if layer is None:
        return bind(fnet.input_layer, shape=spec.shape, dtype=spec.dtype)
    return bind(layer, shape=(*spec.shape[:1], *layer.options["shape"][1:]))


def is_operation_of_keras(function: Callable[..., Any] | None) -> bool:
    """Whether a function is one of `fnet.operations`."""
    return function is not None and function.__module__.startswith("fnet.operations")


def function_of(step: Any) -> Callable[..., Any] | None:
    """The function of a layer; None for a model."""
    return None if isinstance(step, Model) else bind(step).function


# --- masks ------------------------------------------------------------------------------------------------------


def makes_masks(step: Any) -> bool:
    """Whether a step, or one inside it, may make a mask."""
    if isinstance(step, Model):
        nodes = step.as_graph().nodes if step.names else ()
        return any(has_masks(node.sources) or makes_masks(node.step) for _, node in nodes)
    bound = bind(step)
    foreign = bound.function not in MAKE_NO_MASKS and not is_operation_of_keras(bound.function)
    own = bound.function is fnet.masking or bool(bound.options.get("mask_zero"))
    return foreign or own or any(makes_masks(child) for _, child in infer.children(bound))


def _without_ages(step: Any) -> Any:
    """A step that gets no masks, without its options for masks of other versions."""
    step = with_each(step, _without_ages)
    if isinstance(step, Model):
        return step
    return replace(step, options=FrozenDict({key: item for key, item in step.options.items() if key != "masks"}))


def _without_idle_ages(bound: Bound, alone: bool, integers: bool) -> Bound:
    """A layer without options of other versions that change nothing: for initial states where it gets one array
    (`alone`), for `integers` where it gets none, for the dtype of encodings where it returns none."""
    options = {
        key: _without_idle_ages(value, alone, integers) if isinstance(value, Bound) else value
        for key, value in bound.options.items()
    }
    if alone and bound.function in RECURRENT:
        options.pop("masks", None)
    if not integers:
        options.pop("keeps_integers", None)
    if bound.all_options.get("output_mode") in ("int", "tf_idf"):
        options.pop("encoding_dtype", None)
    return replace(bound, options=FrozenDict(options))


# --- sizes and elements ---------------------------------------------------------------------------------


def _complete(bound: Bound, params: Params) -> Bound:
    """A layer, and the steps inside it, with the sizes of its params as options."""
    options = dict(bound.options)
    for key, size in _sizes(own_name(bound.function), params) if params else ():
        if options.get(key) is None:
            options[key] = size
    for key, value in options.items():
        if isinstance(value, Bound):
            options[key] = _complete(value, params.get(key, {}))
        elif isinstance(value, Model) and (takes := infer.input_spec(value)) is not None:
            options[key] = spelled(value, params.get(key, {}), takes)
    if bound.function is fnet.rnn and isinstance(options["cell"], tuple):
        options["cell"] = bind(fnet.stacked_rnn_cells, cells=options["cell"])
    return Bound(bound.function, tree.freeze(options), bound.dtype)


def _sizes(layer: str, params: Params) -> Iterable[tuple[str, int]]:
    """The options of a layer that may be missing where its params tell them."""
    if layer in ("embedding", "reversible_embedding"):
        return zip(("input_dim", "output_dim"), params["embeddings"].shape, strict=True)
    name, axes = KERNELS.get(layer, ("", ()))
    return [("units" if layer == "dense" else "filters", params[name].shape[axes[0]])] if len(axes) == 1 else []


def _by_element(sources: Any, specs: Mapping[str, Any]) -> Any:
    """Sources with one element for each array of a node with several."""
    return mapped(lambda leaf: _elements(leaf, tree.get(specs[at(leaf).node], at(leaf).path)), sources)


def _elements(source: str | Ref, spec: Any) -> Any:
    if isinstance(spec, Mapping):
        return FrozenDict({key: _elements(at(source, key), item) for key, item in spec.items()})
    if isinstance(spec, list | tuple):
        return FrozenList(_elements(at(source, i), item) for i, item in enumerate(spec))
    return source if at(source).path else at(source).node
