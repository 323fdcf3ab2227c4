"""Checks that cases can fail: what a case of the tables must show before it is compared with Keras.

A case is dull if its output is constant, equals its input, or stays the same with default options or without its
masks. `Case.idle`, `IDLE_LAYERS` and `IDLE_OPTIONS` say where that is right, and why.
"""

from __future__ import annotations

import inspect
import zlib
from typing import Any

import numpy as np

import fnet
from fnet import tree
from fnet.core.options import option_names
from fnet.core.rules import rules_of
from fnet.layers import augmentation
from fnet.masks import mask_of, strip
from params.convert import generations
from tests import operation_parity, parity
from tests.cases import Case
from tests.cases.operations import OpCase

EARLIER = (
    "says what an earlier Keras did: tests/test_generations.py, tests/test_versions.py, tests/test_mask_generations.py"
)
REST = "acts in training only"
IDLE_LAYERS = {
    "identity": "gives its input back",
    "activity_regularization": REST,
    "stochastic_depth": REST,
    **dict.fromkeys(("dropout", "spatial_dropout1d", "spatial_dropout2d", "spatial_dropout3d"), REST),
    **dict.fromkeys(("alpha_dropout", "gaussian_dropout", "gaussian_noise"), REST),
    **dict.fromkeys(
        (name for name in vars(augmentation) if isinstance(getattr(fnet, name, None), type(fnet.dense))), REST
    ),
    **dict.fromkeys(("copy", "stop_gradient", "conj", "conjugate"), "give real numbers back"),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "full", "full_like"), "constant by definition"),
    "random_crop": "by the rules of Keras since 3.8",
    "nextafter": "the next float is nearly the same",
    **dict.fromkeys(("real", "imag", "isreal"), "fnet has real inputs only"),
}
"""{layer that returns its input: why}."""

IDLE_OPTIONS = {
    **dict.fromkeys(("dropout", "recurrent_dropout", "rate", "noise_shape", "stddev", "drop_path_rate"), REST),
    **dict.fromkeys(("power_iterations", "synchronized"), REST),
    **dict.fromkeys(
        ("unroll", "implementation", "flash_attention", "assume_unique", "sparse"), "another way to the same"
    ),
    **dict.fromkeys(("top_k.sorted", "segment_sum.sorted", "segment_prod.sorted"), "another way to the same"),
    "dot_product_attention.attn_logits_soft_cap": "Keras on TensorFlow leaves it out",
    **dict.fromkeys(("resize.fill_mode", "resizing.fill_mode"), "has one legal value"),
    "sparse_categorical_crossentropy.axis": "must be the last",
    "geomspace.axis": "Keras on TensorFlow knows the first only",
    **dict.fromkeys(("spatial_dropout2d.data_format", "spatial_dropout3d.data_format"), REST),
    "vocabulary_size": "of the shape rule: tests/test_text.py",
    "unstack.num": "must be the size of the axis",
    **dict.fromkeys(generations.OPTIONS, EARLIER),
    **dict.fromkeys((f"random_crop.{name}" for name in ("height", "width", "data_format")), EARLIER),
    "stateful": "of `predict`, not of a call: tests/test_streaming.py",
    "quantization": "tests/test_quantized.py",
    "time_major": "of Keras 2: tests/test_recurrent.py, tests/test_versions.py",
}
"""{option, or layer.option, that never changes the output of a call: why, or where it is tested}."""


# --- results --------------------------------------------------------------------------------------


def drawn_params(case: Case, x: Any, step: Any) -> Any:
    """Params with different numbers everywhere; the same path always gets the same array."""
    if case.params is not None:
        return case.params
    made = fnet.init(step, 0, fnet.core.infer.spec(x))
    return tree.nest({path: _drawn(path, leaf) for path, leaf in tree.items(made)})


def _drawn(path: Any, leaf: Any) -> Any:
    if leaf.dtype.kind != "f":
        return leaf
    value = np.random.default_rng(zlib.crc32(repr(path).encode())).standard_normal(leaf.shape) * 0.5
    return (np.abs(value) + 0.5 if "variance" in str(path[-1]) else value).astype(leaf.dtype)


