"""The tables of cases: every layer and operation has a row, every row says something, every option matters in one."""

import contextlib
import importlib
import inspect
import pkgutil
from operator import attrgetter

import keras
import numpy as np
import pytest

import fnet
from fnet import layers, operations, tree
from fnet.core.options import option_names
from fnet.core.rules import Rules
from params.table.catalogue import catalogue
from params.table.layers import LAYERS
from params.table.tf_functions import FUNCTIONS
from tests import telling
from tests.cases import Case, all_cases
from tests.cases.operations import CASES as OPERATIONS
from tests.public import NAMES

CASES = all_cases()
NO_ROW = {
    "constant": "a leaf of a graph: tests/test_call_structures.py",
    "input_layer": "a model's first entry, not a step: tests/test_load.py",
}


KERAS_2 = {"locally_connected1d", "locally_connected2d", "random_fourier_features"}
OPTIMIZED = {"recurrent_stack", "pooled_conv2d", "winograd_conv2d"}
"""Layers that `fnet.optimize` puts in the place of several: no Keras class is one."""


def public_layers():
    """The layers that fnet exports and those that files become."""
    exported = [value for value in NAMES.values() if isinstance(getattr(value, "rules", None), Rules)]
    return list(dict.fromkeys([*exported, *(entry.layer for entry in LAYERS.values())]))


def test_every_public_layer_has_a_row():
    tested = {case.layer for case in CASES}
    untested = {layer.__name__ for layer in public_layers() if layer not in tested}
    assert untested == set(NO_ROW)


def test_every_layer_is_exported():
    """What is declared as a layer at the top of a module of fnet.layers, but for helpers that begin with _."""
    modules = [
        importlib.import_module(f"fnet.layers.{module.name}") for module in pkgutil.iter_modules(layers.__path__)
    ]
    declared = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(getattr(value, "rules", None), Rules) and value.__module__ == module.__name__ and name[0] != "_"
    }
    assert declared == set(fnet.layers.__all__)


UNSAID = {"data_format": "channels_last", "activation": "linear", "dtype": "float32"}
"""What None stands for where it is the default of Keras."""
NEEDED = {"shape", "num_tokens", "bin_boundaries", "num_classes"}
"""Options of which Keras's default None stands for what training found, or is an error."""


def _other_defaults(name, function, original):
    """(name, option, default, Keras's) where `function` takes by default something else than Keras."""
    defaults = {key: p.default for key, p in inspect.signature(original).parameters.items()}
    for key, own in option_names(function).items():
        default = defaults.get(key, inspect.Parameter.empty)
        if default is inspect.Parameter.empty or (key in NEEDED and default is None):
            continue
        if isinstance(default, tuple | list):
            ends = {*tree.leaves(default)}
            same = own == tuple(default) or ends == {own}
        else:
            same = own == default or (default is None and own == UNSAID.get(key, default))
        if not same:
            yield name, key, own, default


def test_defaults_are_those_of_keras():
    classes = {name: getattr(keras.layers, name) for name in LAYERS if hasattr(keras.layers, name)}
    homes = (keras.ops, keras.ops.nn, keras.ops.image, keras.ops.linalg)
    ops = {name: getattr(home, name) for name in operations.__all__ for home in homes if hasattr(home, name)}
    assert len(classes) > 130
    assert len(ops) > 310
    others = [item for name, cls in classes.items() for item in _other_defaults(name, LAYERS[name].layer, cls)]
    others += [item for name, op in ops.items() for item in _other_defaults(name, getattr(operations, name), op)]
    assert others == []


def test_defaults_are_those_of_tensorflow():
    """Files leave out what a call does not give. None, theirs or ours, stands for what TensorFlow makes of it."""
    import tensorflow as tf

    known = {name: attrgetter(name)(tf) for name in FUNCTIONS if name != "math.approximate_equal"}
    others = [item for name, theirs in known.items() for item in _other_defaults(name, FUNCTIONS[name], theirs)]
    assert [item for item in others if None not in item] == []


