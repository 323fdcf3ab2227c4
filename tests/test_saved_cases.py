"""Every case of the table as a model of one layer, saved by Keras: the loaded model is the step of the case.

`tests/test_cases.py` compares the cases with Keras; here the file gives the same step with the same parameters.
Masks are made by a `Masking` layer in front, from the values.
"""

import keras
import numpy as np
import pytest

import fnet
from fnet import tree
from fnet.masks import strip
from params import load_keras
from tests import parity
from tests.cases import all_cases, marked_cases

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras's save
    "ignore:When providing `inputs` as a dict:UserWarning",
)

HIDDEN = -9.0
"""The value of the steps that `Masking` hides."""


def masked_inputs(case):
    """{position or key of an input (None: the only one): its mask (batch, time)}."""
    return {at: (case.inputs() if at is None else case.inputs()[at], mask) for at, mask in case.masks().items()}


def can_be_masked(case):
    """Whether `Masking` can make these masks: for sequences of vectors, and the same at each call."""
    return all(x.ndim == 3 and x.dtype.kind == "f" and mask.ndim == 2 for x, mask in masked_inputs(case).values())


def is_of_keras_3(case):
    """Whether Keras 3 has the layer with these options; the others have golden files of Keras 2."""
    several = isinstance(case.options.get("axis"), tuple) and case.layer is fnet.batch_normalization
    return not several and case.layer.__name__ not in OF_KERAS_2


OF_KERAS_2 = ("locally_connected1d", "locally_connected2d", "random_fourier_features")


CASES = [case for case in all_cases() if can_be_masked(case) and is_of_keras_3(case) and case.plain is None]
"""Without layers that only `fnet.optimize` makes."""


def replaced(x, at, value):
    """`x` with the input `at` replaced."""
    if at is None:
        return value
    return {**x, at: value} if isinstance(x, dict) else (*x[:at], value, *x[at + 1 :])


def with_hidden_steps(case, x, value):
    """The inputs with `value` wherever a mask hides a step."""
    for at, (_, mask) in masked_inputs(case).items():
        shown = x if at is None else x[at]
        x = replaced(x, at, np.where(mask[..., None], shown, np.float32(value)))
    return x


def symbolic(x, static):
    """Keras inputs of the shapes of `x`, of any batch size unless `static`."""
    kinds = {"O": "string", "U": "string", "S": "string"}

    def one(a):
        shape = a.shape if static else (None, *a.shape[1:])
        return keras.Input(batch_shape=shape, dtype=kinds.get(a.dtype.kind, str(a.dtype)))

    return tree.map(one, x)


def twin(case):
    """The Keras layer of a case; of Keras's own class, where the twin is a subclass that only computes differently."""
    layer = case.keras_layer(keras, "float32")
    known = next(c for c in type(layer).__mro__ if c.__module__.startswith("keras."))
    return layer if type(layer) is known else known(**case.options)


NOT_ALWAYS_BUILT = {"conv2d_transpose", "equalization", "group_query_attention", "hashed_crossing"}
"""Layers with cases that Keras computes, but not in a functional model."""


def keras_model_of(case, x):
    """(layer, model of this one layer); skips what Keras itself does not take."""
    try:
        layer = twin(case)
        inputs = given = symbolic(x, getattr(layer, "stateful", False))
        for at in case.masks():
            given = replaced(given, at, keras.layers.Masking(HIDDEN)(given if at is None else given[at]))
        inputs, feed = (list(item) if isinstance(item, tuple) else item for item in (inputs, given))
        args, kwargs = ((), feed) if isinstance(feed, dict) else ((feed,), {})
        return layer, keras.Model(inputs, layer(*args, **kwargs, **case.call))
    except ValueError as error:
        if case.layer.__name__ not in NOT_ALWAYS_BUILT:
            raise
        pytest.skip(f"Keras does not take it in a functional model: {str(error)[:100]}")


@pytest.mark.filterwarnings("ignore:You passed .rms_scaling=True:UserWarning")
@pytest.mark.parametrize("case", marked_cases(CASES), ids=lambda case: case.id)
def test_a_saved_row_loads_as_itself(case, tmp_path):
    x = with_hidden_steps(case, case.inputs(), HIDDEN)
    layer, keras_model = keras_model_of(case, x)
    layer.set_weights(parity.random_weights(layer))
    keras_model.save(tmp_path / "model.keras")
    as_called = {"training": "as written"} if case.call.get("training") else {}
    model, params = load_keras(tmp_path / "model.keras", **as_called)
    masked = parity.with_mask(case, with_hidden_steps(case, x, 0))
    expected = strip(fnet.bind(case.step)(parity.fnet_params(case, x, layer.weights), masked))
    for ours, theirs in zip(tree.leaves(model(params, x)), tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert not any(leaf.flags.writeable for leaf in tree.leaves(params))
    fnet.check(model, params)
