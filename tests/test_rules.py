"""Shape rules next to the calls that they describe, on inputs with other shapes than in the cases of the tables."""

import numpy as np
import pytest

import fnet
from fnet import tf_functions, tree
from fnet.core import room
from fnet.masks import strip
from tests.cases import all_cases
from tests.cases.operations import CASES as OPERATIONS
from tests.cases.operations import OpCase
from tests.operation_parity import fnet_input

ROWS = {}
"""{layer or operation: [(a case as a step, its inputs, its params or None)]}."""
for case in (*all_cases(), *OPERATIONS):
    operation = isinstance(case, OpCase)
    x = fnet_input(case, case.draw()) if operation else case.inputs()
    row = fnet.bind(case.layer, **case.options), x, {} if operation else case.params
    ROWS.setdefault(f"{'operations.' * operation}{case.layer.__name__}", []).append(row)


def spec_of(x):
    return tree.map(lambda a: fnet.core.infer.spec(a) if isinstance(a, np.ndarray) else a, x)


def with_leaf(x, number, leaf):
    """A tree with leaf number `number` replaced by `leaf`."""
    leaves = iter([leaf if i == number else old for i, old in enumerate(tree.leaves(x))])
    return tree.map(lambda _: next(leaves), x)


NEED_SIZES = {
    *("group_normalization", "group_query_attention", "locally_connected1d", "locally_connected2d"),
    *("multi_head_attention", "operations.cross", "operations.unstack"),
}
"""Layers and operations whose rules refuse some unknown size: outputs or memory depend on it, or Keras refuses."""


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_says_of_unknown_sizes_nothing_that_is_not_so(name):
    """With each size above 1 unknown in turn, the rule is right about the other sizes, or says what it needs.

    Memory and work are then told, too."""
    for step, x, _ in ROWS[name]:
        specs = spec_of(x)
        known = tree.leaves(fnet.infer(step, specs)[0])
        for number, leaf in enumerate(tree.leaves(specs)):
            for axis, size in enumerate(leaf.shape if isinstance(leaf, fnet.Spec) else ()):
                if size is None or size < 2:  # where the rule knows no 1, it may take another way
                    continue
                unknown = fnet.Spec((*leaf.shape[:axis], None, *leaf.shape[axis + 1 :]), leaf.dtype)
                try:
                    told = tree.leaves(fnet.infer(step, with_leaf(specs, number, unknown))[0])
                    room.of(step, with_leaf(specs, number, unknown))
                except (ValueError, NotImplementedError):
                    assert name in NEED_SIZES
                    continue
                assert [(len(s.shape), s.dtype) for s in told] == [(len(s.shape), s.dtype) for s in known]
                for ours, true in zip(told, known, strict=True):
                    fits = all(a is None or b in (a, None) for a, b in zip(ours.shape, true.shape, strict=True))
                    assert fits, f"{step!r} of {with_leaf(specs, number, unknown)}: {ours}, it is {true}"


@pytest.mark.parametrize("home", [fnet.operations.get_item, tf_functions.getitem], ids=lambda home: home.__name__)
def test_what_a_slice_takes_of_an_unknown_size_is_unknown(home):
    given = (fnet.Spec((None, 7)),)
    for part in (slice(100), slice(2, 5), slice(-3, None)):
        assert fnet.infer(fnet.bind(home, key=(part, part)), given)[0].shape == (None, len(range(7)[part]))
    assert fnet.infer(fnet.bind(home, key=(5,)), given)[0].shape == (7,)


@pytest.mark.parametrize(
    ("size", "index", "shape"),
    [
        ((4, 5, 6), fnet.Spec((4, 5), "bool"), (None, 6)),
        ((4, 5, 6), [slice(None), fnet.Spec((5,), "bool")], (4, None, 6)),
        ((4, 5, 6), [..., fnet.Spec((5, 6), "bool")], (4, None)),
        ((4, 5, 6), [fnet.Spec((), "int32"), fnet.Spec((5,), "bool")], (None, 6)),
        ((4, 5, 6), [fnet.Spec((4,), "bool"), slice(None), fnet.Spec((), "int32")], (None, 5)),
        ((4, 1), [slice(None), fnet.Spec((3,), "int32")], (4, 3)),
    ],
)
def test_a_mask_picks_any_number_in_the_place_of_its_axes(size, index, shape):
    assert fnet.infer(fnet.operations.get_item, (fnet.Spec(size), index))[0] == fnet.Spec(shape)


def as_told(step, x, params):
    """The output arrays of a step, checked against its rule; None where the rule refuses the inputs."""
    specs = spec_of(x)
    try:
        told = tree.leaves(fnet.infer(step, specs)[0])
    except (ValueError, NotImplementedError):
        return None
    with np.errstate(all="ignore"):
        y = step(fnet.init(step, 0, specs) if params is None else params, x)
    leaves = [np.asarray(leaf) for leaf in tree.leaves(strip(list(y) if isinstance(y, tuple) else y))]
    for leaf, spec in zip(leaves, told, strict=True):
        fits = [s is None or s == n for s, n in zip(spec.shape, leaf.shape, strict=True)]
        assert all(fits), f"{step!r} of {specs}: {spec} is {leaf.shape}"
    return leaves


def alike(x):
    """The arrays of a case, if all have the same shape."""
    arrays = [leaf for leaf in tree.leaves(x) if isinstance(leaf, np.ndarray)]
    return arrays if len({a.shape for a in arrays}) == 1 else []


def changes(arrays):
    """Functions that make arrays longer or shorter along an axis, and that add or drop an axis of a single array."""
    shape = arrays[0].shape if arrays else ()
    for axis, size in enumerate(shape):
        if size > 1:
            yield lambda a, axis=axis: np.concatenate([a, a.take([0], axis)], axis)
            yield lambda a, axis=axis: a.take(range(a.shape[axis] - 1), axis)
    if len(arrays) == 1:
        yield lambda a: a[None]
    if len(arrays) == 1 and len(shape) > 1:
        yield lambda a: a[..., 0]


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_refuses_what_the_call_refuses(name):
    """So that files are refused at load. Inputs of the same shape are changed alike."""
    for step, x, given in ROWS[name]:
        for change in changes(alike(x)):
            inputs = tree.map(lambda a, change=change: change(a) if isinstance(a, np.ndarray) else a, x)
            as_told(step, inputs, given)


ALONG = {
    name: [row for row in rows if isinstance(row[0].all_options.get("axis"), int) and alike(row[1])]
    for name, rows in ROWS.items()
}
"""The cases that work along one axis."""
del ALONG["operations.multi_hot"]  # along an axis that is joined later


@pytest.mark.parametrize("name", [name for name, rows in ALONG.items() if rows])
def test_every_axis_may_be_counted_from_the_end(name):
    """Axes of the input or the output, whichever has more; and the output of the call fits the rule."""
    for step, x, given in ALONG[name]:
        specs = spec_of(x)
        there = [leaf for leaf in tree.leaves([specs, fnet.infer(step, specs)[0]]) if isinstance(leaf, fnet.Spec)]
        rank = max(len(spec.shape) for spec in there)
        for axis in range(rank):
            first, last = (as_told(fnet.bind(step, axis=n), x, given) for n in (axis, axis - rank))
            assert (first is None) == (last is None), f"{step!r} of {specs} along {axis} and {axis - rank}"
            for a, b in zip(first or [], last or [], strict=True):
                np.testing.assert_array_equal(a, b, f"{step!r} of {specs} along {axis} and {axis - rank}")
