"""predict, compile and jit: any number of rows, any structure, and a door that lets nothing wrong in."""

import functools
import gc
import itertools
import re
import subprocess
import sys
import weakref
from fractions import Fraction
from types import MappingProxyType

import chex
import numpy as np
import pytest

import fnet
from benchmarks.journeys import traced
from fnet import backend, bind, dense, embedding, graph, input_layer, layer, operations, sequential, tree
from fnet.constants import constant
from fnet.core import infer
from fnet.core.layer import REMEMBERED, name_of
from fnet.core.rules import Entrance
from fnet.inference import compile as compiling
from fnet.inference import device, predict
from fnet.inference.optimized import optimized
from fnet.inference.prepared import prepared
from fnet.inference.rows import rows_independent
from fnet.inference.string_split import split_host
from fnet.layers.wrappers import mixes_rows
from fnet.masks import strip
from tests import parity
from tests.cases import Case, all_cases
from tests.cases.operations import CASES
from tests.operation_parity import arrays_of, fnet_input

DENSE = sequential(x=bind(input_layer, shape=(None, 5)), h=bind(dense, units=4), y=bind(dense, units=3))


@layer(shape=lambda x: (fnet.Spec((*x.shape, 1)), {}), entrance=Entrance(host=True))
def lengths(params, x):
    return np.array([[len(text)] for text in np.asarray(x).ravel()], "float32")


@layer(shape=lambda x: (x[0], {}))
def total(params, x):
    return sum(x)


@pytest.mark.parametrize("rows", [0, 1, 31, 32, 33, 100])
def test_predict_equals_the_model_for_any_number_of_rows(each_backend, rows):
    params = fnet.init(DENSE, 0)
    x = np.random.default_rng(0).standard_normal((rows, 5)).astype("float32")
    y = fnet.predict(DENSE, params, x, batch_size=32)
    assert isinstance(y, np.ndarray)
    assert y.dtype == np.float32
    parity.assert_close(y, DENSE(params, x))


def test_dicts_inside_a_list_of_inputs_are_fed_by_key_in_whatever_order(each_backend):
    nodes = {"s": (fnet.subtract, ("a", "b")), "t": (fnet.subtract, ("s", "c"))}
    model = fnet.graph(nodes, inputs=({"q": "a", "p": "b"}, "c"), outputs="t")
    a, b, c = (np.full((2, 3), v, "float32") for v in (1, 10, 100))
    for pair in ({"q": a, "p": b}, {"p": b, "q": a}, [b, a]):  # a list: by sorted key
        for x in ([pair, c], (pair, c)):
            for run in (model, lambda params, x: fnet.predict(model, params, x)):
                np.testing.assert_array_equal(np.asarray(run({}, x)), -109)


def test_dicts_come_in_the_order_of_the_model(each_backend):
    inner = fnet.graph(b=(fnet.relu, "x"), a=(fnet.relu, "x"), inputs="x", outputs={"b": "b", "a": "a"})
    model = fnet.graph(y=(inner, "x"), inputs="x", outputs=["x", {"z": "y", "c": ("x", fnet.at("y", "a"))}])
    x = np.ones((3, 2), np.float32)
    for run in (model, fnet.jit(model), functools.partial(fnet.predict, model)):
        _, y = run({}, x)
        assert [list(y), list(y["z"])] == [["z", "c"], ["b", "a"]]


def test_predict_takes_and_gives_any_structure(each_backend):
    model = graph(
        inputs={"a": "p", "b": ["q"]},
        h=(bind(dense, units=2), "p"),
        s=(total, ("h", "q")),
        outputs={"out": ["s"], "h": "h"},
    )
    params = fnet.init(model, 0, {"a": fnet.Spec((None, 3)), "b": [fnet.Spec((None, 2))]})
    x = {"a": np.ones((7, 3), "float32"), "b": [np.ones((7, 2), "float32")]}
    y = fnet.predict(model, params, x, batch_size=3)
    assert y["out"][0].shape == (7, 2)
    parity.assert_close(y["out"][0], y["h"] + 1)


ALONG_ROWS = {
    "attention": graph(inputs="x", y=(fnet.attention, ("x", "x")), outputs="y"),
    "additive attention": graph(
        inputs="x", y=(bind(fnet.additive_attention, use_scale=False), ("x", "x")), outputs="y"
    ),
    "softmax": bind(fnet.softmax, axis=0),
    "concatenate": graph(inputs="x", y=(bind(fnet.concatenate, axis=0), ("x", "x")), outputs="y"),
    "flip": bind(operations.flip, axis=0),
    "flipud": operations.flipud,
    "sum": bind(operations.sum, axis=0, keepdims=True),
    "sum of all": operations.sum,
    "reshape": bind(operations.reshape, newshape=(-1, 2)),
}


@pytest.mark.parametrize("batch_size", [32, 5])
@pytest.mark.parametrize("step", ALONG_ROWS.values(), ids=ALONG_ROWS)
def test_rows_that_reach_each_other_are_taken_in_the_batches_of_keras(each_backend, step, batch_size):
    model = sequential(x=bind(input_layer, shape=(None, 4)), y=step)
    x = np.random.default_rng(0).standard_normal((13, 4)).astype("float32")
    batches = [np.asarray(model({}, x[at : at + batch_size])) for at in range(0, 13, batch_size)]
    expected = batches[0] if len(batches) == 1 else np.concatenate([np.atleast_1d(y) for y in batches])
    y = fnet.predict(model, {}, x, batch_size=batch_size)
    assert y.shape == expected.shape
    parity.assert_close(y, expected)


def test_outputs_that_cannot_be_joined_are_refused():
    model = sequential(x=bind(input_layer, shape=(None, 4)), y=bind(operations.reshape, newshape=(1, -1)))
    with pytest.raises(fnet.InvalidInput, match="cannot be stacked"):
        fnet.predict(model, {}, np.ones((13, 4), "float32"), batch_size=5)


def test_outputs_with_as_many_rows_as_a_batch_by_chance_are_joined_one_after_the_other():
    """Keras joins the outputs of batches as they are; one row in place of two is not repeated."""
    model = fnet.sequential(fnet.bind(fnet.input_layer, shape=(None,), dtype="int32"), operations.unique)
    x = np.array([1, 2, 3, 3, 4, 5], "int32")
    np.testing.assert_array_equal(fnet.predict(model, fnet.init(model, 0), x, batch_size=2), [1, 2, 3, 4, 5])


