"""The inputs that people give to `predict`: tables, columns, tensors, lists, any byte order; refusals and marks."""

import contextlib
import functools
import importlib.util
import io
import types
import warnings
from decimal import Decimal
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse

import fnet
from fnet import backend, bind, tree
from fnet.constants import constant
from fnet.inference import arrays
from fnet.inference.door import MISSING, REARRANGING
from fnet.inference.labels import WITHIN
from fnet.masks import masked, values_of
from tests.cases import fast_cases
from tests.cases.operations import CASES
from tests.operation_parity import fnet_input

MODEL = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 3)), d=bind(fnet.dense, units=2))
PARAMS = {"d": {"kernel": np.arange(6, dtype="float32").reshape(3, 2), "bias": np.float32([0.5, -0.5])}}
X = np.arange(12, dtype="float32").reshape(4, 3)
Y = X @ PARAMS["d"]["kernel"] + PARAMS["d"]["bias"]
COLUMNS = {name: X[:, i] for i, name in enumerate("abc")}
FRAME = pandas.DataFrame(COLUMNS)
TABLE = pyarrow.table(COLUMNS)


class Has:
    """An object with one protocol and nothing else."""

    def __init__(self, name, source):
        setattr(type(self), name, lambda self, *args, **options: getattr(source, name)(*args, **options))
        if name == "__dlpack__":
            type(self).__dlpack_device__ = lambda self: source.__dlpack_device__()


def only(name, source):
    return type("Only", (Has,), {})(name, source)


class Tensor:
    """Like torch's: one that needs a gradient, or of bfloat16, gives no array."""

    def __init__(self, values, gradient=True, half=False):
        self.values, self.gradient, self.half = values, gradient, half

    def detach(self):
        return Tensor(self.values, False, self.half)

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.values, self.gradient)

    def __array__(self, dtype=None, copy=None):
        if self.gradient or self.half:
            raise RuntimeError("no array")
        return self.values

    def __dlpack__(self, **options):
        raise BufferError("not shared")

    def __dlpack_device__(self):
        return 1, 0


TAKEN = {
    "pandas": FRAME,
    "pandas of integers": FRAME.astype("int64"),
    "pandas of several kinds": FRAME.assign(a=FRAME.a.astype("int8"), b=FRAME.b.astype("float64")),
    "pandas with its own integers": FRAME.astype("Int64"),
    "pandas on arrow": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "pandas column of arrays": pandas.DataFrame({"v": list(X)}),
    "polars": polars.DataFrame(COLUMNS),
    "polars column of lists": polars.DataFrame({"v": X.tolist()}),
    "polars column of arrays": polars.DataFrame({"v": X}),
    "polars series of arrays": polars.Series(X),
    "pyarrow": TABLE,
    "pyarrow batch": TABLE.to_batches()[0],
    "pyarrow column of lists": pyarrow.table({"v": X.tolist()}),
    "__arrow_c_stream__": only("__arrow_c_stream__", TABLE),
    "__dataframe__": only("__dataframe__", TABLE),
    "columns and iloc": types.SimpleNamespace(columns=FRAME.columns, iloc=FRAME.iloc),
    "__array__": only("__array__", X),
    "__dlpack__": only("__dlpack__", X),
    "a tensor in a gradient": Tensor(X),
    "a tensor of bfloat16 in a gradient": Tensor(X, half=True),
    "a list of rows": list(X),
    "a tuple of rows": tuple(X),
    "a list of series": [pandas.Series(row) for row in X],
    "a list of rows with __dlpack__ alone": [only("__dlpack__", row) for row in X],
    "a list of tuples": [tuple(row) for row in X.tolist()],
    "lists": X.tolist(),
    "a list of one array": [X],
    "a list of one table": [polars.DataFrame(COLUMNS)],
    "a tuple of one array": (X,),
    "a memoryview": memoryview(X),
    "by name": {"x": X.tolist()},
    "a list of dicts": FRAME.to_dict("records"),
    "a dict of columns": {"a": X[:, 0].tolist(), "b": X[:, 1], "c": pandas.Series(X[:, 2])},
    "a masked array without masked cells": np.ma.array(X),
    "bfloat16": X.astype(ml_dtypes.bfloat16),
    "float16": X.astype("float16"),
    "int4": X[:2].astype(ml_dtypes.int4),
    "Fortran order": np.asfortranarray(X),
    **{f"big-endian {kind}": X.astype(f">{kind}") for kind in ("f2", "f4", "f8", "i2", "i4", "i8", "u4")},
}


