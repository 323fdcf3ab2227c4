"""Every row of the table as a model of one layer, saved by Keras: what is loaded is the row itself.

`tests/test_cases.py` holds the rows against Keras; here the file gives the same step with the same parameters.
"""

import keras
import numpy as np
import pytest

import fnet
from fnet import tree
from fnet.masking import strip
from params import load_keras
from tests import parity
from tests.cases import all_cases, marked_cases

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras's save
    "ignore:When providing `inputs` as a dict:UserWarning",
)

CASES = [case for case in all_cases() if not case.mask]


def symbolic(x, static):
    """Keras inputs of the shapes of `x`, of any batch size unless `static`."""
    kinds = {"O": "string", "U": "string", "S": "string"}

    def one(a):
        shape = a.shape if static else (None, *a.shape[1:])
        return keras.Input(batch_shape=shape, dtype=kinds.get(a.dtype.kind, str(a.dtype)))

    return tree.map(one, x)


def twin(case):
    """The Keras layer of a row; of Keras's own class, where the twin is a subclass that only computes otherwise."""
    layer = case.keras_layer(keras, "float32")
    known = next(c for c in type(layer).__mro__ if c.__module__.startswith("keras."))
    return layer if type(layer) is known else known(**case.options)


def keras_model_of(case, x):
    """(layer, model of this one layer); skips what Keras itself cannot build."""
    try:
        layer = twin(case)
        inputs = symbolic(x, getattr(layer, "stateful", False))
        feed = list(inputs) if isinstance(inputs, tuple) else inputs
        args, kwargs = ((), feed) if isinstance(feed, dict) else ((feed,), {})
        return layer, keras.Model(feed, layer(*args, **kwargs, **case.call))
    except ValueError as error:
        pytest.skip(f"Keras cannot build a functional model of it: {str(error)[:100]}")


@pytest.mark.parametrize("case", marked_cases(CASES), ids=lambda case: case.id)
def test_a_saved_row_loads_as_itself(case, tmp_path):
    x = case.inputs()
    layer, keras_model = keras_model_of(case, x)
    layer.set_weights(parity.random_weights(layer))
    keras_model.save(tmp_path / "model.keras")
    model, params = load_keras(tmp_path / "model.keras")
    expected = strip(case.step(parity.fnet_params(case, x, layer.get_weights()), x))
    for ours, theirs in zip(tree.leaves(model(params, x)), tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert not any(leaf.flags.writeable for leaf in tree.leaves(params))
    fnet.check(model, params)