def rows_apart(model, *shapes):
    """Whether rows of these shapes, or else those that a model declares, are known to be independent in it."""
    takes = infer.spec(shapes if shapes[1:] else shapes[0]) if shapes else infer.input_spec(model)
    return rows_independent(model, takes)


def test_batches_are_filled_up_only_where_rows_stay_apart():
    assert rows_apart(DENSE)
    clipped = bind(operations.clip, x_min=0.0, x_max=1.0)
    assert rows_apart(sequential(bind(operations.mean, axis=1), operations.relu, clipped), (None, 3))
    assert not rows_apart(sequential(DENSE, bind(fnet.layer_normalization, axis=(-2, -1))))
    assert not rows_apart(bind(operations.mean, axis=0), (None, 3))
    product = graph(inputs=("x", "t"), y=(bind(operations.tensordot, axes=1), ("x", "t")), outputs="y")
    assert not rows_apart(product, (None, 3), (3, 2))
    assert not rows_apart(sequential(total), (None, 3))


@pytest.mark.parametrize(
    "step",
    [
        *(bind(getattr(operations, name), axis=-1) for name in ("softmax", "sort", "flip", "argsort", "cumsum")),
        bind(operations.roll, shift=1, axis=-1),
        bind(fnet.softmax),
        bind(fnet.unit_normalization),
        bind(fnet.activation, activation="softmax"),
    ],
    ids=str,
)
def test_the_last_axis_of_one_number_a_row_is_that_of_the_rows(each_backend, step):
    """So a batch is neither padded nor shared out to threads; along the last of two axes, it may be."""
    takes = bind(input_layer, shape=(None, 1))
    assert rows_apart(sequential(takes=takes, step=step, last=bind(operations.squeeze, axis=-1)))
    mixing = sequential(takes=takes, last=bind(operations.squeeze, axis=-1), step=step)
    assert not rows_apart(mixing)
    x = np.random.default_rng(0).random((5, 1), "float32")
    for model, rows in ((mixing, x), (mixing["last":], x), (sequential(step), x[:, 0])):  # two declare no inputs
        parity.assert_close(fnet.predict(model, {}, rows), model({}, rows))


def test_what_a_row_is_at_the_values_of_all_rows_is_not_by_row():
    takes = bind(input_layer, shape=(None, 3))
    read = bind(operations.quantile, axis=-1), ("x", "q")
    assert not rows_apart(graph({"x": takes, "q": takes, "y": read}, inputs=("x", "q"), outputs="y"))


OF_INPUTS = {
    "the input": (graph(inputs="x", x=bind(input_layer, shape=(None, 3)), outputs=("x", {"again": "x"})), 2),
    "what a layer gives": (
        graph(inputs="x", x=bind(input_layer, shape=(None, 3)), y=(fnet.relu, "x"), outputs=("y", {"again": "y"})),
        2,
    ),
    "a view of it": (sequential(takes=bind(input_layer, shape=(None, 3, 1)), flat=fnet.flatten), 1),
    "a constant": (
        graph(
            inputs="x",
            x=bind(input_layer, shape=(None, 3)),
            c=(bind(fnet.constant, shape=(2, 2)), ()),
            outputs=("c", "x"),
        ),
        2,
    ),
}


@pytest.mark.parametrize("name", OF_INPUTS)
@pytest.mark.parametrize("as_constants", [True, False])
def test_what_predict_gives_has_memory_of_its_own(each_backend, name, as_constants):
    """A caller may write to it, and to the input afterwards."""
    model, count = OF_INPUTS[name]
    params = tree.map(lambda leaf: constant(np.asarray(leaf)) if as_constants else leaf, fnet.init(model, 0))
    x = np.ones((2, *infer.input_spec(model).shape[1:]), "float32")
    for _ in range(3):
        outputs = tree.leaves(fnet.predict(model, params, x))
        given = [x, *map(np.asarray, tree.leaves(params))]
        assert len(outputs) == count
        assert not any(np.shares_memory(y, array) for y in outputs for array in given)
        assert count == 1 or each_backend == "jax" or not np.shares_memory(*outputs)
        assert all(y.flags.writeable == (each_backend == "numpy") for y in outputs)


def of_rows(step, x):
    """A model of a step that declares the spec of a row; None for inputs with different numbers of rows."""
    arrays = {f"x{n}": a for n, a in enumerate(arrays_of(x))}
    sizes = {a.shape[:1] for a in arrays.values()}
    if len(sizes) != 1 or sizes <= {(), (1,)}:
        return None
    dtypes = {name: "string" if a.dtype.kind in "OU" else a.dtype.name for name, a in arrays.items()}
    takes = {name: bind(input_layer, shape=(None, *a.shape[1:]), dtype=dtypes[name]) for name, a in arrays.items()}
    names = iter(takes)
    reads = tree.map(lambda a: next(names) if isinstance(a, np.ndarray) else a, x)
    return graph({**takes, "y": (step, reads)}, inputs=tuple(takes), outputs="y")


def test_where_rows_are_said_to_stay_apart_each_is_answered_alone():
    """The case tables: one row gives what it gives among others, and no row nothing (of texts no word, too)."""
    count = 0
    for case in [*all_cases(), *CASES]:
        if isinstance(case, Case):
            step, x, params = case.step, case.inputs(), case.params
            params = fnet.init(step, 0, infer.spec(x)) if params is None else params
        else:
            step, x, params = bind(case.layer, **case.options), fnet_input(case, case.draw()), {}
        if mixes_rows(step) or (model := of_rows(step, x)) is None or not rows_apart(model):
            continue
        last = tree.map(lambda a: a[-1:] if isinstance(a, np.ndarray) else a, x)
        none = tree.map(lambda a: a[:0] if isinstance(a, np.ndarray) else a, x)
        among, alone, empty = (tree.leaves([strip(step(params, rows))]) for rows in (x, last, none))
        for many, one, nothing in zip(among, alone, empty, strict=True):
            assert len(many) == len(arrays_of(x)[0]), case.id
            assert len(nothing) == 0, case.id
            assert nothing.shape[1:] == many.shape[1:] or case.layer is fnet.text_vectorization, case.id
            parity.assert_close(one, many[-1:])
        count += 1
    assert count > 1500