@pytest.mark.parametrize("x", TAKEN.values(), ids=TAKEN)
def test_what_people_have_is_taken(each_backend, x):
    y = fnet.predict(MODEL, PARAMS, x)
    np.testing.assert_allclose(y, Y[: len(y)], rtol=1e-6)
    assert len(y) in (2, 4)


@pytest.mark.parametrize(
    "x",
    [X[:0], FRAME[:0], TABLE[:0], {name: [] for name in "abc"}, FRAME[:0].astype(object)],
    ids=["array", "frame", "table", "columns", "objects"],
)
def test_a_table_of_no_rows_has_no_answers(each_backend, x):
    assert fnet.predict(MODEL, PARAMS, x).shape == (0, 2)


@pytest.mark.parametrize(("dtype", "taken"), [("float16",) * 2, (">f4", "float32"), ("int8", "float64")])
def test_masked_floats_keep_their_dtype(dtype, taken):
    values = arrays.array(np.ma.array([1, 2], dtype, mask=[0, 1]))
    assert values.dtype == taken
    np.testing.assert_array_equal(values, [1, np.nan])


def test_a_model_that_declares_no_input_takes_columns():
    """A dict of them was an AttributeError."""
    model = fnet.sequential(bind(fnet.dense, units=2))
    params, x = fnet.init(model, 0, (None, 3)), np.arange(6, dtype="float32").reshape(2, 3)
    by_column = dict(zip("abc", x.T, strict=True))
    rows = [{"a": 0, "b": 1, "c": 2}, {"a": 3, "b": 4, "c": 5}]
    for given in (by_column, rows, pandas.DataFrame(x, columns=[*"abc"], dtype="Float32")):
        np.testing.assert_array_equal(fnet.predict(model, params, given), fnet.predict(model, params, x))
    with pytest.raises(fnet.InvalidInput, match="a dict is not an array"):
        fnet.predict(model, params, {"a": {"b": x}})


def test_a_model_of_any_number_of_features_takes_a_dict_of_columns():
    model = fnet.sequential(x=bind(fnet.input_layer, shape=(None, None)), y=fnet.softmax)
    np.testing.assert_array_equal(fnet.predict(model, {}, COLUMNS), fnet.predict(model, {}, X))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "int64[pyarrow]", "float64"])
def test_cells_that_are_missing_are_nan(dtype):
    frame = pandas.DataFrame({name: pandas.Series([1, None, 0], dtype=dtype) for name in "abc"})
    with pytest.raises(fnet.InvalidInput, match="row 1 has NaN at"):
        fnet.predict(MODEL, PARAMS, frame)


def test_tensors_of_other_libraries_are_taken(each_backend):
    import jax.numpy as jnp
    import tensorflow as tf

    found = [jnp.asarray(X), list(jnp.asarray(X)), tf.constant(X), tf.Variable(X), tf.constant(X, tf.bfloat16)]
    if importlib.util.find_spec("torch"):
        import torch

        found += [torch.tensor(X, requires_grad=True), torch.tensor(X).bfloat16(), list(torch.tensor(X))]
    for x in found:
        np.testing.assert_allclose(fnet.predict(MODEL, PARAMS, x), Y, rtol=1e-6)


PARTS = {
    "a": bind(fnet.input_layer, shape=(None, 1)),
    "b": bind(fnet.input_layer, shape=(None, 1)),
    "y": (fnet.subtract, ("a", "b")),
    "outputs": "y",
}
SEVERAL = fnet.graph(inputs={"a": "a", "b": "b"}, **PARTS)


@pytest.mark.parametrize(
    "x",
    [
        {"a": [1, 2], "b": [3, 5]},
        {"a": [[1], [2]], "b": [[3], [5]]},
        pandas.DataFrame({"b": [3, 5], "a": [1, 2]}),
        [[1, 2], [3, 5]],
        [{"a": 1, "b": 3}, {"b": 5, "a": 2}],
        np.array([{"a": 1, "b": 3}, {"a": 2, "b": 5}]),
    ],
)
def test_several_inputs_by_name_or_in_order(x):
    for model in (SEVERAL, fnet.graph(inputs=("a", "b"), **PARTS)):
        np.testing.assert_array_equal(fnet.predict(model, {}, x), [[-2], [-3]])


