"""Cases of fnet.layers.norms."""

import itertools
import warnings

import fnet
from tests.cases import Case

FULL = (3, 4, 2, 6, 2)
BATCH_AXES = [(rank, axis) for rank in range(2, 6) for axis in (*range(1, rank), -1)]
LAST = "the last axis is the default"
TRAINING = {"training": True}
OFF = [{"center": False}, {"scale": False}, {"center": False, "scale": False}]
LAYER_AXES = [-1, 1, 2, 3, 4, (1, 2), (2, 3, 4), (1, 3), (-1, -2), (1, -1)]


def _rms_scaled(keras):
    """A Keras layer with rms_scaling, without the warnings that it is deprecated."""

    class Quiet(keras.layers.LayerNormalization):
        def call(self, x):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return super().call(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Quiet(axis=(1, 2), rms_scaling=True)


def _spectral(inner, **options):
    def twin(keras):
        return keras.layers.SpectralNormalization(getattr(keras.layers, inner)(**options))

    return twin


def _wide(*shape):
    """Batch normalization with parameters of this shape, as over several axes in Keras 2."""

    def twin(keras):
        class Wide(keras.layers.Layer):
            def build(self, _):
                names = {"gamma": True, "beta": True, "moving_mean": False, "moving_variance": False}
                self.values = [self.add_weight(shape=shape, name=name, trainable=names[name]) for name in names]

            def call(self, x):
                gamma, beta, mean, variance = (keras.ops.reshape(v, (*shape[:1], *shape[-2:])) for v in self.values)
                return (x - mean) / keras.ops.sqrt(variance + 1e-3) * gamma + beta

        return Wide()

    return twin


CASES = [
    Case(fnet.batch_normalization, (3, 4, 5), {"axis": (1, 2)}, _wide(1, 4, 5)),
    Case(fnet.batch_normalization, (3, 4, 5), {"axis": (-1, 1), "virtual_batch_size": 2}, _wide(1, 1, 4, 5)),
    *(
        Case(
            fnet.batch_normalization,
            FULL[:rank],
            {"axis": axis},
            twin="BatchNormalization",
            idle=LAST * (axis == rank - 1),
        )
        for rank, axis in BATCH_AXES
    ),
    *(Case(fnet.batch_normalization, (3, 4, 5), {"axis": 1, **off}, twin="BatchNormalization") for off in OFF),
    Case(fnet.batch_normalization, (3, 4, 5), {"epsilon": 1e-5}, twin="BatchNormalization", mask=True),
    Case(fnet.batch_normalization, (3, 4, 5), {"renorm": True}, twin="BatchNormalization"),
    *(
        Case(fnet.layer_normalization, FULL, {"axis": axis}, twin="LayerNormalization", idle=LAST * (axis == 4))
        for axis in LAYER_AXES
    ),
    Case(fnet.layer_normalization, (3, 4, 5), {"axis": (1, 2), "rms_scaling": True}, twin=_rms_scaled),
    Case(fnet.layer_normalization, (3, 4, 5), {"epsilon": 0.3}, twin="LayerNormalization"),
    *(
        Case(
            fnet.batch_normalization, (4, 4, 5), {"training": True}, "BatchNormalization", {}, mask=mask, call=TRAINING
        )
        for mask in (False, True)
    ),
    *(Case(fnet.layer_normalization, (3, 4, 5), {"axis": 1, **off}, twin="LayerNormalization") for off in OFF),
    Case(fnet.layer_normalization, (3, 4, 5), {"epsilon": 1e-6}, twin="LayerNormalization", mask=True),
    *(
        Case(fnet.group_normalization, (3, 4, 5, 8), {"groups": groups, "axis": axis}, twin="GroupNormalization")
        for groups, axis in itertools.product((1, 2, 4, -1), (-1, 1))
    ),
    Case(fnet.group_normalization, (3, 4, 8, 5), {"groups": 4, "axis": -2}, twin="GroupNormalization"),
    Case(fnet.group_normalization, (3, 8), {"groups": 2}, twin="GroupNormalization"),
    Case(fnet.group_normalization, (3, 4, 8), {"groups": 2, "epsilon": 0.3}, twin="GroupNormalization"),
    *(Case(fnet.group_normalization, (3, 4, 6), {"groups": 3, **off}, twin="GroupNormalization") for off in OFF),
    Case(fnet.group_normalization, (3, 4, 6), {"groups": 3}, twin="GroupNormalization", mask=True),
    Case(fnet.rms_normalization, (3, 4, 5), twin="RMSNormalization", mask=True),
    Case(fnet.rms_normalization, (3, 4, 5), {"epsilon": 1e-3}, twin="RMSNormalization"),
    Case(fnet.rms_normalization, (3, 4, 5), {"axis": (1, 2)}, twin="RMSNormalization"),
    Case(fnet.rms_normalization, (3, 5, 5), {"axis": 1}, twin="RMSNormalization"),
    *(
        Case(fnet.unit_normalization, FULL, {"axis": axis}, twin="UnitNormalization")
        for axis in (-1, 1, 3, (1, 2), (2, 3, 4))
    ),
    Case(fnet.unit_normalization, (3, 4, 5), twin="UnitNormalization", mask=True),
    Case(
        fnet.spectral_normalization,
        (3, 4, 5),
        {"layer": fnet.bind(fnet.dense, units=2)},
        twin=_spectral("Dense", units=2),
        mask=True,
        order=(1, 0, 2),
    ),
    Case(
        fnet.spectral_normalization,
        (3, 6, 6, 2),
        {
            "layer": fnet.bind(fnet.conv2d, filters=3, kernel_size=2, use_bias=False, padding="same"),
            "power_iterations": 3,
        },
        twin=_spectral("Conv2D", filters=3, kernel_size=2, use_bias=False, padding="same"),
        order=(1, 0),
    ),
    Case(
        fnet.spectral_normalization,
        (3, 6),
        {"layer": fnet.bind(fnet.embedding, input_dim=10, output_dim=3)},
        twin=_spectral("Embedding", input_dim=10, output_dim=3),
        dtype="int32",
        order=(1, 0),
        idle="Keras casts the rows to the dtype of the ids, most to 0",
    ),
]
