"""Every row of the table, in every mode, against Keras."""

import pickle

import numpy as np
import pytest

import fnet
from fnet import backend, operations, tree
from fnet.inference.string_split import has_host
from fnet.masks import strip
from tests import parity
from tests.cases import all_cases, marked_cases, telling_cases

CASES = all_cases()


@pytest.mark.parametrize("case", telling_cases(), ids=lambda case: case.id)
def test_row_equals_its_keras_twin_on_numpy(case):
    parity.assert_row(case, modes=("numpy", "numpy-readonly"))


@pytest.mark.parametrize("case", marked_cases(), ids=lambda case: case.id)
def test_row_equals_its_keras_twin_in_every_mode(case):
    parity.assert_row(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_row_is_a_value_and_its_shape_rule_tells_the_truth(case):
    step = case.step
    assert pickle.loads(pickle.dumps(step)) == step
    names = {**vars(fnet), "operations": operations}
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


def declared_dtypes(spec):
    return [leaf.dtype for leaf in tree.leaves(spec)]


def given_dtypes(y):
    return ["string" if leaf.dtype.kind in "OSU" else leaf.dtype.name for leaf in tree.leaves(strip(y))]


def of_integers(case):
    """(inputs of the case with integers for floats, the output specs for them, params)."""
    x = tree.map(
        lambda a: np.clip(np.nan_to_num(2 * a), -1e6, 1e6).astype("int32") if a.dtype.kind == "f" else a, case.inputs()
    )
    spec, _ = fnet.infer(case.step, fnet.core.infer.spec(x))
    params = fnet.init(case.step, 0, fnet.core.infer.spec(x)) if case.params is None else case.params
    return x, spec, params


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_shape_rule_tells_the_dtype_for_integers_too(case):
    x, spec, params = of_integers(case)
    assert given_dtypes(case.step(params, parity.with_mask(case, x))) == declared_dtypes(spec)


NARROWED = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
"""What JAX makes of 64 bits."""


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if not has_host(c.step)], ids=lambda case: case.id)
def test_the_shape_rule_tells_the_dtype_for_integers_too_on_jax(case):
    import jax

    with backend.using("jax"):
        x, spec, params = of_integers(case)
        y = jax.eval_shape(case.step, params, parity.with_mask(case, x))
        assert given_dtypes(y) == [NARROWED.get(dtype, dtype) for dtype in declared_dtypes(spec)]