def test_a_step_that_declares_no_input_takes_any_objects():
    lengths = fnet.layer(shape=lambda x: (x, {}))(lambda params, x: np.array([len(str(item)) for item in x.flat]))
    for x, y in ([["a"], [1.5]], [1, 3]), (np.array(["a\ud800", "b"]), [2, 1]):
        np.testing.assert_array_equal(fnet.predict(fnet.sequential(lengths), {}, x), y)


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_an_array_of_objects_that_are_numbers_or_rows_is_one_of_numbers(shape):
    for numbers, dtype in (([np.float32(1)] * 3, "float32"), ([1, 2, 3], "int64"), ([True] * 3, "bool")):
        found = arrays.numbers(np.array(numbers, object).reshape(shape))
        assert (found.dtype, found.shape) == (dtype, shape)
    for others in ([2**63, -1, 1], [2**70, 1, 1], ["a", 1, 2], [None, None, None]):
        assert arrays.numbers(np.array(others, object).reshape(shape)).dtype == object
    rows = np.empty(2, object)
    rows[:] = [np.ones(3, "float32"), np.zeros(3, "float32")]
    assert arrays.array(rows).dtype == "float32"


def big(a):
    return a.astype(a.dtype.newbyteorder(">"))


class Pair(NamedTuple):
    """Two inputs with names."""

    first: object
    second: object


def test_several_inputs_in_a_named_tuple(each_backend):
    heads = bind(fnet.multi_head_attention, num_heads=2, key_dim=2)
    model = fnet.graph(inputs=("a", "b"), y=(heads, ("a", "b")), outputs="y")
    x = np.arange(12, dtype="float32").reshape(2, 2, 3)
    params = fnet.init(model, 0, Pair(x.shape, x.shape))
    expected = np.asarray(model(params, (x, x)))
    for y in (model(params, Pair(x, x)), fnet.predict(model, params, Pair(x, x)), heads(params["y"], Pair(x, x))):
        np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-6)


def test_any_byte_order_of_inputs_and_params(each_backend):
    layers = [bind(fnet.lstm, units=3), bind(fnet.dense, units=2), fnet.batch_normalization]
    model = fnet.sequential(bind(fnet.embedding, input_dim=5, output_dim=3), *layers)
    ids = np.array([[1, 2, 4], [3, 0, 0]], "int32")
    params = tree.map(np.asarray, fnet.init(model, 0, fnet.Spec((None, 3), "int32")))
    expected = np.asarray(model(params, ids))
    for run in (fnet.predict, lambda m, p, x: fnet.compile(m, p)(x), lambda m, p, x: m(p, x)):
        np.testing.assert_allclose(np.asarray(run(model, params, big(ids))), expected, atol=1e-7)
        np.testing.assert_allclose(np.asarray(run(model, tree.map(big, params), ids)), expected, atol=1e-7)
    assert fnet.predict(fnet.sequential(fnet.identity), {}, big(ids)).dtype.isnative


SELF: list = []
SELF.append(SELF)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((2, 3), 1e39), r"row 0 has 1e\+39, which is infinity in float32"),
        (np.where(X == 7, np.nan, X).astype(ml_dtypes.bfloat16), "row 2 has NaN"),
        (np.where(X == 7, np.nan, X).astype(ml_dtypes.float8_e5m2), "row 2 has NaN"),
        (np.ma.array(X, mask=X == 7), "row 2 has NaN"),
        (np.ma.array(X.astype("int32"), mask=X == 7), "row 2 has NaN"),
        (FRAME.where(FRAME != 7), "row 2 has NaN"),
        (FRAME.astype("Int64").where(FRAME != 7), "row 2 has NaN"),
        (pyarrow.table({"a": [1, None], "b": [1, 1], "c": [0, 0]}), "row 1 has NaN"),
        ({"x": X, "y": X}, "leave out 'y'"),
        (FRAME[["a", "b"]], r"takes 3 columns, the table has 2: a, b; choose those"),
        ({"id": [1], "a": [1], "b": [2], "c": [3]}, r"takes 3 columns, the table has 4: id, a, b, c; "),
        (FRAME.assign(b=pandas.Timestamp("2020-01-01")), "dates in b and numbers"),
        ([{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}], r"row 1 lacks or adds .* first, \['a', 'b', 'c'\]: \{'a': 1"),
        ([{"a": 1, "b": 2, "c": 3}, None], "row 1 lacks or adds"),
        ([{"a": 1, "b": None, "c": 3}], r"row 0 has NaN at \(1,\)"),
        ([[1, 2, 3], [1, None, 2]], r"row 1 has NaN at \(1,\)"),
        (np.array([[1, None, 2]], object), r"row 0 has NaN at \(1,\)"),
        (scipy.sparse.csr_matrix(X), r"give a NumPy array \(x\.toarray\(\)\)$"),
        ([["1", "2", "3"]], r"holds strings.*; they are numbers: x\.astype\('float32'\)$"),
        (np.array([["u", "1", "2"]], object), "holds strings.*; turn words into numbers as in training$"),
        (np.zeros((3, 1)), r"has shape \(3, 1\), the model takes \(None, 3\); if .*: x\.reshape\(-1, 3\)$"),
        (FRAME.assign(b=["u"] * 4), "texts in b and numbers"),
        (pandas.DataFrame({"a": ["u"]}), "holds strings"),
        ([np.ones(3), np.ones(2)], "different lengths"),
        ([pyarrow.array([1.0] * n) for n in (3, 2)], r"different lengths.*; got \([23],\), \([23],\)"),
        ((row for row in X), r"a generator is not an array.*list\(x\)"),
        (object(), "a object is not an array"),
        (polars.DataFrame(COLUMNS).lazy(), r"polars\.LazyFrame is not an array.*collect"),
        (None, "None where rows are expected"),
        ({}, "where rows are expected"),
        (io.BytesIO(b"x"), r"_io\.BytesIO is not an array"),
        (np.zeros((2, 3), "V4"), "records or raw bytes"),
        (np.zeros(2, [("a", "f4")]), "records or raw bytes"),
        (SELF, "different lengths"),
    ],
)
def test_what_is_refused_is_named(x, message):
    with pytest.raises(fnet.InvalidInput, match=message):
        fnet.predict(MODEL, PARAMS, x)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 8, 9), r": np\.repeat\(x\[\.\.\., None\], 3, axis=-1\)$"),
        ((2, 8, 9, 4), r": x\[\.\.\., :3\]$"),
        ((2, 216), r": x\.reshape\(-1, 8, 9, 3\)$"),
        ((216,), r": x\.reshape\(-1, 8, 9, 3\)$"),
        ((8, 9, 3), r": \[x\]$"),
        ((2, 3, 8, 9), r": np\.moveaxis\(x, 1, -1\)"),
        ((2, 9, 9, 3), r"takes \(None, 8, 9, 3\)$"),
        ((0,), r"takes \(None, 8, 9, 3\)$"),
        ((), r"; a single value goes into a list, \[x\], and so does a row that is a dict, \[row\]$"),
    ],
)
def test_images_of_another_shape_are_told_the_way_out(shape, hint):
    images = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 8, 9, 3)))
    with pytest.raises(fnet.InvalidInput, match=hint):
        fnet.predict(images, {}, np.ones(shape, "float32"))
    with pytest.raises(fnet.InvalidInput, match=r"holds strings.*; of an image file it takes the pixels"):
        fnet.predict(images, {}, ["cat.png"])


