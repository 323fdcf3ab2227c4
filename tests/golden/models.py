"""The models of the golden files: small, each with many layers of one kind, and enough outputs to see all of them.

A model is a function () -> (model, inputs), or None in versions that lack its layers. Any Keras from 2.2 runs them.
"""

import numpy as np
from recording import EAGER, KERAS_2, NUMBER, RNG, draw, keras, redraw

L = keras.layers
P = getattr(getattr(L, "experimental", None), "preprocessing", None)
X = getattr(L, "experimental", None)
MODELS = []


def golden(build):
    MODELS.append(build)
    return build


def layer(name):
    """A layer class by name, wherever this Keras has it."""
    for place in (L, P, X):
        if hasattr(place, name):
            return getattr(place, name)
    return None


def known(*steps):
    """The layers of (class name, options) that this Keras has and accepts."""
    made = []
    for name, options in steps:
        cls = layer(name)
        if NUMBER < (2, 7) and {"output_mode", "groups"} & set(options):  # there, but cannot run
            continue
        try:
            made.append(cls(**options))
        except (TypeError, ValueError):  # no such class (None), option or value in this version
            continue
    return made


def sequential(shape, steps, dtype="float32"):
    if NUMBER >= (2, 6):
        return keras.Sequential([L.Input(shape, dtype=dtype), *steps])
    config = dict(steps[0].get_config(), batch_input_shape=(None, *shape), dtype=dtype)
    return keras.Sequential([type(steps[0]).from_config(config), *steps[1:]])


def side_by_side(shape, steps, dtype="float32"):
    """One input, an output for each layer."""
    x = L.Input(shape, dtype=dtype)
    outputs = []
    for step in steps:
        try:
            outputs.append(step(x))
        except (TypeError, ValueError, NotImplementedError):  # this version cannot run it
            continue
    return keras.Model(x, outputs) if outputs else None


# --- composition ----------------------------------------------------------------------------------


@golden
def cnn():
    steps = [
        L.Conv2D(4, 3, padding="same", kernel_regularizer="l2"),
        L.BatchNormalization(),
        L.LeakyReLU(0.1),
        L.MaxPooling2D(),
        L.DepthwiseConv2D(3),
        L.ReLU(max_value=6),
        L.Flatten(),
        L.Dropout(0.3),
        L.Dense(3, activation="softmax"),
    ]
    return sequential((8, 8, 3), steps), [draw(4, 8, 8, 3)]