def test_no_rows_give_the_shape_and_dtype_of_some(each_backend):
    words = bind(fnet.string_lookup, invert=True)
    names = sequential(x=bind(input_layer, shape=(None, None), dtype="int64"), y=words)
    steps = sequential(x=bind(input_layer, shape=(None, None, 3)), y=bind(dense, units=2))
    for model, params, x in (
        (names, {"y": fnet.vocabulary_params(words, ["a", "b"])}, np.ones((1, 7), "int64")),
        (steps, fnet.init(steps, 0), np.ones((1, 7, 3), "float32")),
    ):
        some, none = fnet.predict(model, params, x), fnet.predict(model, params, x[:0])
        assert (none.shape, none.dtype) == ((0, *some.shape[1:]), some.dtype)


def test_what_is_not_by_rows_stays_whole(each_backend):
    quantiles = bind(operations.quantile, axis=1), ("x", [0.2, 0.5])
    quantiles = graph(inputs="x", x=bind(input_layer, shape=(None, 4)), y=quantiles, outputs="y")
    counts = bind(fnet.category_encoding, num_tokens=3, output_mode="count")
    counts = sequential(x=bind(input_layer, shape=(None,)), y=counts)
    for model, x in ((quantiles, np.arange(20.0).reshape(5, 4)), (counts, np.float32([0, 1, 1, 2, 2]))):
        np.testing.assert_array_equal(fnet.predict(model, {}, x), model({}, np.float32(x)))


def test_progress_counts_rows():
    seen = []
    fnet.predict(DENSE, fnet.init(DENSE, 0), np.ones((5, 5)), batch_size=2, progress=lambda *at: seen.append(at))
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("layer", [fnet.dense, fnet.batch_normalization])
def test_params_as_lists_of_numbers_are_refused_by_name(each_backend, layer):
    model = sequential(d=bind(layer, units=5) if layer is fnet.dense else layer)
    params = fnet.init(model, 0, (None, 5))
    name = next(iter(params["d"]))
    params["d"][name] = params["d"][name].tolist()  # as from JSON
    x = np.ones((2, 5), "float32")
    calls = dict.fromkeys((fnet.check, fnet.optimize, fnet.compile), (model, params)) | {
        fnet.predict: (model, params, x)
    }
    if backend.name() == "jax":  # NumPy multiplies by lists
        calls[fnet.jit(model)] = params, x
    for call, arguments in calls.items():
        with pytest.raises(fnet.InvalidParams, match=f"{name} in the params is a list of numbers; make an array of it"):
            call(*arguments)


def test_params_may_be_lists_of_arrays_without_axes(each_backend):
    """They were taken for lists of numbers."""

    @fnet.layer(shape=lambda x: (x, {"w": [fnet.Param(()), fnet.Param(())]}))
    def scaled(params, x):
        return x * params["w"][0] * params["w"][1]

    params = {"s": {"w": [np.array(2, "float32"), np.array(3, "float32")]}}
    x = np.ones((2, 5), "float32")
    np.testing.assert_array_equal(fnet.predict(sequential(s=scaled), params, x), 6 * x)
    fnet.optimize(sequential(s=scaled), params)


def test_arrays_of_no_numbers_are_refused_where_no_input_is_declared(each_backend):
    model = sequential(d=bind(dense, units=2))
    params = fnet.init(model, 0, (None, 2))
    rows = np.array([["1", "2"]], object)
    for call in (fnet.predict, lambda m, p, x: fnet.jit(m)(p, x)):
        with pytest.raises(fnet.InvalidInput, match="takes numbers; got object"):
            call(model, params, rows)
    numbers = np.array([[1, 2.5]])
    np.testing.assert_allclose(fnet.predict(model, params, numbers.astype(object)), model(params, numbers), rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(5), r"add a batch axis: \[x\]"),
        (np.ones((2, 6)), r"has shape \(2, 6\), the model takes \(None, 5\)"),
        (np.where(np.arange(50).reshape(10, 5) == 38, np.nan, 1), "row 7 has NaN at"),
        (np.full((1, 5), np.inf), "row 0 has infinity"),
        ([["a", "b", "c", "d", "e"]], r"holds strings, the model takes float32\[None, 5\]; turn words into numbers"),
        ([[1, Fraction(1), 2, 3, 4]], r"holds object values.*; they are numbers: x\.astype\('float32'\)"),
        (np.zeros((1, 5), "complex64"), "holds complex64 values"),
        (np.zeros((1, 5), "datetime64[s]"), r"holds datetime64\[s\] values"),
        ([[1, 2, 3, 4, 5], [1]], "rows of different lengths"),
    ],
)
def test_the_door_names_what_is_wrong(each_backend, x, message):
    with pytest.raises(fnet.InvalidInput, match=message):
        fnet.predict(DENSE, fnet.init(DENSE, 0), x, batch_size=4)


@pytest.mark.parametrize(("ids", "where"), [([[1, 9]], "id 9"), ([[1, -1]], "id -1"), ([[1, 1.5]], "id 1.5")])
@pytest.mark.parametrize("nested", [False, True])
def test_the_door_checks_ids(each_backend, ids, where, nested):
    inner = sequential(e=bind(embedding, input_dim=9, output_dim=2))
    model = graph(inputs="i", e=(inner if nested else inner["e"], "i"), outputs="e")
    params = fnet.init(model, 0, (None, 2))
    with pytest.raises(fnet.InvalidInput, match=where):
        fnet.predict(model, params, np.array(ids))


def test_inputs_of_different_lengths_are_refused():
    model = graph(inputs=("a", "b"), y=(total, ("a", "b")), outputs="y")
    with pytest.raises(fnet.InvalidInput, match="same number of rows"):
        fnet.predict(model, {}, (np.ones((2, 1)), np.ones((3, 1))))
    with pytest.raises(ValueError, match="at least 1"):
        fnet.predict(model, {}, (np.ones((2, 1)), np.ones((2, 1))), batch_size=0)


