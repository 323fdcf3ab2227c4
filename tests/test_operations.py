"""Every operation next to its Keras class, in every mode; values at the yardstick, dtypes and shapes equal.

`make test` runs every row on NumPy, and the first row of every operation on JAX; `make test-slow` all of them on both,
and without `jax.jit` those that need it and the first ones.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import subprocess
import sys
from typing import Any

import jax
import keras
import numpy as np
import pytest

import fnet
from fnet import backend, operations, tree
from fnet.core.layer import bind
from fnet.core.options import option_names
from params import from_keras, load_keras
from params.table.operations import OPERATIONS, REFUSED_OPERATIONS, operation
from tests import parity
from tests.cases.operations import CASES, OpCase
from tests.operation_parity import Reference, arrays_of, as_dtype, called, compare, fnet_input, plain, reference, run
from tests.public import NAMES

FIRST = list({case.layer: number for number, case in reversed(list(enumerate(CASES)))}.values())
"""The first row of every operation."""
TOGETHER = 24
"""How many rows one jitted function holds: compiling one after the other takes most of the time."""


def fast(numbers: list[int], chosen: set[int]) -> list[Any]:
    """The rows as parameters; those not `chosen` are slow."""
    return [pytest.param(n, id=CASES[n].id, marks=() if n in chosen else pytest.mark.slow) for n in numbers]


def groups(numbers: list[int], size: int) -> list[Any]:
    """Lists of row numbers as parameters: the first rows of operations together, then the others, slow."""
    first, others = [n for n in numbers if n in FIRST], [n for n in numbers if n not in FIRST]
    made = []
    for part, marks in ((sorted(first), ()), (others, (pytest.mark.slow,))):
        for start in range(0, len(part), size):
            some = part[start : start + size]
            made.append(pytest.param(some, id=f"{CASES[some[0]].id}...{len(some)}", marks=marks))
    return made


SLUGGISH = (operations.fold, operations.nanquantile)
"""Operations that TensorFlow takes a second for: their first row is fast."""
EVERY = fast(list(range(len(CASES))), {n for n, c in enumerate(CASES) if n in FIRST or c.layer not in SLUGGISH})


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", EVERY)
def test_operation_equals_its_keras_class_on_numpy(number):
    case, theirs = CASES[number], reference(number)
    arrays = arrays_of(theirs.inputs)
    compare(run(case, theirs.inputs, [a.copy() for a in arrays]), theirs, "numpy", case)
    for array in arrays:
        array.flags.writeable = False
    compare(run(case, theirs.inputs, arrays), theirs, "numpy-readonly", case)
    if theirs.exact is not theirs.keras32 and any(a.dtype == "float32" for a in arrays):
        wide = Reference(theirs.inputs, theirs.exact, theirs.exact)
        compare(run(case, theirs.inputs, [as_dtype(a, "float64") for a in arrays]), wide, "numpy", case)


EAGER = [n for n, c in enumerate(CASES) if "jax" not in c.skip_modes and (n in FIRST or "jax-jit" in c.skip_modes)]


@pytest.mark.parametrize("number", fast(EAGER, set()))
def test_operation_equals_its_keras_class_on_jax_without_jit(number):
    case, theirs = CASES[number], reference(number)
    with backend.using("jax"):
        compare(run(case, theirs.inputs, arrays_of(theirs.inputs)), theirs, "jax", case)


JITTED = [n for n, case in enumerate(CASES) if "jax-jit" not in case.skip_modes]


@pytest.mark.parametrize("numbers", groups(JITTED, TOGETHER))
def test_operations_equal_their_keras_classes_under_jax_jit(numbers):
    known = {n: reference(n) for n in numbers}

    def together(arrays: dict[int, list[Any]]) -> dict[int, Any]:
        return {n: run(CASES[n], known[n].inputs, given) for n, given in arrays.items()}

    with backend.using("jax"):
        results = jax.jit(together)({n: arrays_of(theirs.inputs) for n, theirs in known.items()})
    failures = []
    for n, theirs in known.items():
        try:
            compare(results[n], theirs, "jax-jit", CASES[n])
        except AssertionError as error:
            failures.append(f"{CASES[n].id}: {error}")
    assert not failures, "\n".join(failures)


# --- records and shapes ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", EVERY)
def test_operation_is_a_value_and_its_shape_rule_tells_the_truth(number):
    case = CASES[number]
    step = bind(case.layer, **case.options)
    assert pickle.loads(pickle.dumps(step)) == step
    assert eval(repr(step), {**NAMES, "operations": operations, "inf": float("inf")}) == step
    for dtype in ("float32", "float16", "float64"):
        x = tree.map(lambda a, dtype=dtype: as_dtype(a, dtype) if isinstance(a, np.ndarray) else a, case.draw())
        _rule_tells_the_truth(case, step, fnet_input(case, x))


def _rule_tells_the_truth(case, step, x):
    specs = tree.map(lambda a: fnet.Spec(a.shape, a.dtype.name) if isinstance(a, np.ndarray) else a, x)
    try:
        y = step({}, x)
    except TypeError as error:
        if "float16 is unsupported in linalg" not in str(error):
            raise
        return
    y = list(y) if isinstance(y, tuple) else y
    given, told = tree.leaves(y), tree.leaves(fnet.infer(step, specs)[0])
    assert len(given) == len(told)
    for array, spec in zip(given, told, strict=True):
        assert len(spec.shape) == array.ndim
        assert all(d in (None, n) for d, n in zip(spec.shape, array.shape, strict=True)), f"{spec} for {array.shape}"
        assert not case.jit or None not in spec.shape
        assert spec.dtype == array.dtype.name, f"{spec} for {array.dtype}"


def test_pinv_and_lstsq_leave_out_what_is_but_rounding():
    """Singular values below 10 max(m, n) eps of the largest, 3.6e-6 of it here; of lstsq below a tenth of that."""
    x = np.diag(np.float32([1, 2e-5, 2e-6]))
    np.testing.assert_allclose(operations.pinv({}, x), np.diag([1, 5e4, 0]), rtol=1e-6)
    x = np.diag(np.float32([1, 2e-6, 2e-7]))
    np.testing.assert_allclose(operations.lstsq({}, (x, np.ones(3, "float32"))), [1, 5e5, 0], rtol=1e-6)


# --- saved models ---------------------------------------------------------------------------------


def is_saved(case: OpCase) -> bool:
    """Whether Keras can save the row and fnet load it: Keras forgets `method`, JSON has neither NaN nor infinity."""
    if any(isinstance(number, float) and number != number for number in tree.leaves(list(case.inputs))):
        return False
    if case.layer is operations.cross and case.options.get("axis") == 0:  # of the batch: its size decides what it is
        return False
    return not (case.skip_modes or case.check or "method" in case.options or "inf" in str(case.options.get("ord")))


NOT_ALWAYS_BUILT = {
    *("adaptive_average_pool", "adaptive_max_pool", "allclose", "average", "geomspace", "layer_norm", "logspace"),
    *(
        "add",
        "arange",
        "batch_norm",
        "conv",
        "conv_transpose",
        "digitize",
        "einsum",
        "full",
        "get_item",
        "histogram",
        "hstack",
    ),
    *("linspace", "multiply", "perspective_transform", "relu", "rms_norm", "searchsorted"),
    *("trapezoid", "view_as_complex"),
}
"""Operations with rows that Keras computes, but cannot put into a functional model or run there."""

SAVED = [n for n, case in enumerate(CASES) if is_saved(case) and case.options.get("sparse") is not True]


def saved_model(numbers: list[int], path: Any) -> tuple[list[int], list[np.ndarray], Any]:
    """(the rows that Keras builds, their arrays, what Keras gives), after saving them as one model."""
    import keras

    inputs, outputs, arrays, built = [], [], [], []
    for number in numbers:
        case, drawn = CASES[number], CASES[number].draw()
        symbols = [keras.Input(batch_shape=a.shape, dtype=a.dtype.name) for a in arrays_of(drawn)]
        left = iter(symbols)
        try:
            made = called(case, tree.map(lambda a, left=left: next(left) if isinstance(a, np.ndarray) else a, drawn))
            keras.Model(symbols, made)(arrays_of(drawn))
        except (AttributeError, IndexError, TypeError, ValueError):
            assert case.layer.__name__ in NOT_ALWAYS_BUILT, case
            continue
        inputs += symbols
        arrays += arrays_of(drawn)
        outputs.append(made)
        built.append(number)
    model = keras.Model(inputs, outputs)
    model.save(path)
    return built, arrays, model(arrays)


@pytest.mark.parametrize("numbers", groups(SAVED, 50))
def test_operations_in_a_saved_model_load_and_give_the_same(numbers, tmp_path):
    built, arrays, theirs = saved_model(numbers, tmp_path / "operations.keras")
    loaded, params = load_keras(tmp_path / "operations.keras")
    assert built
    for number, y, other in zip(built, loaded(params, arrays), theirs, strict=True):
        compare(y, dataclasses.replace(reference(number), keras32=plain(other)), "numpy", CASES[number])


@pytest.mark.parametrize("margins", [(1, 2, None, None), (None, None, 0, 1)], ids=["first", "last"])
@pytest.mark.parametrize(("name", "size"), [("pad_images", 9), ("crop_images", 3)])
def test_images_of_unknown_size_are_brought_to_a_size(name, size, margins):
    import keras

    x = keras.Input((None, None, 2))
    keras_model = keras.Model(x, getattr(keras.ops.image, name)(x, *margins, target_height=size, target_width=size))
    loaded, params = from_keras(keras_model)
    images = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype("float32")
    np.testing.assert_array_equal(loaded(params, images), keras_model(images))


def test_the_axes_that_indices_name_may_be_unknown():
    unknown = fnet.Spec((None,))
    assert fnet.infer(operations.scatter_update, (unknown, fnet.Spec((None, None), "int32"), unknown))[0] == unknown


# --- the table ------------------------------------------------------------------------------------


def test_every_operation_of_keras_is_in_the_table_or_refused_with_a_reason():
    import keras
    from keras.src.ops.operation import Operation

    def below(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    for module in ("core", "einops", "image", "linalg", "math", "nn", "numpy"):
        importlib.import_module(f"keras.src.ops.{module}")
    importlib.import_module("keras.src.quantizers.quantizers")
    known = {
        (sub.__module__, sub.__name__)
        for sub in below(Operation)
        if sub.__module__.startswith(("keras.src.ops", "keras.src.quantizers"))
        and not issubclass(sub, keras.layers.Layer)
    }
    missing = sorted(key for key in known if key not in OPERATIONS and key[1] not in REFUSED_OPERATIONS)
    assert not missing, missing


def test_every_operation_has_a_row_here_and_a_docstring():
    tested = {case.layer for case in CASES}
    untested = [name for name in operations.__all__ if getattr(operations, name) not in tested]
    assert not untested, untested
    unmatched = [CASES[n].id for n in FIRST if isinstance(reference(n), str)]
    assert not unmatched, f"the first row must be one that Keras can run: {unmatched}"
    assert not [name for name in operations.__all__ if not getattr(operations, name).__doc__]


def test_the_arguments_of_the_table_are_those_of_the_keras_call():
    for module, name in OPERATIONS:
        entry = operation(module, name)
        cls = getattr(importlib.import_module(module), name)
        call = [p for p in inspect.signature(cls.call).parameters.values() if p.name != "self"]
        names = [("**" if p.kind is p.VAR_KEYWORD else "") + p.name for p in call if p.kind is not p.VAR_POSITIONAL]
        names = [] if any(p.kind is p.VAR_POSITIONAL for p in call) else names
        names += entry.earlier
        assert list(entry.arguments) == names, f"{name}: {entry.arguments}, Keras has {names}"
        made = set(inspect.signature(cls.__init__).parameters) - {"self", "name", "kwargs"}
        legal = {*option_names(entry.layer), *entry.neutral}
        if entry.options is None:
            assert made <= legal, f"{name}: {made - legal} are no options of {entry.layer.__name__}"


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [(0, 2), (1,), (2, 0, 1)], ids=str)
def test_softmax_takes_several_axes_as_the_function_of_keras_does(name, axis, each_backend):
    import keras  # whose class, with which rows are compared, takes one axis

    x = np.random.default_rng(0).normal(0, 3, (3, 4, 2)).astype("float32")
    theirs, exact = (np.asarray(getattr(keras.ops, name)(a, axis=axis)) for a in (x, x.astype("float64")))
    parity.assert_parity(np.asarray(getattr(operations, name)({}, x, axis=axis)), theirs, exact)


def test_only_matrices_without_a_factor_have_no_log_of_the_determinant(each_backend):
    import keras

    x = np.array([[[2, 9], [1, 2]], [[1, 3], [3, 1]], [[4, 0], [0, 9]]], np.float32)  # the lower triangle counts
    expected = np.asarray(keras.ops.logdet(x))
    np.testing.assert_allclose(operations.logdet({}, x), expected, rtol=1e-6)
    np.testing.assert_allclose(operations.logdet({}, x[1]), expected[1])


@pytest.mark.parametrize("name", ["nanvar", "nanstd"])
def test_what_deviates_from_an_infinite_mean_is_nan(name, each_backend):
    rows = np.array([[1, np.inf, np.nan], [-np.inf, 2, 3], [1, np.nan, 3]], np.float32)
    with np.errstate(invalid="ignore"):
        expected = getattr(np, name)(rows, axis=1)
    np.testing.assert_array_equal(getattr(operations, name)({}, rows, axis=1), expected)


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantiles_of_rows_with_infinity_are_those_of_keras(name, each_backend):
    import keras

    rows = np.array([[1, 2, np.inf], [-np.inf, 2, 3], [1, np.inf, np.inf]], np.float32)
    q = np.array([0, 0.25, 0.5, 0.75, 1], np.float32)
    expected = np.asarray(getattr(keras.ops, name)(rows, q, axis=1))
    np.testing.assert_array_equal(getattr(operations, name)({}, (rows, q), axis=1), expected)


@pytest.mark.parametrize("name", ["empty_like", "full_like", "ones_like", "zeros_like"])
def test_tensors_like_another_are_of_any_dtype(name, each_backend):
    x = (np.ones(2, np.float32), 2.0) if name == "full_like" else np.array([1, np.nan], np.float32)
    for dtype, kind in (("bfloat16", "float32 bfloat16"), ("int8", "int8")):
        assert getattr(operations, name)({}, x, dtype=dtype).dtype.name in kind.split()


@pytest.mark.parametrize("name", ["segment_sum", "segment_prod", "segment_max", "segment_min"])
@pytest.mark.parametrize(("rows", "ids"), [(1, (3,)), (3, (2,)), (3, (3, 2))])
def test_segments_take_one_id_for_each_row(name, rows, ids, each_backend):
    data = np.ones((rows, 2), "float32")
    with pytest.raises(fnet.InvalidInput, match="one id for each row"):
        getattr(operations, name)({}, (data, np.zeros(ids, "int32")), num_segments=3)


@pytest.mark.parametrize(("name", "x"), [
    ("segment_sum", (np.ones((1, 2), "float32"), np.int32([10**9]))),
    ("bincount", np.int32([0, 10**9])), ("arange", (0, np.int32(10**9), 1)),
])  # fmt: skip
def test_values_make_no_more_than_an_array_should_have(name, x):
    with pytest.raises(fnet.InvalidInput, match=r"numbers ask for an array of the sizes .*at most 268435456 entries"):
        getattr(operations, name)({}, x)


@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def test_the_blank_of_ctc_decode_is_the_last_class_where_no_index_is_given(strategy):
    logits = 9 * np.eye(4, dtype="float32")[None, [3, 0, 0, 3, 0, 2]]
    (labels,), _ = operations.ctc_decode({}, (logits, np.array([6])), strategy=strategy, mask_index=None)
    np.testing.assert_array_equal(labels, [[0, 0, 2, -1, -1, -1]])


def test_the_labels_of_a_long_row_stay_in_their_order():
    """A sort that is not stable keeps the order of sixteen entries or fewer."""
    path = np.random.default_rng(0).integers(0, 5, 300)
    (labels,), _ = operations.ctc_decode(
        {}, (9 * np.eye(5, dtype="float32")[None, path], np.array([300])), mask_index=None, merge_repeated=False
    )
    np.testing.assert_array_equal(labels[labels >= 0], path[path != 4])


def test_each_nan_is_unique(each_backend):
    """As in TensorFlow; NumPy takes them for one."""
    y, counts = operations.unique({}, np.array([1, np.nan, 2, np.nan], "float32"), return_counts=True)
    np.testing.assert_array_equal(y, [1, 2, np.nan, np.nan])
    np.testing.assert_array_equal(counts, [1, 1, 1, 1])


def test_the_ends_of_spaces_of_integers_lose_their_fractions_first(each_backend):
    """As in Keras on TensorFlow; NumPy rounds what is between the fractions."""
    ends = np.float32(0.3), np.float32(7.9)
    np.testing.assert_array_equal(operations.linspace({}, ends, num=7, dtype="int32"), [0, 1, 2, 3, 4, 5, 7])
    np.testing.assert_array_equal(
        operations.logspace({}, (ends[0], np.float32(2.7)), num=5, dtype="int32"), [1, 1, 10, 10, 100]
    )


def test_the_distance_of_spaces_of_integers_is_a_float64_and_of_one_number_nan(each_backend):
    """Also by the rule; NumPy divides by 0 there, and gives NaN, as Keras does."""
    spaces = bind(operations.linspace, num=5, dtype="int32", retstep=True)
    _, step = spaces({}, (np.float32(0), np.float32(9)))
    assert float(step) == 9 / 4
    assert fnet.infer(spaces, (fnet.Spec((), "float32"),) * 2)[0][1].dtype == "float64"
    assert np.isnan(bind(operations.linspace, num=1, retstep=True)({}, (0.0, 9.0))[1])


def test_trapezoids_of_each_row_lie_along_the_axis(each_backend):
    y, places = np.random.default_rng(0).random((2, 3, 4, 5), "float32")
    for axis in (0, 1, -1):
        area = operations.trapezoid({}, y, positions=places, axis=axis)
        np.testing.assert_allclose(area, np.trapezoid(y, places, axis=axis), rtol=1e-4)


OF_MATRICES = [
    *((name, {}) for name in ("cholesky_inverse", "logdet", "matrix_rank", "pinv", "svd")),
    *(("solve_triangular", {"lower": lower}) for lower in (True, False)),
    *(("norm", {"ord": kind, "axis": (1, 2), "keepdims": True}) for kind in (2, -2, "nuc")),
]


@pytest.mark.parametrize(("name", "options"), OF_MATRICES, ids=str)
def test_a_matrix_without_an_answer_leaves_the_others_theirs(name, options, each_backend):
    """As in Keras; NumPy raises for all of them."""
    import keras

    x = np.stack([np.diag(d) for d in [(4, 3, 2), (1, -1, 2), (1, 0, 2), (np.nan, 1, 1)]]).astype("float32")
    x[:3, 2, 0] = x[:3, 0, 2] = 0.5
    x = x[: 2 + (each_backend == "numpy")] if name == "solve_triangular" else x  # XLA solves it by LU, in another order
    given = (x, np.ones((len(x), 3, 1), "float32")) if name == "solve_triangular" else (x,)
    function = getattr(keras.ops, name, None) or getattr(keras.ops.linalg, name)
    theirs = keras.tree.map_structure(np.asarray, function(*given, **options))
    y = getattr(operations, name)({}, given if len(given) > 1 else x, **options)
    for ours, expected in zip(tree.leaves(y), tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.abs(ours), np.abs(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["log_softmax", "logsumexp", "softmax"])
@pytest.mark.parametrize("axis", [1, (0, 1)], ids=str)
def test_an_axis_may_have_no_places(name, axis, each_backend):
    """As in Keras: shares of nothing, and the log of 0."""
    y = getattr(operations, name)({}, np.zeros((2, 0, 3), "float32"), axis=axis)
    shape = (2, 3)[np.ndim(axis) :] if name == "logsumexp" else (2, 0, 3)
    np.testing.assert_array_equal(y, np.full(shape, -np.inf, "float32"), strict=True)


@pytest.mark.parametrize(("name", "options"), [("eigh", {}), ("pinv", {}), ("svd", {}), OF_MATRICES[-1]], ids=str)
def test_a_matrix_with_infinity_is_not_searched(name, options, each_backend):
    """LAPACK does so for ever."""
    x = np.stack([np.eye(3), [[np.inf, 1, 2], [1, 3, 4], [2, 4, 5]]]).astype("float32")
    for y in tree.leaves(getattr(operations, name)({}, x, **options)):
        assert np.isfinite(y[0]).all()
        assert np.isnan(y[1]).all()


@pytest.mark.parametrize("name", ["inv", "qr"])
def test_matrices_of_integers_are_refused_not_cut(name, each_backend):
    with pytest.raises(fnet.InvalidInput, match="floats"):
        getattr(operations, name)({}, np.eye(2, dtype="int32"))


def test_correlations_of_64_bits_are_refused_where_keras_rounds_the_mean():
    with pytest.raises(ValueError, match=r"corrcoef of int64.* cast it to float32"):
        fnet.infer(operations.corrcoef, fnet.Spec((3, 5), "int64"))


def test_narrow_floats_that_numpy_lacks_have_shape_rules_without_a_package_of_them():
    code = """import sys, fnet