@golden
def rnn():
    steps = [
        L.Embedding(6, 4, mask_zero=True),
        L.Bidirectional(L.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid")),
        L.GRU(3),
        L.Dense(2, activation="hard_sigmoid"),
    ]
    ids = np.array([[1, 2, 3, 0, 0], [4, 0, 5, 1, 0], [0, 0, 1, 2, 3], [5, 4, 3, 2, 1]], "int32")
    return sequential((5,), steps, "int32"), [ids]


@golden
def cells():
    x = L.Input((5, 4))
    y = L.RNN([L.LSTMCell(3), L.GRUCell(4, reset_after=False)], return_sequences=True)(L.Masking()(x))
    y = L.TimeDistributed(L.Dense(3, activation="tanh"))(y)
    if NUMBER < (2, 3):
        return keras.Model(x, L.Bidirectional(L.SimpleRNN(3), merge_mode="sum")(y)), [draw(4, 5, 4)]
    back = L.SimpleRNN(3, go_backwards=True, activation="relu")
    y = L.Bidirectional(L.SimpleRNN(3), merge_mode="sum", backward_layer=back)(y)
    return keras.Model(x, y), [draw(4, 5, 4)]


@golden
def twins():
    """A nested model called several times, with a frozen layer in it, and a shared layer."""
    a, b, inner = L.Input((4,), name="a"), L.Input((4,), name="b"), L.Input((4,))
    normalize = L.BatchNormalization(name="bn")
    sub = keras.Model(inner, normalize(L.Dense(4, activation="relu", name="inner")(inner)), name="sub")
    shared = L.Dense(4, name="shared")
    u = sub(sub(a))
    v = shared(sub(b))
    w = shared(u)
    normalize.trainable = False
    joined = L.Concatenate(axis=-1)([v, w, a])
    outputs = [L.Dense(2, name="out1")(joined), L.Add(name="sum")([v, w])]
    return keras.Model([a, b], outputs), [draw(4, 4), draw(4, 4)]


@golden
def states():
    sequence, h, c = L.Input((5, 4)), L.Input((3,)), L.Input((3,))
    y, h_end, c_end = L.LSTM(3, return_sequences=True, return_state=True)(sequence, initial_state=[h, c])
    if layer("MultiHeadAttention"):
        y = L.LayerNormalization()(L.MultiHeadAttention(2, 3)(y, y))
    head = sequential((3,), [L.Dense(3, activation="tanh"), L.Dense(3)])
    y = head(L.GlobalAveragePooling1D()(y))
    return keras.Model([sequence, h, c], [y, h_end, c_end]), [draw(4, 5, 4), draw(4, 3), draw(4, 3)]


@golden
def deferred():
    """A Sequential model that got its input shape from a call."""
    if NUMBER < (2, 4):
        return None
    steps = known(
        ("Dense", {"units": 3}),
        ("Activation", {"activation": "gelu"}),
        ("GroupNormalization", {"groups": 3}),
        ("UnitNormalization", {}),
        ("Reshape", {"target_shape": (3, 1)}),
        ("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "causal"}),
        ("Flatten", {}),
        ("Dense", {"units": 1, "activation": "exponential"}),
    )
    return keras.Sequential(steps), [draw(4, 4)]


@golden
def many():
    """Several layers of each class, so that their numbers in the file matter."""
    steps = [L.Dense(5, activation="tanh"), L.BatchNormalization(), L.Dense(5), L.BatchNormalization(), L.Dense(5)]
    steps += [L.LayerNormalization()] if layer("LayerNormalization") else []
    steps += [L.Reshape((5, 1)), L.Conv1D(3, 2), L.Conv1D(3, 2), L.LSTM(3, return_sequences=True), L.LSTM(4)]
    return sequential((4,), [*steps, L.Dense(5), L.PReLU(), L.PReLU(), L.Dense(2)]), [draw(4, 4)]


@golden
def thrice():
    """A model three times in a model; it contains a model and three layers of one class, one of them shared."""
    deep = sequential((4,), [L.Dense(4, activation="tanh"), L.Dense(4)])
    x = L.Input((4,))
    dense = L.Dense(4)
    inner = keras.Model(x, L.Dense(4)(dense(deep(L.Dense(4)(dense(x))))))
    inputs = [L.Input((4,)) for _ in range(3)]
    ends = [inner(one) for one in inputs]
    return keras.Model(inputs, [dense(L.Concatenate()(ends)[:, :4] if not KERAS_2 else L.Add()(ends)), *ends]), [
        draw(4, 4) for _ in range(3)
    ]


@golden
def flags():
    """Flags in calls: the moving statistics where training is False, and no dropout."""
    x = L.Input((4,))
    y = L.Dropout(0.5)(L.BatchNormalization()(x, training=False), training=False)
    frozen = L.BatchNormalization(trainable=False)
    return keras.Model(x, [y, frozen(L.Dense(4)(x))]), [draw(4, 4)]


# --- families -------------------------------------------------------------------------------------


KEPT_PADDING = (1,) if KERAS_2 or NUMBER >= (3, 15) else ()
"""Keras 3.0 to 3.14 leave `output_padding` out of the files that they write."""


@golden
def convolutions():
    steps = known(
        ("Conv2D", {"filters": 2, "kernel_size": (3, 2), "dilation_rate": 2, "activation": "hard_sigmoid"}),
        ("Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2, "strides": 2, "padding": "same"}),
        ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}),
        *(
            ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1})
            for _ in KEPT_PADDING
        ),
        ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "depth_multiplier": 2}),
        ("DepthwiseConv2D", {"kernel_size": 2, "depth_multiplier": 2, "use_bias": False}),
        ("UpSampling2D", {"size": (2, 1), "interpolation": "bilinear"}),
        ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}),
        ("GlobalMaxPooling2D", {}),
        ("ZeroPadding2D", {"padding": ((1, 0), (0, 2))}),
        ("Cropping2D", {"cropping": ((1, 0), (0, 2))}),
        ("SpatialDropout2D", {"rate": 0.2}),
    )
    return side_by_side((5, 6, 4), steps), [draw(4, 5, 6, 4)]


