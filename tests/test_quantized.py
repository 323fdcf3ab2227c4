"""Models that `model.quantize(...)` of Keras made: saved, loaded and run as Keras runs the quantized model.

Keras itself cannot read back an attention layer that it quantized, so the model that was saved is the reference.
"""

import functools
import io
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import fnet
from fnet import tree
from fnet.layers import quantized
from params import UnsupportedLayer, WeightsMismatch, from_keras, load, load_keras, save
from params.file.keras_objects import policy
from tests import hostile, parity
from tests.golden.archives import config_in

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras's save
    pytest.mark.usefixtures("own_garbage"),  # Keras collects garbage for each layer that it quantizes
]


def slowly(*values):
    """Parameters of a test that run in the slow suite."""
    return pytest.param(*values, marks=pytest.mark.slow)


def weight_only():
    return keras.quantizers.Int8QuantizationConfig(activation_quantizer=None)


def int4(**options):
    return keras.quantizers.Int4QuantizationConfig(**options)


SCHEMES = {
    "int8": lambda: keras.quantizers.Int8QuantizationConfig(),
    "int8_weight_only": weight_only,
    "int4": lambda: int4(block_size=-1),
    "int4_dynamic": lambda: int4(block_size=-1, activation_quantizer=keras.quantizers.AbsMaxQuantizer()),
    "float8": lambda: keras.quantizers.Float8QuantizationConfig(),
    "int4/4": lambda: int4(block_size=4),
    "int4/128": lambda: int4(),
}

LAYERS = {
    "dense": ((6, 9), lambda: layers.Dense(5, activation="gelu")),
    "dense_without_bias": ((9,), lambda: layers.Dense(8, use_bias=False)),
    "dense_of_many_rows": ((3000,), lambda: layers.Dense(3)),
    "einsum_heads": ((4, 9), lambda: layers.EinsumDense("abc,cde->abde", (None, 3, 5), bias_axes="de")),
    "einsum_two_summed": ((4, 3, 5), lambda: layers.EinsumDense("abde,dec->abc", (None, 7))),
    "einsum_kernel_last": ((4, 6), lambda: layers.EinsumDense("abc,dc->adb", (5, 4), bias_axes="d")),
    "einsum_batched": ((4, 6), lambda: layers.EinsumDense("abc,bcd->abd", (4, 5))),
    "einsum_of_many_rows": ((40, 60), lambda: layers.EinsumDense("abc,bcd->ad", (5,))),
    "attention": ((7, 12), lambda: layers.MultiHeadAttention(3, 5, output_shape=(4,))),
    "attention_without_bias": ((7, 12), lambda: layers.MultiHeadAttention(3, 4, value_dim=6, use_bias=False)),
    "gated_attention": ((7, 12), lambda: layers.MultiHeadAttention(3, 5, use_gate=True)),
    "grouped_attention": ((7, 12), lambda: layers.GroupQueryAttention(5, 4, 2)),
}


def quantize(model, config):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # layers without a quantized form
        model.quantize(config=config)
    return model


def randomized(model):
    weights = np.random.default_rng(3)
    model.set_weights([weights.standard_normal(w.shape).astype(w.dtype) * 0.3 for w in model.get_weights()])
    return model


def model_of(shape, make):
    x = keras.Input(shape)
    layer = make()
    attends = isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention)
    return randomized(keras.Model(x, layer(x, x) if attends else layer(x)))


def assert_equal_in_modes(modes, model, params, x, expected):
    for name in modes:
        with parity.mode(name) as run:
            y = run(model, params, x)
            assert [leaf.dtype for leaf in tree.leaves(y)] == [leaf.dtype for leaf in tree.leaves(expected)], name
            parity.assert_close(y, expected)


def in_float64(name, scheme, model, x):
    """Keras's output for the same integers and scales, computed in float64."""
    keras.config.set_dtype_policy("float64")
    try:
        wide = quantize(model_of(*LAYERS[name]), SCHEMES[scheme]())
    finally:
        keras.config.set_dtype_policy("float32")
    wide.set_weights(model.get_weights())
    return np.asarray(wide(x.astype("float64")))