fnet.infer(fnet.operations.median, fnet.Spec((2, 3), "bfloat16"))
assert "ml_dtypes" not in sys.modules"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_einsum_without_a_result_keeps_what_its_dots_stand_for():
    a, b = np.ones((2, 3, 4), "float32"), np.ones((2, 4, 5), "float32")
    subscripts = "...ij,...jk"
    y = fnet.bind(operations.einsum, subscripts=subscripts)({}, (a, b))
    np.testing.assert_array_equal(y, np.einsum(subscripts, a, b))


def test_of_limits_in_the_wrong_order_the_lower_one_holds(each_backend):
    x = np.array([-1, 0.0, 3], "float32")
    y = np.asarray(operations.clip({}, x, x_min=0.5, x_max=-0.5))
    np.testing.assert_array_equal(y, np.asarray(keras.ops.clip(x, 0.5, -0.5)))


def test_select_among_python_numbers():
    """Keras does not record it in a model; JAX has no int64."""
    x = np.array([True, False, False]), np.array([True, True, False])
    for numbers, default in (([3, 2], -1), ([3, 2.5], -1), ([True, False], 2)):
        theirs = np.asarray(keras.ops.select(list(x), numbers, default))
        y = np.asarray(operations.select({}, (list(x), numbers, default)))
        assert (y.dtype, y.tolist()) == (theirs.dtype, theirs.tolist())


