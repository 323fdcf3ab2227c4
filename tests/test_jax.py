"""Uses of a model in JAX: with or without jit, on one device or several, without tracing again."""

import os
import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

import fnet
from fnet import backend, tree
from fnet.backend import jax_backend, ops
from fnet.core import parameters

MODEL = fnet.sequential(
    conv=fnet.bind(fnet.conv2d, filters=4, kernel_size=3, padding="same", activation="relu"),
    norm=fnet.batch_normalization,
    pool=fnet.max_pooling2d,
    flat=fnet.flatten,
    scores=fnet.bind(fnet.dense, units=3, activation="softmax"),
)
RECURRENT = fnet.sequential(
    both=fnet.bind(fnet.bidirectional, layer=fnet.bind(fnet.lstm, units=4, return_sequences=True)),
    last=fnet.bind(fnet.gru, units=3),
)
MODELS = {"cnn": (MODEL, (4, 8, 8, 3)), "recurrent": (RECURRENT, (4, 6, 5))}


class Variants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    @parameterized.named_parameters(*((name, *about) for name, about in MODELS.items()))
    def test_a_model_gives_the_same_in_every_variant(self, model, shape):
        x = np.random.default_rng(0).standard_normal(shape).astype("float32")
        params = fnet.init(model, 0, x.shape)
        expected = model(params, x)
        with backend.using("jax"):
            chex.assert_trees_all_close(np.asarray(self.variant(model)(params, x)), expected, atol=1e-6)


def test_calls_of_one_shape_trace_once():
    x = np.ones((4, 8, 8, 3), "float32")
    params = fnet.init(MODEL, 0, x.shape)
    with backend.using("jax"):
        traced_once = jax.jit(chex.assert_max_traces(lambda params, x: MODEL(params, x), n=1))
        for factor in (1.0, 2.0, 3.0):
            traced_once(params, x * np.float32(factor))


