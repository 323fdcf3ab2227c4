"""Every case of the table, in every mode, against Keras."""

import pickle
import re

import keras
import ml_dtypes
import numpy as np
import pytest

import fnet
from fnet import backend, layers, operations, tree
from fnet.activation_functions import ACTIVATIONS
from fnet.core.options import option_names
from fnet.inference.string_split import has_host
from fnet.masks import strip
from tests import parity
from tests.cases import all_cases, fast_cases, marked_cases, telling_cases
from tests.public import NAMES

CASES = all_cases()


@pytest.mark.parametrize("case", telling_cases(), ids=lambda case: case.id)
def test_case_equals_its_keras_twin_on_numpy(case):
    parity.assert_case(case, modes=("numpy", "numpy-readonly"))


@pytest.mark.parametrize("case", marked_cases(), ids=lambda case: case.id)
def test_case_equals_its_keras_twin_on_both_backends(case):
    parity.assert_case(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", fast_cases(), ids=lambda case: case.id)
def test_case_equals_its_keras_twin_where_jax_runs_one_operation_after_the_other(case):
    parity.assert_case(case, modes=("jax",))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_is_a_value_and_its_shape_rule_is_right(case):
    step = case.step
    assert pickle.loads(pickle.dumps(step)) == step
    names = {**NAMES, "operations": operations}
    assert eval(repr(step), names) == step
    x = case.inputs()
    spec, _ = fnet.infer(step, fnet.core.infer.spec(x))
    params = fnet.init(step, 0, fnet.core.infer.spec(x)) if case.params is None else case.params
    y = step(params, parity.with_mask(case, x))
    shapes = [tuple(leaf.shape) for leaf in tree.leaves(strip(y))]
    wanted = [leaf.shape for leaf in tree.leaves(spec)]
    assert [len(shape) for shape in shapes] == [len(shape) for shape in wanted]
    for shape, want in zip(shapes, wanted, strict=True):
        assert all(w in (None, d) for d, w in zip(shape, want, strict=True)), f"{shape} is not {want}"
    assert given_dtypes(y) == declared_dtypes(spec)


ACTIVATED = {
    case.layer: case
    for case in reversed(CASES)
    if case.options.get("activation") and "recurrent_dropout" not in option_names(case.layer)
}
"""{layer with an activation that is no part of a recurrence: its first case with one}."""


@pytest.mark.parametrize("layer", ACTIVATED, ids=lambda layer: layer.__name__)
def test_an_activation_acts_on_what_a_layer_gives_without_it(layer):
    """Those that a layer merges with its sums, and others."""
    case = ACTIVATED[layer]
    x, plain = case.inputs(), fnet.bind(case.step, activation=None)
    params = fnet.init(plain, 0, fnet.core.infer.spec(x))
    for name in ("relu", "relu6", "tanh"):
        y = fnet.bind(case.step, activation=name)(params, x)
        parity.assert_close(y, ACTIVATIONS[name](plain(params, x)))


def declared_dtypes(spec):
    return [leaf.dtype for leaf in tree.leaves(spec)]


def given_dtypes(y):
    return ["string" if leaf.dtype.kind in "OSU" else leaf.dtype.name for leaf in tree.leaves(strip(y))]


def of_other_dtypes(case, *more):
    """(inputs, output specs, params) of a case with its float inputs in other dtypes, where the rule takes them."""
    for dtype in ("int32", "bool", "float16", "float64", *more):

        def other(a, dtype=dtype):
            return np.clip(np.nan_to_num(2 * a), -1e4, 1e4).astype(dtype) if a.dtype.kind == "f" else a

        x = tree.map(other, case.inputs())
        try:
            spec, _ = fnet.infer(case.step, fnet.core.infer.spec(x))
        except fnet.InvalidInput:
            if dtype != "bool":
                raise
            continue  # see BOOLEANS
        yield x, spec, fnet.init(case.step, 0, fnet.core.infer.spec(x)) if case.params is None else case.params


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_shape_rule_gives_the_dtype_for_inputs_of_other_dtypes(case):
    for x, spec, params in of_other_dtypes(case):
        assert given_dtypes(case.step(params, parity.with_mask(case, x))) == declared_dtypes(spec)


FIRST = {case.layer: case for case in reversed(CASES) if not has_host(case.step)}
"""{layer: its first case}."""


@pytest.mark.parametrize("kind", ["image", "convolution"])
def test_layers_called_by_hand_take_bfloat16_which_numpy_lacks(kind):
    kernel = np.linspace(-1, 1, 18, dtype="float32").reshape(3, 3, 2, 1)
    step, params = {
        "image": (fnet.bind(fnet.up_sampling2d, interpolation="bilinear"), {}),
        "convolution": (fnet.bind(fnet.depthwise_conv2d, use_bias=False), {"kernel": kernel}),
    }[kind]
    x = np.linspace(0, 1, 32, dtype="float32").reshape(1, 4, 4, 2)
    y = step(*tree.map(lambda a: a.astype(ml_dtypes.bfloat16), (params, x)))
    assert y.dtype == "bfloat16"
    np.testing.assert_allclose(y.astype("float32"), step(params, x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("layer", FIRST, ids=lambda layer: layer.__name__)
def test_a_layer_called_by_hand_takes_arrays_of_the_other_byte_order(layer):
    def swapped(a):
        return a.astype(a.dtype.newbyteorder()) if getattr(a.dtype, "kind", "") in "fiu" else a

    case, x = FIRST[layer], FIRST[layer].inputs()
    params = fnet.init(case.step, 0, fnet.core.infer.spec(x)) if case.params is None else case.params
    expected = case.step(params, parity.with_mask(case, x))
    x = tree.map(swapped, x)
    assert (
        fnet.infer(case.step, fnet.core.infer.spec(x))[0]
        == fnet.infer(case.step, fnet.core.infer.spec(case.inputs()))[0]
    )
    y = case.step(tree.map(swapped, params), parity.with_mask(case, x))
    parity.assert_close(strip(y), strip(expected))


NARROWED = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
"""{dtype of 64 bits: what JAX uses instead}."""


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if not has_host(c.step)], ids=lambda case: case.id)
def test_the_shape_rule_gives_the_dtype_for_inputs_of_other_dtypes_on_jax(case):
    import jax

    with backend.using("jax"):
        for x, spec, params in of_other_dtypes(case, ml_dtypes.bfloat16):
            y = jax.eval_shape(case.step, params, parity.with_mask(case, x))
            assert given_dtypes(y) == [NARROWED.get(dtype, dtype) for dtype in declared_dtypes(spec)]


MERGES = (fnet.add, fnet.subtract, fnet.multiply, fnet.average, fnet.maximum, fnet.minimum, fnet.concatenate)
PAIRS = [
    *(("int32", "float32"), ("float32", "int32"), ("int8", "int32"), ("uint64", "uint64"), ("int16", "uint16")),
    *(("float16", "float32"), ("float16", "int8"), ("float32", "float64")),
]


@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
@pytest.mark.parametrize("merge", MERGES, ids=lambda merge: merge.__name__)
def test_the_shape_rule_of_a_merge_promotes_the_dtypes_of_its_inputs(merge, kinds):
    x = tuple(np.ones((2, 3), kind) for kind in kinds)
    spec, _ = fnet.infer(merge, fnet.core.infer.spec(x))
    assert merge({}, x).dtype == spec.dtype


BOOLEANS = [
    *((merge, ((None, 3), (None, 3))) for merge in MERGES[:-1]),
    *((fnet.bind(fnet.activation, activation=name), (None, 3)) for name in ("relu", "relu6")),
    (fnet.bind(fnet.relu), (None, 3)),
    (fnet.bind(fnet.resizing, height=2, width=2, keeps_integers=True), (None, 4, 4, 1)),
    (fnet.bind(fnet.up_sampling2d, interpolation="bilinear"), (None, 4, 4, 1)),
]


@pytest.mark.parametrize(("step", "shape"), BOOLEANS, ids=lambda value: getattr(value, "__name__", repr(value)))
def test_booleans_are_refused_where_tensorflow_does_not_compute_with_them(step, shape):
    x = tree.map(lambda spec: fnet.Spec(spec.shape, "bool"), fnet.core.infer.spec(shape))
    with pytest.raises(fnet.InvalidInput, match="numbers are expected, not booleans"):
        fnet.infer(step, x)


@fnet.layer(shape=lambda x: (x, {}))
def greedy(params, x):
    """Writes into its input."""
    x += 1
    return x


@fnet.layer(shape=lambda x, *, layer: fnet.infer(layer, x), children=lambda *, layer: {"layer": layer})
def greedy_wrapper(params, x, *, layer):
    """Writes into the output of the layer inside."""
    y = layer(params["layer"], x)
    y += 1
    return y


@pytest.mark.parametrize(
    "step", [fnet.sequential(fnet.relu, greedy), fnet.bind(greedy_wrapper, layer=fnet.bind(fnet.relu))]
)
def test_the_read_only_mode_notices_a_layer_that_writes_into_the_output_of_another(step):
    x, params = np.ones((2, 3), "float32"), {"relu": {}, "greedy": {}, "layer": {}}
    with parity.mode("numpy") as run:
        assert np.array_equal(run(step, params, x), x + 1)
    with parity.mode("numpy-readonly") as run, pytest.raises(ValueError, match="read-only"):
        run(step, params, x)


def test_the_class_that_a_docstring_names_as_its_source_is_in_keras():
    docs = {name: getattr(layers, name).__doc__ for name in layers.__all__}
    named = {name: re.findall(r"Source: keras\.layers\.(\w+)", doc) for name, doc in docs.items()}
    assert sum(map(bool, named.values())) > 100
    missing = {name for name, classes in named.items() if not all(hasattr(keras.layers, one) for one in classes)}
    assert missing == {name for name, doc in docs.items() if "Keras 3 has no such layer" in doc}
