"""Parameter pytrees: loaders from Keras files and live models, and the safetensors store.

Names are imported when they are first used: the store needs none of the code that reads Keras files.

>>> from params import load_keras
>>> model, params = load_keras("cnn.keras")  # doctest: +SKIP
"""

from fnet.lazy import lazily

HOMES = {
    "bridges.crossing": "from_equinox from_flax from_torch to_equinox to_flax to_torch",
    "assign.weights_file": "load_weights",
    "errors": "CorruptFile LimitExceeded ModelFileError UnsafeFile UnsupportedLayer WeightsMismatch WeightsWarning",
    "explaining.explanation": "explain",
    "explaining.record": "Explanation",
    "file.model_file": "Limits",
    "loading": "from_keras load_keras",
    "predicting": "Predict",
    "store.keras_file": "to_keras",
    "store.saving": "load load_info save",
    "store.verifying": "verify",
}
"""{module: its public names}."""

__all__ = [name for names in HOMES.values() for name in names.split()]
__getattr__, __dir__ = lazily(__name__, HOMES)