@golden
def sequences():
    steps = known(
        ("SimpleRNN", {"units": 3, "go_backwards": True, "return_sequences": True}),
        ("LSTM", {"units": 3, "unroll": True, "use_bias": False}),
        ("LSTM", {"units": 3, "implementation": 1, "unit_forget_bias": False, "return_sequences": True}),
        ("GRU", {"units": 3, "reset_after": True, "return_sequences": True}),
        ("GRU", {"units": 3, "reset_after": False, "recurrent_activation": "hard_sigmoid"}),
        ("Bidirectional", {"layer": L.GRU(2, return_sequences=True), "merge_mode": "mul"}),
        ("Bidirectional", {"layer": L.LSTM(2, go_backwards=True), "merge_mode": "concat"}),
        ("TimeDistributed", {"layer": L.Dense(2)}),
        ("RNN", {"cell": L.StackedRNNCells([L.GRUCell(2), L.LSTMCell(3)]), "return_sequences": True}),
        ("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}),
        ("SeparableConv1D", {"filters": 2, "kernel_size": 2}),
        ("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}),
        ("DepthwiseConv1D", {"kernel_size": 2}),
        ("GlobalMaxPooling1D", {}),
        ("AveragePooling1D", {"pool_size": 2, "padding": "same"}),
        ("Permute", {"dims": (2, 1)}),
        ("UpSampling1D", {"size": 2}),
    )
    return side_by_side((5, 4), steps), [draw(4, 5, 4)]


@golden
def convolutional_lstm():
    steps = known(
        ("ConvLSTM2D", {"filters": 2, "kernel_size": 2}),
        (
            "ConvLSTM2D",
            {"filters": 2, "kernel_size": 2, "padding": "same", "return_sequences": True, "use_bias": False},
        ),
        ("ConvLSTM2D", {"filters": 2, "kernel_size": 2, "go_backwards": True, "recurrent_activation": "sigmoid"}),
        ("TimeDistributed", {"layer": L.Conv2D(2, 2)}),
        ("TimeDistributed", {"layer": L.BatchNormalization()}),
    )
    return side_by_side((3, 5, 4, 2), steps), [draw(3, 3, 5, 4, 2)]


@golden
def locally_connected():
    """Locally connected layers of Keras 2, in the three forms of their kernels."""
    options = (
        {},
        {"implementation": 2, "activation": "relu"},
        {"implementation": 3},
        {"implementation": 2, "padding": "same", "kernel_size": 3},
        {"implementation": 3, "padding": "same", "strides": 2},
        {"data_format": "channels_first", "strides": 2},
        {"data_format": "channels_first", "implementation": 2, "padding": "same"},
        {"data_format": "channels_first", "implementation": 3, "use_bias": False},
    )
    steps = known(*(("LocallyConnected2D", dict({"filters": 2, "kernel_size": (2, 3)}, **more)) for more in options))
    flat = known(*(("LocallyConnected1D", dict({"filters": 2, "kernel_size": 2}, **more)) for more in options))
    x, y = L.Input((4, 5, 3)), L.Input((4, 3))
    outputs = [step(x) for step in steps] + [step(y) for step in flat]
    return keras.Model([x, y], outputs) if outputs else None, [draw(3, 4, 5, 3), draw(3, 4, 3)]


@golden
def causal():
    """Padding that Keras 3 documents for separable convolutions and cannot run."""
    steps = known(
        ("SeparableConv1D", {"filters": 3, "kernel_size": 3, "padding": "causal"}),
        ("SeparableConv1D", {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}),
        ("SeparableConv1D", {"filters": 2, "kernel_size": 4, "padding": "causal", "strides": 2, "depth_multiplier": 2}),
    )
    return side_by_side((6, 2), steps) if KERAS_2 else None, [draw(3, 6, 2)]


@golden
def normalizations():
    steps = known(
        ("BatchNormalization", {"axis": 1, "scale": False}),
        ("BatchNormalization", {"center": False, "epsilon": 0.1}),
        ("BatchNormalization", {"renorm": True}),
        ("BatchNormalization", {"fused": False, "momentum": 0.5}),
        ("SyncBatchNormalization", {}),
        ("LayerNormalization", {"axis": 1}),
        ("LayerNormalization", {"axis": -1, "center": False}),
        ("GroupNormalization", {"groups": 1}),
        ("GroupNormalization", {"groups": 8, "axis": -1}),
        ("GroupNormalization", {}),
        ("UnitNormalization", {}),
        ("SpectralNormalization", {"layer": L.Dense(3)}),
    )
    return side_by_side((3, 32), steps), [draw(4, 3, 32)]


@golden
def batch_axes():
    """Batch normalization over several axes and with virtual batches, which Keras 3 does not have."""
    steps = known(
        ("BatchNormalization", {"axis": [1, 2]}),
        ("BatchNormalization", {"axis": [3, 1], "center": False, "renorm": True}),
        ("BatchNormalization", {"axis": [2, 3], "virtual_batch_size": 2}),
        ("BatchNormalization", {"virtual_batch_size": 2, "scale": False, "fused": False}),
    )
    return side_by_side((3, 2, 4), steps) if KERAS_2 else None, [draw(4, 3, 2, 4)]


@golden
def activations():
    names = ("elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "hard_sigmoid", "exponential", "linear")
    steps = known(
        *(("Dense", {"units": 3, "activation": name}) for name in (*names, "softmax", "swish", "gelu", "mish", "silu")),
        ("LeakyReLU", {"alpha": 0.2}),
        ("LeakyReLU", {}),
        ("ELU", {"alpha": 0.5}),
        ("ThresholdedReLU", {"theta": 0.5}),
        ("PReLU", {}),
        ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}),
        ("Softmax", {}),
        ("AlphaDropout", {"rate": 0.2}),
        ("GaussianNoise", {"stddev": 0.2}),
        ("GaussianDropout", {"rate": 0.2}),
        ("ActivityRegularization", {"l1": 0.1}),
        ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "c"}),
    )
    return side_by_side((5,), steps), [draw(4, 5)]


