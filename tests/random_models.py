"""Whole random Keras models, drawn by hypothesis: depth, branches, masks, recurrence, attention, nesting, sharing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

ACTIVATIONS = ["relu", "tanh", "gelu", "sigmoid", "selu", "softplus", "hard_silu", "mish", "leaky_relu", "softmax"]
TIME, SIZE = 6, 8


class Builder:
    """Grows a Keras functional model one drawn step at a time."""

    def __init__(self, keras: Any, draw: Any) -> None:
        self.keras, self.draw = keras, draw
        self.inputs: list[Any] = []
        self.shared: dict[tuple[Any, ...], Any] = {}

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def activation(self) -> str:
        return self.pick(ACTIVATIONS)

    # --- where a model begins ---

    def start(self) -> Any:
        """A new input: token ids (perhaps masked), a sequence (perhaps masked), an image or a vector."""
        k, kind = self.keras, self.pick(["ids", "sequence", "image", "vector"])
        shapes = {"ids": (TIME,), "sequence": (TIME, 4), "image": (SIZE, SIZE, 3), "vector": (5,)}
        x = k.Input(shapes[kind], dtype="int32" if kind == "ids" else "float32")
        self.inputs.append(x)
        if kind == "ids":
            return k.layers.Embedding(7, 4, mask_zero=self.flag())(x)
        return k.layers.Masking(0.0)(x) if kind == "sequence" and self.flag() else x

    def grow(self, x: Any, steps: int) -> Any:
        for _ in range(steps):
            x = self.step(x)
        return x

    def step(self, x: Any) -> Any:
        rank = len(x.shape)
        own = {2: self.on_vector, 3: self.on_sequence, 4: self.on_image}[rank]
        return self.pick([own, own, own, self.on_anything])(x)

    # --- steps by rank ---

    def on_anything(self, x: Any) -> Any:
        k = self.keras
        kind = self.pick(["activation", "norm", "dense", "residual", "branch", "nested", "shared", "ops", "dropout"])
        if kind == "activation":
            return k.layers.Activation(self.activation())(x)
        if kind == "norm":
            layer = self.pick(["BatchNormalization", "LayerNormalization", "UnitNormalization", "RMSNormalization"])
            return getattr(k.layers, layer)()(x)
        if kind == "dense":
            return k.layers.Dense(self.pick([3, 4]), activation=self.activation(), use_bias=self.flag())(x)
        if kind == "residual":
            return self.pick([k.layers.Add, k.layers.Average, k.layers.Maximum])()([x, k.layers.Dense(x.shape[-1])(x)])
        if kind == "branch":
            return k.layers.Concatenate()([k.layers.Dense(2)(x), k.layers.Activation(self.activation())(x)])
        if kind == "nested":
            return self.nested(x)
        if kind == "shared":
            return self.shared_twice(x)
        if kind == "ops":
            return self.pick([lambda t: t * 2.0 + 1.0, lambda t: 1.0 - t, lambda t: k.ops.tanh(t), lambda t: t / 3.0])(
                x
            )
        return k.layers.Dropout(0.5)(x)

    def nested(self, x: Any) -> Any:
        """A model inside: Sequential or Functional, perhaps called twice."""
        k = self.keras
        inner_input = k.Input(x.shape[1:])
        inner_output = k.layers.Dense(x.shape[-1], activation=self.activation())(inner_input)
        if self.flag():
            inner = k.Sequential([k.layers.Dense(x.shape[-1]), k.layers.Activation(self.activation())])
        else:
            inner = k.Model(inner_input, k.layers.Add()([inner_input, inner_output]))
        y = inner(x)
        return inner(y) if self.flag() else y

    def shared_twice(self, x: Any) -> Any:
        k = self.keras
        key = ("dense", x.shape[-1])
        layer = self.shared.setdefault(key, k.layers.Dense(x.shape[-1], activation="tanh"))
        return k.layers.Subtract()([layer(x), layer(k.layers.Activation("relu")(x))])

    def on_vector(self, x: Any) -> Any:
        k = self.keras
        kind = self.pick(["dense", "repeat", "reshape", "softmax"])
        if kind == "repeat":
            return k.layers.RepeatVector(TIME)(x)
        if kind == "reshape":
            return k.layers.Reshape((x.shape[-1], 1))(k.layers.Dense(5)(x)) if x.shape[-1] == 5 else x
        return k.layers.Softmax()(x) if kind == "softmax" else k.layers.Dense(5, activation=self.activation())(x)

    def on_sequence(self, x: Any) -> Any:
        k = self.keras
        kind = self.pick(
            ["recurrent", "recurrent", "bidirectional", "attention", "conv", "pool", "distributed", "flat"]
        )
        if kind == "recurrent":
            return self.recurrent(self.flag())(x)
        if kind == "bidirectional":
            merge = self.pick(["concat", "sum", "mul", "ave"])
            return k.layers.Bidirectional(self.recurrent(self.flag(), plain=True), merge_mode=merge)(x)
        if kind == "attention":
            return self.attention(x)
        if kind == "conv":
            padding = self.pick(["same", "causal", "valid"]) if x.shape[1] > 2 else "same"
            return k.layers.Conv1D(4, self.pick([1, 2]), padding=padding, activation=self.activation())(x)
        if kind == "pool":
            pool = self.pick([k.layers.GlobalAveragePooling1D, k.layers.GlobalMaxPooling1D])
            return pool()(x)
        if kind == "distributed":
            return k.layers.TimeDistributed(k.layers.Dense(3, activation=self.activation()))(x)
        return k.layers.Flatten()(x)

    def recurrent(self, sequences: bool, plain: bool = False) -> Any:
        k = self.keras
        cls = self.pick([k.layers.SimpleRNN, k.layers.LSTM, k.layers.GRU])
        extra = {"reset_after": self.flag()} if cls is k.layers.GRU else {}
        backwards = False if plain else self.flag()
        return cls(self.pick([3, 4]), return_sequences=sequences, go_backwards=backwards, **extra)

    def attention(self, x: Any) -> Any:
        k, kind = self.keras, self.pick(["mha", "dot", "additive"])
        if kind == "mha":
            return k.layers.MultiHeadAttention(2, 3, value_dim=self.pick([3, 4]))(x, x, use_causal_mask=self.flag())
        layer = k.layers.Attention(use_scale=self.flag()) if kind == "dot" else k.layers.AdditiveAttention()
        return layer([x, x])

    def on_image(self, x: Any) -> Any:
        k, kind = (
            self.keras,
            self.pick(["conv", "conv", "depthwise", "transpose", "pool", "up", "global", "flat", "pad"]),
        )
        padding, strides = self.pick(["same", "valid"]), self.pick([1, 2])
        small = min(x.shape[1:3]) < 3
        if kind in ("conv", "depthwise", "pool") and small:
            padding = "same"
        if kind == "conv":
            return k.layers.Conv2D(4, (2, 3), strides, padding, activation=self.activation())(x)
        if kind == "depthwise":
            return k.layers.DepthwiseConv2D(2, strides, padding, depth_multiplier=self.pick([1, 2]))(x)
        if kind == "transpose" and max(x.shape[1:3]) <= 8:
            return k.layers.Conv2DTranspose(3, (2, 3), strides, padding)(x)
        if kind == "pool":
            return self.pick([k.layers.MaxPooling2D, k.layers.AveragePooling2D])((2, 3), strides, padding)(x)
        if kind == "up" and max(x.shape[1:3]) <= 8:
            return k.layers.UpSampling2D(2, interpolation=self.pick(["nearest", "bilinear"]))(x)
        if kind == "pad":
            return k.layers.ZeroPadding2D(((1, 0), (0, 2)))(x)
        if kind == "flat":
            return k.layers.Reshape((-1, x.shape[-1]))(x)
        return k.layers.GlobalAveragePooling2D(keepdims=self.flag())(x)


def draw_model(draw: Any, keras: Any) -> Any:
    """A built Keras model with non-trivial weights; `draw` draws from a strategy."""
    keras.backend.clear_session()
    build = Builder(keras, draw)
    ends = [build.grow(build.start(), draw(st.integers(1, 6))) for _ in range(draw(st.integers(1, 2)))]
    if len(ends) == 2 and build.flag():
        flat = [keras.layers.Flatten()(end) for end in ends]
        ends = [build.grow(keras.layers.Concatenate()(flat), draw(st.integers(0, 2)))]
    outputs = build.pick(["list", "dict"]) if len(ends) > 1 else "single"
    outputs = {"list": ends, "dict": {f"out_{i}": end for i, end in enumerate(ends)}, "single": ends[0]}[outputs]
    inputs = build.inputs if len(build.inputs) > 1 or build.flag() else build.inputs[0]
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    model.set_weights([_weight(rng, v) for v in model.weights])
    return model


def _weight(rng: np.random.Generator, variable: Any) -> np.ndarray:
    value = rng.standard_normal(variable.shape) * 0.5
    return np.abs(value) + 0.5 if "variance" in variable.path else value


def draw_inputs(model: Any, rng: np.random.Generator, rows: int) -> Any:
    """Random rows in the structure that the model takes; ids and masked sequences have leading, inner and trailing zeros."""
    made = []
    for tensor in model.inputs:
        shape = (rows, *tensor.shape[1:])
        if tensor.dtype == "int32":
            made.append((rng.integers(0, 7, shape) * (rng.random(shape) < 0.7)).astype("int32"))
            continue
        x = rng.standard_normal(shape).astype("float32")
        if len(shape) == 3:
            x *= rng.random(shape[:2])[..., None] < 0.7
        made.append(x.astype("float32"))
    return made if isinstance(model._inputs_struct, list) else made[0]
