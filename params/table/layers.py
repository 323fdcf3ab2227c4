"""The conversion table of layers: {Keras class: `Entry`}.

For most classes the name is enough: `LayerNormalization` is `fnet.layer_normalization`. `DIFFERENCES` lists what else
there is to know of a class, `REFUSED` the classes that do not load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import fnet
from params.errors import CorruptFile, UnsupportedLayer, quoted
from params.file.keras_objects import is_shape
from params.table.entry import ADAPTED, DENSE, Entry
from params.table.vocabularies import idf_arrays, modern_mode, vocabulary

FAMILIES = {
    "core": "Dense EinsumDense Embedding ReversibleEmbedding Identity Masking InputLayer Lambda",
    "activation": "Activation ELU LeakyReLU PReLU ReLU Softmax",
    "attention": "Attention AdditiveAttention MultiHeadAttention GroupQueryAttention",
    "convolution": (
        "Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D DepthwiseConv2D "
        "SeparableConv1D SeparableConv2D"
    ),
    "merging": "Add Average Concatenate Dot Maximum Minimum Multiply Subtract",
    "normalization": (
        "BatchNormalization GroupNormalization LayerNormalization RMSNormalization SpectralNormalization "
        "UnitNormalization"
    ),
    "pooling": (
        "AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D "
        "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D "
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
        "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D"
    ),
    "reshaping": (
        "Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape UpSampling1D UpSampling2D UpSampling3D "
        "ZeroPadding1D ZeroPadding2D ZeroPadding3D"
    ),
    "regularization": (
        "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D "
        "SpatialDropout3D"
    ),
    "recurrent": (
        "SimpleRNN GRU LSTM Bidirectional TimeDistributed RNN StackedRNNCells SimpleRNNCell GRUCell LSTMCell "
        "ConvLSTM1D ConvLSTM2D ConvLSTM3D"
    ),
    "preprocessing": (
        "Rescaling Resizing CenterCrop Normalization CategoryEncoding Discretization IntegerLookup StringLookup "
        "TextVectorization Hashing HashedCrossing STFTSpectrogram MelSpectrogram AutoContrast "
        "ContrastLimitedAdaptiveHistogramEqualization Pipeline Solarization Equalization MaxNumBoundingBoxes"
    ),
    "augmentation": (
        "AugMix CutMix MixUp RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast "
        "RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue "
        "RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness "
        "RandomShear RandomTranslation RandomZoom"
    ),
    "bridges": "TFSMLayer JaxLayer FlaxLayer TorchModuleWrapper",
    "models": "Sequential Functional",
    "of Keras 2 alone": "LocallyConnected1D LocallyConnected2D RandomFourierFeatures RandomHeight RandomWidth",
    "of losses and metrics inside models of Keras 2": "AddLoss AddMetric",
    "inside keras.applications": "LayerScale CustomScaleLayer StochasticDepth",
    "inside FeatureSpace": "TFDConcat TFDIdentity",
}
"""{family: the classes of keras.layers 3.15, of Keras 2 alone, and a few inside models of Keras}, by
the name that files use; abstract ones are left out."""

FOREIGN = frozenset(
    name for family, names in FAMILIES.items() if family.startswith(("of ", "inside ")) for name in names.split()
)
"""Classes that are not in `keras.layers` of Keras 3."""

RENAMED = {"RandomHeight": "random_zoom", "RandomWidth": "random_zoom"}
RENAMED |= {"TFDConcat": "concatenate", "TFDIdentity": "identity", "AddLoss": "identity", "AddMetric": "identity"}
"""{class: the layer}, where the letters of the names differ."""

FRAMEWORK = "it runs code of another framework, which no file can describe"

REFUSED = {
    "Lambda": "its Python code is in the file, and a model file is data; replace it by layers or keras.ops operations",
    "TFSMLayer": FRAMEWORK,
    "JaxLayer": FRAMEWORK,
    "FlaxLayer": FRAMEWORK,
    "TorchModuleWrapper": FRAMEWORK + "; its config is a pickle",
    "FeatureSpace": "it is not a layer but a recipe for several; save the model that `get_encoded_features` gives",
    "Distiller": "it trains another model, its `student`; save that",
}
"""Layers that are never supported, and why."""

AUGMENTATION = FAMILIES["augmentation"].split()
"""The identity at inference, something else when called with training=True."""

TRAINS_BY_DEFAULT = frozenset({*AUGMENTATION, "Pipeline"})
"""Layers with `training=True` as the default of their call, which Keras 3 writes into every call in a file."""

RESTS_BY_DEFAULT = frozenset({
    "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "Attention", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN",
    "SpectralNormalization", "StackedRNNCells",
})  # fmt: skip
"""Layers with `training=False` as the default of their call, which Keras 3 writes into every call in a file."""

BY_ENTRY = frozenset(
    {"Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"}
)
"""Layers that process only the stored entries of a sparse tensor, so that a dense array would give other values."""

GIVES_INDICES = BY_ENTRY | {"CategoryEncoding"}
"""Layers whose dtype policy is the dtype of their output indices; they do not cast inputs."""

TRAINING_MATTERS = frozenset(
    {*AUGMENTATION, "RandomHeight", "RandomWidth", "BatchNormalization", "SpectralNormalization"}
)
"""Layers that compute something else under training=True and have no `rng` to say so."""

WRAPPERS = frozenset({"Bidirectional", "SpectralNormalization", "TimeDistributed"})
"""Layers that run one layer of any class under its own dtype policy."""

# --- what entries say beyond the name --------------------------------------------------------------


_NO_SALT = 0xDECAFCAFFE


def _salted(config: dict[str, Any]) -> dict[str, Any]:
    """Refuses the salt that TensorFlow 2.3 to 2.5 wrote for none: its own copy of such a model hashes otherwise."""
    if config.get("salt") in ([_NO_SALT] * 2, (_NO_SALT,) * 2):
        raise UnsupportedLayer(
            f"Hashing {quoted(config.get('name'))} has the salt that TensorFlow 2.3 to 2.5 wrote for a layer without "
            "one: the model that was saved hashed without it, the one that Keras makes of the file with it; say which "
            f"by custom={{{quoted(config.get('name'))}: bind(fnet.hashing, num_bins={config.get('num_bins')})}}, or "
            f"with salt={_NO_SALT}"
        )
    return config


def _input(config: dict[str, Any]) -> dict[str, Any]:
    """Any batch size: Keras, too, does not hold callers to the one that is written down."""
    shape, *others = (config[key] for key in ("batch_shape", "batch_input_shape", "shape") if key in config)
    if others:
        raise CorruptFile(f"an input has several shapes: {quoted(shape)} and {quoted(others[0])}")
    if not is_shape(shape):
        raise CorruptFile(f"an input has the batch_shape {quoted(shape)}; it must be sizes, the batch first")
    return {**config, "shape": (None, *shape[1:]) if shape else ()}


def _least(config: dict[str, Any]) -> dict[str, Any]:
    """Without an epsilon Keras takes its own, `keras.config.epsilon()`."""
    return config if config.get("epsilon", 0) is not None else {**config, "epsilon": 1e-7}


_MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")
_FLASH = frozenset({"flash_attention"})
_QUERIES = ("query", "value", "key", *_MASKS, "return_attention_scores", "use_causal_mask")


def _queries(call: dict[str, Any]) -> Any:
    """(query, value[, key]), or with explicit masks a dict by the names of the Keras call."""
    return call if set(call) & set(_MASKS) else tuple(call[key] for key in _QUERIES if key in call)


def _images(call: dict[str, Any]) -> Any:
    """The images; Keras also takes a dict of them with boxes and labels."""
    if isinstance(call["inputs"], Mapping):
        raise NotImplementedError("boxes next to images are not supported; call it on the images alone")
    return call["inputs"]


def _sequences(call: dict[str, Any]) -> Any:
    """(sequence, *states), or with an explicit mask a dict by the names of the Keras call."""
    if set(call) == {"sequences"}:
        return call["sequences"]
    if isinstance(call["sequences"], list):  # Keras 2 wrote the states next to the sequence
        first, *initial = call["sequences"]
        call = {**call, "sequences": first, "initial_state": initial}
    states = call.get("initial_state")
    if "mask" in call or not isinstance(states, list):
        return call
    return (call["sequences"], *states)


_PRIVATE = {f"{name}_dense": f"_{name}_dense" for name in ("query", "key", "value", "gate", "output")}
_ATTENTION = partial(Entry, arguments=_QUERIES, inputs=_queries, ignored=_FLASH)
_UNGROUPED = partial(Entry, neutral={"groups": (1,)})  # Keras 2 wrote `groups` into layers that have none
_RECURRENT = partial(
    Entry, arguments=("sequences", "initial_state", "mask"), inputs=_sequences, neutral={"implementation": (0, 1, 2)}
)
# Keras meets the attributes `activation` and `recurrent_activation` of a layer before its cell.
_WITH_CELL = partial(
    _RECURRENT, groups={"": "cell", "activation": "activation", "recurrent_activation": "recurrent_activation"}
)
_CELL = partial(Entry, arguments=("inputs", "states"))
_DENSE = partial(Entry, neutral=DENSE)
_BOXES = frozenset({"bounding_box_format"})
_FACTORS = frozenset({"num_bins", "epsilon", "factor"})
_IMAGES = partial(Entry, inputs=_images, ignored=_BOXES)
_TABLE = frozenset({"vocabulary", "idf_weights", "encoding", "vocabulary_dtype"})
_LOOKUP = partial(_DENSE, options=modern_mode, ignored=_TABLE, arrays=idf_arrays, tables=vocabulary)
_IDENTITY = partial(Entry, ignored=frozenset({"*"}), limits="the identity at inference")

DIFFERENCES: dict[str, Callable[..., Entry]] = {
    "InputLayer": partial(_DENSE, options=_input, limits="sparse tensors come as dense arrays; no ragged inputs"),
    "ReversibleEmbedding": partial(Entry, arguments=("inputs", "reverse")),
    "GroupQueryAttention": partial(_ATTENTION, groups=_PRIVATE),
    "MultiHeadAttention": partial(_ATTENTION, groups={"gate_dense": "_gate_dense"}),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _UNGROUPED),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"), _UNGROUPED),
    "BatchNormalization": partial(
        Entry, ignored=frozenset({"momentum", "synchronized", "renorm_clipping", "renorm_momentum"})
    ),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), partial(Entry, options=_least)),
    **dict.fromkeys(
        ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), partial(Entry, ignored=frozenset({"noise_shape"}))
    ),
    "SpectralNormalization": partial(Entry, arrays=lambda config: ("kernel", "vector_u")),
    **dict.fromkeys(("Bidirectional", "RNN"), _RECURRENT),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "SimpleRNN"), _WITH_CELL),
    **dict.fromkeys(("GRUCell", "LSTMCell", "StackedRNNCells"), _CELL),
    "SimpleRNNCell": partial(Entry, arguments=("sequence", "states")),
    "AddLoss": partial(Entry, ignored=frozenset({"unconditional"})),
    "AddMetric": partial(Entry, ignored=frozenset({"aggregation", "metric_name"})),
    "ActivityRegularization": partial(Entry, ignored=frozenset({"l1", "l2"})),
    "AutoContrast": partial(_IMAGES, ignored=_BOXES | _FACTORS | {"data_format"}),
    "CategoryEncoding": partial(_DENSE, options=modern_mode, arguments=("inputs", "count_weights")),
    "ContrastLimitedAdaptiveHistogramEqualization": partial(_IMAGES, ignored=_BOXES | _FACTORS),
    "Discretization": partial(
        _DENSE, ignored=_FACTORS | {ADAPTED}, arrays=lambda config: ("summary",) if config.get(ADAPTED) else ()
    ),
    "HashedCrossing": _DENSE,
    "Hashing": partial(_DENSE, options=_salted, limits="not the salt that TensorFlow 2.3 to 2.5 wrote for none"),
    "IntegerLookup": _LOOKUP,
    "StringLookup": partial(_LOOKUP, ignored=_TABLE | {"oov_method"}),
    "Normalization": partial(
        Entry, arrays=lambda config: () if config.get("mean") is not None else ("mean", "variance", "count")
    ),
    "Pipeline": partial(Entry, container="layers"),
    "TextVectorization": partial(
        _LOOKUP, copies=("_lookup_layer",), limits="standardize and split by name, not by a Python function"
    ),
    **dict.fromkeys((*AUGMENTATION, "Equalization", "MaxNumBoundingBoxes", "Solarization"), _IDENTITY),
    **dict.fromkeys(("RandomHeight", "RandomWidth"), _IDENTITY),
    "RandomFourierFeatures": partial(Entry, ignored=frozenset({"scale"})),
    **dict.fromkeys(("CenterCrop", "Resizing"), _IMAGES),
    "RandomCrop": partial(_IMAGES, limits="at inference what the version that wrote the file did: nothing since 3.8"),
    "LayerScale": partial(Entry, ignored=frozenset({"init_values"})),
}
"""{class: layer -> its entry}, for classes with more in their entry than the layer."""

CUDNN = {"LSTM": "CuDNNLSTM", "GRU": "CuDNNGRU"}
"""{layer: the layer of Keras 2 that kept the same parameters in CuDNN's layout}."""
OTHER_NAMES = {**CUDNN, "BatchNormalization": "SyncBatchNormalization"}
"""{layer: another class of Keras 2 that is the same layer here}."""

_BY_LETTERS = {name.replace("_", ""): name for name in fnet.layers.NAMES}
_NAMES = {
    name: RENAMED.get(name) or _BY_LETTERS[name.lower()]
    for family, names in FAMILIES.items()
    for name in names.split()
    if family != "models" and name not in REFUSED
}
_CLASSES = {layer: name for name, layer in reversed(_NAMES.items())}


class _Layers(Mapping[str, Entry]):
    """The entries by class. Each is made when first asked for, which imports its layer."""

    def __init__(self) -> None:
        self._made: dict[str, Entry] = {}

    def __getitem__(self, class_name: str) -> Entry:
        entry = self._made.get(class_name)
        if entry is None:
            layer = getattr(fnet, _NAMES[class_name])
            entry = self._made.setdefault(class_name, DIFFERENCES.get(class_name, Entry)(layer))
        return entry

    def __contains__(self, class_name: object) -> bool:
        return class_name in _NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


LAYERS: Mapping[str, Entry] = _Layers()
"""{Keras class name: entry}."""


def class_of(function: Any) -> str:
    """The Keras class of a layer of fnet; "" for other functions."""
    name = _CLASSES.get(getattr(function, "__name__", ""), "")
    return name if name and LAYERS[name].layer is function else ""
