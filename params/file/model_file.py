"""`ModelFile`, the contents of a model file of any format: config, arrays by place, vocabularies. Nothing is converted.

`read` (in `params.file.reading`) makes it. Its arrays are lazy: shape, dtype and place are known and checked against
the size of the file; only `load` reads the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, field
from typing import Any, Literal, TypeAlias

from fnet.records import dataclass
from fnet.types import Array
from params.errors import DAMAGE, in_file, quoted

Format: TypeAlias = Literal["keras-zip", "keras-dir", "h5", "weights-h5", "weights-json", "json"]


UNSAID = "99.0"
"""The version of a Keras 3 config without one: taken for the newest."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a file may ask for. Sizes are in bytes; raise them for larger models from a trusted source."""

    total: int = 4 << 30
    """All arrays of the file together, in memory; also the largest weights member."""
    config: int = 16 << 20
    """config.json, metadata.json, a legacy model_config, a shard index."""
    vocabulary: int = 64 << 20
    """All vocabulary files together."""
    depth: int = 64
    """Nesting of JSON values."""
    layers: int = 12_000
    """Layers of a model, and calls of layers, all nested ones included: two for a layer that is called once."""
    outputs: int = 256 << 20
    """Peak memory of a model for one row of a batch; 256 bytes more for each byte of its file and of the row."""
    steps: int = 1_000_000
    """Work on structure: messages, links, tree nodes and heap entries of an HDF5 file, each one; a chunk takes eight, a
    group or array sixteen, a zip entry a hundred."""

    def __post_init__(self) -> None:
        # NaN would be no limit
        if not all(isinstance(number, int | float) and number >= 0 for number in astuple(self)):
            raise TypeError(f"limits are numbers of at least 0, such as total=8 << 30; got {self!r}")


def allowed(limits: Any, default: Limits | None = None) -> Limits:
    """The limits that a call gives, or the default ones for None. Raises TypeError for anything else."""
    limits = default or Limits() if limits is None else limits
    if not isinstance(limits, Limits):
        raise TypeError(f"limits is a fnet.Limits, such as fnet.Limits(total=8 << 30); got {limits!r:.80}")
    return limits


@dataclass(frozen=True, eq=False, slots=True)
class StoredArray:
    """One array of the file, not yet read."""

    place: str
    """Its path in the file, for messages: "layers/dense/vars/0"."""
    shape: tuple[int, ...]
    dtype: str
    """"float32", "float16", "float64", "bfloat16", "int8" ... "uint64", "bool"."""
    read: Callable[[], Array] = field(repr=False)
    """Returns the numbers, C-contiguous; bfloat16 (which NumPy lacks) widened to float32."""

    def load(self) -> Array:
        """The numbers, read-only. Raises CorruptFile where the bytes cannot be decoded."""
        try:
            numbers = self.read()
        except DAMAGE as error:
            raise in_file(f"array {quoted(self.place)}", error) from error
        numbers.flags.writeable = False
        return numbers


@dataclass(frozen=True, slots=True)
class Variables:
    """The arrays of one saved object of a `.keras` or `.weights.h5`: the datasets of `<path>/vars`."""

    name: str | None
    """The attribute `name`: the name of the layer (Keras 3.6 and later), used as a cross-check only."""
    arrays: tuple[StoredArray, ...] = ()
    """Datasets "0", "1", ... in integer order."""
    named: Mapping[str, StoredArray] = field(default_factory=dict)
    """Datasets whose names are not integers."""

    @property
    def every(self) -> list[StoredArray]:
        """All arrays of the object."""
        return [*self.arrays, *self.named.values()]


@dataclass(frozen=True, slots=True)
class LegacyLayer:
    """One layer of a legacy `.h5`, in `layer_names` order, its arrays in `weight_names` order."""

    name: str
    arrays: tuple[tuple[str, StoredArray], ...] = ()


@dataclass(frozen=True, slots=True)
class WeightTree:
    """All arrays of a file. A file has `groups` (Keras 3 layout) or `layers` (legacy `.h5`), never both."""

    groups: Mapping[str, Variables] = field(default_factory=dict)
    """{object path: its variables}, such as {"layers/dense": ...}; the path of the root is "". Groups without arrays
    are included, those of the optimizer are not."""
    layers: tuple[LegacyLayer, ...] = ()
    top_level: tuple[tuple[str, StoredArray], ...] = ()
    """`top_level_model_weights` of a legacy file."""
    version: str | None = None
    """The version of Keras that wrote them; not in a `.weights.h5`."""

    @property
    def every(self) -> list[StoredArray]:
        """All arrays, whatever the layout."""
        grouped = [array for group in self.groups.values() for array in group.every]
        listed = [array for layer in self.layers for _, array in layer.arrays]
        return grouped + listed + [array for _, array in self.top_level]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file, opened and checked."""

    format: Format
    label: str
    """The name of the file in messages, quoted."""
    config: dict[str, Any] | None
    """The parsed model config; None in files that hold weights only."""
    keras_version: str | None
    arrays: WeightTree
    assets: Mapping[str, bytes] = field(default_factory=dict)
    """{path below "assets/": content} of the vocabulary files: {"layers/string_lookup/vocabulary.txt": ...}."""
    backend: str | None = None
    """The backend of Keras 2, in a legacy `.h5`: "tensorflow", "theano" or "cntk"."""
    stored: int | None = None
    """Size of the file with the arrays, compressed or not; None where the arrays were not read."""
    legacy: bool = False
    """Whether the config has no modules of classes: that of a `.h5`, and of a JSON without them."""
    two_files: bool = False
    """Whether the config and the arrays are of two files."""
