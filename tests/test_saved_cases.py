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
from tests.cases import all_cases

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's save

CASES = [case for case in all_cases() if not case.mask]


def symbolic(x):
    """Keras inputs of the shapes of `x`, any batch size."""
    kinds = {"O": "string", "U": "string", "S": "string"}
    return tree.map(lambda a: keras.Input(a.shape[1:], dtype=kinds.get(a.dtype.kind, str(a.dtype))), x)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_saved_row_loads_as_itself(case, tmp_path):
    x = case.inputs()
    layer = case.keras_layer(keras, "float32")
    inputs = symbolic(x)
    feed = list(inputs) if isinstance(inputs, tuple) else inputs
    args, kwargs = ((), feed) if isinstance(feed, dict) else ((feed,), {})
    keras_model = keras.Model(feed, layer(*args, **kwargs, **case.call))
    layer.set_weights(parity.random_weights(layer))
    keras_model.save(tmp_path / "model.keras")
    model, params = load_keras(tmp_path / "model.keras")
    expected = strip(case.step(parity.fnet_params(case, x, layer.get_weights()), x))
    for ours, theirs in zip(tree.leaves(model(params, x)), tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert not any(leaf.flags.writeable for leaf in tree.leaves(params))
    fnet.check(model, params)
