"""Shared by the writers of golden files: the installed Keras, drawn weights, files next to recorded outputs.

Any Python from 3.6 and any Keras from 2.2 runs this, so its syntax is plain.
"""

import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
warnings.simplefilter("ignore")

import numpy as np


def installed():
    """The Keras to write with: `tf_keras`, else `keras`, else the one in TensorFlow."""
    try:
        import tf_keras as keras
    except ImportError:
        try:
            import keras
        except ImportError:
            from tensorflow import keras
    return keras


keras = installed()
VERSION = keras.__version__.replace("-tf", "")
NUMBER = tuple(int(part) for part in VERSION.split(".")[:2])
KERAS_2 = NUMBER < (3, 0)
RNG = np.random.RandomState(0)


def set_policy(name):
    """Set the global dtype policy, where this Keras has policies."""
    if not KERAS_2:
        keras.config.set_dtype_policy(name)
    elif NUMBER >= (2, 4):
        keras.mixed_precision.set_global_policy(name)


def draw(*shape):
    """Drawn numbers of few digits, so that archives stay small."""
    return (np.round(RNG.standard_normal(shape) * 64) / 64).astype("float32")


def redraw(model):
    """Give every float weight of a model drawn values, variances positive ones."""
    values = []
    weights = model.weights if NUMBER >= (2, 4) else [weight for layer in model.layers for weight in layer.weights]
    for weight, old in zip(weights, model.get_weights()):
        name = getattr(weight, "path", weight.name)
        new = draw(*old.shape) * 0.5
        new = np.abs(new) + 0.5 if "variance" in name or "stddev" in name else new
        values.append(new.astype(old.dtype) if old.dtype.kind in "fV" else old)
    model.set_weights(values)


def leaves(tree):
    """The arrays in nested lists and dicts, by sorted keys."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for item in tree for leaf in leaves(item)]
    return [np.asarray(tree)]


EAGER = NUMBER >= (2, 3)
"""Whether models can be called with arrays (TensorFlow 2)."""


def tensors(inputs):
    import tensorflow as tf

    return [tf.constant(x) for x in inputs]


def predicted(model, inputs):
    """The outputs of `model.predict(x)`, as a list of arrays."""
    if not KERAS_2:
        inputs = tensors(inputs)  # Keras 3 takes texts as tensors only
    given = leaves(model.predict(inputs[0] if len(inputs) == 1 else inputs, verbose=0))
    reset(model)
    return given


def called(model, inputs):
    """The outputs of `model(x, training=False)`, as a list of arrays; without eager TensorFlow those of `predict`.

    A bare `model(x)` would augment images: training=True is the default of those layers.
    """
    if not EAGER:
        return predicted(model, inputs)
    inputs = tensors(inputs)
    given = leaves(model(inputs[0] if len(inputs) == 1 else inputs, training=False))
    reset(model)
    return given


def reset(model):
    """Forget the states of stateful layers."""
    for layer in model.layers:
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_states" if KERAS_2 else "reset_state"):
            (layer.reset_states if KERAS_2 else layer.reset_state)()


def numbered(letter, values):
    """{"x0": first value, ...}, as `np.savez` holds them."""
    return {f"{letter}{number}": portable(value) for number, value in enumerate(values)}


def portable(value):
    """An array that `np.savez` can hold without pickle: texts of one width, bfloat16 and float8 as float32."""
    value = np.asarray(value)
    if value.dtype.kind == "O":
        return np.array([v.decode() if isinstance(v, bytes) else v for v in value.ravel()]).reshape(value.shape)
    return value.astype("float32") if value.dtype.isbuiltin == 2 else value
