"""Cases of fnet.layers.merging."""

import numpy as np

import fnet
from tests.cases import Case

PAIR = ((3, 4, 5), (3, 4, 5))
SHORT = (np.float32([[3e-8, 4e-8, 0], [1, 2, 3]]), np.float32([[3, 1, 2], [1, 1, 1]]))
"""Vectors, one of which is too short to be normalized."""
ELEMENTWISE = [
    (fnet.add, "Add"),
    (fnet.subtract, "Subtract"),
    (fnet.multiply, "Multiply"),
    (fnet.average, "Average"),
    (fnet.maximum, "Maximum"),
    (fnet.minimum, "Minimum"),
]
SEVERAL = [row for row in ELEMENTWISE if row[1] != "Subtract"]
RANKS = ((2, 3), (2, 1, 3), (2, 1, 1, 3), (2, 1, 1, 1, 3))
AXES = [(rank, axis) for rank in range(2, 6) for axis in (*range(1, rank), *range(1 - rank, 0))]
WITHOUT = (2, 3, 4, 2, 3)
PARTLY = "lost where an input has no mask, but for products and the like"
LAST = "the last axis is the default"


def _sides(rank: int, axis: int) -> tuple[tuple[int, ...], ...]:
    shape = list(WITHOUT[:rank])
    return tuple((*shape[: axis % rank], size, *shape[axis % rank + 1 :]) for size in (1, 3))


CASES = [
    *(Case(layer, PAIR, twin=twin) for layer, twin in ELEMENTWISE),
    *(Case(layer, PAIR, twin=twin, mask=(0, 1)) for layer, twin in ELEMENTWISE),
    *(Case(layer, PAIR, twin=twin, mask=at, idle=PARTLY) for layer, twin in ELEMENTWISE for at in [(0,), (1,)]),
    *(Case(layer, (*PAIR, (3, 4, 5)), twin=twin, mask=at) for layer, twin in SEVERAL for at in [(), (0, 1, 2)]),
    *(Case(layer, (*PAIR, (3, 4, 5)), twin=twin, mask=(1, 2), idle=PARTLY) for layer, twin in SEVERAL),
    *(Case(layer, RANKS, twin=twin) for layer, twin in SEVERAL),
    *(Case(layer, ((3, 4, 5), (3, 1, 5)), twin=twin) for layer, twin in ELEMENTWISE),
    *(Case(layer, ((3, 5), (3, 4, 5)), twin=twin, mask=(1,), idle=PARTLY) for layer, twin in ELEMENTWISE),
    Case(fnet.multiply, ((2, 3, 4), (2, 1, 4)), twin="Multiply", mask=(0, 1)),
    Case(fnet.add, ((3, 4),), twin="Add", idle="one addend is the sum"),
    *(
        Case(fnet.concatenate, _sides(rank, axis), {"axis": axis}, twin="Concatenate", idle=LAST * (axis == rank - 1))
        for rank, axis in AXES
    ),
    *(
        Case(fnet.concatenate, PAIR, {"axis": axis}, twin="Concatenate", mask=at)
        for axis in (1, -1)
        for at in [(0,), (1, 0)]
    ),
    Case(fnet.concatenate, (*PAIR, (3, 2, 5)), {"axis": 1}, twin="Concatenate", mask=(0, 2)),
    Case(fnet.dot, ((3, 4), (3, 4)), {"axes": 1}, twin="Dot"),
    Case(fnet.dot, ((3, 4), (3, 4)), {"axes": -1, "normalize": True}, twin="Dot"),
    Case(fnet.dot, ((2, 3), (2, 3)), {"axes": 1, "normalize": True}, "Dot", label="dot of short vectors", feed=SHORT),
    Case(fnet.dot, ((2, 3, 5), (2, 4, 3)), {"axes": (1, 2)}, twin="Dot"),
    Case(fnet.dot, ((2, 3, 5), (2, 4, 3)), {"axes": (-2, -1), "normalize": True}, twin="Dot", mask=(0, 1)),
    Case(fnet.dot, ((2, 3), (2, 4, 3)), {"axes": (1, 2)}, twin="Dot"),
    Case(fnet.dot, ((2, 4, 3), (2, 3)), {"axes": (2, 1)}, twin="Dot"),
    Case(fnet.dot, ((2, 4, 3, 5), (2, 6, 3, 2)), {"axes": 2}, twin="Dot"),
    Case(fnet.dot, ((2, 4, 3, 5), (2, 6, 3)), {"axes": (2, 2)}, twin="Dot"),
]
