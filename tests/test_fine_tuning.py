"""Batch normalization in training: the outputs and the new statistics are those of Keras."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import bind, random


def model_of():
    return fnet.sequential(
        x=bind(fnet.input_layer, shape=(None, 3)),
        norm=fnet.batch_normalization,
        block=fnet.sequential(scores=bind(fnet.dense, units=2), again=bind(fnet.batch_normalization, scale=False)),
    )


X = np.random.default_rng(0).standard_normal((6, 3)).astype("float32") * 3 + 1


def test_moving_statistics_move_towards_those_of_the_batch():
    model = model_of()
    params = fnet.init(model, 0)
    y, new = fnet.with_statistics(model, params, X, momentum=0.9)
    np.testing.assert_allclose(new["norm"]["moving_mean"], 0.1 * X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new["norm"]["moving_variance"], 0.9 + 0.1 * X.var(0), rtol=1e-5)
    assert abs(float(y.mean())) < 1e-5
    assert not np.array_equal(new["block"]["again"]["moving_mean"], params["block"]["again"]["moving_mean"])
    assert params["norm"]["moving_mean"].max() == 0
    np.testing.assert_array_equal(new["block"]["scores"]["kernel"], params["block"]["scores"]["kernel"])


def test_keys_that_were_used_are_not_in_the_new_params():
    model = fnet.sequential(norm=fnet.batch_normalization, drop=bind(fnet.dropout, rate=0.5))
    params = fnet.init(model, 0, (None, 3))
    awake = fnet.with_rng(model, params, 1)
    y, new = fnet.with_statistics(model, awake, X)
    assert (np.asarray(y) == 0).any()
    assert set(awake) == {"norm", "drop"}
    assert set(new) == {"norm"}


@fnet.layer(shape=lambda x, *, inner: (x, {}), children=lambda *, inner: {"inner": inner}, rng=lambda *, inner: True)
def noisy(params, x, *, inner):
    return x


def test_a_step_and_the_step_in_it_draw_from_different_keys():
    keys = fnet.with_rng(bind(noisy, inner=bind(fnet.dropout, rate=0.5)), {}, 1)
    of_both = [keys["rng"], keys["inner"]["rng"], *random.split(keys["rng"], 3), *random.split(keys["inner"]["rng"], 3)]
    assert len({key.tobytes() for key in of_both}) == 8


def test_hidden_steps_do_not_count():
    masked = fnet.sequential(mask=bind(fnet.masking, mask_value=-9.0), norm=fnet.batch_normalization)
    x = np.stack([X[:3], np.full((3, 3), -9, "float32")])
    params = fnet.init(masked, 0, (None, 3, 3))
    _, new = fnet.with_statistics(masked, params, x, momentum=0.0)
    np.testing.assert_allclose(new["norm"]["moving_mean"], X[:3].mean(0), rtol=1e-5)


@pytest.mark.parametrize("momentum", [1.1, -0.1, float("nan"), "0.9", None, np.float32(5)])
def test_momentum_is_a_share(momentum):
    model = fnet.sequential(norm=fnet.batch_normalization)
    with pytest.raises(ValueError, match=r"from 0 to 1; got"):
        fnet.with_statistics(model, fnet.init(model, 0, (None, 3)), X, momentum)


@pytest.mark.parametrize("step", [bind(fnet.time_distributed, layer=fnet.batch_normalization)])
def test_batch_normalization_in_a_wrapper_is_refused(step):
    model = fnet.sequential(wrapped=step)
    params = fnet.init(model, 0, (None, 4, 3))
    with pytest.raises(ValueError, match="has no statistics of its own here"):
        fnet.with_statistics(model, params, np.ones((2, 4, 3), "float32"))


@pytest.mark.slow
def test_statistics_are_those_of_keras():
    import keras

    layer = keras.layers.BatchNormalization(momentum=0.9)
    theirs = np.asarray(layer(X, training=True))
    model = fnet.sequential(norm=fnet.batch_normalization)
    y, new = fnet.with_statistics(model, fnet.init(model, 0, (None, 3)), X, momentum=0.9)
    np.testing.assert_allclose(y, theirs, atol=1e-6)
    np.testing.assert_allclose(new["norm"]["moving_mean"], layer.moving_mean.numpy(), rtol=1e-5)
    np.testing.assert_allclose(new["norm"]["moving_variance"], layer.moving_variance.numpy(), rtol=1e-5)


@pytest.mark.slow
def test_a_step_of_training_on_jax(each_backend):
    import jax

    from fnet import backend

    if backend.name() == "numpy":
        return
    model = model_of()
    weights, rest = fnet.partition(model, fnet.init(model, 0))

    @jax.jit
    def loss(weights, x):
        y, new = fnet.with_statistics(model, fnet.merge(weights, rest), x)
        return (y**2).sum(), new

    gradients, new = jax.grad(loss, has_aux=True)(weights, X)
    assert float(abs(gradients["norm"]["gamma"]).max()) >= 0
    assert float(abs(new["norm"]["moving_mean"]).max()) > 0


@pytest.mark.slow
def test_the_program_of_the_page_fine_tunes_a_keras_file_and_keras_loads_it(tmp_path):
    pytest.importorskip("optax")
    pytest.importorskip("orbax.checkpoint")
    import keras
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(0)
    made = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax", name="scores"),
        ]
    )
    made.save(tmp_path / "my.keras")
    page = (Path(__file__).parent.parent / "docs" / "howto-train-in-jax.md").read_text("utf-8")
    program = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after, same = done.stdout.splitlines()
    accuracy = [float(line.split()[1]) for line in (before, after)]
    assert accuracy[0] < 0.4
    assert accuracy[1] > 0.8
    assert same == "the checkpoint is the same: True"
    x = load_digits().data[:20].reshape(-1, 8, 8, 1).astype("float32") / 16
    theirs = keras.saving.load_model(tmp_path / "tuned.keras")
    np.testing.assert_allclose(fnet.predict(*fnet.load_keras(tmp_path / "tuned.keras"), x), theirs(x), atol=2e-6)
    mean = next(w for w in theirs.weights if w.path.endswith("moving_mean"))
    assert float(abs(np.asarray(mean)).max()) > 0
