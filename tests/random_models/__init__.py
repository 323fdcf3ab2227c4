"""Whole random Keras models, drawn by hypothesis: depth, branches, masks, recurrence, attention, nesting, sharing."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import fnet
from compare import reference
from params import load_keras
from tests import parity
from tests.random_models import any_rank, images, nesting, sequences, vectors
from tests.random_models.beginnings import BEGINNINGS, WORDS
from tests.random_models.builder import ACTIVATIONS, Builder

STEPS = {
    0: [*any_rank.STEPS, *nesting.STEPS],
    2: vectors.STEPS * 2,
    3: sequences.STEPS,
    4: images.STEPS * 2,
    5: images.VIDEO_STEPS * 16,
}
POLICIES = ["float32"] * 17 + ["mixed_float16", "mixed_bfloat16", "float64"]
VOCABULARY = [*WORDS, "unknown", "", "Alpha beta!", "x  x, δελτα"]


def draw_model(draw: Any, keras: Any) -> Any:
    """A built Keras model with non-trivial weights; `draw` draws from a strategy."""
    keras.backend.clear_session()
    build = Builder(keras, draw, STEPS)
    policy = build.pick(POLICIES)
    build.narrow = policy.startswith("mixed")
    keras.config.set_dtype_policy(policy)
    try:
        model = _sequential(build) if build.number(0, 9) == 9 else _functional(build)
    finally:
        keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(draw_seed(build))
    model.set_weights([_weight(rng, variable) for variable in model.weights])
    return model


def draw_seed(build: Builder) -> int:
    return build.number(0, 2**16)


def _functional(build: Builder) -> Any:
    longest = 3 if build.narrow else 6
    ends = [build.grow(build.pick(BEGINNINGS)(build), build.number(1, longest)) for _ in range(build.number(1, 2))]
    if len(ends) == 2 and build.flag():
        flat = [build.layers.Flatten()(end) for end in ends]
        ends = [build.grow(build.layers.Concatenate()(flat), build.number(0, 2))]
    ends += build.extras
    outputs = build.pick(["list", "dict"]) if len(ends) > 1 else "single"
    outputs = {"list": ends, "dict": {f"out_{i}": end for i, end in enumerate(ends)}, "single": ends[0]}[outputs]
    inputs = build.pick(["list", "dict"]) if len(build.inputs) > 1 else build.pick(["list", "dict", "single", "single"])
    named = {f"in_{len(build.inputs) - i}": x for i, x in enumerate(build.inputs)}
    return build.keras.Model({"list": build.inputs, "dict": named, "single": build.inputs[0]}[inputs], outputs)


def _sequential(build: Builder) -> Any:
    """A Sequential, built by an Input or by its first call."""
    layers, steps = build.layers, []
    shape = build.pick([(5,), (6, 4), (8, 8, 2)])
    if len(shape) == 3:
        steps += [layers.Conv2D(3, 3, activation=build.activation()), layers.MaxPooling2D(), layers.Flatten()]
    elif len(shape) == 2:
        masking = [layers.Masking(0.0)] if build.flag() else []
        steps += [*masking, layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.GRU(3)]
    steps += [layers.Dense(4, activation=build.activation()), layers.BatchNormalization()]
    if build.flag():
        steps.append(build.keras.Sequential([layers.Dense(3), layers.Dropout(0.5)]))
    if build.flag():
        return build.keras.Sequential([build.keras.Input(shape), *steps])
    model = build.keras.Sequential(steps)
    model.build((None, *shape))
    return model


def _weight(rng: np.random.Generator, variable: Any) -> np.ndarray:
    value = rng.standard_normal(variable.shape) * 0.5
    return np.abs(value) + 0.5 if "variance" in variable.path else value


ROWS = 13
"""Of a batch; no size inside the models, since `keras.ops.add` takes (n, 1) for a bias where n is a size of the other
tensor (TensorFlow backend), and then adds along the wrong axis.
"""


def draw_inputs(model: Any, rng: np.random.Generator, rows: int = ROWS) -> Any:
    """Random rows in the structure that the model takes."""
    structure = getattr(model, "_inputs_struct", model.inputs[0])
    return fnet.tree.map(lambda tensor: _rows(tensor, rng, rows), structure)


def _rows(tensor: Any, rng: np.random.Generator, rows: int) -> np.ndarray:
    """Ids and sequences have zeros at the begin, inside and at the end."""
    shape = (rows, *tensor.shape[1:])
    if tensor.dtype == "string":
        texts = rng.choice(VOCABULARY, shape)
        return texts if len(shape) > 1 else np.array([" ".join(rng.choice(VOCABULARY, 4)) for _ in range(rows)])
    if tensor.dtype == "int32":
        return (rng.integers(0, 7, shape) * (rng.random(shape) < 0.7)).astype("int32")
    x = rng.standard_normal(shape).astype("float32")
    if len(shape) == 3:
        x *= rng.random(shape[:2])[..., None] < 0.7
    return x


# --- next to Keras ---


def assert_parity(model: Any, x: Any, modes: Iterable[str]) -> None:
    """The model, saved and loaded, at the yardstick in these modes.

    Equal records run equally, so the step and the params of the first mode serve all.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.keras"
        model.save(path)
        assert_file_parity(path, model, x, modes)


def assert_file_parity(path: Path, model: Any, x: Any, modes: Iterable[str]) -> None:
    """The same for a file and the Keras model that is in it."""

    @functools.cache
    def exact() -> Any:
        with reference.float64(path) as wide:
            return keras_outputs(wide, x)

    keras32, policy = keras_outputs(model, x), reference.policy(model)
    widest = any(layer.compute_dtype == "float64" for layer in model._flatten_layers())
    loaded, params = load_keras(path)
    for mode in modes:
        with parity.mode(mode) as run, _double(widest):
            parity.assert_parity(run(loaded, params, x), keras32, exact, policy)


def keras_outputs(model: Any, x: Any) -> Any:
    """What Keras gives, bfloat16 as float32 arrays: so fnet holds it."""
    tensors = fnet.tree.map(lambda a: reference.tensors(a, str(a.dtype)), x)
    outputs = fnet.tree.map(np.asarray, model(tensors, training=False))
    return fnet.tree.map(lambda a: a.astype("float32") if a.dtype.name == "bfloat16" else a, outputs)


def _double(wanted: bool) -> Any:
    """JAX has float64 where it is told so."""
    import jax

    return jax.enable_x64(True) if wanted else contextlib.nullcontext()


__all__ = ["ACTIVATIONS", "STEPS", "assert_file_parity", "assert_parity", "draw_inputs", "draw_model"]
