"""Cases of fnet.layers.basic."""

import fnet
from tests.cases import Case

CASES = [
    Case(fnet.identity, (2, 3, 4), twin="Identity"),
    Case(fnet.identity, (2, 3, 4), twin="Identity", mask=True),
    Case(fnet.dense, (3, 5), {"units": 4}, twin="Dense"),
    Case(fnet.dense, (3, 2, 5), {"units": 4, "activation": "relu", "use_bias": False}, twin="Dense", mask=True),
    Case(fnet.embedding, (3, 6), {"input_dim": 10, "output_dim": 4}, twin="Embedding", dtype="int32"),
    Case(
        fnet.embedding,
        (3, 6),
        {"input_dim": 10, "output_dim": 4, "mask_zero": True},
        twin="Embedding",
        dtype="int32",
        high=3,
    ),
]