def test_a_row_that_is_a_dict_goes_into_a_list():
    row = dict(zip("abc", X[0].tolist(), strict=True))
    np.testing.assert_allclose(fnet.predict(MODEL, PARAMS, [row]), Y[:1], rtol=1e-6)
    with pytest.raises(fnet.InvalidInput, match=r"single values where rows are expected; put it in a list: \[row\]"):
        fnet.predict(MODEL, PARAMS, row)


def test_a_single_row_may_lack_a_number():
    """A column of None alone was taken for one of objects, so what a batch had marked was an error in a single row."""
    inputs = {name: bind(fnet.input_layer, shape=(None, 1)) for name in "ab"}
    two = fnet.graph({**inputs, "y": (fnet.add, ["a", "b"])}, inputs={"a": "a", "b": "b"}, outputs="y")
    for model, params, row in ((two, {}, {"a": None, "b": 2}), (MODEL, PARAMS, [None] * X.shape[1])):
        with pytest.raises(fnet.InvalidInput, match="row 0 has NaN"):
            fnet.predict(model, params, [row])
        with pytest.warns(fnet.InvalidRows, match="marked: 0; row 0 has NaN"):
            assert np.isnan(fnet.predict(model, params, [row], invalid="mark")).all()


def test_decimals_and_mixed_objects_are_numbers():
    """As databases and a column of booleans with missing cells give them."""
    exact = {
        "a": [Decimal("0.5"), None],
        "b": np.array([Decimal("0.5"), 1], object),
        "c": np.array([True, 0.5], object),
    }
    with pytest.warns(fnet.InvalidRows, match="marked: 1; row 1 has NaN") as said:
        y = fnet.predict(MODEL, PARAMS, exact, invalid="mark")
    assert said[0].filename == __file__
    np.testing.assert_array_equal(y[:1], fnet.predict(MODEL, PARAMS, [[0.5, 0.5, 1]]))
    with pytest.raises(fnet.InvalidInput, match="texts in a and numbers in the rest"):
        fnet.predict(MODEL, PARAMS, {**exact, "a": np.array([1j, 1], object)})


def test_numbers_for_a_model_that_takes_strings():
    words = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="string"))
    with pytest.raises(fnet.InvalidInput, match=r"the model takes strings; .* x\.astype\(str\)$"):
        fnet.predict(words, {}, [[1]])


