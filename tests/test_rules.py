"""Shape rules next to the calls that they speak for, on inputs of other shapes than the rows of the tables have."""

import numpy as np
import pytest

import fnet
from fnet import tf_functions, tree
from fnet.masks import strip
from tests.cases import all_cases
from tests.cases.operations import CASES as OPERATIONS
from tests.cases.operations import OpCase
from tests.operation_parity import fnet_input

ROWS = {}
"""{layer or operation: [(its row as a step, the inputs of the row, its params or None)]}."""
for case in (*all_cases(), *OPERATIONS):
    operation = isinstance(case, OpCase)
    x = fnet_input(case, case.draw()) if operation else case.inputs()
    row = fnet.bind(case.layer, **case.options), x, {} if operation else case.params
    ROWS.setdefault(f"{'operations.' * operation}{case.layer.__name__}", []).append(row)


def spec_of(x):
    return tree.map(lambda a: fnet.core.infer.spec(a) if isinstance(a, np.ndarray) else a, x)


def with_leaf(x, number, leaf):
    """A tree with another leaf in the place of that number."""
    leaves = iter([leaf if i == number else old for i, old in enumerate(tree.leaves(x))])
    return tree.map(lambda _: next(leaves), x)


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_says_of_unknown_sizes_nothing_that_is_not_so(name):
    """Each size above 1 in turn: the rule says of the rest what is so in the row, or what it needs."""
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
                except (ValueError, NotImplementedError):
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


def changes(arrays):
    """What makes arrays longer or shorter along each axis; and one alone, with an axis more and an axis less."""
    shape = arrays[0].shape
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
    """So that a file is refused when it is loaded. Inputs of one shape are changed alike."""
    for step, x, given in ROWS[name]:
        arrays = [leaf for leaf in tree.leaves(x) if isinstance(leaf, np.ndarray)]
        for change in changes(arrays) if len({a.shape for a in arrays}) == 1 else ():
            inputs = tree.map(lambda a, change=change: change(a) if isinstance(a, np.ndarray) else a, x)
            specs = spec_of(inputs)
            try:
                told, _ = fnet.infer(step, specs)
            except (ValueError, NotImplementedError):
                continue
            params = fnet.init(step, 0, specs) if given is None else given
            with np.errstate(all="ignore"):
                y = step(params, inputs)
            leaves = tree.leaves(strip(list(y) if isinstance(y, tuple) else y))
            for leaf, spec in zip(leaves, tree.leaves(told), strict=True):
                fits = [s is None or s == n for s, n in zip(spec.shape, np.shape(leaf), strict=True)]
                assert all(fits), f"{step!r} of {specs}: {spec} is {np.shape(leaf)}"