def test_equal_models_trace_once():
    traces = []

    @layer(shape=lambda x: (x, {}))
    def counted(params, x):
        traces.append(1)
        return x

    with backend.using("jax"):
        for _ in range(3):
            model = sequential(counted)
            fnet.jit(model)({}, np.ones((2, 2), "float32"))
    assert len(traces) == 1


HOSTS = [
    sequential(n=lengths, d=bind(dense, units=2)),
    sequential(inner=sequential(n=lengths, d=bind(dense, units=2)), e=bind(dense, units=2)),
    graph(inputs=("s", "f"), n=(lengths, "s"), d=(bind(dense, units=2), "n"), y=(total, ("d", "f")), outputs=["y"]),
    graph(
        inputs=("s", "f"),
        f=bind(input_layer, shape=(None, 2)),
        m=(sequential(n=lengths, d=bind(dense, units=2)), "s"),
        y=(total, ("m", "f")),
        outputs={"y": "y", "m": "m"},
    ),
]


@pytest.mark.parametrize("model", HOSTS, ids=["sequential", "nested", "graph", "graph-nested"])
def test_strings_run_in_front_of_the_jitted_part(each_backend, model):
    texts, floats = np.array(["a", "bcd"]), np.ones((2, 2), "float32")
    x = texts if isinstance(model, fnet.Sequential) else (texts, floats)
    spec = fnet.core.infer.spec(x)
    params = fnet.init(model, 0, spec)
    host, numeric = split_host(model)
    wanted = fnet.tree.map(np.asarray, model(params, x))
    for y in (numeric(params, host(params, x)), fnet.jit(model)(params, x), fnet.predict(model, params, x)):
        parity.assert_close(y, wanted)


def test_params_changed_in_place_count_from_the_next_call_on(each_backend):
    """Even if all other arrays are constant, so that the whole tree looks constant."""
    given = dict(tree.items(fnet.init(DENSE, 0)))
    x = np.random.default_rng(0).standard_normal((7, 5)).astype("float32")
    for path in given:
        params = tree.nest({other: np.array(a) if other == path else constant(a) for other, a in given.items()})
        changed = tree.get(params, path)
        before = fnet.predict(DENSE, params, x)
        changed += 0.5
        after = fnet.predict(DENSE, params, x)
        np.testing.assert_allclose(after, np.asarray(DENSE(params, x)), rtol=1e-6, atol=1e-6)
        assert np.abs(after - before).max() > 1e-3


def test_compiled_models_are_remembered_only_for_constant_params():
    params = fnet.init(DENSE, 0)
    x = np.ones((1, 5), "float32")
    before = fnet.predict(DENSE, params, x)
    params["y"]["bias"] += 1
    parity.assert_close(fnet.predict(DENSE, params, x), before + 1)


def test_single_units_are_cut_in_the_middle_of_their_activation():
    scores = np.float32([[0.4], [0.6], [-0.1]])
    probabilities = sequential(d=bind(dense, units=1, activation="sigmoid"))
    logits = sequential(d=bind(dense, units=1))
    assert fnet.classes(probabilities, scores).tolist() == [0, 1, 0]
    assert fnet.classes(logits, scores).tolist() == [1, 1, 0]
    assert fnet.classes(logits, np.float32([[1, 3, 2]])).tolist() == [1]
    with pytest.raises(
        fnet.InvalidInput,
        match=r"classes takes \(model, y\): scores \(rows, k\) from predict; got float64\[3, 8, 1\]",
    ):
        fnet.classes(logits, np.ones((3, 8, 1)))
    for given, said in (
        ({"d": {"kernel": np.ones((2, 1))}}, "{d: {kernel: float64[2, 1]}}"),
        (["cat"], "('cat')"),
        (None, "None"),
        (3, "3"),
    ):
        with pytest.raises(fnet.InvalidInput, match=f"from predict; got {re.escape(said)}$"):
            fnet.classes(logits, given)
    with pytest.raises(ValueError, match="invalid='skip': use 'raise' or 'mark'"):
        fnet.classes(logits, scores, invalid="skip")
    for table_bytes in ("x", -1):
        with pytest.raises(ValueError, match="table_bytes is a number of bytes, at least 0; got "):
            fnet.optimize(logits, {}, table_bytes=table_bytes)
    for depth in (-1, 1.5):
        with pytest.raises(ValueError, match="depth is a number of levels, at least 0; got "):
            fnet.plot(logits, depth=depth)
    with pytest.raises(fnet.InvalidInput, match="NaN scores"):
        fnet.classes(logits, np.float32([[1, np.nan]]))


def test_statistics_of_a_batch_are_of_its_own_rows(each_backend):
    model = sequential(bind(fnet.batch_normalization, training=True, center=False, scale=False))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")
    parity.assert_close(fnet.predict(model, {}, x, batch_size=8), model({}, x))


def test_sizes_that_depend_on_values_need_no_compilation(each_backend):
    step = bind(operations.bincount)
    model = graph(inputs="x", y=(step, "x"), outputs="y")
    x = np.array([[0, 3, 3], [1, 0, 1]], "int32")
    run = fnet.compile(model, {})
    for rows in (x, x[1:]):
        np.testing.assert_array_equal(run(rows), model({}, rows))
    np.testing.assert_array_equal(fnet.predict(model, {}, x), [[1, 0, 0, 2], [1, 2, 0, 0]])


# --- what is remembered between calls -------------------------------------------------------------


def test_predict_sees_every_change_of_the_params(each_backend):
    model = sequential(x=DENSE["x"], y=DENSE["y"], scaled=bind(fnet.batch_normalization, epsilon=0.0))
    params = tree.map(constant, fnet.init(model, 0))
    x = np.ones((1, 5), "float32")
    before = fnet.predict(model, params, x)
    first = params["y"]["bias"]
    for bias, more in ((constant(first + 1), 1), (first, 0), (constant(first + 1), 1)):
        params["y"]["bias"] = bias  # another constant leaf in the same dict, of which one call knows how it went
        np.testing.assert_allclose(fnet.predict(model, params, x), before + more, atol=1e-6)
    hidden = np.array(params["y"]["bias"])
    params["y"]["bias"] = hidden.view()
    params["y"]["bias"].flags.writeable = False  # a read-only view of an array that changes
    fnet.predict(model, params, x)
    hidden += 1
    np.testing.assert_allclose(fnet.predict(model, params, x), before + 2, atol=1e-6)
    bias = params["y"]["bias"] = np.array(hidden)  # unlocked, changed and locked again between two calls
    for more in (2, 3, 4):
        bias.flags.writeable = False
        np.testing.assert_allclose(fnet.predict(model, params, x), before + more, atol=1e-6)
        bias.flags.writeable = True
        bias += 1