def tells(name, scheme):
    """Whether the file of a layer is complete: integers in an attention layer do not show how inputs are treated."""
    return "attention" not in name or scheme not in ("int8_weight_only", "int4_dynamic")


NUMPY, JAX = ("numpy", "numpy-readonly"), ("jax", "jax-jit")
FAST = {
    *(("dense", scheme) for scheme in SCHEMES),
    *((name, "int8") for name in LAYERS if "attention" not in name),
    *(
        ("einsum_batched", "int4/4"),
        ("einsum_two_summed", "int4"),
        ("attention", "int8"),
        ("grouped_attention", "int4"),
    ),
}
"""Every scheme and every kind of product, on NumPy. Keras takes seconds to quantize and save an attention layer."""
ROWS = [
    pytest.param(name, scheme, modes, marks=() if (name, scheme) in FAST and modes is NUMPY else pytest.mark.slow)
    for name in LAYERS
    for scheme in SCHEMES
    for modes in (NUMPY, JAX)
    if tells(name, scheme)
]


@pytest.mark.parametrize(("name", "scheme", "modes"), ROWS)
def test_a_quantized_layer_gives_what_keras_gives(name, scheme, modes, tmp_path):
    shape, make = LAYERS[name]
    model = quantize(model_of(shape, make), SCHEMES[scheme]())
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype("float32")
    expected = np.asarray(model(x))
    model.save(tmp_path / "model.keras")
    ours, params = load_keras(tmp_path / "model.keras")
    if quantized.scheme(scheme).inputs:  # rounding steps, which float64 may take elsewhere; the products are exact
        assert_equal_in_modes(modes, ours, params, x, expected)
    else:
        exact = functools.cache(lambda: in_float64(name, scheme, model, x))
        for mode in modes:
            with parity.mode(mode) as run:
                parity.assert_parity(run(ours, params, x), expected, exact)
    save(tmp_path / "model.safetensors", ours, params)
    again, values = load(tmp_path / "model.safetensors")
    assert again == ours
    assert dict(tree.items(values)).keys() == dict(tree.items(params)).keys()
    for path, leaf in tree.items(values):
        np.testing.assert_array_equal(leaf, dict(tree.items(params))[path])
        assert leaf.dtype == dict(tree.items(params))[path].dtype
    trainable, rest = fnet.partition(ours, params)
    assert all(leaf.dtype == "float32" for leaf in tree.leaves(trainable) if leaf is not None)
    fixed = "kernel_scale" if scheme == "float8" else "kernel"
    assert any(leaf is not None and path[-1] == fixed for path, leaf in tree.items(rest))


@pytest.mark.parametrize(("default", "other"), [slowly("int8", "int8_weight_only"), ("int4", "int4_dynamic")])
def test_files_of_an_attention_layer_alone_are_alike_and_mean_the_default_of_keras(default, other, tmp_path):
    configs, steps, arrays = [], [], []
    for scheme in (default, other):
        keras.backend.clear_session()
        model = quantize(model_of(*LAYERS["attention"]), SCHEMES[scheme]())
        model.save(tmp_path / "model.keras")
        configs.append(zipfile.ZipFile(tmp_path / "model.keras").read("config.json"))
        step, params = load_keras(tmp_path / "model.keras")
        steps.append(step)
        arrays.append(dict(tree.items(params)))
    assert configs[0] == configs[1]
    assert steps[0] == steps[1]
    assert tree.thaw(steps[0]["multi_head_attention"].options)["quantization"] == default
    for path, leaf in arrays[0].items():
        np.testing.assert_array_equal(leaf, arrays[1][path])


