"""Layered drawing of an acyclic graph: every edge goes down, lines are as straight as possible.

After Sugiyama: nodes are on ranks by their longest path from a source; an edge over several ranks becomes a chain of
points, one on each rank; the order on each rank is that of the means of the neighbours, in several sweeps; then x is
as near to the medians of the neighbours as the order and the widths allow.
"""

from __future__ import annotations

import graphlib
import itertools
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

from fnet.errors import InvalidInput
from fnet.records import NamedTuple, dataclass

GAP, RANK_GAP, POINT = 24.0, 46.0, 8.0
"""Space between boxes of a rank; space between ranks; half the width of a passing line."""
SWEEPS = 12
MOST = 10_000
"""The most ranks that all lines of a picture may pass together."""
PUSHES = 10**9
"""How many points of lines a box outweighs when they compete for a place."""


class Edge(NamedTuple):
    """An edge from `source` to `target`; `number` tells parallel edges apart."""

    source: Any
    target: Any
    number: int = 0


@dataclass(frozen=True)
class Layout:
    """All positions; x of a box is its middle, y its top."""

    width: float
    height: float
    places: Mapping[Any, tuple[float, float]]
    lines: Mapping[Edge, list[tuple[float, float, float]]]
    """{edge: (x, y of the top, y of the bottom) of each rank that it passes, from its source to its target}."""


class TooLarge(InvalidInput):
    """A model has too many steps, or lines past them, for a picture."""


def arrange(sizes: Mapping[Any, tuple[float, float]], edges: Sequence[Edge]) -> Layout:
    """Positions for boxes of {node: (width, height)}.

    Raises graphlib.CycleError for a cycle, and TooLarge where edges pass too many ranks.
    """
    ranks_of = _ranks(sizes, edges)
    if (passed := sum(ranks_of[edge.target] - ranks_of[edge.source] for edge in edges)) > MOST:
        raise TooLarge(
            f"a picture of {len(sizes)} steps whose lines pass {passed} of them is too large; `depth` leaves models "
            "closed, `fnet.summary` lists all steps"
        )
    points = itertools.count()
    chains = {edge: _chain(edge, ranks_of, points) for edge in edges}
    half = {node: width / 2 + GAP / 2 for node, (width, _) in sizes.items()}
    half |= {point: POINT for chain in chains.values() for point in chain[1:-1]}
    ranks: list[list[Any]] = [[] for _ in range(max(ranks_of.values(), default=-1) + 1)]
    for node, rank in ranks_of.items():
        ranks[rank].append(node)
    for edge, chain in chains.items():
        for rank, point in enumerate(chain[1:-1], ranks_of[edge.source] + 1):
            ranks[rank].append(point)
    near = _neighbours(chains.values(), sizes)
    _order(ranks, near)
    x = _across(ranks, near, half)
    _straighten(chains.values(), ranks, x, half)
    left = min((x[node] - half[node] for node in x), default=0.0)
    x = {node: place - left for node, place in x.items()}
    heights = [max((sizes[node][1] for node in rank if node in sizes), default=0.0) for rank in ranks]
    tops = [*itertools.accumulate((height + RANK_GAP for height in heights), initial=RANK_GAP / 2)]
    lines = {}
    for edge, chain in chains.items():
        rank = ranks_of[edge.source]
        line = [(x[point], tops[rank + i], tops[rank + i] + heights[rank + i]) for i, point in enumerate(chain)]
        line[0] = (line[0][0], line[0][1] + sizes[edge.source][1], line[0][2])
        line[-1] = (line[-1][0], line[-1][1], line[-1][1])
        lines[edge] = line
    width = max((x[node] + half[node] for node in x), default=0.0)
    height = tops[-1] - (RANK_GAP / 2 if ranks else 0.0)
    return Layout(width, height, {node: (x[node], tops[ranks_of[node]]) for node in sizes}, lines)


_Near = dict[Any, list[tuple[Any, int]]]


def _ranks(sizes: Mapping[Any, Any], edges: Sequence[Edge]) -> dict[Any, int]:
    """{node: length of the longest path to it}; sources are moved down to the rank above their first reader."""
    above: dict[Any, list[Any]] = {node: [] for node in sizes}
    below: dict[Any, list[Any]] = {node: [] for node in sizes}
    for edge in edges:
        above[edge.target].append(edge.source)
        below[edge.source].append(edge.target)
    ranks: dict[Any, int] = {}
    for node in graphlib.TopologicalSorter(above).static_order():
        ranks[node] = max((ranks[source] + 1 for source in above[node]), default=0)
    for node in sizes:
        if not above[node] and below[node]:
            ranks[node] = min(ranks[target] for target in below[node]) - 1
    return {node: ranks[node] for node in sizes}


def _chain(edge: Edge, ranks: Mapping[Any, int], points: Iterator[int]) -> list[Any]:
    """The source, a point for each rank in between, the target."""
    return [edge.source, *itertools.islice(points, ranks[edge.target] - ranks[edge.source] - 1), edge.target]