@golden
def merges():
    shape = (3, 4)
    inputs = [L.Input(shape) for _ in range(3)]
    names = ("Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    outputs = [layer(name)()(inputs) for name in names if layer(name)]
    outputs += [L.Subtract()(inputs[:2]), L.Dot(axes=2, normalize=True)(inputs[:2]), L.Concatenate(axis=1)(inputs)]
    if layer("Attention"):
        outputs += [L.Attention(use_scale=True)(inputs), L.AdditiveAttention()(inputs[:2])]
    return keras.Model(inputs, outputs), [draw(4, *shape) for _ in range(3)]


# --- preprocessing --------------------------------------------------------------------------------

ONLY_KERAS_2 = ("area", "gaussian", "mitchellcubic") if KERAS_2 else ()
IMAGES = (
    ("RandomCrop", {"height": 4, "width": 5}),
    ("RandomCrop", {"height": 8, "width": 3}),
    ("RandomCrop", {"height": 3, "width": 12}),
    ("CenterCrop", {"height": 4, "width": 5}),
    *(("Resizing", {"height": 4, "width": 8, "interpolation": name}) for name in ("bilinear", "nearest", "bicubic")),
    *(("Resizing", {"height": 4, "width": 8, "interpolation": name}) for name in ("lanczos3", "lanczos5")),
    *(("Resizing", {"height": 4, "width": 8, "interpolation": name}) for name in ONLY_KERAS_2),
    ("Resizing", {"height": 5, "width": 5, "crop_to_aspect_ratio": True}),
    ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}),
    ("RandomFlip", {}),
    ("RandomRotation", {"factor": 0.2}),
    ("RandomZoom", {"height_factor": 0.2, "width_factor": 0.1}),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.1}),
    ("RandomContrast", {"factor": 0.2}),
    ("RandomBrightness", {"factor": 0.2}),
    ("RandomHeight", {"factor": 0.2}),
    ("RandomWidth", {"factor": 0.2}),
)


@golden
def images():
    return side_by_side((6, 9, 3), known(*IMAGES)), [abs(draw(3, 6, 9, 3)) * 100]


@golden
def pixels():
    """The same on bytes, which some versions keep and some cast to floats (Keras 3 in `predict`, not in a call)."""
    if not KERAS_2:
        return None
    return side_by_side((6, 9, 3), known(*IMAGES), "uint8"), [
        np.arange(3 * 6 * 9 * 3).reshape(3, 6, 9, 3).astype("uint8")
    ]


ROUNDED_NO_INPUTS = (1,) if KERAS_2 or NUMBER >= (3, 12) else ()
"""In Keras 3.0 to 3.11 `predict` casts the inputs of Discretization to integers, a call does not."""