@pytest.mark.parametrize("rows", [2, 2048])
def test_a_call_like_one_before_takes_the_short_way_with_all_checks(each_backend, monkeypatch, rows):
    params, x = tree.map(constant, fnet.init(DENSE, 0)), np.ones((rows, 5), "float32")
    run = functools.partial(fnet.predict, DENSE, params, batch_size=rows)
    y = run(x)
    monkeypatch.setattr(predict, "Runner", None)  # the long way is closed
    np.testing.assert_array_equal(run(x), y)
    np.testing.assert_array_equal(run(-x), -y)
    monkeypatch.undo()
    wrong = x.copy()
    wrong[1, 2] = np.nan
    with pytest.raises(fnet.InvalidInput, match=r"row 1 has NaN at \(2,\)"):
        run(wrong)
    with pytest.warns(fnet.InvalidRows):
        marked = run(wrong, invalid="mark")
    np.testing.assert_array_equal(np.isnan(marked).all(axis=1), np.arange(rows) == 1)
    seen = []
    run(x, progress=lambda *rows: seen.append(rows))
    assert seen == [(rows, rows)]


def test_a_call_with_another_kind_of_array_says_nothing_of_the_calls_after_it(each_backend):
    params, x = tree.map(constant, fnet.init(DENSE, 0)), np.ones((2, 5), "float32")
    y = fnet.predict(DENSE, params, backend.xp.asarray(x) if backend.name() == "jax" else x.view(np.memmap))
    np.testing.assert_array_equal(fnet.predict(DENSE, params, x.tolist()), y)


def test_files_mapped_into_memory_have_answers_for_all_of_their_rows(tmp_path):
    """The first rows go through a layer with a loop in two parts."""
    model = sequential(x=bind(input_layer, shape=(None, 2, 3)), h=bind(fnet.lstm, units=2))
    params = tree.map(constant, fnet.init(model, 0))
    np.save(tmp_path / "x.npy", np.zeros((200, 2, 3), "float32"))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    for part in (x[:128], x):
        assert fnet.predict(model, params, part, batch_size=128).shape == (len(part), 2)


WORDS = "abcdefgh"
SOME_TEXTS = [" ".join(WORDS[: 1 + 5 * i % 8]) for i in range(70)]


def of_texts(*after, in_graph=False, **options):
    """(a model of texts, its read-only params): ids, an embedding that masks, and the steps `after`."""
    steps = [
        ("x", bind(input_layer, shape=(None,), dtype="string")),
        ("ids", bind(fnet.text_vectorization, **options)),
        ("words", bind(embedding, input_dim=10, output_dim=3, mask_zero=True)),
        *((f"h{i}", step) for i, step in enumerate(after)),
    ]
    model = sequential(steps)
    params = {**fnet.init(model, 0), "ids": fnet.vocabulary_params(fnet.text_vectorization, list(WORDS))}
    if in_graph:
        nodes = {name: (step, before) for (before, _), (name, step) in itertools.pairwise(steps)}
        model = graph({"x": steps[0][1]} | nodes, inputs="x", outputs=steps[-1][0])
    return model, tree.map(constant, params)


@pytest.mark.parametrize("in_graph", [False, True])
def test_texts_become_numbers_first_and_their_rows_are_sorted_by_length(each_backend, in_graph):
    both = bind(fnet.bidirectional, layer=bind(fnet.lstm, units=4))
    model, params = of_texts(both, bind(dense, units=2), output_sequence_length=9, in_graph=in_graph)
    y = fnet.predict(model, params, SOME_TEXTS)
    program = optimized(model, params)
    assert prepared(model, program.model).lengths is not None
    numbers = program.host(program.params, np.array(SOME_TEXTS[:5]))
    assert [np.asarray(leaf).shape for leaf in tree.leaves(numbers)] == [(5, 9)]
    parity.assert_close(y, model(params, np.array(SOME_TEXTS)))
    parity.assert_close(fnet.predict(model, params, SOME_TEXTS, optimize=False), y)
    with pytest.warns(fnet.InvalidRows, match="1 of 71 rows, which are marked: 40"):
        marked = fnet.predict(model, params, [*SOME_TEXTS[:40], None, *SOME_TEXTS[40:]], invalid="mark")
    parity.assert_close(np.delete(marked, 40, axis=0), y)


IDS = bind(input_layer, shape=(None, 1), dtype="int32")
TABLE = bind(embedding, input_dim=5, output_dim=2)
BEFORE = sequential(fnet.flatten, graph(inputs="u", t=(bind(fnet.operations.transpose, axes=(0, 1)), "u"), outputs="t"))
JOINED = graph(inputs=("u", "v"), u=fnet.identity, c=(fnet.concatenate, ("u", "v")), e=(TABLE, "c"), outputs="e")


@pytest.mark.parametrize(
    "model",
    [
        graph(inputs=("a", "b"), a=IDS, b=IDS, c=(fnet.concatenate, ("b", "a")), e=(TABLE, "c"), outputs="e"),
        graph(inputs=("a", "b"), a=IDS, b=IDS, n=(JOINED, ("b", "a")), outputs="n"),
        graph(inputs=("a", "b"), a=IDS, b=IDS, f=(fnet.flatten, "b"), e=(TABLE, "f"), outputs=("a", "e")),
        graph(inputs=("a", "b"), a=IDS, b=IDS, c=(fnet.operations.stack, ("a", "b")), e=(TABLE, "c"), outputs="e"),
        graph(inputs=("a", "b"), a=IDS, b=IDS, n=(BEFORE, "b"), e=(TABLE, "n"), outputs=("a", "e")),
    ],
    ids=["joined", "nested", "rearranged", "by operations", "in another model"],
)
def test_ids_are_checked_also_where_layers_rearrange_them_first(model):
    """An embedding that does not see them first would take the last row for -1 and, on JAX, NaN for 5."""
    params, good = fnet.init(model, 0), np.array([[1], [4]])
    assert len(fnet.predict(model, params, (good, good))[-1]) == 2
    for wrong in (-1, 5):
        with pytest.raises(fnet.InvalidInput, match=f"input 'b', row 1 has id {wrong}, which is none of the 5 rows"):
            fnet.predict(model, params, (good, np.array([[0], [wrong]])))


