"""The orders in which Keras runs the calls of a functional model, and in which it lists its layers.

The first matters where a layer has side effects: multi-head attention deletes the masks of its inputs. The second
matters in files: it is the order of numbered groups and stored arrays.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from fnet.core.sources import references
from fnet.tree import sorted_leaves

Node = TypeVar("Node", bound=Hashable)


def keras_order(ends: Iterable[Node], parents: Mapping[Node, Sequence[Node]], layer: Mapping[Node, str]) -> list[Node]:
    """The nodes that lead to `ends`, from the deepest to the outputs.

    A node is one deeper than the deepest that reads it, and at least as deep as the later calls of its layer. Nodes
    of one depth run in the order in which a walk from the outputs back to the inputs first meets them; so the
    branches of a model run last output first.

    >>> keras_order(["a", "b"], {"a": ["x"], "b": ["x"], "x": []}, {"a": "a", "b": "b", "x": "x"})
    ['x', 'b', 'a']
    """
    depths, _ = _depths(_inputs_first(ends, parents)[0], parents, layer)
    return sorted(depths, key=lambda node: -depths[node])


def layer_order(
    outputs: Any, parents: Mapping[str, Sequence[str]], layer: Mapping[str, str], inputs: Iterable[str]
) -> list[str]:
    """The layers as `model.layers` of Keras lists them: from the deepest to the outputs, those of one depth as the walk
    from the outputs, by their sorted names, first meets them, inputs that lead to no output before all others of the
    last.

    >>> nodes = {"sum": ["b", "a"], "a": ["x"], "b": ["x"], "x": []}
    >>> layer_order(["sum"], nodes, {name: name for name in nodes}, ["x"])
    ['x', 'b', 'a', 'sum']
    >>> layer_order(["a"], {"a": ["x"], "x": []}, {name: name for name in "axu"}, ["x", "u"])
    ['x', 'u', 'a']
    """
    finished, met = _inputs_first(references(sorted_leaves(outputs)), parents)
    _, depths = _depths(finished, parents, layer)
    first = list(dict.fromkeys(layer[node] for node in met))
    lost = [layer[name] for name in inputs if layer[name] not in depths]
    ranks = {name: number for number, name in enumerate([*lost, *first])}
    return sorted(ranks, key=lambda name: (-depths.get(name, 0), ranks[name]))


def _depths(
    finished: Sequence[Node], parents: Mapping[Node, Sequence[Node]], layer: Mapping[Node, str]
) -> tuple[dict[Node, int], dict[str, int]]:
    """The depths of the nodes, and of the layers, each before those that it reads."""
    depths: dict[Node, int] = {}
    of_layers: dict[str, int] = {}
    for node in reversed(finished):
        depth = max(depths.get(node, 0), of_layers.get(layer[node], 0))
        depths[node] = of_layers[layer[node]] = depth
        for parent in parents[node]:
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    return depths, of_layers


def _inputs_first(ends: Iterable[Node], parents: Mapping[Node, Sequence[Node]]) -> tuple[list[Node], list[Node]]:
    """All nodes that lead to `ends`, depth first, without recursion: each after those that it reads, and as met."""
    order: dict[Node, None] = {}
    entered: dict[Node, None] = {}
    waiting = list(reversed(list(ends)))
    while waiting:
        node = waiting[-1]
        if node in entered:
            order.setdefault(waiting.pop())
        else:
            entered[node] = None
            waiting += reversed([parent for parent in parents[node] if parent not in entered])
    return list(order), list(entered)