@pytest.mark.parametrize(("kernel", "stored"), [((7, 3, 4), (4, 3, 4)), ((None, 3, 4), (None, 3, 4))])
def test_two_rows_share_the_bytes_of_attention(kernel, stored):
    params = quantized.kernel_params("int4_rows", kernel, (0,), (3, 4), {})
    assert {name: param.shape for name, param in params.items()} == {"kernel": stored, "kernel_scale": (3, 4)}


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "float8"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("size", [7, slowly(10)])
def test_quantized_tables_both_ways(scheme, tied, size):
    ids = keras.Input((5,), dtype="int32")
    table = layers.ReversibleEmbedding(11, size, tie_weights=tied, logit_soft_cap=5.0)
    rows = table(ids)
    model = keras.Model(ids, [rows, table(rows, reverse=True), layers.Embedding(11, size)(ids)])
    quantize(randomized(model), SCHEMES[scheme]())
    x = np.random.default_rng(0).integers(0, 11, (3, 5)).astype("int32")
    expected = [np.asarray(y) for y in model(x)]
    ours, params = from_keras(model)
    assert_equal_in_modes(
        ("numpy-readonly", "jax-jit") if size == 7 and tied else ("numpy",), ours, params, x, expected
    )


def test_tables_of_keras_3_2_have_a_scale_for_each_column():
    """With as many rows as columns nothing but the version tells: taken for those of rows they are off by 0.9."""
    ids = keras.Input((5,), dtype="int32")
    model = quantize(randomized(keras.Model(ids, layers.Embedding(6, 6)(ids))), SCHEMES["int8"]())
    data = parity.saved(model)
    load_keras(hostile.changed_zip(data, metadata={"keras_version": "3.3.3"}))
    with pytest.raises(UnsupportedLayer, match=r"Embedding 'embedding.*a scale for each column, as Keras 3\.2 did"):
        load_keras(hostile.changed_zip(data, metadata={"keras_version": "3.2.1"}))