ROW = np.arange(4, dtype="float32")
SCORES = np.float32([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
OUTSIDE = [
    ("slice", (ROW, [2]), {"shape": (3,)}), ("slice", (ROW, [-2]), {"shape": (2,)}),
    ("slice", (ROW, [5]), {"shape": (-1,)}), ("slice", (ROW, [-2]), {"shape": (-1,)}),
    ("top_k", ROW, {"k": 5}), ("unstack", ROW, {"num": 3}), ("where", (ROW > 1, ROW), {}),
    ("bincount", np.int32([1, -1]), {}), ("arange", (0, 5, 0), {}),
]  # fmt: skip
"""Calls that Keras refuses, for values that are not there."""


@pytest.mark.parametrize(("name", "x", "options"), OUTSIDE, ids=str)
def test_what_is_not_there_is_refused_as_in_keras(name, x, options, each_backend):
    with pytest.raises(fnet.InvalidInput, match=r"not inside|k of 5|unstack into 3|where takes|counts 0|steps of 0"):
        getattr(operations, name)({}, x, **options)


@pytest.mark.parametrize(("name", "x"), [
    ("scatter", (np.int32([[0], [-1]]), np.float32([1, 2]))),
    ("scatter_update", (ROW, np.int32([[-1]]), np.float32([9]))),
    ("sparse_categorical_crossentropy", (np.int32([0, -1]), SCORES)), ("slice", (ROW, np.int32([-2]))),
])  # fmt: skip
def test_negative_places_are_none_as_in_tensorflow(name, x):
    options = {"scatter": {"shape": (3,)}, "slice": {"shape": (2,)}}.get(name, {})
    with pytest.raises(fnet.InvalidInput, match="picks what is not there"):
        getattr(operations, name)({}, x, **options)


@pytest.mark.parametrize("targets", [[2, 5], [2, -1], [-4, 0]], ids=str)
def test_a_class_that_is_not_there_is_not_among_the_best(targets, each_backend):
    for dtype in ("int32", "float32"):
        ours = operations.in_top_k({}, (np.array(targets, dtype), SCORES), k=1)
        np.testing.assert_array_equal(np.asarray(ours), keras.ops.in_top_k(np.array(targets, dtype), SCORES, k=1))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float64"])
def test_the_mean_error_of_integers_loses_its_fraction_in_psnr(dtype, each_backend):
    x1, x2 = np.array([1, 2, 7], dtype), np.array([3, 3, 9], dtype)
    theirs = np.asarray(keras.ops.psnr(x1, x2, 255))
    ours = np.asarray(operations.psnr({}, (x1, x2), max_val=255))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3 if dtype == "float16" else 1e-6)
    assert ours.dtype == theirs.dtype or (dtype, each_backend) == ("float64", "jax")


def test_a_block_before_the_first_place_is_put_there(each_backend):
    y = operations.slice_update({}, (ROW, [-2], np.float32([8, 9])))
    np.testing.assert_array_equal(np.asarray(y), keras.ops.slice_update(ROW, [-2], np.float32([8, 9])))