def test_an_array_that_is_not_shared_says_why():
    class Far:
        def __dlpack__(self, **options):
            raise BufferError("it is far away")

        def __dlpack_device__(self):
            return 1, 0

    with pytest.raises(fnet.InvalidInput, match="does not share its array: it is far away"):
        fnet.predict(MODEL, PARAMS, Far())


@pytest.mark.slow
def test_tensors_without_an_array_are_named():
    torch = pytest.importorskip("torch")
    for x in (torch.tensor(X).to_sparse(), torch.empty(4, 3, device="meta")):
        with pytest.raises(fnet.InvalidInput, match=r"torch\.Tensor does not share its array"):
            fnet.predict(MODEL, PARAMS, x)


def test_numbers_that_an_integer_input_cannot_hold_are_refused():
    model = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="int32"))
    for x in ([[2**31]], [[-(2**31) - 1]], [[float("nan")]], [[1e12]], [[-1e12]]):
        with pytest.raises(fnet.InvalidInput, match="row 0 has"):
            fnet.predict(model, {}, np.array(x))


@pytest.mark.parametrize("size", ["4", 4.0, np.int64(4), np.float32(4), True])
def test_batch_sizes_that_mean_a_whole_number(size):
    np.testing.assert_allclose(fnet.predict(MODEL, PARAMS, X, batch_size=size), Y)


@pytest.mark.parametrize("size", ["four", 2.5, None, [4], 0, -1, "0"])
def test_other_batch_sizes_are_named(size):
    with pytest.raises(fnet.InvalidInput, match="batch_size is the number of rows at a time"):
        fnet.predict(MODEL, PARAMS, X, batch_size=size)


# --- arguments and params -------------------------------------------------------------------------


def test_swapped_arguments_are_told_in_one_line():
    for call in (
        lambda: fnet.predict(PARAMS, MODEL, X),
        lambda: fnet.predict(MODEL, X, PARAMS),
        lambda: MODEL(X, PARAMS),
        lambda: fnet.graph(inputs="x", d=(MODEL["d"], "x"), outputs="d")(X, PARAMS),
    ):
        with pytest.raises(fnet.InvalidInput) as caught:
            call()
        assert len(str(caught.value)) < 200
        assert "params, x" in str(caught.value)
    with pytest.raises(fnet.InvalidInput, match="got the params first, then the model"):
        fnet.predict(PARAMS, MODEL, X)
    with pytest.raises(fnet.InvalidInput, match=r"dense takes \(params, x\)"):
        fnet.dense(X, PARAMS)


def test_missing_params_are_explained(each_backend):
    lost = {"d": {"bias": PARAMS["d"]["bias"]}}
    with pytest.raises(fnet.InvalidParams, match=r"missing d/kernel: float32\[3, 2\]"):
        fnet.predict(MODEL, lost, X)
    with pytest.raises(fnet.InvalidParams, match="missing kernel: the params of dense are bias") as caught:
        MODEL(lost, X)
    assert any("in 'd'" in note for note in caught.value.__notes__)
    with pytest.raises(fnet.InvalidParams, match="missing d/kernel"):
        fnet.predict(MODEL, {}, X)