def test_ids_behind_a_layer_of_ones_own_are_not_checked_whatever_its_name():
    @fnet.layer(shape=infer.identity)
    def flip(params, x):
        return 4 - x % 5

    model = sequential(IDS, flip, TABLE)
    assert fnet.predict(model, fnet.init(model, 0), np.array([[77]])).shape == (1, 1, 2)


@pytest.mark.parametrize("stacked", [False, True])
def test_an_id_of_64_bits_is_no_other_row(stacked):
    layer = bind(fnet.recurrent_stack, layers=(TABLE, bind(fnet.lstm, units=1))) if stacked else TABLE
    with pytest.raises(fnet.InvalidInput, match="picks what is not there"):
        layer(fnet.init(layer, 0, (1, 1)), np.array([[2**32 + 1]]))


@pytest.mark.parametrize("masks", ["ids", "values"])
def test_rows_are_sorted_by_length_also_where_the_last_axis_is_left_out_or_added(each_backend_slowly, masks):
    """predict counts steps before the input layer has brought the rows to the axes of the model."""
    x = np.array([[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 0, 0]], "float32")
    if masks == "ids":
        first = {
            "i": bind(input_layer, shape=(None, 4)),
            "m": bind(embedding, input_dim=7, output_dim=3, mask_zero=True),
        }
    else:
        first = {"i": bind(input_layer, shape=(None, 4, 1)), "m": fnet.masking}
    model = sequential(**first, h=bind(fnet.lstm, units=2))
    params = fnet.init(model, 0)
    for rows in (x, x[..., None]):
        parity.assert_close(fnet.predict(model, params, rows), model(params, x))
        parity.assert_close(fnet.predict(model, tree.map(constant, params), rows), model(params, x))


def test_rows_of_several_words_a_step_are_sorted_by_all_of_them(each_backend):
    """The mask of their embedding has an axis more than (batch, time): predict failed."""
    words, flat = bind(embedding, input_dim=5, output_dim=2, mask_zero=True), bind(fnet.reshape, target_shape=(12, 2))
    model = sequential(i=bind(input_layer, shape=(None, 3, 4)), e=words, f=flat, h=bind(fnet.lstm, units=2))
    x, params = np.random.default_rng(0).integers(0, 5, (6, 3, 4)), fnet.init(model, 0)
    parity.assert_close(fnet.predict(model, params, x), model(params, x))


def test_among_texts_in_the_order_of_their_lengths_the_row_without_tokens_is_named(each_backend):
    states = bind(fnet.lstm, units=2, return_sequences=True)
    model, params = of_texts(states, fnet.global_average_pooling1d, output_sequence_length=9)
    assert fnet.predict(model, params, SOME_TEXTS).shape == (70, 2)
    assert optimized(model, params).host is not None
    with pytest.raises(fnet.InvalidInput, match="row 41 has a text without tokens"):
        fnet.predict(model, params, [*SOME_TEXTS[:41], "", *SOME_TEXTS[41:]])


def test_rows_that_are_marked_are_sorted_with_the_others(each_backend):
    """In any order of lengths, a row beyond the table and one of padding alone among them."""
    states = bind(fnet.lstm, units=2, return_sequences=True)
    ids = {"x": bind(input_layer, shape=(None, 9), dtype="int32")}
    words = bind(embedding, input_dim=10, output_dim=3, mask_zero=True)
    model = sequential(ids | {"words": words, "states": states, "mean": bind(fnet.global_average_pooling1d)})
    params = tree.map(constant, fnet.init(model, 0))
    x = np.random.default_rng(0).integers(1, 10, (70, 9)) * (np.arange(9) <= np.arange(70)[:, None] * 5 % 8)
    x[[3, 50]], x[41] = 10, 0
    with pytest.warns(fnet.InvalidRows, match="3 of 70 rows, which are marked: 3, 41, 50") as said:
        y = fnet.predict(model, params, x, invalid="mark")
    assert said[0].message.rows == [3, 41, 50]
    assert prepared(model, optimized(model, params).model).lengths is not None
    good = np.delete(np.arange(70), [3, 41, 50])
    assert np.isnan(y[[3, 41, 50]]).all()
    parity.assert_close(y[good], model(params, x[good]))
    with pytest.raises(fnet.InvalidInput, match="row 3"):
        fnet.predict(model, params, x)


def test_texts_that_are_as_wide_as_the_longest_of_a_batch_stay_as_they_come():
    """Layers without masks see how wide they are."""
    model, params = of_texts(bind(fnet.lstm, units=2, return_sequences=True), fnet.global_max_pooling1d)
    program = optimized(model, params)
    assert program.host is None
    parity.assert_close(fnet.predict(model, params, SOME_TEXTS, batch_size=70), model(params, np.array(SOME_TEXTS)))


def test_integers_are_looked_up_in_every_call_of_a_kind(each_backend):
    ids = {"x": bind(input_layer, shape=(None, 4), dtype="int64"), "ids": bind(fnet.hashing, num_bins=50)}
    model = sequential(ids | {"words": bind(embedding, input_dim=50, output_dim=3)})
    params = tree.map(constant, fnet.init(model, 0))
    for start in (0, 100):
        x = np.arange(start, start + 8).reshape(2, 4)
        parity.assert_close(fnet.predict(model, params, x), model(params, x))
    assert optimized(model, params).host is not None