def result(case: Case | OpCase, options: dict[str, Any], masked: bool = True) -> Any:
    """The output of fnet for a case with these options in place of its own, or without its masks."""
    step = fnet.bind(case.layer, **options)
    if isinstance(case, OpCase):
        return step({}, operation_parity.fnet_input(case, case.draw()))
    x = case.inputs()
    return step(drawn_params(case, x, step), parity.with_mask(case, x) if masked else x)


def differ(a: Any, b: Any) -> bool:
    """Whether two results differ in structure, masks, shapes, dtypes or values."""
    ours, theirs = tree.leaves(a), tree.leaves(b)
    if len(ours) != len(theirs):
        return True
    for one, other in zip(ours, theirs, strict=True):
        for x, y in ((one, other), (mask_of(one), mask_of(other))):
            x, y = (None if z is None else np.asarray(strip(z)) for z in (x, y))
            if (x is None) != (y is None) or (x is not None and not _equal(x, y)):
                return True
    return False


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fc":
        return np.array_equal(a, b)
    return np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)


# --- rows -----------------------------------------------------------------------------------------


def chosen(case: Case | OpCase) -> dict[str, Any]:
    """The options of a case that differ from the layer's defaults, without required ones."""
    defaults = option_names(case.layer)
    empty = inspect.Parameter.empty
    return {
        k: v for k, v in case.options.items() if defaults.get(k, empty) is not empty and repr(v) != repr(defaults[k])
    }


def is_idle(layer: Any, option: str) -> bool:
    return option in IDLE_OPTIONS or f"{layer.__name__}.{option}" in IDLE_OPTIONS


def dull(case: Case | OpCase) -> list[str]:
    """The reasons why a case is dull; none if it is not, or says why it may be."""
    if case.idle or case.layer.__name__ in IDLE_LAYERS:
        return []
    given, reasons = result(case, case.options), []
    leaves = [np.asarray(strip(leaf)) for leaf in tree.leaves(given)]
    if all(leaf.size > 1 and _equal(leaf, np.full_like(leaf, leaf.flat[0])) for leaf in leaves):
        reasons.append(f"all outputs are {leaves[0].flat[0]}")
    inputs = [
        leaf
        for leaf in tree.leaves(case.draw() if isinstance(case, OpCase) else case.inputs())
        if hasattr(leaf, "dtype")
    ]
    if inputs and leaves and not getattr(case, "mask", False) and not differ(tree.leaves(given)[0], inputs[0]):
        reasons.append("it gives its input back")
    options = {k: v for k, v in chosen(case).items() if not is_idle(case.layer, k)}
    if options and not any(matters(case, case.options, name) for name in options):
        reasons.append(f"the options {options} change nothing")
    if (
        getattr(case, "mask", False)
        and rules_of(case.layer).mask != "drop"
        and not differ(given, result(case, case.options, masked=False))
    ):
        reasons.append("its mask changes nothing")
    return reasons


def matters(case: Case | OpCase, options: dict[str, Any], name: str) -> bool:
    """Whether the output of a case, or its initial params, change when an option is left out."""
    rest = {key: value for key, value in options.items() if key != name}
    try:
        if differ(result(case, options), result(case, rest)):
            return True
    except (TypeError, ValueError, LookupError, AttributeError):
        return True  # the case needs the option
    if isinstance(case, OpCase) or case.params is not None:
        return False
    spec = fnet.core.infer.spec(case.inputs())
    with_it, without = (fnet.init(fnet.bind(case.layer, **o), 0, spec) for o in (options, rest))
    return [path for path, _ in tree.items(with_it)] != [path for path, _ in tree.items(without)] or differ(
        with_it, without
    )


def untold(cases: list[Any], layers: list[Any]) -> list[str]:
    """The options of layers without a case in which they matter: "layer.option"."""
    by_layer: dict[Any, list[Any]] = {}
    for case in cases:
        by_layer.setdefault(case.layer, []).append(case)
    return [
        f"{layer.__name__}.{name}"
        for layer in layers
        for name, default in option_names(layer).items()
        if not is_idle(layer, name) and not _told(by_layer.get(layer, []), name, default)
    ]


def _told(cases: list[Any], name: str, default: Any) -> bool:
    """Whether cases show an option to matter: a required one by two values, others by a case in which it matters."""
    if default is inspect.Parameter.empty:
        return len({repr(case.options[name]) for case in cases if name in case.options}) > 1
    return any(name in chosen(case) and matters(case, case.options, name) for case in cases)
