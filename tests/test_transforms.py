"""jax.jit, jax.vmap and jax.grad over the trainable part, on loaded models and on every case of the table."""

import numpy as np
import pytest

import fnet
from fnet import backend, tree
from fnet.core.rules import rules_of
from fnet.inference.string_split import has_host
from params import load_keras
from tests import parity
from tests.cases import all_cases

WITH_FLOATS = [
    case for case in all_cases() if case.params is None and not has_host(case.step) and not rules_of(case.step).rng
]


def image_model(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def text_model(keras, cell):
    layers = keras.layers
    words = layers.TextVectorization(vocabulary=["a", "b", "c"], output_sequence_length=5)
    return keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            words,
            layers.Embedding(6, 4, mask_zero=True),
            layers.Bidirectional(getattr(layers, cell)(3, return_sequences=True)),
            layers.Bidirectional(getattr(layers, cell)(3)),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.mark.parametrize(
    "kind", ["cnn", "LSTM", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("SimpleRNN", "GRU"))]
)
def test_loaded_models_go_through_jit_vmap_and_grad(tmp_path, kind):
    import jax
    import keras

    made = image_model(keras) if kind == "cnn" else text_model(keras, kind)
    made.save(tmp_path / "m.keras")
    with backend.using("jax"):
        model, params = load_keras(tmp_path / "m.keras")
        x = np.random.default_rng(0).random((4, 8, 8, 3)).astype("float32")
        if kind != "cnn":
            texts = np.array([["a b c"], ["c"], ["zzz a"], [""]])
            host, model = fnet.inference.string_split.split_host(model)
            x = host(params, texts)
        y = model(params, x)
        parity.assert_close(jax.jit(model)(params, x), y)
        rows = jax.jit(jax.vmap(lambda row: model(params, row[None])[0]))(np.asarray(x))
        parity.assert_close(rows, y)
        trainable, rest = fnet.partition(model, params, fnet.core.infer.spec(x))
        grads = jax.jit(jax.grad(lambda t: (model(fnet.merge(t, rest), x)[:, 0] ** 2).sum()))(trainable)
        assert {p for p, _ in tree.items(grads)} == {p for p, _ in tree.items(trainable)}
        for path, gradient in tree.items(grads):
            assert np.isfinite(gradient).all(), path
            assert path[0] == "text_vectorization" or np.abs(gradient).max() > 0, path


def test_under_jit_strings_are_refused_with_the_way_out(tmp_path):
    import jax
    import keras

    text_model(keras, "LSTM").save(tmp_path / "m.keras")
    with backend.using("jax"):
        model, params = load_keras(tmp_path / "m.keras")
        with pytest.raises(TypeError, match="str"):
            jax.jit(model)(params, np.array([["a"]]))
        assert fnet.jit(model)(params, np.array([["a"]])).shape == (1, 3)
        ids = fnet.vocabulary_params(fnet.integer_lookup, [5, 7])
        with pytest.raises(TypeError, match=r"cannot be traced by jax.jit: use fnet.jit\(model\)"):
            jax.jit(fnet.integer_lookup)(ids, np.array([5]))


TOGETHER = 24
"""How many rows one jitted gradient holds: compiling one after the other takes most of the time."""


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(WITH_FLOATS), TOGETHER), ids=lambda start: WITH_FLOATS[start].id)
def test_every_row_has_finite_gradients(start):
    import jax

    cases = WITH_FLOATS[start : start + TOGETHER]
    inputs = [case.inputs() for case in cases]
    with backend.using("jax"):
        specs = [fnet.core.infer.spec(x) for x in inputs]
        parts = [
            fnet.partition(case.step, fnet.init(case.step, 0, spec), spec)
            for case, spec in zip(cases, specs, strict=True)
        ]
        trainable, rest = zip(*parts, strict=True)

        def loss(weights, rest, inputs):
            total = 0.0
            for case, *merged, x in zip(cases, weights, rest, inputs, strict=True):
                y = case.step(fnet.merge(*merged), parity.with_mask(case, x))
                total += sum((leaf.astype("float32") ** 2).sum() for leaf in tree.leaves(parity.strip(y)))
            return total

        for case, gradients in zip(cases, jax.jit(jax.grad(loss))(trainable, rest, inputs), strict=True):
            for path, gradient in tree.items(gradients):
                assert np.isfinite(gradient).all(), (case.id, path)


PRECISIONS = pytest.mark.parametrize(("chosen", "told"), [(None, "HIGHEST"), ("bfloat16", "DEFAULT")])


@PRECISIONS
def test_products_keep_all_bits_of_float32_on_any_device_unless_the_process_wants_fewer(chosen, told):
    model = fnet.sequential(
        conv=fnet.bind(fnet.conv2d, filters=2, kernel_size=3),
        flat=fnet.flatten,
        steps=fnet.bind(fnet.reshape, target_shape=(4, 18)),
        lstm=fnet.bind(fnet.lstm, units=3),
        dense=fnet.bind(fnet.dense, units=2),
    )
    import jax

    with backend.using("jax"), jax.default_matmul_precision(chosen):
        params = fnet.init(model, 0, (None, 8, 8, 1))
        text = str(jax.make_jaxpr(model)(params, np.ones((1, 8, 8, 1), "float32")))
    _all_products(text, told, at_least=4)


@PRECISIONS
def test_products_that_optimize_makes_keep_all_bits_too(chosen, told):
    model = fnet.sequential(
        tokens=fnet.bind(fnet.embedding, input_dim=7, output_dim=4), lstm=fnet.bind(fnet.lstm, units=3)
    )
    import jax

    params = fnet.init(model, 0, (None, 5))
    with backend.using("jax"), jax.default_matmul_precision(chosen):
        text = str(jax.make_jaxpr(lambda params: fnet.optimize(model, params)[1])(params))
    _all_products(text, told, at_least=1)


def _all_products(text, told, at_least):
    """Assert that a program, given as text, has `at_least` this many products, all with the precision `told`."""
    products = text.count("dot_general[") + text.count("conv_general_dilated[")
    assert products >= at_least
    assert text.count(f"(Precision.{told}, Precision.{told})") == products
