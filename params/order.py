"""The order in which Keras runs the calls of a functional model.

It shows in the result where a layer changes what others read: multi-head attention takes the masks off its inputs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def keras_order(ends: Iterable[Node], parents: Mapping[Node, Sequence[Node]], layer: Mapping[Node, str]) -> list[Node]:
    """The nodes that lead to `ends`, from the deepest to the outputs.

    A node is one deeper than the deepest that reads it, and at least as deep as the later calls of its layer. Nodes
    of one depth run in the order in which a walk from the outputs back to the inputs first meets them; so the
    branches of a model run last output first.

    >>> keras_order(["a", "b"], {"a": ["x"], "b": ["x"], "x": []}, {"a": "a", "b": "b", "x": "x"})
    ['x', 'b', 'a']
    """
    depths: dict[Node, int] = {}
    of_layers: dict[str, int] = {}
    for node in reversed(_inputs_first(ends, parents)):
        depth = max(depths.get(node, 0), of_layers.get(layer[node], 0))
        depths[node] = of_layers[layer[node]] = depth
        for parent in parents[node]:
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    return sorted(depths, key=lambda node: -depths[node])


def _inputs_first(ends: Iterable[Node], parents: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """All nodes that lead to `ends`, each after those that it reads: depth first, without recursion."""
    found: dict[Node, None] = {}
    entered: set[Node] = set()
    waiting = list(reversed(list(ends)))
    while waiting:
        node = waiting[-1]
        unseen = [parent for parent in parents[node] if parent not in entered]
        if node not in entered and unseen:
            entered.add(node)
            waiting += reversed(unseen)
        else:
            entered.add(node)
            found.setdefault(waiting.pop())
    return list(found)