LOOPS = {
    "lstm": (fnet.bind(fnet.lstm, units=3), (2, 5, 4)),
    "lstm of relu": (fnet.bind(fnet.lstm, units=3, activation="relu"), (2, 5, 4)),
    "conv_lstm1d": (fnet.bind(fnet.conv_lstm1d, filters=2, kernel_size=2), (2, 3, 4, 2)),
    "both ways": (fnet.bind(fnet.bidirectional, layer=fnet.bind(fnet.gru, units=3, activation="relu")), (2, 5, 4)),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_compiled_at_its_first_call_alone(name, caplog):
    """`jax.lax.scan` over a function made anew compiles at every call, and keeps all that it compiled."""
    step, shape = LOOPS[name]
    params, x = fnet.init(step, 0, shape), np.ones(shape, "float32")
    with backend.using("jax"):
        step(params, x)
        with jax.log_compiles():
            step(params, x)
    assert not caplog.records


SHARDED = """
import chex

chex.set_n_cpu_devices(2)

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import fnet
from tests.test_jax import MODELS

text = fnet.sequential(
    table=fnet.bind(fnet.embedding, input_dim=9, output_dim=5, mask_zero=True),
    both=fnet.bind(fnet.bidirectional, layer=fnet.bind(fnet.simple_rnn, units=4)),
)
rng = np.random.default_rng(0)
cases = [(AxisType.Auto, model, rng.standard_normal(shape).astype("float32")) for model, shape in MODELS.values()]
for kind, model, x in [*cases, (AxisType.Explicit, text, rng.integers(0, 9, (4, 6)).astype("int32"))]:
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(kind,))
    rows, everywhere = NamedSharding(mesh, PartitionSpec("rows")), NamedSharding(mesh, PartitionSpec())
    params = fnet.init(model, 0, x.shape)
    expected, spread = jax.jit(model)(params, x), (jax.device_put(params, everywhere), jax.device_put(x, rows))
    y = jax.jit(model, out_shardings=rows)(*spread)
    assert [part.data.shape[0] for part in y.addressable_shards] == [2, 2], y.sharding
    each = jax.shard_map(model, mesh=mesh, in_specs=(PartitionSpec(), rows.spec), out_specs=rows.spec)
    for y in (y, jax.jit(each)(*spread), fnet.compile(model, spread[0])(spread[1]), fnet.predict(model, *spread)):
        np.testing.assert_allclose(y, expected, atol=1e-6)
print("sharded over", jax.device_count())
"""


def test_rows_are_shared_out_to_two_devices():
    env = {**os.environ, "FNET_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    root = Path(__file__).parent.parent
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), env.get("PYTHONPATH"))))
    done = subprocess.run([sys.executable, "-c", SHARDED], env=env, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sharded over 2\n"


def test_a_version_of_xla_without_an_option_compiles_all_the_same(monkeypatch):
    monkeypatch.setattr(jax_backend, "VECTORS", {"xla_cpu_no_such_option": "1"})
    x = np.arange(6, dtype="float32").reshape(2, 3)
    for given in (x, jax.numpy.asarray(x)):
        for convolves in (False, True):
            run = jax_backend.ahead(lambda x: x + 1, given, convolves=convolves)
            np.testing.assert_array_equal(run(given), x + 1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_numbers_that_are_none_are_found_in_params_of_any_float(dtype):
    """NumPy has no kind of its own for bfloat16."""
    leaf = jax.numpy.full(2, np.nan, dtype)
    assert parameters.faulty(("dense", "kernel"), leaf) is not None
    assert parameters.faulty(("dense", "kernel"), jax.numpy.ones(2, dtype)) is None


def test_a_trace_around_predict_is_told_and_leaves_nothing_behind(tmp_path):
    """Copies of params that were made inside one stayed, and every later call failed."""
    with backend.using("jax"):
        fnet.save(tmp_path / "m.safetensors", MODEL, fnet.init(MODEL, 0, (None, 8, 8, 3)))
        model, params = fnet.load(tmp_path / "m.safetensors")
        x = np.ones((4, 8, 8, 3), "float32")
        for traced, of in (
            (jax.jit(lambda x: fnet.predict(model, params, x)), x),
            (jax.grad(lambda params: fnet.predict(model, params, x).sum()), fnet.tree.map(np.array, params)),
            (jax.jit(lambda scale: scale * fnet.predict(model, params, x)), 1.0),
        ):
            with pytest.raises(TypeError, match=r"JAX traces this call .*: call model\(params, x\) there"):
                traced(of)
        inside = jax.jit(lambda x: fnet.compile(model, params)(x))(x)
        np.testing.assert_allclose(fnet.predict(model, params, x), inside, atol=1e-6)
        np.testing.assert_allclose(fnet.compile(model, params)(x), inside, atol=1e-6)
        with pytest.raises(TypeError, match="JAX traces this call"):
            jax.jit(lambda x: fnet.predict(model, params, x))(x)


def test_a_trace_around_predict_on_numpy_is_told():
    model = fnet.sequential(fnet.bind(fnet.dense, units=2))
    params, x = fnet.init(model, 0, (None, 3)), np.ones((4, 3), "float32")
    for traced, of in (
        (jax.jit(lambda x: fnet.predict(model, params, x)), x),
        (jax.jit(lambda x: fnet.predict(model, params, [*x])), x),
        (jax.grad(lambda params: fnet.predict(model, params, x).sum()), params),
    ):
        with pytest.raises(TypeError, match=r"JAX traces this call .* fnet runs on NumPy in this process: set FNET_"):
            traced(of)


def test_params_are_made_and_moved_to_the_device_without_a_program_for_each_shape(caplog):
    kinds = ("float32", "float64", "int32", "int64", "uint8", "bool")
    arrays = [np.ones((13, 17 + at), kind) for at, kind in enumerate(kinds)]
    with backend.using("jax"):
        model, shape = fnet.sequential(RECURRENT, fnet.bind(fnet.dense, units=19)), (1, 2, 23)
        with jax.log_compiles():
            made = [ops.asarray(a, copy=copy) for a in arrays for copy in (None, True)]
            assert all(isinstance(leaf, jax.Array) for leaf in [*made, *tree.leaves(fnet.init(model, 0, shape))])
        assert made[2].dtype == "float32"
        assert made[6].dtype == "int32"
    assert "Compiling" not in caplog.text


def test_who_looked_in_vain_does_not_look_again_at_once(monkeypatch):
    class Result:
        def __init__(self, due):
            self.due, self.looks = due, 0

        def is_ready(self):
            self.looks += 1
            return self.looks >= self.due

        def __array__(self, dtype=None, copy=None):
            return np.array([1.0])

    monkeypatch.setattr(jax_backend, "_looks_from", 0.0)
    monkeypatch.setattr(jax_backend, "PAUSE", 3600)
    late = jax_backend.LOOKS + 1
    for due, looks in ((3, 3), (3, 3), (late, jax_backend.LOOKS), (3, 0), (late, 0)):
        result = Result(due)
        assert jax_backend.awaited(result) == [1.0]
        assert result.looks == looks


def test_what_is_compiled_is_not_shared_by_models_whose_numbers_differ_in_type_or_sign():
    """2 == 2.0 and 0.0 == -0.0, but not what they give."""

    def model(operation, number):
        return fnet.graph(inputs="x", y=(operation, ("x", number)), outputs="y")

    ones = np.ones((2, 3), "int32")
    with backend.using("jax"):
        for run in (lambda *args: fnet.predict(*args), lambda model, *args: fnet.jit(model)(*args)):
            dtypes = [run(model(fnet.operations.multiply, number), {}, ones).dtype for number in (2, 2.0)]
            assert dtypes == ["int32", "float32"]
            signs = [float(run(model(fnet.operations.divide, zero), {}, ones)[0, 0]) for zero in (0.0, -0.0)]
            assert signs == [np.inf, -np.inf]