# --- rows without an answer -----------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [32, 2, 1])
def test_rows_without_an_answer_are_marked_and_the_others_go_on(each_backend, batch_size):
    bad = X.copy()
    bad[1, 0], bad[2, 2] = np.nan, np.inf
    with pytest.warns(
        fnet.InvalidRows, match=r"2 of 4 rows, which are marked: 1, 2; row 1 has NaN at \(0,\) in input 'x'$"
    ):
        y = fnet.predict(MODEL, PARAMS, bad, batch_size=batch_size, invalid="mark")
    np.testing.assert_allclose(y, np.where(np.isin(np.arange(4), (1, 2))[:, None], np.nan, Y), rtol=1e-6)
    with pytest.raises(fnet.InvalidInput, match="row 1 has NaN"):
        fnet.predict(MODEL, PARAMS, bad, batch_size=batch_size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fnet.predict(MODEL, PARAMS, X, invalid="mark")
    with pytest.raises(ValueError, match="'raise' or 'mark'"):
        fnet.predict(MODEL, PARAMS, X, invalid="skip")


def test_nan_goes_into_a_model_that_has_an_answer_for_it(each_backend):
    ops = fnet.operations
    model = fnet.graph(
        inputs=("x", "n"),
        x=bind(fnet.input_layer, shape=(None, 3)),
        n=bind(fnet.input_layer, shape=(None, 1), dtype="int32"),
        hidden=(ops.isnan, "x"),
        seen=(ops.where, ("hidden", 0.0, "x")),
        y=(fnet.sequential(inner=bind(fnet.time_distributed, layer=ops.nan_to_num)), "x"),
        outputs=("seen", "y", "n"),
    )
    x = X.copy()
    x[1, 0], x[2, 1] = np.nan, np.inf
    n = np.zeros((4, 1), "int32")
    for part in (model, fnet.cut(model, outputs=("seen", "n")), fnet.cut(model, outputs=("y", "n"))):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            marked = fnet.predict(part, {}, (x, n), invalid="mark")
        for y, expected in zip(marked, part({}, (x, n)), strict=True):
            np.testing.assert_array_equal(y, expected)
    with pytest.raises(fnet.InvalidInput, match="row 3 has 1e\\+300, which is infinity in float32"):
        fnet.predict(model, {}, (np.array([*x[:3].tolist(), [1e300, 0, 0]]), n))


def test_every_operation_that_has_an_answer_for_nan_is_known_by_its_name():
    names = [n for n in (*fnet.operations.__all__, "is_nan", "is_inf", "is_finite") if MISSING.fullmatch(n)]
    assert {
        "isnan",
        "isfinite",
        "isinf",
        "isposinf",
        "isneginf",
        "nan_to_num",
        "nanmean",
        "is_nan",
        "is_inf",
        "is_finite",
    } < set(names)
    others = {"nansum", *(n for n in fnet.operations.__all__ if n.startswith("is") and ("nan" in n or "inf" in n))}
    assert others <= set(names)


CONSTANTS = {"concatenate", "append", "maximum", "minimum", "max", "min", "clip", "cast", "nan_to_num"}
"""Operations of which some rows of the table add numbers of their own, cut at some, or give other dtypes."""
APART = {
    "images, which are neither ids nor scores": {
        *(name for name in dir(fnet.layers) if name.startswith("random_")),
        *("aug_mix", "auto_contrast", "cut_mix", "equalization", "max_num_bounding_boxes", "mix_up", "rand_augment"),
        *("solarization", "rgb_to_grayscale", "up_sampling2d", "affine_transform", "resizing"),
    },
    "not so with other options or params": {"layer_scale", "leaky_relu", "hard_shrink", "threshold"},
    "an average by scores of its own": {"attention", "dot_product_attention"},
    "so in the rows of the table alone": {"masking", "fmod", "mod", "nextafter"},
}
"""{why: names that neither of the lists needs}."""


def _moves(step, params, x):
    """Of what a step gives: whether it holds all floats of `x`; only those; only numbers between them."""
    y = tree.map(values_of, step(params, x))
    before, after = (
        np.concatenate(
            [np.ravel(a) for a in tree.leaves(value) if getattr(a, "dtype", np.dtype(int)).kind == "f"] or [[]]
        )
        for value in (x, y)
    )
    within = bool(after.size) and before.min() - 1e-6 <= after.min() and after.max() <= before.max() + 1e-6
    return set(before) <= set(after) and not isinstance(y, tuple | list), set(after) <= set(before), within


def test_every_layer_that_only_moves_or_averages_values_is_known_by_its_name():
    rows = [(case.step, case.inputs()) for case in fast_cases() if case.layer is not fnet.stft_spectrogram]
    rows += [(bind(case.layer, **case.options), fnet_input(case, case.draw())) for case in CASES]
    seen = {}
    for step, x in rows:
        leaves = tree.leaves(x)
        if not all(isinstance(a, np.ndarray) and a.dtype.kind == "f" and np.isfinite(a).all() for a in leaves[:1]):
            continue
        for far in (10, -10):  # beyond the range of any activation
            moved = tree.map(lambda a, far=far: a + np.float32(far) if getattr(a, "dtype", None) == "float32" else a, x)
            with (
                np.errstate(all="ignore"),
                contextlib.suppress(fnet.InvalidParams, fnet.InvalidInput),
            ):  # weights; no roots
                seen.setdefault(step.function.__name__, []).append(_moves(step, {}, moved))
    apart = set.union(*APART.values())
    rearranging, within = (
        {name for name, all_of in seen.items() if all_of and all(of(*row) for row in all_of)} - apart
        for of in (lambda every, only, _: every and only, lambda *row: row[2])
    )
    assert (rearranging - REARRANGING, within - WITHIN) == (set(), set()), "names that the lists lack"
    listed = (REARRANGING & seen.keys()) - rearranging, (WITHIN & seen.keys()) - within
    assert (listed[0] - CONSTANTS, listed[1] - CONSTANTS) == (set(), set()), "names that do more"


def test_ids_beyond_the_table_and_outputs_of_all_kinds(each_backend):
    model = fnet.graph(
        inputs="x",
        x=bind(fnet.input_layer, shape=(None, 2), dtype="int32"),
        e=(bind(fnet.embedding, input_dim=5, output_dim=2), "x"),
        n=(bind(fnet.operations.cast, dtype="uint8"), "x"),
        b=(bind(fnet.operations.cast, dtype="bool"), "x"),
        outputs={"e": "e", "x": "x", "n": "n", "b": "b"},
    )
    params = fnet.init(model, 0)
    ids = np.array([[1, 2], [1, 5], [4, 4], [-1, 0]])
    good = fnet.predict(model, params, ids[::2])
    with pytest.warns(fnet.InvalidRows, match="1, 3"):
        y = fnet.predict(model, params, ids, invalid="mark")
    for key, mark in (("e", np.nan), ("x", -1), ("n", 255), ("b", False)):
        np.testing.assert_array_equal(y[key][::2], good[key])
        np.testing.assert_array_equal(y[key][1::2], np.full_like(good[key], mark))
        assert y[key].dtype == good[key].dtype
    with pytest.warns(fnet.InvalidRows, match="2 of 2"):
        assert np.isnan(fnet.predict(model, params, ids[1::2], invalid="mark")["e"]).all()


def test_rows_that_reach_each_other_see_only_the_good_ones():
    model = fnet.sequential(bind(fnet.batch_normalization, training=True, center=False, scale=False))
    bad = np.vstack([X, np.full((1, 3), np.nan, "float32")])
    with pytest.warns(fnet.InvalidRows):
        y = fnet.predict(model, {}, bad, invalid="mark")
    np.testing.assert_allclose(y[:4], model({}, X), rtol=1e-6)


TEXTS = ["pelayanannya ramah sekali", "", "kamarnya kotor dan mahal"]


def test_a_text_without_tokens_has_no_answer(each_backend):
    model = fnet.sequential(
        text=bind(fnet.input_layer, shape=(None,), dtype="string"),
        ids=fnet.text_vectorization,
        words=bind(fnet.embedding, input_dim=10, output_dim=4, mask_zero=True),
        mean=fnet.global_average_pooling1d,
        scores=bind(fnet.dense, units=3, activation="softmax"),
    )
    params = {
        "ids": fnet.vocabulary_params(fnet.text_vectorization, " ".join(TEXTS).split()),
        "words": {"embeddings": np.random.default_rng(0).normal(size=(10, 4)).astype("float32")},
        "scores": {"kernel": np.eye(4, 3, dtype="float32"), "bias": np.zeros(3, "float32")},
    }
    good = fnet.predict(model, params, TEXTS[::2])
    with pytest.raises(fnet.InvalidInput, match="row 1 has a text without tokens"):
        fnet.predict(model, params, TEXTS)
    for texts in (TEXTS, [TEXTS[0], None, TEXTS[2]], pandas.Series([TEXTS[0], None, TEXTS[2]])):
        with pytest.warns(fnet.InvalidRows, match="1 of 3 rows"):
            y = fnet.predict(model, params, texts, invalid="mark")
        np.testing.assert_allclose(y[::2], good, atol=1e-6)
        assert np.isnan(y[1]).all()
        assert fnet.classes(model, y, invalid="mark").tolist() == [
            *fnet.classes(model, good)[:1],
            -1,
            *fnet.classes(model, good)[1:],
        ]


@pytest.mark.parametrize("size", [3, 9000])
def test_numbers_whose_squares_overflow_come_in(size):
    model = fnet.sequential(fnet.bind(fnet.dense, units=1, use_bias=False))
    params = {"dense": {"kernel": np.ones((size, 1), np.float32)}}
    x = np.full((1, size), 1e30, np.float32)
    for _ in range(2):
        np.testing.assert_allclose(fnet.predict(model, params, x), [[size * 1e30]], rtol=1e-5)
    x[0, 1] = -np.inf
    with pytest.raises(fnet.InvalidInput, match=r"row 0 has infinity at \(1,\)"):
        fnet.predict(model, params, x)


@pytest.mark.parametrize(
    ("layer", "dtype", "good", "bad"),
    [
        (fnet.bind(fnet.dense, units=1), "float32", 1e30, np.nan),
        (fnet.bind(fnet.dense, units=1), "float32", 1.0, -np.inf),
        (fnet.bind(fnet.embedding, input_dim=9, output_dim=2), "float32", 8.0, 9.0),
        (fnet.bind(fnet.embedding, input_dim=300, output_dim=2), "uint8", 255.0, 256.0),
    ],
)
def test_a_call_like_one_before_looks_at_its_numbers(layer, dtype, good, bad):
    model = fnet.sequential(x=fnet.bind(fnet.input_layer, shape=(None, 3), dtype=dtype), y=layer)
    params = fnet.tree.map(constant, fnet.init(model, 0))
    x = np.array([[good, 1, 2]], np.float32)
    for _ in range(3):
        np.testing.assert_allclose(fnet.predict(model, params, x), model(params, x), rtol=1e-5)
    x[0, 0] = bad
    with pytest.raises(fnet.InvalidInput, match=r"row 0 has .* at \(0,\)"):
        fnet.predict(model, params, x)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pandas.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "several columns of one name: a, a"),
        (pandas.DataFrame(index=[0, 1]), "a table without columns"),
        ({}, "a table without columns"),
        ({"a": [1.0, 2.0], "b": [1.0]}, "columns of different lengths: {'a': 2, 'b': 1}"),
        ({"a": [1.0], "b": ["x"]}, "texts in b and numbers in the rest"),
        (
            only("__arrow_c_stream__", pyarrow.chunked_array([[1]])),
            "is not a table that pyarrow can read: Cannot import",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_that_is_no_array_is_refused(table, message):
    with pytest.raises(fnet.InvalidInput, match=message):
        arrays.table(table)


def test_a_missing_text_of_a_table_is_told_as_a_plain_nan():
    model = fnet.sequential(
        x=fnet.bind(fnet.input_layer, shape=(None,), dtype="string"), ids=fnet.bind(fnet.hashing, num_bins=3)
    )
    with pytest.raises(fnet.InvalidInput, match=r"row 1 has nan \(no text; for a missing one give ''\)$"):
        fnet.predict(model, {}, np.array(["a", np.float64("nan")], object))
    with pytest.warns(fnet.InvalidRows, match="no answer for 2 of 4 rows, which are marked: 1, 3"):
        marked = fnet.predict(model, {}, ["a", "b\ud800", "", None], invalid="mark")
    np.testing.assert_array_equal(marked[[0, 2]], fnet.predict(model, {}, ["a", ""]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ids", ["int32", "uint8"])
def test_a_number_just_beyond_an_integer_dtype_is_refused(dtype, ids):
    """The largest int32 is no float32: 2**31, the float next to it, became -2**31."""
    model, most = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype=ids)), int(np.iinfo(ids).max)
    least = np.nextafter(np.array([[most + 1]], dtype), 0, dtype=dtype)
    assert fnet.predict(model, {}, least) == int(least[0, 0])
    with pytest.raises(fnet.InvalidInput, match=f"which does not fit in {ids}"):
        fnet.predict(model, {}, np.array([[most + 1]], dtype))


def test_integers_that_jax_would_cut_become_floats_or_are_refused_and_lookups_keep_them():
    """2**32 + 5 became 5 in a model of floats, and 2**53 + 1 became 1 in one of int64."""
    large, small = np.array([[2**32 + 5], [-(2**40)]]), np.array([[5], [6]])
    floats = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 1)), y=bind(fnet.rescaling, scale=2.0))
    ids = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="int64"), y=fnet.identity)
    hashed = fnet.sequential(ids=bind(fnet.hashing, num_bins=1000))
    whole = fnet.predict(hashed, {}, large)
    with backend.using("jax"):
        for _ in range(3):  # what is remembered of a kind of call looks at its numbers, too
            np.testing.assert_array_equal(fnet.predict(floats, {}, small), [[10], [12]])
            np.testing.assert_array_equal(fnet.predict(floats, {}, large), 2 * large.astype("float32"))
            np.testing.assert_array_equal(fnet.predict(ids, {}, small), small)
            for model in (ids, ids["y":]):
                with pytest.raises(
                    fnet.InvalidInput, match=r"has 4294967301, .* int32 \(.* JAX_ENABLE_X64=1 .*\) at \(0,\)"
                ):
                    fnet.predict(model, {}, large)
            for run in (functools.partial(fnet.jit(floats), {}), fnet.compile(floats, {})):
                np.testing.assert_array_equal(run(small), [[10], [12]])
                with pytest.raises(fnet.InvalidInput, match=r"^int64 values beyond int32 \(.* JAX_ENABLE_X64=1"):
                    run(large)
                with pytest.raises(fnet.InvalidInput, match=r"^int64 values beyond int32"):
                    run(masked(large, large > 0))
        for run in (functools.partial(fnet.predict, hashed), fnet.jit(hashed), hashed):
            np.testing.assert_array_equal(run({}, large), whole)
        table = {"embeddings": np.eye(3, dtype="float32")}
        assert np.isnan(fnet.embedding(table, large - 4)).all(), "row 1 of 2**32 + 1"
        with pytest.warns(fnet.InvalidRows):
            np.testing.assert_array_equal(fnet.predict(ids, {}, [[3], [2**40]], invalid="mark"), [[3], [-1]])