def _neighbours(chains: Iterable[Sequence[Any]], sizes: Mapping[Any, Any]) -> tuple[_Near, _Near]:
    """{node: [(neighbour, weight)]} above and below. Weights: points of a line 8, two boxes 4, a box and a point 1."""
    above: _Near = {}
    below: _Near = {}
    for chain in chains:
        for upper, lower in itertools.pairwise(chain):
            boxes = (upper in sizes) + (lower in sizes)
            weight = (8, 1, 4)[boxes]
            above.setdefault(lower, []).append((upper, weight))
            below.setdefault(upper, []).append((lower, weight))
    return above, below


def _order(ranks: list[list[Any]], near: tuple[_Near, _Near]) -> None:
    """Sort each rank by the means of the neighbours above, then below, and so on; the fewest crossings win."""
    best, least = [list(rank) for rank in ranks], _crossings(ranks, near[1])
    for sweep in range(SWEEPS):
        if least == 0:
            break
        down = sweep % 2 == 0
        for i in range(1, len(ranks)) if down else range(len(ranks) - 2, -1, -1):
            at = {node: place for place, node in enumerate(ranks[i - 1 if down else i + 1])}
            neighbours = near[0 if down else 1]
            own = {node: place for place, node in enumerate(ranks[i])}
            middle = {
                node: sum(at[other] for other, _ in neighbours[node]) / len(neighbours[node])
                if node in neighbours
                else float(own[node])
                for node in ranks[i]
            }
            ranks[i].sort(key=lambda node: middle[node])
        crossings = _crossings(ranks, near[1])
        if crossings < least:
            best, least = [list(rank) for rank in ranks], crossings
    ranks[:] = best


def _crossings(ranks: Sequence[Sequence[Any]], below: _Near) -> int:
    """How many pairs of lines cross between two ranks."""
    count = 0
    for upper, lower in itertools.pairwise(ranks):
        if len(upper) > 1 and len(lower) > 1:
            at = {node: place for place, node in enumerate(lower)}
            ends = [end for node in upper for end in sorted(at[other] for other, _ in below.get(node, ()))]
            before: list[int] = []
            for end in ends:
                place = bisect_right(before, end)
                count += len(before) - place
                before.insert(place, end)
    return count


def _across(ranks: Sequence[Sequence[Any]], near: tuple[_Near, _Near], half: Mapping[Any, float]) -> dict[Any, float]:
    """{node: x}: each rank near the medians of its neighbours, alternately those above and those below."""
    x: dict[Any, float] = {}
    for rank in ranks:
        x.update(_placed(rank, [0.0] * len(rank), half))
    for sweep in range(SWEEPS):
        neighbours = near[sweep % 2]
        for rank in ranks if sweep % 2 == 0 else reversed(ranks):
            targets = [_median([(x[other], w) for other, w in neighbours[node]]) if node in neighbours else x[node]
                      for node in rank]  # fmt: skip
            x.update(_placed(rank, targets, half))
    return x


def _straighten(
    chains: Iterable[Sequence[Any]], ranks: Sequence[Sequence[Any]], x: dict[Any, float], half: Mapping[Any, float]
) -> None:
    """Align the points of each line where one of their x is free on all ranks."""
    neighbors = {
        node: (left, right)
        for rank in ranks
        for left, node, right in zip([None, *rank], rank, [*rank[1:], None], strict=False)
    }
    for _, *points, _ in chains:
        places = Counter(x[point] for point in points)
        sides = [neighbors[point] for point in points]
        lowest = max((x[left] + half[left] for left, _ in sides if left is not None), default=-inf) + POINT
        highest = min((x[right] - half[right] for _, right in sides if right is not None), default=inf) - POINT
        for place, _ in places.most_common():
            if lowest <= place <= highest:
                x.update(dict.fromkeys(points, place))
                break


def _median(values: list[tuple[float, int]]) -> float:
    """The weighted median; the mean of the two middle values where both halves weigh the same."""
    values.sort()
    sums = list(itertools.accumulate(weight for _, weight in values))
    i = bisect_left(sums, sums[-1] / 2)
    return (values[i][0] + values[i + 1][0]) / 2 if 2 * sums[i] == sums[-1] else values[i][0]


def _placed(rank: Sequence[Any], target: Sequence[float], half: Mapping[Any, float]) -> dict[Any, float]:
    """{node: x} in this order without overlap, with the least squared distances to `target`; lines give way to boxes.

    Nodes that would overlap become a block that moves as one (pool adjacent violators).
    """
    offsets, offset = [], 0.0
    for i, node in enumerate(rank):
        offset += half[rank[i - 1]] + half[node] if i else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int, int]] = []  # mean of (wanted - offset), weight, number of nodes
    for node, value, shift in zip(rank, target, offsets, strict=True):
        mean, weight, count = value - shift, 1 if half[node] == POINT else PUSHES, 1
        while blocks and blocks[-1][0] > mean:
            other, heavy, more = blocks.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + more
        blocks.append((mean, weight, count))
    bases = [mean for mean, _, count in blocks for _ in range(count)]
    return {node: base + shift for node, base, shift in zip(rank, bases, offsets, strict=True)}
