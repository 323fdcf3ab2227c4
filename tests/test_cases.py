"""Every row of the table, in every mode, against Keras."""

import pickle

import pytest

import fnet
from fnet import operations, tree
from fnet.masking import strip
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
    spec, _ = fnet.infer(step, fnet.modelling.spec(x))
    params = fnet.init(step, 0, fnet.modelling.spec(x)) if case.params is None else case.params
    y = step(params, parity.with_mask(case, x))
    shapes = [tuple(leaf.shape) for leaf in tree.leaves(strip(y))]
    wanted = [leaf.shape for leaf in tree.leaves(spec)]
    assert [len(shape) for shape in shapes] == [len(shape) for shape in wanted]
    for shape, want in zip(shapes, wanted, strict=True):
        assert all(w in (None, d) for d, w in zip(shape, want, strict=True)), f"{shape} is not {want}"