def test_a_kernel_of_keras_3_2_without_a_bias():
    """Keras 3.2 numbered its scales 2, whether there was a bias or not."""
    model = quantize(model_of((6,), lambda: layers.Dense(3, use_bias=False)), SCHEMES["int8"]())
    data = parity.saved(model)
    weights = io.BytesIO(hostile.members_of(data)["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        file.move("layers/dense/vars/1", "layers/dense/vars/2")
    data = hostile.changed_zip(data, weights=weights.getvalue(), metadata={"keras_version": "3.2.1"})
    x = np.random.default_rng(0).standard_normal((4, 6)).astype("float32")
    ours, params = load_keras(data)
    parity.assert_close(ours(params, x), model(x))


def transformer():
    ids = keras.Input((6,), dtype="int32")
    x = layers.Embedding(11, 9, mask_zero=True)(ids)
    x = layers.MultiHeadAttention(2, 5)(x, x) + x
    x = layers.LayerNormalization()(x)
    x = layers.GroupQueryAttention(3, 4, 2)(x, x)
    x = layers.GlobalAveragePooling1D()(layers.Dense(8, activation="relu")(x))
    return randomized(keras.Model(ids, layers.Dense(4, activation="softmax")(x)))


@pytest.mark.parametrize("scheme", ["int8", "float8", *(slowly(s) for s in SCHEMES if s not in ("int8", "float8"))])
def test_a_model_with_attention_takes_the_scheme_of_its_other_layers(scheme):
    model = quantize(transformer(), SCHEMES[scheme]())
    x = np.random.default_rng(0).integers(0, 11, (3, 6)).astype("int32")
    expected = np.asarray(model(x))
    ours, params = from_keras(model)
    used = {
        tree.thaw(row.step.options).get("quantization")
        for row in fnet.core.infer.trace(ours, fnet.Spec((None, 6)))[:-1]
    }
    assert used == {None, scheme}
    assert_equal_in_modes(parity.FAST_MODES, ours, params, x, expected)


def test_an_attention_layer_with_a_projection_of_another_scheme_is_refused(tmp_path):
    quantize(transformer(), SCHEMES["float8"]()).save(tmp_path / "m.keras")
    data = (tmp_path / "m.keras").read_bytes()
    weights = io.BytesIO(hostile.members_of(data)["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        held = next(f"layers/{name}/query_dense/vars" for name in file["layers"] if name.startswith("multi_head"))
        kernel = file[held]["0"][...].astype("int8")
        del file[held]
        file[f"{held}/0"] = kernel
    with pytest.raises(UnsupportedLayer, match="some projections in integers and some in floats"):
        load_keras(hostile.changed_zip(data, weights=weights.getvalue()))


@pytest.mark.parametrize("scheme", ["int8", "int4/4", "float8"])
def test_shared_and_nested_layers_and_legacy_files(scheme, tmp_path):
    x = keras.Input((6,))
    dense = layers.Dense(6)
    nested = keras.Sequential([layers.Dense(4, use_bias=False), layers.Dense(3)])
    model = quantize(randomized(keras.Model(x, nested(dense(dense(x))))), SCHEMES[scheme]())
    values = np.random.default_rng(0).standard_normal((4, 6)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # h5 is legacy
        for name in ("model.keras", "model.h5"):
            model.save(tmp_path / name)
    for name in ("model.keras", "model.h5"):
        ours, params = load_keras(tmp_path / name)
        assert_equal_in_modes(("numpy-readonly",), ours, params, values, np.asarray(model(values)))


@pytest.mark.parametrize("scheme", ["int8", "int4", "int4/4"])
def test_low_rank_updates_are_quantized_with_the_kernel_when_keras_saves(scheme, tmp_path):
    """So the model that was saved gives something other than its file, also in Keras."""
    model = quantize(model_of(*LAYERS["dense"]), SCHEMES[scheme]())
    model.layers[1].enable_lora(2, lora_alpha=3)
    for weight in model.layers[1].weights:
        if "lora" in weight.path:
            weight.assign(np.random.default_rng(5).standard_normal(weight.shape) * 0.3)
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((2, 6, 9)).astype("float32")
    expected = np.asarray(keras.saving.load_model(tmp_path / "model.keras")(x))
    assert np.abs(expected - np.asarray(model(x))).max() > 1e-4
    assert_equal_in_modes(("numpy-readonly",), *load_keras(tmp_path / "model.keras"), x, expected)
    model.save(tmp_path / "model.h5")
    with pytest.raises(UnsupportedLayer, match=r"is quantized and has LoRA: a legacy \.h5 keeps the two apart"):
        load_keras(tmp_path / "model.h5")


@pytest.mark.parametrize(("how", "told"), [("int8", "was quantized"), ("int4", "was quantized"), ("lora", "has LoRA")])
def test_attention_changed_after_it_was_built_is_told_in_a_legacy_file(how, told, tmp_path):
    """Keras cannot load it either: what tells of it is the arrays alone."""
    x, attention = keras.Input((5, 8)), layers.MultiHeadAttention(2, 4)
    model = keras.Model(x, layers.Dense(3)(attention(x, x)))
    if how == "lora":
        attention.query_dense.enable_lora(2)
    else:
        quantize(model, SCHEMES[how]())
    model.save(tmp_path / "model.h5")
    with pytest.raises(
        WeightsMismatch, match=rf"; a layer inside it {told}, which a legacy \.h5 does not say: save as"
    ):
        load_keras(tmp_path / "model.h5")


def test_other_quantizations_are_refused_by_name():
    config = {"module": "keras.dtype_policies", "class_name": "NewDTypePolicy", "config": {"mode": "new/4/128"}}
    with pytest.raises(UnsupportedLayer, match=r"Dense.*'NewDTypePolicy', unknown.*int8, int4 and float8"):
        policy(config, "Dense 'd'")


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # Keras's load
@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_files_without_zero_points_are_refused(mode, tmp_path):
    """Keras writes bias, kernel, scales and groups, and then misses the zero points itself."""
    config = {"gptq": keras.quantizers.GPTQConfig, "awq": keras.quantizers.AWQConfig}[mode]
    model = model_of((8,), lambda: layers.Dense(3))
    model.layers[1].quantize(mode, config=config(dataset=["a"], tokenizer=len, group_size=4))
    setattr(model.layers[1], f"is_{mode}_calibrated", True)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"Expected: \['bias', 'kernel', 'kernel_scale', 'kernel_zero', .*'g_idx'\]"):
        keras.saving.load_model(tmp_path / "model.keras")
    with pytest.raises(
        UnsupportedLayer, match=rf"'{mode.upper()}DTypePolicy', whose zero points.*int8, int4 and float8"
    ):
        load_keras(tmp_path / "model.keras")


def test_float8_rounds_to_the_values_of_e4m3():
    import ml_dtypes

    x = np.concatenate([np.random.default_rng(0).standard_normal(4000) * 100, np.geomspace(1e-4, 900, 4000), [0, -0.0]])
    x = x.astype("float32")
    expected = np.clip(x, -448, 448).astype(ml_dtypes.float8_e4m3fn).astype("float32")
    for name in parity.MODES[1:3]:
        with parity.mode(name):
            np.testing.assert_array_equal(np.asarray(quantized.round_float8(x, np.float32(1))), expected)


def test_a_quantized_layer_in_a_wrapper_that_forgets_its_scales_is_refused():
    model = quantize(model_of((7, 12), lambda: layers.TimeDistributed(layers.Dense(5))), SCHEMES["int8"]())
    with pytest.raises(UnsupportedLayer, match=r"TimeDistributed.*Keras leaves out the scales"):
        from_keras(model)


def test_other_ways_to_round_inputs_are_refused():
    rounding = keras.quantizers.AbsMaxQuantizer(value_range=(-63, 63))
    config = keras.quantizers.Int8QuantizationConfig(activation_quantizer=rounding)
    model = quantize(model_of((6,), lambda: layers.Dense(3)), config)
    with pytest.raises(UnsupportedLayer, match=r"rounds its inputs by.*Keras's default"):
        from_keras(model)


@pytest.mark.parametrize("size", [1500, 6000, 40_000])
def test_long_sums_of_integers_are_exact(size, each_backend):
    """Sums that climb beyond 2^24, where float32 knows even numbers only, and come down to small ones."""
    rng = np.random.default_rng(0)
    q = 127 - rng.integers(0, 3, (2, size))
    kernel = np.where(np.arange(size)[:, None] < size // 2, 126, -127) + rng.integers(0, 2, (size, 3))
    exact = q @ kernel
    assert np.abs(exact).max() < 1 << 24
    y = quantized.exact_einsum("ab,bc->ac", q.astype("float32"), kernel.astype("int8"))
    np.testing.assert_array_equal(np.asarray(y), exact.astype("float32"), strict=True)


@pytest.mark.parametrize("text", ["int7", "int4/0", "int4/-1", "int4/x", "int8/128", ""])
def test_unknown_schemes_are_named(text):
    with pytest.raises(
        ValueError, match=r"use 'int8', 'int8_weight_only', 'int4', 'int4_dynamic', .*'float8' or 'int4/<block size>'"
    ):
        quantized.scheme(text)


def test_integers_do_not_fit_a_float_layer():
    params = {"kernel": np.ones((6, 3), "int8"), "bias": np.zeros(3, "float32"), "kernel_scale": np.ones(3, "float32")}
    with pytest.raises(fnet.InvalidParams, match="extra kernel_scale"):
        fnet.check(fnet.bind(fnet.dense, units=3), params, (1, 6))
    fnet.check(fnet.bind(fnet.dense, units=3, quantization="int8"), params, (1, 6))


def test_nan_and_infinity_stay():
    params = {"kernel": np.ones((2, 3), "int8"), "kernel_scale": np.ones(3, "float32")}
    x = np.array([[np.nan, 1], [np.inf, 1], [1, 2]], "float32")
    y = fnet.dense(params, x, use_bias=False, quantization="int8")
    assert np.isnan(y[0]).all()
    assert not np.isfinite(y[1]).any()
    np.testing.assert_allclose(y[2], 3, rtol=1e-2)  # inputs are rounded to 255 steps


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_policies_of_keras_3_3_are_one_name(mode):
    """Keras 3.1 to 3.3 wrote "int8_from_float32" where later ones write mode and source."""
    made = keras.Sequential([layers.Dense(3)])
    made.build((None, 4))
    made.layers[0].quantize(mode)
    new = parity.saved(made)
    config = config_in(new)
    dense = config["config"]["layers"][-1]["config"]
    assert dense["dtype"]["config"]["mode"] == mode
    dense["dtype"] = f"{mode}_from_float32"
    del dense["quantization_config"]
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    (model, params), (again, same) = load_keras(new), load_keras(hostile.changed_zip(new, config=config))
    assert model == again
    np.testing.assert_array_equal(model(params, x), again(same, x))