def test_params_that_cannot_change_are_part_of_what_is_compiled_up_to_some_size(monkeypatch):
    with backend.using("jax"):
        params, x = tree.map(constant, fnet.init(DENSE, 0)), np.ones((2, 5), "float32")
        y = fnet.predict(DENSE, params, x)
        run = optimized(DENSE, params).run
        assert len(run.compiled) == 1
        np.testing.assert_array_equal(run(None, x), y)  # no params are asked for
        np.testing.assert_array_equal(fnet.predict(DENSE, params, backend.ops.asarray(x)), y)
        fnet.predict(DENSE, params, x[:1])
        run.compiled.most = 1
        fnet.predict(DENSE, params, np.ones((4, 5), "float32"))
        assert len(run.compiled) == 1  # the others are gone
        monkeypatch.setattr(compiling, "CONSTANTS", 8)
        assert optimized(DENSE, tree.map(constant, fnet.init(DENSE, 1))).run is None
    assert optimized(DENSE, params).run is None


def test_programs_are_remembered_by_what_was_asked_for(each_backend):
    params = tree.map(constant, fnet.init(DENSE, 0))
    whole, plain = (optimized(DENSE, params, wanted) for wanted in (True, False))
    assert whole.calls is not plain.calls
    assert optimized(DENSE, params, True).calls is whole.calls
    assert optimized(DENSE, params, False).calls is plain.calls


def test_a_call_like_an_earlier_one_sees_what_became_of_the_params(each_backend):
    """The same dict: other arrays in it, or the same arrays in the same order under other names."""
    model = sequential(a=bind(dense, units=5), b=bind(dense, units=5))
    params, x = tree.map(constant, fnet.init(model, 0, (None, 5))), np.arange(5, dtype="float32")[None]

    def settled():
        for _ in range(3):
            y = fnet.predict(model, params, x)
        parity.assert_close(y, model(params, x))
        return y

    first, arrays = settled(), tree.leaves(params)
    params["a"]["bias"] = constant(np.ones(5, "float32"))
    assert np.abs(settled() - first).max() > 0.1
    first = settled()
    params["b"], params["a"] = params.pop("a"), params.pop("b")
    assert np.abs(settled() - first).max() > 0.1
    params["a"]["kernel"] = np.array(params["a"]["kernel"])  # which may change between calls
    settled()
    params["a"]["kernel"] += 1
    settled()
    assert len(arrays) == 4  # none was collected, which would have told that it is another


def test_a_program_in_use_is_not_forgotten_for_others(each_backend):
    x, kept = np.ones((1, 5), "float32"), tree.map(constant, fnet.init(DENSE, 0))
    fnet.predict(DENSE, kept, x)
    calls = optimized(DENSE, kept).calls
    others = [tree.map(constant, fnet.init(DENSE, seed)) for seed in range(9)]
    for params in others:
        fnet.predict(DENSE, params, x)
        fnet.predict(DENSE, kept, x)
    assert optimized(DENSE, kept).calls is calls


def test_a_call_like_an_earlier_one_runs_few_functions(each_backend):
    """What lies between two calls of XLA takes three times as long once XLA's threads sleep."""
    x, params = np.ones((1, 5), "float32"), tree.map(constant, fnet.init(DENSE, 0))
    for _ in range(3):
        fnet.predict(DENSE, params, x)
    run = next(iter(optimized(DENSE, params).calls.values()))
    layers = 0 if run.begin else traced(lambda: run.run(optimized(DENSE, params).params, x)).calls.total()
    assert traced(lambda: fnet.predict(DENSE, params, x)).calls.total() - layers <= 12


def test_a_model_is_compiled_for_each_dtype():
    with backend.using("jax"):
        params, x = tree.map(np.asarray, fnet.init(DENSE, 0)), np.arange(10, dtype="float32").reshape(2, 5)
        run = compiling.Compiled(DENSE).for_threads(params, [x, x.astype("int32")])
        np.testing.assert_allclose(run(x), run(x.astype("int32")), rtol=1e-6)


def test_predict_keeps_no_params_alive_and_copies_what_cannot_change_once():
    with backend.using("jax"):
        params = tree.map(constant, fnet.init(DENSE, 0))
        fnet.predict(DENSE, params, np.ones((1, 5), "float32"))
        copies = [device.on_device(leaf) for leaf in tree.leaves(params)]
        assert all(device.on_device(leaf) is copy for leaf, copy in zip(tree.leaves(params), copies, strict=True))
        gone = [weakref.ref(leaf) for leaf in tree.leaves(params)]
        copied = {id(leaf) for leaf in tree.leaves(params)}
        assert copied <= set(device._copies)
        del params
        gc.collect()
        assert all(ref() is None for ref in gone)
        assert not copied & set(device._copies)


DROPOUT = bind(fnet.dropout, rate=0.5)


@pytest.mark.parametrize("rows", [5, 7])
def test_random_bits_are_those_of_the_model_also_where_batches_are_filled_up(each_backend, rows):
    model = sequential(x=bind(input_layer, shape=(None, 5)), d=DROPOUT)
    params = fnet.with_rng(model, {}, 3)
    x = np.ones((rows, 5), "float32")
    np.testing.assert_array_equal(fnet.predict(model, params, x), np.asarray(model(params, x)))


def test_random_bits_are_those_of_the_model_also_where_threads_share_a_batch():
    model = sequential(x=bind(input_layer, shape=(None, 2, 3)), r=bind(fnet.simple_rnn, units=2), d=DROPOUT)
    params = tree.map(constant, fnet.with_rng(model, fnet.init(model, 0), 3))
    x = np.random.default_rng(0).standard_normal((128, 2, 3)).astype("float32")
    for _ in range(2):  # the second call is like one before
        y = fnet.predict(model, params, x, batch_size=128, workers=2)
        np.testing.assert_allclose(y, model(params, x), atol=1e-6)


CELLS = [bind(fnet.lstm_cell, units=2), bind(fnet.gru_cell, units=2)]
LOOPS = [
    bind(fnet.lstm, units=3, return_sequences=True),
    bind(fnet.gru, units=3),
    bind(fnet.simple_rnn, units=3, dropout=0.5),
    bind(fnet.bidirectional, layer=bind(fnet.lstm, units=2)),
    bind(fnet.rnn, cell=tuple(CELLS)),
    bind(fnet.rnn, cell=bind(fnet.lstm_cell, units=2, dtype="mixed_float16")),
]


SEQUENCE, SIZES = np.ones((2, 4, 3), "float32"), np.full(2, 4, "int32")
DECODED = bind(operations.ctc_decode, strategy="beam_search", beam_width=3)


