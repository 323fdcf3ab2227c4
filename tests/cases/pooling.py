"""Cases of poolings: windows, global, adaptive."""

from functools import partial
from typing import Any

import numpy as np

import fnet
from tests.cases import Case

INPUTS = {1: (2, 9, 3), 2: (2, 9, 7, 3), 3: (2, 6, 7, 5, 3)}


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(batch, *spatial, channels) -> (batch, channels, *spatial)."""
    return (shape[0], shape[-1], *shape[1:-1])


def wide_3d_twin(cls: str, keras: Any, **options: Any) -> Any:
    """A 3D pooling layer that also works in float64, for which TensorFlow has no CPU kernels.

    Maxima of float32 numbers are exact in float32; means go through XLA.
    """

    class Wide(getattr(keras.layers, cls)):
        def call(self, x):
            if self.compute_dtype != "float64":
                return super().call(x)
            if "Max" in cls:
                return keras.ops.cast(super().call(keras.ops.cast(x, "float32")), "float64")
            import tensorflow as tf

            return tf.function(super().call, jit_compile=True)(x)

    return Wide(**options)


def row(layer, cls: str, shape: tuple[int, ...], options: dict[str, Any]) -> Case:
    """One case; 3D poolings have a twin that works in float64."""
    wide = "3D" in cls and "Global" not in cls
    return Case(layer, shape, options, twin=partial(wide_3d_twin, cls, **options) if wide else cls)


def both_layouts(layer, cls: str, shape: tuple[int, ...], *options: dict[str, Any]) -> list[Case]:
    """A case for each dict of options, and the last one again with channels first."""
    rows = [row(layer, cls, shape, o) for o in options]
    first = {**options[-1], "data_format": "channels_first"}
    return [*rows, row(layer, cls, channels_first(shape), first)]


def windows(rank: int) -> list[dict[str, Any]]:
    """Options of max and average pooling of a rank."""
    uneven = {1: (2, 3), 2: ((1, 3), (2, 3)), 3: ((1, 3, 5), (2, 3, 4))}[rank]
    return [
        {"pool_size": 2},
        {"pool_size": 2, "padding": "same"},
        {"pool_size": 3, "strides": 1, "padding": "same"},
        {"pool_size": 3, "strides": 2},
        {"pool_size": 1, "strides": 2},
        {"pool_size": 2, "strides": 3, "padding": "same"},
        {"pool_size": uneven[0], "strides": uneven[1]},
        {"pool_size": 4, "strides": 2, "padding": "same"},
        {"pool_size": uneven[0], "strides": uneven[1], "padding": "same"},
    ]


# Size 1 is missing: TensorFlow aborts the process there (tests/test_conv_pitfalls.py has it).
NEGATIVE = np.random.default_rng(0).integers(-99, -1, (2, 5, 7, 3)).astype("int32")
"""Numbers of which none is larger than the zeros of padding."""

SIZES = {1: (3, 2, 13), 2: ((3, 4), (13, 14), 3, (9, 2)), 3: ((2, 3, 3), (7, 2, 3), 4)}

CASES = [
    *[
        case
        for rank, shape in INPUTS.items()
        for kind in ("max", "average")
        for case in both_layouts(
            getattr(fnet, f"{kind}_pooling{rank}d"), f"{kind.title()}Pooling{rank}D", shape, *windows(rank)
        )
    ],
    *[
        case
        for rank, shape in INPUTS.items()
        for kind in ("max", "average")
        for case in both_layouts(
            getattr(fnet, f"global_{kind}_pooling{rank}d"),
            f"Global{kind.title()}Pooling{rank}D",
            shape,
            *({"keepdims": True}, {}),
        )
    ],
    *[
        case
        for rank, shape in INPUTS.items()
        for kind in ("max", "average")
        for case in both_layouts(
            getattr(fnet, f"adaptive_{kind}_pooling{rank}d"),
            f"Adaptive{kind.title()}Pooling{rank}D",
            shape,
            *({"output_size": size} for size in SIZES[rank]),
        )
    ],
    *[
        Case(
            getattr(fnet, f"adaptive_{kind}_pooling1d"),
            (2, 9, 3),
            {"output_size": 9},
            twin=f"Adaptive{kind.title()}Pooling1D",
            idle="a bin for each step",
        )
        for kind in ("max", "average")
    ],
    *(
        Case(fnet.max_pooling2d, (2, 5, 7, 3), {"padding": "same", **options}, "MaxPooling2D", feed=NEGATIVE)
        for options in ({}, {"pool_size": 3, "strides": 2})
    ),
    Case(fnet.max_pooling2d, (2, 4, 5, 3), twin="MaxPooling2D"),
    Case(fnet.max_pooling2d, (2, 20, 23, 3), {"pool_size": (11, 9), "strides": (2, 3)}, twin="MaxPooling2D"),
    Case(fnet.average_pooling2d, (2, 7, 7, 3), {"pool_size": 7}, twin="AveragePooling2D"),
    Case(fnet.global_average_pooling1d, (4, 6, 3), twin="GlobalAveragePooling1D", mask=True),
    Case(fnet.global_average_pooling1d, (4, 6, 3), {"keepdims": True}, twin="GlobalAveragePooling1D", mask=True),
    Case(fnet.global_average_pooling1d, (2, 3001, 2), twin="GlobalAveragePooling1D"),
]