KEPT_INVERT = (1,) if NUMBER >= (2, 13) else ()
"""Until 2.12 Keras left `invert` out of the files that it wrote."""


@golden
def numbers():
    steps = known(
        ("Normalization", {"mean": [1.0, 2.0, -1.0], "variance": [1.0, 0.5, 2.0]}),
        ("Normalization", {"mean": 0.5, "variance": 2.0, "axis": None}),
        *(("Normalization", {"mean": [1.0], "variance": [0.5], "invert": True}) for _ in KEPT_INVERT),
        *(("Discretization", {"bin_boundaries": [-0.5, 0.0, 0.7]}) for _ in ROUNDED_NO_INPUTS),
        ("Discretization", {"bin_boundaries": [-0.5, 0.0, 0.7], "output_mode": "count"}),
    )
    for axis in (-1, None):
        for one in known(("Normalization", {"axis": axis})):
            one.adapt(draw(20, 3))
            steps.append(one)
    return side_by_side((3,), steps), [draw(4, 3)]


@golden
def categories():
    steps = known(
        *(("CategoryEncoding", {"num_tokens": 9, "output_mode": mode}) for mode in ("multi_hot", "one_hot", "count")),
        ("Hashing", {"num_bins": 4}),
        ("Hashing", {"num_bins": 4, "salt": 7}),
        ("Hashing", {"num_bins": 4, "mask_value": 3}),
        ("IntegerLookup", {"vocabulary": [3, 5, 8]}),
        ("IntegerLookup", {"vocabulary": [3, 5, 8], "num_oov_indices": 3, "mask_token": 0}),
        ("IntegerLookup", {"vocabulary": [3, 5, 8], "output_mode": "one_hot"}),
        (
            "IntegerLookup",
            {"vocabulary": [3, 5, 8], "output_mode": "count", "max_tokens": 6, "pad_to_max_tokens": True},
        ),
    )
    return side_by_side((1,), steps, "int32"), [np.array([[3], [1], [8], [0]], "int32")]


WORDS = ["satu", "dua", "tiga"]


@golden
def words():
    steps = known(
        ("StringLookup", {"vocabulary": WORDS}),
        ("StringLookup", {"vocabulary": WORDS, "num_oov_indices": 3, "mask_token": ""}),
        ("StringLookup", {"vocabulary": WORDS, "output_mode": "multi_hot"}),
        ("StringLookup", {"vocabulary": WORDS, "output_mode": "tf_idf", "idf_weights": [0.5, 1.5, 2.0]}),
        ("Hashing", {"num_bins": 5}),
        ("Hashing", {"num_bins": 5, "salt": [3, 4]}),
        ("Hashing", {"num_bins": 5, "mask_value": "dua"}),
        ("TextVectorization", {"vocabulary": WORDS, "split": None, "output_mode": "count"}),
    )
    texts = np.array([["satu", "x"], ["dua", "dua"], ["", "tiga"], ["Satu", "tiga"]])
    return side_by_side((2,), steps, "string"), [texts]


@golden
def texts():
    steps = known(
        ("TextVectorization", {"vocabulary": WORDS, "output_sequence_length": 2}),
        ("TextVectorization", {"vocabulary": WORDS, "output_sequence_length": 3, "standardize": None}),
        ("TextVectorization", {"vocabulary": WORDS, "output_mode": "multi_hot"}),
        ("TextVectorization", {"vocabulary": WORDS, "output_mode": "count", "ngrams": 2}),
        ("TextVectorization", {"vocabulary": ["a", "s"], "split": "character", "output_sequence_length": 9}),
    )
    return side_by_side((1,), steps, "string"), [np.array([["Satu, dua!"], ["x tiga  tiga dua"], [""], ["dua"]])]


@golden
def text():
    """An adapted layer: its vocabulary is not in the config."""
    cls = layer("TextVectorization")
    if cls is None or NUMBER < (2, 4):
        return None
    vectorize = cls(max_tokens=20, output_sequence_length=4)
    vectorize.adapt(np.array(["satu dua tiga", "dua tiga empat lima"]))
    x = L.Input((1,), dtype="string")
    y = L.SimpleRNN(3)(L.Embedding(20, 3, mask_zero=True)(vectorize(x)))
    return keras.Model(x, L.Dense(2)(y)), [np.array([["dua satu"], ["tiga, x lima empat dua"], ["x"], ["lima"]])]


