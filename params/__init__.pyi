# What type checkers read of `__init__.py`.
# isort: off
# fmt: off
from params.assign.weights_file import load_weights as load_weights
from params.bridges.crossing import (
    from_equinox as from_equinox, from_flax as from_flax, from_torch as from_torch, to_equinox as to_equinox,
    to_flax as to_flax, to_torch as to_torch,
)
from params.errors import (
    CorruptFile as CorruptFile, LimitExceeded as LimitExceeded, ModelFileError as ModelFileError,
    UnsafeFile as UnsafeFile, UnsupportedLayer as UnsupportedLayer, WeightsMismatch as WeightsMismatch,
    WeightsWarning as WeightsWarning,
)
from params.explaining.explanation import explain as explain
from params.explaining.record import Explanation as Explanation
from params.file.model_file import Limits as Limits
from params.loading import from_keras as from_keras, load_keras as load_keras
from params.predicting import Predict as Predict
from params.store.keras_file import to_keras as to_keras
from params.store.saving import load as load, load_info as load_info, save as save
from params.store.verifying import verify as verify
