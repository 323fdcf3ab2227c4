"""Errors of merge, reshaping, softmax and attention layers say the rule, what was got and where."""

import numpy as np
import pytest

import fnet
from fnet import Spec, bind
from fnet.masks import Masked

CALLS = [
    (fnet.add, {}, np.ones((2, 3)), "add takes a tuple or list of arrays; got ndarray"),
    (fnet.subtract, {}, (np.ones(2),) * 3, "subtract takes a tuple or list of 2 arrays; got 3 of them"),
    (fnet.dot, {"axes": 1}, (np.ones((2, 3)),), "dot takes a tuple or list of 2 arrays; got 1 of them"),
    (fnet.reshape, {"target_shape": (4,)}, np.ones((2, 3)), r"cannot make \(4,\) of \(3,\): the sizes do not agree"),
    (fnet.reshape, {"target_shape": (-1, 2)}, np.ones((2, 3)), r"cannot make \(-1, 2\) of \(3,\)"),
    (fnet.cropping1d, {"cropping": 2}, np.ones((1, 4, 1)), "takes 4 off axis 1, which has size 4"),
    (
        fnet.softmax,
        {},
        Masked(np.ones((2, 3, 5)), np.ones((2, 3), bool)),
        r"a mask of shape \(2, 3\) for \(2, 3, 5\)",
    ),
    (
        fnet.multi_head_attention,
        {},
        {"query": np.ones((1, 2, 3)), "value": np.ones((1, 2, 3)), "key": np.ones((1, 4, 3)), "training": True},
        "takes .query, value. or",
    ),
]
RULES = [
    (fnet.add, {}, (Spec((None, 2)), Spec((None, 3))), "shapes that broadcast against each other"),
    (fnet.permute, {"dims": (1, 1)}, Spec((None, 2, 3)), r"each of the axes 1 to 2 once; got dims=\(1, 1\)"),
    (fnet.cropping2d, {"cropping": 2}, Spec((None, 4, 9, 1)), "takes 4 off axis 1, which has size 4"),
    (fnet.dot, {"axes": 1}, (Spec((None, 2)), Spec((None, 3))), "dot takes axes of one size"),
    (
        bind(fnet.multi_head_attention, num_heads=1, key_dim=2),
        {},
        (Spec((None, 2, 3)), Spec((None, 2, 3)), Spec((None, 4, 3))),
        "value and key of equal sizes but the last",
    ),
]


def name(value):
    return getattr(value, "__name__", None)


@pytest.mark.parametrize(("layer", "options", "x", "message"), CALLS, ids=name)
def test_at_the_call(layer, options, x, message):
    with pytest.raises(fnet.InvalidInput, match=message):
        bind(layer, **options)({}, x)


@pytest.mark.parametrize(("layer", "options", "x", "message"), RULES, ids=name)
def test_in_the_shape_rule(layer, options, x, message):
    with pytest.raises(fnet.InvalidInput, match=message):
        fnet.infer(bind(layer, **options), x)


def test_dot_over_the_batch_axis():
    with pytest.raises(ValueError, match=r"no product over the batch axis; got axes=0"):
        fnet.dot({}, (np.ones((2, 2)), np.ones((2, 2))), axes=0)


def test_padding_with_the_wrong_number_of_entries():
    with pytest.raises(ValueError, match="a number or 2 entries, one for each axis"):
        fnet.zero_padding2d({}, np.ones((1, 2, 2, 1)), padding=(1, 2, 3))


def test_score_mode_is_checked():
    with pytest.raises(ValueError, match="score_mode is 'dot' or 'concat'; got 'sum'"):
        fnet.attention({}, (np.ones((1, 2, 3)),) * 2, score_mode="sum")
