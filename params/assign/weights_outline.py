"""Messages about the contents of a weights file: groups, names, shapes, and the likely layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fnet.records import dataclass
from params.assign.weight_paths import split_name
from params.errors import UnsupportedLayer
from params.file.keras_objects import snake_case
from params.file.model_file import LegacyLayer, ModelFile, StoredArray
from params.table.layers import LAYERS

_CLASSES = {snake_case(name): name for name in LAYERS}
_KERAS_1 = re.compile(r"(?<!lora_kernel)(?<!lora_embeddings)_(W|U|b)(_[icfozrh])?(:0)?$")


@dataclass(frozen=True, slots=True)
class Held:
    """The arrays of one layer. place: its name or group in the file. guess: a Keras class, or ""."""

    place: str
    arrays: tuple[tuple[str, StoredArray], ...]
    guess: str

    def __str__(self) -> str:
        arrays = ", ".join(f"{name} {'x'.join(map(str, array.shape)) or 'scalar'}" for name, array in self.arrays)
        return f"{self.place}{f' ({self.guess}?)' if self.guess else ''}: {arrays}"


def held_arrays(file: ModelFile) -> list[Held]:
    """The layers of a file with arrays, in its order; groups without names number their arrays."""
    return list(_legacy(file) if file.arrays.layers else _groups(file))


def are_of_keras_1(layers: Iterable[LegacyLayer]) -> bool:
    """Whether the arrays of a legacy file have names of Keras 1: "dense_1_W", "lstm_1_U_i"."""
    return any(_KERAS_1.search(name) for layer in layers for name, _ in layer.arrays)


def outline(file: ModelFile, most: int = 4) -> str:
    """One line about the first layers."""
    layers = held_arrays(file)
    more = f"; and {len(layers) - most} more" if len(layers) > most else ""
    age = "arrays of Keras 1, " if are_of_keras_1(file.arrays.layers) else ""
    shown = [repr(str(item))[1:-1][:150] for item in layers[:most]]  # names are the file's: cut, without control codes
    return f"{age}{len(layers)} layers with arrays: {'; '.join(shown)}{more}"


def weights_alone(file: ModelFile) -> UnsupportedLayer:
    """The error for a file without a config: its contents, and the two ways to get a model."""
    return UnsupportedLayer(
        f'{file.label} holds weights but no model: give its config, load_keras("model.json", weights=path) or '
        f"`fnet convert model.json m.safetensors --weights FILE`, or a model that you write, "
        f"load_weights(path, model, params). It has {outline(file)}"
    )


def _legacy(file: ModelFile) -> Iterator[Held]:
    for layer in file.arrays.layers:
        if layer.arrays:
            named = tuple((name.split(":")[0].rpartition("/")[2], array) for name, array in layer.arrays)
            yield Held(layer.name, named, guess(named))


def _groups(file: ModelFile) -> Iterator[Held]:
    for group, variables in file.arrays.groups.items():
        arrays = (*((str(n), a) for n, a in enumerate(variables.arrays)), *variables.named.items())
        classes = [_CLASSES.get(split_name(part)[0]) for part in group.split("/")]
        if arrays:
            name = f" {variables.name!r}" if variables.name else ""
            yield Held(f"{group}{name}", tuple(arrays), next((c for c in reversed(classes) if c), ""))


def guess(arrays: Iterable[tuple[str, StoredArray]]) -> str:
    """The Keras class whose arrays have these names and ranks; "" where several or none fit."""
    shapes = {re.sub(r"^.*?_(?=(W|U|b)(_[icfozrh])?$)", "", name): array.shape for name, array in arrays}
    ranks = {name: len(shape) for name, shape in shapes.items()}
    unique = set(ranks)
    if "W_i" in unique or "W_z" in unique:
        return "LSTM of Keras 1" if "W_f" in unique else "GRU of Keras 1"
    if "recurrent_kernel" in unique and ranks["recurrent_kernel"] == 2:
        units, width = shapes["recurrent_kernel"]
        return {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}.get(width // units if units else 0, "")
    if "moving_mean" in unique:
        return "BatchNormalization"
    if unique <= {"gamma", "beta"}:
        return "LayerNormalization"
    if "depthwise_kernel" in unique:
        return "SeparableConv2D" if "pointwise_kernel" in unique else "DepthwiseConv2D"
    if unique == {"embeddings"}:
        return "Embedding"
    kernel = ranks.get("kernel", ranks.get("W", 0)) if unique <= {"kernel", "bias", "W", "b"} else 0
    return {2: "Dense", 3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}.get(kernel, "")
