"""What Keras 3.15 has and what fnet makes of it: the closed list of public layers, and the reasons for refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FRAMEWORK = "it runs code of another framework, which no file can describe"

REFUSED = {
    "Lambda": "its Python code is in the file, and a model file is data; replace it by layers or keras.ops operations",
    "TFSMLayer": FRAMEWORK,
    "JaxLayer": FRAMEWORK,
    "FlaxLayer": FRAMEWORK,
    "TorchModuleWrapper": FRAMEWORK + "; its config is a pickle",
    "FeatureSpace": "it is no layer but a recipe for several; save the model that `get_encoded_features` gives",
}
"""Layers that are never supported, and why."""

AUGMENTATION = (
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration"),
    *("RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing"),
    *("RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective"),
    *("RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear"),
    *("RandomTranslation", "RandomZoom"),
)
"""The identity at inference, something else when called with training=True."""

TRAINS_BY_DEFAULT = frozenset({*AUGMENTATION, "Pipeline"})
"""Layers with `training=True` as the default of their call, which Keras 3 writes into every call in a file."""

RESTS_BY_DEFAULT = frozenset(
    {
        *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D"),
        *("SpatialDropout3D", "Attention", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"),
        *("SpectralNormalization", "StackedRNNCells"),
    }
)
"""Layers with `training=False` as the default of their call, which Keras 3 writes into every call in a file."""

BY_ENTRY = frozenset(
    {"Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"}
)
"""Layers that see only the entries which a sparse tensor holds: not what they would make of the dense array."""

TRAINING_MATTERS = frozenset(
    {*AUGMENTATION, "RandomHeight", "RandomWidth", "BatchNormalization", "SpectralNormalization"}
)
"""Layers that compute something else under training=True and have no `rng` to say so."""

WRAPPERS = frozenset({"Bidirectional", "SpectralNormalization", "TimeDistributed"})
"""Layers that run one layer of any class under its own dtype policy."""

PUBLIC = {
    "core": ("Dense", "EinsumDense", "Embedding", "ReversibleEmbedding", "Identity", "Masking", "InputLayer", "Lambda"),
    "activation": ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"),
    "attention": ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"),
    "convolution": (
        *("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
    ),
    "merging": ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"),
    "normalization": (
        *("BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization"),
        *("SpectralNormalization", "UnitNormalization"),
    ),
    "pooling": (
        *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D"),
        *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
        *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"),
        *("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D"),
        *("AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D"),
    ),
    "reshaping": (
        *("Cropping1D", "Cropping2D", "Cropping3D", "Flatten", "Permute", "RepeatVector", "Reshape"),
        *("UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
    ),
    "regularization": (
        *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    ),
    "recurrent": (
        *("SimpleRNN", "GRU", "LSTM", "Bidirectional", "TimeDistributed", "RNN", "StackedRNNCells"),
        *("SimpleRNNCell", "GRUCell", "LSTMCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    ),
    "preprocessing": (
        *("Rescaling", "Resizing", "CenterCrop", "Normalization", "CategoryEncoding", "Discretization"),
        *("IntegerLookup", "StringLookup", "TextVectorization", "Hashing", "HashedCrossing"),
        *("STFTSpectrogram", "MelSpectrogram", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization"),
        *("Pipeline", "Solarization", "Equalization", "MaxNumBoundingBoxes"),
    ),
    "augmentation": AUGMENTATION,
    "bridges": ("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"),
    "models": ("Sequential", "Functional"),
    "of Keras 2 alone": (
        *("LocallyConnected1D", "LocallyConnected2D", "RandomFourierFeatures", "RandomHeight", "RandomWidth"),
    ),
    "inside keras.applications": ("LayerScale", "CustomScaleLayer"),
}
"""{family: the classes of keras.layers 3.15 and those of Keras 2 that it has not, by the name that files use};
abstract ones are left out."""


FUNCTIONS_OF_TENSORFLOW = "operations written into the graph"

NOTES = {
    FUNCTIONS_OF_TENSORFLOW: (
        "Keras 2 wrote `x + y`, `x[:, 0]`, `tf.concat(...)` or `preprocess_input(x)` into a functional model as calls "
        "of functions of TensorFlow by name (`TFOpLambda`, `SlicingOpLambda`; TensorFlow 2.0 to 2.3 as nodes of a "
        "graph, `TensorFlowOpLayer`). They run by TensorFlow's rules: dtypes are not promoted, a quotient of integers "
        "of 32 bits and more is a float64, `argmax` gives int64. Masks end there, but for functions that may give "
        "their argument itself (a cast to the dtype that it has). `compat.v1.` before a name takes the same row. "
        "Constants, which files hold as nested lists, become params. Every other name is refused when the file is "
        "loaded."
    )
}
"""{family: what readers of the table must know}."""


@dataclass(frozen=True)
class Status:
    """One line of the table that users read."""

    family: str
    keras: str
    """The class name in files."""
    fnet: str
    """The fnet layer, or ""."""
    supported: bool
    note: str
    """Limits, or the reason for a refusal."""


def catalogue() -> Iterator[Status]:
    """Every public layer class of Keras 3.15 and every operation that the table knows, with what fnet makes of it."""
    from params.table.layers import LAYERS
    from params.table.operations import OPERATIONS, REFUSED_OPERATIONS
    from params.table.tf_functions import DIFFERENT, listed

    for family, names in PUBLIC.items():
        for name in names:
            if family == "models":
                yield Status(family, name, {"Sequential": "sequential", "Functional": "graph"}[name], True, "")
            elif name in LAYERS:
                entry = LAYERS[name]
                note = entry.limits or ("the identity at inference" if name in AUGMENTATION else "")
                yield Status(family, name, entry.layer.__name__, True, note)
            else:
                yield Status(family, name, "", False, REFUSED.get(name, "not in the table yet"))
    for (module, name), entry in sorted(OPERATIONS.items()):
        yield Status(module.removeprefix("keras.src."), name, entry.layer.__name__, True, entry.limits)
    for name, why in sorted(REFUSED_OPERATIONS.items()):
        yield Status("ops", name, "", False, why)
    for name, function in listed():
        yield Status(FUNCTIONS_OF_TENSORFLOW, name, f"tf_functions.{function.__name__}", True, "")
    for name, why in sorted(DIFFERENT.items()):
        yield Status(FUNCTIONS_OF_TENSORFLOW, name, "", False, why)