PROMISED = {
    "Entrance": {"host": False},
    "InvalidRows": {"rows": (), "why": ""},
    "Limits": {
        "total": 4 << 30, "config": 16 << 20, "vocabulary": 64 << 20, "depth": 64, "layers": 12_000,
        "outputs": 256 << 20, "steps": 1_000_000,
    },
    "Param": {"initializer": "glorot_uniform", "dtype": "float32", "trainable": True},
    "plot": {"unsized": ()},
    "Predict": {"output": "output", "labels": True, "batch_size": 256, "invalid": "mark"},
    "Rounding": {"keeps": ()},
    "Spec": {"dtype": "float32"},
    "classes": {"invalid": "raise"},
    "compile": {"optimize": True},
    "layer": {"floats": False},
    "load_weights": {"by_name": False, "skip_mismatch": False},
    "optimize": {"table_bytes": 64 << 20},
    "predict": {"batch_size": 32, "invalid": "raise", "optimize": True},
    "save": {"selftest": False},
    "to_onnx": {"opset": 21},
    "with_statistics": {"momentum": 0.99},
}  # fmt: skip
"""{public name, except layers: defaults of its options, except None and what is made anew}."""


def test_defaults_of_all_else_are_those_promised():
    found = {}
    for name, value in NAMES.items():
        if callable(value) and not isinstance(getattr(value, "rules", None), Rules):
            with contextlib.suppress(ValueError):  # of a class without a signature
                options = {key: p.default for key, p in inspect.signature(value).parameters.items()}
                plain = {key: own for key, own in options.items() if isinstance(own, bool | int | float | str | tuple)}
                found |= {name: plain} if plain else {}
    assert found == PROMISED
    assert PROMISED["with_statistics"]["momentum"] == keras.layers.BatchNormalization().momentum


def test_every_layer_is_in_the_table_that_users_read():
    listed = {status.fnet for status in catalogue()}
    assert {layer.__name__ for layer in public_layers()} - listed == {"constant", *OPTIMIZED}


@pytest.mark.parametrize("rows", [CASES, OPERATIONS], ids=["layers", "operations"])
def test_every_row_says_something(rows):
    with np.errstate(all="ignore"):
        dull = {case.id: why for case in rows if (why := telling.dull(case))}
    assert not dull, "\n".join(f"{row}: {why}" for row, why in dull.items())
    told = {case.layer.__name__ for case in rows if not case.idle} | set(telling.IDLE_LAYERS)
    assert {case.layer.__name__ for case in rows} <= told


@pytest.mark.parametrize(
    ("rows", "layers"),
    [
        (CASES, {case.layer for case in CASES if case.plain is None and case.layer.__name__ not in KERAS_2}),
        (OPERATIONS, [getattr(operations, name) for name in operations.__all__]),
    ],
    ids=["layers", "operations"],
)
def test_every_option_matters_in_a_row(rows, layers):
    """But for layers that `fnet.optimize` makes, whose rows compare with what they replace, and those of Keras 2 alone,
    whose options are in golden files.
    """
    with np.errstate(all="ignore"):
        assert telling.untold(rows, list(layers)) == []


def test_dull_rows_are_found():
    """Each kind of row that cannot fail, and the same row mended."""
    relu, dense = fnet.relu, fnet.dense
    masked = {"layer": fnet.simple_rnn, "shapes": (4, 6, 5), "options": {"units": 3}}
    assert telling.dull(Case(relu, (3, 4), {"max_value": 0.0}))
    assert not telling.dull(Case(relu, (3, 4), {"max_value": 0.5}))
    assert telling.dull(Case(relu, (3, 4), {"max_value": 99.0}))
    assert telling.dull(Case(fnet.activation, (3, 4), {"activation": "linear"}))
    assert not telling.dull(Case(dense, (3, 4), {"units": 2, "activation": "relu"}))
    assert not telling.dull(Case(**masked, mask=True))
    assert telling.dull(
        Case(fnet.lstm, {"sequences": (4, 6, 5), "initial_state": ((4, 3), (4, 3))}, {"units": 3}, mask=True)
    )


def test_drawn_masks_have_rows_of_every_kind():
    for case in CASES:
        for mask in case.masks().values():
            if mask.shape[1] < 2:
                continue
            assert any(first != last for first, last in mask[:, [0, -1]])
            assert len({tuple(row) for row in mask}) == min(len(mask), 4)
            assert len(mask) < 4 or {row.all() for row in mask} == {True, False} == {row.any() for row in mask}
