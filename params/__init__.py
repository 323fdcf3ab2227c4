"""Parameter pytrees: loaders from Keras files and live models, and the safetensors store.

>>> from params import load_keras
>>> model, params = load_keras("cnn.keras")  # doctest: +SKIP
"""

from params.assign.weights_file import load_weights
from params.errors import (
    CorruptFile,
    LimitExceeded,
    ModelFileError,
    UnsafeFile,
    UnsupportedLayer,
    WeightsMismatch,
    WeightsWarning,
)
from params.explaining.explanation import explain
from params.explaining.record import Explanation
from params.file.model_file import Limits
from params.loading import from_keras, load_keras
from params.store.saving import load, load_info, save
from params.store.verifying import verify

__all__ = [
    "CorruptFile",
    "Explanation",
    "LimitExceeded",
    "Limits",
    "ModelFileError",
    "UnsafeFile",
    "UnsupportedLayer",
    "WeightsMismatch",
    "WeightsWarning",
    "explain",
    "from_keras",
    "load",
    "load_info",
    "load_keras",
    "load_weights",
    "save",
    "verify",
]