@golden
def adapted():
    """Two adapted lookups of one class next to one of another."""
    lookup, integers = layer("StringLookup"), layer("IntegerLookup")
    if lookup is None or integers is None or NUMBER < (2, 9):
        return None
    one, two, three = lookup(), lookup(output_mode="multi_hot"), integers()
    one.adapt(np.array(["a", "b", "b", "c"]))
    two.adapt(np.array(["d", "b", "d"]))
    three.adapt(np.array([7, 7, 9, 2]))
    x, z = L.Input((2,), dtype="string"), L.Input((2,), dtype="int64")
    inputs = [np.array([["a", "d"], ["b", "x"], ["c", "c"], ["", "d"]]), np.array([[7, 2], [9, 0], [2, 2], [1, 7]])]
    return keras.Model([x, z], [one(x), two(x), three(z)]), inputs


@golden
def bins():
    """Discretization adapted before it is called, by itself and inside a wrapper: its summary has no name in `.h5`."""
    made = known(("Discretization", {"num_bins": 4}), ("Discretization", {"num_bins": 3}))
    if len(made) < 2 or NUMBER < (2, 9) or not KERAS_2:
        return None
    for step in made:
        step.adapt(draw(20, 3))
    x, y = L.Input((3,)), L.Input((2, 3))
    return keras.Model([x, y], [made[0](x), L.TimeDistributed(made[1])(y)]), [draw(4, 3), draw(4, 2, 3)]


@golden
def bins_as_vectors():
    """An adapted Discretization whose number of boundaries shows in the shapes after it."""
    made = known(("Discretization", {"num_bins": 4, "output_mode": "one_hot"}))
    if not made or NUMBER < (2, 12) or not KERAS_2:
        return None
    made[0].adapt(draw(20, 1))
    x = L.Input((1,))
    return keras.Model(x, L.Dense(2)(L.Reshape((2, 2))(made[0](x)))), [draw(4, 1)]


@golden
def written_by_tensorflow():
    """Activations that are functions of TensorFlow, with its names."""
    steps = known(("Dense", {"units": 3, "activation": "log_softmax"}), ("Activation", {"activation": "log_softmax"}))
    return side_by_side((4,), steps) if KERAS_2 and steps else None, [draw(3, 4)]


# --- of Keras 2 alone -----------------------------------------------------------------------------


@golden
def local():
    steps = known(
        ("LocallyConnected1D", {"filters": 2, "kernel_size": 2}),
        ("LocallyConnected1D", {"filters": 2, "kernel_size": 2, "implementation": 2}),
    )
    return side_by_side((5, 3), steps), [draw(4, 5, 3)]


@golden
def fourier():
    return side_by_side((5,), known(("RandomFourierFeatures", {"output_dim": 3}))), [draw(4, 5)]


@golden
def virtual():
    return side_by_side((5, 4), known(("BatchNormalization", {"virtual_batch_size": 2}))), [draw(4, 5, 4)]


@golden
def axes():
    return side_by_side((5, 4, 3), known(("BatchNormalization", {"axis": [1, 3]}))), [draw(4, 5, 4, 3)]


@golden
def causally():
    step = ("SeparableConv1D", {"filters": 2, "kernel_size": 2, "padding": "causal"})
    return side_by_side((5, 3), known(step)), [draw(4, 5, 3)]


@golden
def time_major():
    """Recurrent layers that take (time, batch, ...), masked, between transpositions."""
    if not KERAS_2 or NUMBER < (2, 6):
        return None
    import tensorflow as tf

    x = L.Input((5, 4))
    by_time = L.Masking()(tf.transpose(x, [1, 0, 2]))
    sequences = dict(return_sequences=True, time_major=True)
    h, *states = L.LSTM(3, return_state=True, zero_output_for_mask=True, **sequences)(by_time)
    both = L.Bidirectional(L.GRU(2, **sequences), merge_mode="sum")(by_time)
    cells = L.RNN([L.GRUCell(2), L.LSTMCell(3)], **sequences)(by_time, initial_state=[states[0][:, :2], states])
    last = L.SimpleRNN(3, time_major=True, go_backwards=True)(by_time)
    values = draw(4, 5, 4)
    values[0, :2], values[1, 3:], values[2] = 0, 0, 0
    return keras.Model(x, [*(tf.transpose(y, [1, 0, 2]) for y in (h, both, cells)), *states, last]), [values]


