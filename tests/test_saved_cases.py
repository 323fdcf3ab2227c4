"""Every row of the table as a model of one layer: saved by Keras, loaded without it, at the yardstick."""

import numpy as np
import pytest

from fnet import tree
from params import load_keras
from tests import parity
from tests.cases import all_cases

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's save

CASES = [case for case in all_cases() if not case.mask]


def symbolic(x, keras):
    """Keras inputs of the shapes of `x`, any batch size."""
    return tree.map(lambda a: keras.Input(a.shape[1:], dtype="string" if a.dtype.kind in "OSU" else str(a.dtype)), x)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_row_saved_by_keras_loads_and_equals_it(case, tmp_path):
    import keras

    x = case.inputs()
    layer, keras32, _ = parity.keras_call(case, x, "float32", None)
    weights = [np.asarray(w) for w in layer.get_weights()]
    _, reference, _ = parity.keras_call(case, x, "float64", weights)
    inputs = symbolic(x, keras)
    feed = list(inputs) if isinstance(inputs, tuple) else inputs
    args, kwargs = ((), feed) if isinstance(feed, dict) else ((feed,), {})
    outputs = layer(*args, **kwargs, **case.call)
    path = tmp_path / "model.keras"
    keras.Model(feed, outputs).save(path)
    model, params = load_keras(path)
    parity.assert_parity(model(params, x), keras32, reference)
    assert not any(leaf.flags.writeable for leaf in tree.leaves(params))