@pytest.mark.parametrize(
    ("step", "x"),
    [
        *((step, SEQUENCE) for step in LOOPS),
        (DECODED, (SEQUENCE, SIZES)),
        (operations.ctc_loss, (np.ones((2, 2), "int32"), SEQUENCE, SIZES // 2, SIZES)),
    ],
    ids=lambda value: name_of(value)[:60] if callable(value) else "",
)
def test_a_loop_is_compiled_once_outside_of_jit(step, x):
    import jax

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *rest, **more: compiled.append(event) if "backend_compile" in event else None
    )
    with backend.using("jax"):
        params = fnet.init(step, 0, fnet.core.infer.spec(x))
        first = step(params, x)
        count = len(compiled)
        assert count
        for _ in range(3):
            chex.assert_trees_all_equal(step(params, x), first)
        assert len(compiled) == count


def test_numpy_ma_is_not_imported_to_predict():
    """It takes NumPy a tenth of the time from the start to the first prediction."""
    run = "fnet.predict(fnet.identity, {}, np.ones((1, 2)))"
    code = f"import sys, numpy as np, fnet; {run}; sys.exit('numpy.ma' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_of_a_mel_spectrogram_reach_each_other_within_a_call_of_keras_only():
    """Decibels are cut below the largest of a batch: of each time step by itself, and of no part of a batch."""
    mel = bind(fnet.mel_spectrogram, fft_length=128, sequence_stride=32, num_mel_bins=4)
    x = np.random.default_rng(0).standard_normal((4, 3, 400)).astype("float32")
    x[0, 0] *= 1e4
    each = np.stack([mel({}, x[:, i]) for i in range(3)], axis=1)
    np.testing.assert_array_equal(bind(fnet.time_distributed, layer=mel)({}, x), each)
    model = sequential(x=bind(fnet.input_layer, shape=(None, 400)), mel=mel)
    rows = np.concatenate([x[:, 0], *[x[:, 1]] * 7])
    np.testing.assert_allclose(fnet.predict(model, {}, rows), model({}, rows), rtol=1e-6)
    assert not rows_apart(model)


def test_operations_over_the_batch_see_each_time_step_by_itself():
    largest = bind(fnet.operations.max, axis=0, keepdims=True)
    steps = {"x": bind(fnet.input_layer, shape=(None, 2)), "y": (largest, "x")}
    over = graph({**steps, "z": (bind(fnet.operations.subtract), ("x", "y"))}, inputs="x", outputs="z")
    x = np.random.default_rng(0).standard_normal((4, 3, 2)).astype("float32")
    np.testing.assert_array_equal(bind(fnet.time_distributed, layer=over)({}, x), x - x.max(axis=0))
    at_once = bind(fnet.time_distributed, layer=over, masks="keras2")({}, x)
    np.testing.assert_array_equal(at_once, x - x.max(axis=(0, 1)))


def test_of_the_shapes_that_a_layer_was_asked_for_some_are_remembered():
    step = bind(fnet.dense, units=2)
    for size in range(1, 100):
        assert fnet.infer(step, fnet.Spec((None, size)))[1]["kernel"].shape == (size, 2)
    assert 0 < len(step.inferred) <= REMEMBERED


class Foreign:
    """An array of another library, which may change."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, "other.float32"

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or self.values.dtype)


@pytest.mark.parametrize("kind", ["jax", "other"])
def test_params_of_other_libraries(kind):
    jnp = pytest.importorskip("jax.numpy")
    images = bind(fnet.conv2d, filters=2, kernel_size=3), fnet.max_pooling2d, fnet.batch_normalization, fnet.flatten
    words = bind(embedding, input_dim=9, output_dim=4), bind(fnet.lstm, units=3)
    for steps, x in ((images, np.ones((2, 6, 6, 1), "float32")), (words, np.arange(8).reshape(2, 4))):
        model = sequential(*steps, bind(dense, units=2))
        params = fnet.init(model, 0, x.shape)
        given = fnet.tree.map(jnp.asarray if kind == "jax" else lambda a: Foreign(np.array(a)), params)
        optimized = fnet.optimize(model, given)
        runs = [fnet.compile(model, given, optimize=flag) for flag in (True, False)]
        runs += [functools.partial(*optimized), functools.partial(fnet.predict, model, given)]
        for run in runs:
            np.testing.assert_allclose(run(x), model(params, x), atol=1e-6)
    if kind == "other":  # nothing is remembered of what may change
        given["dense"]["bias"].values += 1
        np.testing.assert_allclose(fnet.predict(model, given, x), model(params, x) + 1, atol=1e-6)


@pytest.mark.parametrize("optimize", [True, False])
def test_what_is_compiled_keeps_the_params_as_they_were(optimize, each_backend):
    params, x = {"kernel": np.ones((5, 3), "float32"), "bias": np.zeros(3, "float32")}, np.ones((2, 5), "float32")
    run = fnet.compile(fnet.bind(fnet.layers.dense, units=3), params, optimize=optimize)
    params["kernel"][:] = 7
    np.testing.assert_array_equal(run(x), np.full((2, 3), 5))


@pytest.mark.parametrize("number", [3, 2.5, True, np.float32(2.5), np.int8(3)], ids=repr)
def test_params_may_be_numbers(each_backend, number):
    """Which, unlike arrays, have no weak references."""
    scaled = fnet.layer(shape=lambda x: (x, {"by": fnet.Spec(())}))(lambda params, x: x * params["by"])
    x = np.ones((4, 3), "float32")
    for by in (number, number + 1, number):
        np.testing.assert_array_equal(fnet.predict(scaled, {"by": by}, x), x * by)
        np.testing.assert_array_equal(fnet.compile(scaled, {"by": by})(x), x * by)


def test_params_may_be_any_mapping(each_backend):
    model = fnet.sequential(y=bind(fnet.dense, units=2))
    params = fnet.init(model, 0, fnet.Spec((None, 3)))
    x = np.ones((4, 3), "float32")
    held = MappingProxyType({"y": MappingProxyType(params["y"])})
    np.testing.assert_array_equal(fnet.predict(model, held, x), fnet.predict(model, params, x))
    np.testing.assert_array_equal(fnet.compile(model, held)(x), fnet.compile(model, params)(x))
