"""Models that begin with strings: the part that runs in NumPy, and the rest that may be jitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.compose import Graph, Sequential, input_names
from fnet.core.model import Model, Node
from fnet.core.rules import rules_of
from fnet.core.sources import Ref, at, mapped, references
from fnet.tree import FrozenDict


def has_host(step: Any) -> bool:
    """Whether `step` is, or contains, a layer that takes strings."""
    return any(rules_of(layer).entrance.host for layer in infer.layers_in(step))


def inputs_of_host(model: Any) -> set[str]:
    """The inputs of a model that `host` of `split_host` reads."""
    if not has_host(model):
        return set()
    names = set(references(input_names(model)))
    return names & _ancestors(model) if isinstance(model, Graph) else names


def split_host(model: Any) -> tuple[Any, Any]:
    """(host, numeric): two models, on the same params, with numeric(host(x)) == model(x).

    host: the layers that take strings and all that comes before them, or None where there are none;
    numeric: the rest, which takes whatever arrays host gives.
    """
    if not has_host(model):
        return None, model
    if isinstance(model, Sequential):
        return _split_sequential(model)
    if isinstance(model, Graph):
        return _split_graph(model)
    return model, Sequential(())


def split_numbers(model: Any) -> tuple[Any, Any]:
    """`split_host` where host gives numbers of which no size depends on the texts; else (None, model)."""
    host, numeric = split_host(model)
    takes = None if host is None or not numeric.names else infer.input_spec(host)
    if takes is None:
        return None, model
    try:
        crossing = tree.leaves(infer.infer(host, takes)[0])
    except (ValueError, TypeError, LookupError):  # a rule that needs more than the model says of its inputs
        return None, model
    known = all(spec.dtype != "string" and None not in spec.shape[1:] for spec in crossing)
    return (host, numeric) if known else (None, model)


def _split_sequential(model: Sequential) -> tuple[Sequential, Sequential]:
    last = max(i for i, (_, step) in enumerate(model.steps) if has_host(step))
    name, step = model.steps[last]
    host, numeric = split_host(step)
    rest = model.steps[last + 1 :]
    return (
        Sequential((*model.steps[:last], (name, host))),
        Sequential(((name, numeric), *rest) if isinstance(step, Model) else rest),
    )


def _split_graph(model: Graph) -> tuple[Graph, Graph]:
    """Host nodes are those with strings and their ancestors; what crosses the cut is named in a dict."""
    ancestors = _ancestors(model)
    host_nodes, numeric_nodes = [], []
    for name, node in model.nodes:
        if name not in ancestors:
            numeric_nodes.append((name, node))
        elif has_host(node.step) and isinstance(node.step, Model):
            host, numeric = split_host(node.step)
            host_nodes.append((name, Node(host, node.sources, node.params or name)))
            numeric_nodes.append((name, Node(numeric, Ref(name), node.params or name)))
        else:
            host_nodes.append((name, node))
    sources = {name: name if node.sources is None else node.sources for name, node in numeric_nodes}
    cut: dict[str, Any] = {}
    crossed = tuple(
        (name, replace(node, sources=_crossing(sources[name], sources.keys() - {name}, cut)))
        for name, node in numeric_nodes
    )
    outputs = _crossing(model.outputs, set(sources), cut)
    numeric_graph = Graph(crossed, FrozenDict({key: key for key in cut}), outputs)
    return Graph(tuple(host_nodes), model.inputs, FrozenDict(cut)), numeric_graph


def _ancestors(model: Graph) -> set[str]:
    """The nodes that contain string layers, and all nodes that lead to them."""
    nodes = {name for name, node in model.nodes if has_host(node.step)}
    for name, node in reversed(model.nodes):
        if name in nodes:
            nodes |= set(references(node.sources))
    return nodes


def _crossing(sources: Any, numeric: set[str], cut: dict[str, Any]) -> Any:
    """`sources` with everything that is not a numeric node read from the cut, which is filled in."""

    def crossing(leaf: str | Ref) -> str | Ref:
        reference = at(leaf)
        if reference.node in numeric:
            return leaf
        key = "/".join(map(str, (reference.node, *reference.path))) + ":cut"
        cut[key] = reference
        return key

    return mapped(crossing, sources)
