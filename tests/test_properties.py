"""Property-based parity: hypothesis draws layers with options, shapes and data, and whole models."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnet
from tests import parity, random_models
from tests.cases import Case

EXAMPLES = int(os.environ.get("FNET_EXAMPLES", "0"))

sizes = st.integers(1, 4)
pairs = st.tuples(sizes, sizes)
strides = st.integers(1, 3)
padding = st.sampled_from(["valid", "same"])
names = st.sampled_from(random_models.ACTIVATIONS)
flags = st.booleans()

# {layer: (Keras class, the shapes it takes, its options)}; sizes are such that every window fits.
IMAGE = st.tuples(st.integers(1, 3), st.integers(7, 10), st.integers(7, 10), st.sampled_from([2, 4]))
SERIES = st.tuples(st.integers(1, 3), st.integers(7, 10), st.sampled_from([2, 4]))
ANY = st.one_of(IMAGE, SERIES, st.tuples(st.integers(1, 3), st.integers(1, 6)))
RECURRENT = {
    "units": sizes,
    "activation": st.sampled_from(["tanh", "relu", "sigmoid"]),
    "use_bias": flags,
    "return_sequences": flags,
    "return_state": flags,
    "go_backwards": flags,
    "zero_output_for_mask": flags,
}
GATED = {**RECURRENT, "recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid"])}
WINDOW_2D = {"pool_size": pairs, "strides": pairs, "padding": padding}
WINDOW_1D = {"pool_size": sizes, "strides": strides, "padding": padding}
LAYERS: dict[Any, tuple[str, Any, dict[str, Any]]] = {
    fnet.dense: ("Dense", ANY, {"units": sizes, "activation": names, "use_bias": flags}),
    fnet.conv1d: (
        "Conv1D",
        SERIES,
        {
            "filters": st.sampled_from([2, 4]),
            "kernel_size": sizes,
            "padding": st.sampled_from(["valid", "same", "causal"]),
            "activation": names,
            "groups": st.sampled_from([1, 2]),
        },
    ),
    fnet.conv2d: (
        "Conv2D",
        IMAGE,
        {
            "filters": st.sampled_from([2, 4]),
            "kernel_size": pairs,
            "strides": pairs,
            "padding": padding,
            "use_bias": flags,
            "activation": names,
        },
    ),
    fnet.max_pooling1d: ("MaxPooling1D", SERIES, WINDOW_1D),
    fnet.average_pooling1d: ("AveragePooling1D", SERIES, WINDOW_1D),
    fnet.max_pooling2d: ("MaxPooling2D", IMAGE, WINDOW_2D),
    fnet.average_pooling2d: ("AveragePooling2D", IMAGE, WINDOW_2D),
    fnet.simple_rnn: ("SimpleRNN", SERIES, RECURRENT),
    fnet.lstm: ("LSTM", SERIES, GATED),
    fnet.gru: ("GRU", SERIES, {**GATED, "reset_after": flags}),
    fnet.batch_normalization: ("BatchNormalization", ANY, {"center": flags, "scale": flags}),
    fnet.layer_normalization: ("LayerNormalization", IMAGE, {"axis": st.sampled_from([-1, 1, (1, 2)]), "scale": flags}),
}
MASKABLE = {fnet.dense, fnet.simple_rnn, fnet.lstm, fnet.gru, fnet.batch_normalization}


@st.composite
def drawn_cases(draw: Any) -> Case:
    function = draw(st.sampled_from(list(LAYERS)))
    twin, shapes, options = LAYERS[function]
    shape = draw(shapes)
    given_options = {name: draw(strategy) for name, strategy in options.items()}
    masked = function in MASKABLE and len(shape) == 3 and draw(flags)
    return Case(function, shape, given_options, twin=twin, mask=masked)


@settings(max_examples=EXAMPLES or 30)
@given(drawn_cases(), st.integers(0, 2**16))
def test_drawn_layers_equal_keras_on_both_backends(case, seed):
    parity.assert_case(case, seed)


@pytest.mark.slow
@pytest.mark.usefixtures("own_garbage")  # Keras collects garbage when a model is drawn
@pytest.mark.filterwarnings("ignore:.*:UserWarning:keras")
@settings(max_examples=EXAMPLES or 50)
@given(st.data())
def test_drawn_models_equal_keras(data):
    import keras

    model = random_models.draw_model(data.draw, keras)
    x = random_models.draw_inputs(model, np.random.default_rng(data.draw(st.integers(0, 2**16))))
    eager = data.draw(st.integers(0, 9)) == 9
    forms = ["numpy-optimized", "jax-optimized"]
    random_models.assert_parity(model, x, ["numpy-readonly", "jax-jit", *forms, *(["jax"] if eager else [])])
