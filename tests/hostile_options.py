"""Options that no valid file has: beyond what Keras takes, or so large that obeying them would be costly.

`REFUSED`: (Keras class, input shape, options), each refused by Keras 3.15. `huge`: every layer and operation in the
tables of cases with one integer at a huge value, as fnet records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fnet
from fnet import bind, tree
from fnet.core import infer
from fnet.core.options import fits, kinds, option_names
from fnet.core.rules import call_of
from tests.cases import all_cases
from tests.cases.operations import CASES

SEQUENCE, IMAGE, VOLUME, ROW = (8, 3), (8, 8, 3), (6, 6, 6, 2), (4,)

REFUSED: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    *(("Cropping1D", SEQUENCE, {"cropping": c}) for c in (-1, [-1, -1], [0, -1], [4, 4], [9, 0], [1, 1, 1], [])),
    *(("Cropping2D", IMAGE, {"cropping": c}) for c in (-1, [-1, 0], [[0, -1], [0, 0]], [[4, 4], [0, 0]], [1, 1, 1])),
    *(("Cropping3D", VOLUME, {"cropping": c}) for c in (-1, [0, 0, -1], [[0, 0], [0, 0], [-1, 0]], [3, 3, 3])),
    *(("ZeroPadding1D", SEQUENCE, {"padding": p}) for p in (-1, [-1, 0], [0, -2], [1, 2, 3])),
    *(("ZeroPadding2D", IMAGE, {"padding": p}) for p in (-1, [-1, 0], [[0, -1], [0, 0]], [1, 1, 1])),
    *(("ZeroPadding3D", VOLUME, {"padding": p}) for p in (-1, [0, 0, -1], [[0, 0], [0, 0], [-1, 0]])),
    *(("UpSampling1D", SEQUENCE, {"size": s}) for s in (0, -1)),
    *(("UpSampling2D", IMAGE, {"size": s}) for s in (0, -1, [0, 1], [2, -2], [1, 2, 3])),
    *(("UpSampling3D", VOLUME, {"size": s}) for s in (0, -1, [1, 1, 0], [1, 1])),
    ("UpSampling2D", IMAGE, {"interpolation": "magic"}),
    ("UpSampling2D", IMAGE, {"data_format": "channels_middle"}),
    ("RepeatVector", ROW, {"n": -1}),
    ("RepeatVector", ROW, {"n": 0}),
    ("RepeatVector", ROW, {"n": 1.5}),
    *(("UnitNormalization", IMAGE, {"axis": a}) for a in (7, [1, 7], -5)),
    *(("Softmax", IMAGE, {"axis": a}) for a in (7, [1, 7], -5)),
    *(("Normalization", ROW, n) for n in ({"axis": 7, "mean": None}, {"mean": 1.0}, {"variance": 1.0})),
    *(("Dropout", ROW, {"rate": 0.5, "noise_shape": n}) for n in ([None, 0], [None, -1])),
    *(("STFTSpectrogram", (50,), {"frame_length": 16, **n}) for n in ({"fft_length": 2}, {"frame_step": 17})),
    *(("Reshape", ROW, {"target_shape": t}) for t in ([-1, -1], [-2, -2], [3], [0, 4], [-3], [5, -1])),
    *(("Permute", SEQUENCE, {"dims": d}) for d in ([1, 1], [0, 1], [2, 3], [-1, 1], [1])),
    *(("Flatten", IMAGE, {"data_format": d}) for d in ("channels_middle", "")),
    *((name, ROW, {"rate": r}) for name in ("Dropout", "AlphaDropout", "GaussianDropout") for r in (-0.1, 1.5, 2)),
    *((f"SpatialDropout{n}D", shape, {"rate": r})
      for n, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME)) for r in (-0.1, 1.5)),
    *(("GaussianNoise", ROW, {"stddev": s}) for s in (-1.0, 1.5)),
    *(("ReLU", ROW, {key: v}) for key in ("max_value", "negative_slope", "threshold") for v in (-1.0, -1e-9)),
    ("LeakyReLU", ROW, {"negative_slope": -0.1}),
    *(("PReLU", IMAGE, {"shared_axes": a}) for a in ([7], [1, 9], 4)),
    *(("Dense", ROW, {"units": u}) for u in (0, -1, 1.5, "2")),
    *(("Dense", ROW, {"units": 2, "activation": a}) for a in ("magic", "threshold", 3, ["relu"])),
    *(("Embedding", ROW, {"input_dim": i, "output_dim": o}) for i, o in ((-1, 2), (2, -1))),
    *((f"Conv{n}D", shape, {"filters": 2, "kernel_size": 2, **wrong})
      for n, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
      for wrong in ({"filters": 0}, {"filters": -1}, {"kernel_size": 0}, {"kernel_size": -1}, {"strides": 0},
                    {"strides": -2}, {"dilation_rate": 0}, {"groups": 0}, {"groups": -1}, {"groups": 5},
                    {"padding": "full"}, {"kernel_size": [2] * (n + 1)}, {"data_format": "x"}, {"kernel_size": 99})),
    *((f"MaxPooling{n}D", shape, wrong) for n, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
      for wrong in ({"pool_size": 0}, {"pool_size": -1}, {"pool_size": [2] * (n + 1)}, {"padding": "full"},
                    {"strides": 0}, {"strides": -1}, {"pool_size": 99})),
    *(("DepthwiseConv2D", IMAGE, {"kernel_size": 2, **w}) for w in ({"depth_multiplier": 0}, {"depth_multiplier": -1})),
    *(("LayerNormalization", IMAGE, {"axis": a}) for a in ([1, 1], [-1, 3])),
    ("UnitNormalization", IMAGE, {"axis": [-1, -1]}),
    ("UnitNormalization", IMAGE, {"axis": -1.0}),
    ("GroupNormalization", IMAGE, {"axis": -1.0}),
    *(("Softmax", IMAGE, {"axis": a}) for a in ([], 1.0)),
    ("BatchNormalization", IMAGE, {"axis": [1]}),
    *(("Discretization", ROW, {"bin_boundaries": [1.0], "num_bins": n}) for n in ([1], -0.5, "x")),
    *(("ReLU", ROW, {key: [1.0]}) for key in ("max_value", "negative_slope", "threshold")),
    *((f"Conv{n}D{way}", shape, {"filters": 2, "kernel_size": 2, "strides": 2, "dilation_rate": [1] * (n - 1) + [3]})
      for n, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME)) for way in ("", "Transpose")),
    *(("EinsumDense", SEQUENCE, o) for o in ({"equation": "abc,cd->abd"}, {"output_shape": [None, 2]})),
    *(("Resizing", IMAGE, {"height": 2, "width": 2, key: 2.0}) for key in ("height", "width")),
    ("MelSpectrogram", (200,), {"fft_length": 64.0}),
    *(("MelSpectrogram", (200,), {"fft_length": 64, key: v})
      for key, v in (("num_mel_bins", 12.0), ("min_freq", [20.0]), ("max_freq", [8000]))),
    ("MelSpectrogram", (200,), {"fft_length": 400}),
    ("STFTSpectrogram", (50, 1), {"frame_length": 100}),
    ("CategoryEncoding", ROW, {"num_tokens": 3, "output_mode": "int"}),
    *((name, IMAGE, {"data_format": d, **o}) for d in ("zzz", ["channels_last"], 5)
      for name, o in (("AutoContrast", {}), ("RandomFlip", {}), ("RandomRotation", {"factor": 0.1}))),
    ("Dropout", SEQUENCE, {"rate": 0.5, "seed": True}),
    ("GaussianNoise", SEQUENCE, {"stddev": 0.5, "seed": True}),
    *(("LSTM", SEQUENCE, {"units": u}) for u in (0, -1)),
    *(("GRU", SEQUENCE, {"units": u}) for u in (0, -1)),
    *(("MultiHeadAttention", SEQUENCE, {"num_heads": h, "key_dim": k}) for h, k in ((0, 2), (-1, 2), (2, 0), (2, -1))),
    *(("GroupNormalization", IMAGE, {"groups": g}) for g in (0, 2, 5, -7)),
    *(("BatchNormalization", IMAGE, {"axis": a}) for a in (9, -9)),
    *(("LayerNormalization", IMAGE, {"axis": a}) for a in (9, [1, 9])),
    *(("CategoryEncoding", ROW, {"num_tokens": n, "output_mode": "one_hot"}) for n in (0, -1, None)),
    ("CategoryEncoding", ROW, {"num_tokens": 3, "output_mode": "magic"}),
    ("Discretization", ROW, {"bin_boundaries": [1.0], "output_mode": "magic"}),
    *(("Hashing", ROW, {"num_bins": n}) for n in (0, -1, None)),
    ("Hashing", ROW, {"num_bins": 3, "output_mode": "magic"}),
    ("Attention", SEQUENCE, {"score_mode": "magic"}),
    ("Bidirectional", SEQUENCE, {"merge_mode": "magic"}),
    ("RandomCrop", IMAGE, {"height": -1, "width": 2}),
    ("MaxPooling2D", IMAGE, {"pool_size": 1.0}),
    ("AveragePooling2D", IMAGE, {"pool_size": 1, "strides": 1.0}),
    ("Conv2D", IMAGE, {"filters": 1, "kernel_size": 1, "dilation_rate": 1.0}),
    ("Conv2DTranspose", IMAGE, {"filters": 1, "kernel_size": 1, "strides": [2.0, 2.0]}),
    ("MultiHeadAttention", SEQUENCE, {"num_heads": 1, "key_dim": 1, "attention_axes": 1.0}),
    ("MultiHeadAttention", SEQUENCE, {"num_heads": 1, "key_dim": 1, "sliding_window": 1.0}),
]  # fmt: skip
"""(class, shape of the input without batch, options): Keras refuses to build each layer."""


def resized(value: Any, numbers: tuple[int, ...]) -> Iterator[Any]:
    """`value` with each integer in it replaced by each of `numbers`."""
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield from numbers
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            for other in resized(item, numbers):
                yield type(value)([*value[:place], other, *value[place + 1 :]])


def _options(layer: Any, options: dict[str, Any], numbers: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """The options of a case, including defaults, with one integer changed."""
    for name, default in option_names(layer).items():
        for value in resized(options.get(name), numbers):
            yield {**options, name: value}
        if options.get(name) is None and not isinstance(default, bool | str):
            for number in numbers:
                if fits(number, kinds(layer).get(name, Any)):
                    yield {**options, name: number}


def huge(*numbers: int) -> Iterator[tuple[str, Any, Any]]:
    """(label, bound layer or operation, Specs of its inputs) with one integer at each of `numbers`."""
    seen = set()
    for case in [*all_cases(), *CASES]:
        x = specs(case)
        for options in _options(case.layer, case.options, numbers):
            label = f"{case.layer.__name__}({options}) of {x}"
            if label not in seen:
                seen.add(label)
                yield label, bind(case.layer, **options), x


def specs(case: Any) -> Any:
    """The Specs of the inputs of a case; literals are unchanged."""
    if not hasattr(case, "shapes"):
        inputs = tree.map(lambda a: fnet.Spec(a.shape, a.dtype) if hasattr(a, "dtype") else a, case.inputs)
        names = call_of(case.layer).arguments
        return inputs[0] if len(names) == 1 and not names[0].startswith("*") else inputs
    x = case.inputs()
    return fnet.Spec((len(x),), "string") if isinstance(x, list) else infer.spec(x)