@golden
def teachable():
    """What Teachable Machine exports: MobileNetV2 cut before its top, in two Sequentials, with TensorFlow 2.4.

    Each of its weights has only three values, so that the archive stays small.
    """
    if NUMBER != (2, 4) or not EAGER:
        return None
    base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None)
    cut = keras.Model(base.inputs, base.get_layer("out_relu").output)
    features = keras.Sequential([cut, L.GlobalAveragePooling2D()])
    head = keras.Sequential(
        [L.Dense(100, activation="relu", input_shape=(1280,)), L.Dense(2, activation="softmax", use_bias=False)]
    )
    model = keras.Sequential([features, head])
    rng = np.random.RandomState(0)
    for weight in model.weights:
        shape, name = tuple(weight.shape), weight.name
        three = rng.choice([-1.0, 0.0, 1.0], shape)
        size = np.prod(shape[:2] if "depthwise" in name else shape[:-1])
        positive = "variance" in name or "gamma" in name
        spread = 2.4 / size  # keeps numbers at about the same size through 53 layers
        weight.assign(1 + three / 4 if positive else three * spread**0.5 if "kernel" in name else three / 8)
    return model, [rng.choice([-1.0, 0.0, 1.0], (2, 96, 96, 3)).astype("float32")]


@golden
def four_bits():
    """Kernels with two rows in a byte, with an odd number of rows and with one, and tables; in 3.13 one layer whose
    inputs stay floats."""
    if not (3, 11) <= NUMBER < (3, 14):
        return None
    ids, x = L.Input((4,), dtype="int32"), L.Input((4, 5))
    y = L.Add()([L.Embedding(7, 5)(ids), L.Dense(5, activation="relu")(x)])
    y = L.EinsumDense("abc,dce->abde", (4, 2, 3), bias_axes="de")(y)
    y = L.EinsumDense("abde,dec->abc", (4, 3))(y)
    y = L.EinsumDense("abc,dc->adb", (1, 4), bias_axes="d")(y)
    y = L.EinsumDense("abc,bcd->abd", (1, 1))(y)
    model = keras.Model([ids, x], L.Dense(2)(y))
    redraw(model)
    for one in model.layers:
        if one.weights and NUMBER < (3, 13):
            one.quantize("int4")
        elif one.weights:
            inputs = None if one is model.layers[-1] else keras.quantizers.AbsMaxQuantizer(axis=-1)
            one.quantize("int4", config=keras.quantizers.Int4QuantizationConfig(activation_quantizer=inputs))
    return model, [RNG.randint(0, 7, (4, 4)).astype("int32"), draw(4, 4, 5)]


@golden
def four_bits_of_attention():
    """Only layers inside attention are quantized; the config does not say so, but their arrays do."""
    if not (3, 11) <= NUMBER < (3, 14):
        return None
    x = L.Input((4, 5))
    model = keras.Model(x, L.GroupQueryAttention(3, 4, 2)(*[L.MultiHeadAttention(3, 3)(x, x)] * 2))
    redraw(model)
    model.quantize("int4")
    return model, [draw(4, 4, 5)]


@golden
def shared_with_nested():
    """A model and a wrapper called inside a nested model and next to it: `.h5` marks only the second mention."""
    inner = keras.Sequential([L.Dense(4, activation="relu", input_shape=(6,)), L.BatchNormalization()], name="inner")
    around = L.TimeDistributed(L.Dense(3), name="around")
    x, s = L.Input((6,)), L.Input((5, 4))
    tower = keras.Model([x, s], [L.Dense(2)(inner(x)), around(s)], name="tower")
    x, s = L.Input((6,)), L.Input((5, 4))
    return keras.Model([x, s], [*tower([x, s]), inner(x), around(s)]), [draw(4, 6), draw(4, 5, 4)]


# --- what is refused by name ------------------------------------------------------------------------


@golden
def refused_code():
    return side_by_side((4,), known(("Lambda", {"function": lambda x: x * 2}))), [draw(4, 4)]


@golden
def refused_features():
    import tensorflow as tf

    if layer("DenseFeatures") is None:
        return None
    columns = [tf.feature_column.numeric_column("a")]
    x = {"a": L.Input((1,), name="a")}
    return keras.Model(x, L.DenseFeatures(columns)(x)), [draw(4, 1)]
