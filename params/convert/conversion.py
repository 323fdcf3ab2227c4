"""`Conversion`, the state of converting one config, and `Converted`, the result for one object."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import field, replace
from typing import Any

import fnet
from fnet import random
from fnet.core import infer
from fnet.core.layer import bind
from fnet.layers import own_name
from fnet.records import dataclass
from fnet.types import Array
from params.convert.generations import Version
from params.errors import CorruptFile, LimitExceeded, ModelFileError, Retold, UnsupportedLayer, quoted
from params.file.keras_objects import KerasObject, tuples
from params.table.entry import OF_MODELS, Entry
from params.table.layers import class_of

BROKEN = (
    TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError, StopIteration,
)  # fmt: skip
"""What shape rules and `bind` raise for an inconsistent config."""

LONGEST = 900
"""The most characters of a message."""


@dataclass(frozen=True, slots=True)
class Effects:
    """How a model changes the masks of arrays that other layers read too (see `params.convert.mask_effects`)."""

    lost: frozenset[str] = frozenset()
    """The inputs whose masks it deletes; "" is the input of a sequential model."""
    same: Mapping[int, str] = field(default_factory=dict)
    """{number of an output: the input that it is}."""


@dataclass(eq=False, slots=True)
class Converted:
    """An object of a config and the step that it became."""

    source: KerasObject
    step: Any
    entry: Entry = OF_MODELS
    parts: dict[str, Converted] = field(default_factory=dict)
    """{params key: a layer inside the layer or model}."""
    preset: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{params key: params from the config itself}: constants of a graph, rng of calls with training=True."""
    operation: bool = False
    """Whether it is an operation on tensors, which Keras does not list among the layers of its model."""
    effects: Effects = field(default_factory=Effects)

    @property
    def is_own(self) -> bool:
        """Whether it became a layer of the caller, of no class of Keras."""
        return not (self.source.is_model or self.operation or class_of(self.entry.layer))

    @property
    def takes(self) -> Any:
        """The Spec tree of its inputs: as its input layers declare it, or as it was built; None where both lack."""
        shape = self.source.build_config.get("input_shape")
        return infer.spec(tuples(shape)) if (spec := infer.input_spec(self.step)) is None else spec


NOT_BUILT = "was saved before it was built, so the shapes of its inputs are unknown"
BUILD_IT = "call it once, or begin with keras.Input, and save again"
"""Parts of the message about a model with unknown inputs."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """The settings of one load, and the objects converted so far."""

    convert: Callable[[KerasObject, Conversion, bool | None], Converted]
    """`convert_object`, passed on here because models and layers hold other objects."""
    custom: Mapping[str, Callable[..., Any]]
    version: Version
    """The version of the Keras that wrote the file."""
    legacy: bool
    """Whether the format has no modules of classes."""
    mixed: bool
    """Whether some dtype policy is not float32, so that every step has one."""
    root: KerasObject
    """The whole model; models inside it may get masks from outside."""
    masked: bool
    """Whether something in the file makes masks."""
    quantized: bool
    """Whether some layer was quantized by `model.quantize(...)`."""
    rng: Array | None = None
    bare: bool = False
    """Whether `training=` in calls counts as in a bare `model(x)` of Keras, not as in its `predict`."""
    from_arrays: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """{id of the config of a layer: options that only the arrays of the file determine}."""
    by_description: dict[bytes, Converted] = field(default_factory=dict)
    """{all that a config says of a layer except its name: the first such layer of a model}."""
    policies: Mapping[int, str] = field(default_factory=dict)
    """{id of the config of a layer: its dtype policy, where the config does not have it}."""
    numbers: Iterator[int] = field(default_factory=itertools.count)
    """Counts the layers that get a random key."""
    by_step: dict[int, Converted] = field(default_factory=dict)
    """{id of a step: the `Converted` that it comes from}."""
    dtypes: Counter[str] = field(default_factory=Counter)
    """{dtype: how many outputs of calls have it}."""
    path: tuple[str, ...] | None = None
    """The names of the models and wrappers around the object, without the outermost; None for the outermost itself."""
    replaced: dict[str, dict[str, str]] = field(default_factory=dict)
    """{used key of `custom`: {path of a layer that it replaced: its signature}}."""

    @functools.cached_property
    def keras2(self) -> bool:
        """Whether the file is from Keras 2 or 1."""
        return self.version < (3, 0)

    def own(self, name: str | None) -> Callable[..., Any] | None:
        """The caller's function for a class or function of this name."""
        if name is None or name not in self.custom:
            return None
        self.replaced.setdefault(name, {})
        return self.custom[name]

    def own_for(self, source: KerasObject) -> Callable[..., Any] | None:
        """The caller's function for the layer of this name: `custom={"lambda_1": f}` or `{"block/lambda_1": f}`."""
        path = "/".join((*(self.path or ()), source.name))
        for name in (path, source.name):
            if name in self.custom:
                self.replaced.setdefault(name, {})[path] = source.signature
                return self.custom[name]
        return None

    def inside(self, source: KerasObject) -> Conversion:
        """The conversion of what `source` is made of."""
        path = () if self.path is None else (*self.path, source.name)
        return replace(self, path=path)

    def check_used(self, names: Iterable[str]) -> None:
        """Raise ModelFileError for keys of `custom` that replace nothing, or layers that differ. Registered names
        ("package>Name") may be those of other files. names: what there is in this one."""
        for name in self.custom:
            places = self.replaced.get(name)
            if places is None and ">" not in name:
                import difflib

                near = difflib.get_close_matches(name, list(names), 3) or list(names)[:5]
                raise ModelFileError(
                    f"custom[{name!r}] is the name of no layer, class or function in the file; "
                    f"there are {', '.join(quoted(n, 40) for n in near)}"
                )
            if places and len(set(places.values())) > 1:
                raise ModelFileError(
                    f"custom[{name!r}] is the name of several layers: say which, {' or '.join(map(quoted, places))}"
                )

    def inner(self, source: KerasObject, training: bool | None = None) -> Converted:
        """Convert an object inside another. training: the flag of the call of the model around it."""
        return self.convert(source, self, training)

    def rng_leaves(self, part: Converted) -> dict[str, Any]:
        """The `rng` leaves of a layer called with training=True; empty when it is not random."""
        if part.source.is_model:
            return {}
        key = random.key(0) if self.rng is None else random.fold_in(self.rng, next(self.numbers))
        leaves = fnet.with_rng(part.step, {}, key)
        if leaves and self.rng is None:
            raise UnsupportedLayer(
                f"{part.source.label} was called with training=True, so this model is random also at inference; "
                "give the loader a key: load_keras(..., rng=0)"
            )
        return leaves


OVER_BATCHES = {"conv1d": 1, "conv2d": 2, "conv3d": 3, "time_distributed": 0}
"""{what may be a convolution, or have one inside: over how many axes of space}."""


def over_batch_axes(step: Any, x: Any) -> Any:
    """A step of Keras 2, where a convolution takes any number of batch axes, as the input `x` has them."""
    name = own_name(getattr(step, "function", None))
    if name not in OVER_BATCHES or not isinstance(x, fnet.Spec):
        return step
    if name == "time_distributed":
        return bind(step, layer=over_batch_axes(step.options["layer"], fnet.Spec((None, *x.shape[2:]), x.dtype)))
    axes = len(x.shape) - OVER_BATCHES[name] - 1
    return bind(step, batch_axes=axes) if axes > 1 else step


def named(source: KerasObject, own: bool = False) -> AbstractContextManager[None]:
    """Errors of rules and options become typed ones that name the layer. own: whether it is one of the caller."""
    return Retold(BROKEN, functools.partial(of_layer, source, own=own))


def of_layer(source: KerasObject, error: Exception, own: bool = False) -> ModelFileError:
    """An error of rules and options as a typed one that names the layer. own: whether it is one of the caller."""
    if isinstance(error, ModelFileError):
        return error
    if isinstance(error, MemoryError):
        return LimitExceeded(f"{source.label}: {error}")
    if isinstance(error, NotImplementedError):
        return UnsupportedLayer(f"{source.label}: {error}")
    text = f"{source.label}: {type(error).__name__}: {error}"
    if own:
        return ModelFileError(f"custom: the layer given for {text[:300]}")
    return CorruptFile(f"the config describes an impossible layer: {text[:300]}")


def of_file(label: str) -> AbstractContextManager[None]:
    """Errors that a config causes become typed ones that name the file."""
    return Retold((*BROKEN, MemoryError), functools.partial(_of_file, label))


def _of_file(label: str, error: Exception) -> ModelFileError:
    if isinstance(error, ModelFileError):
        text = str(error) if label in str(error) else f"{label}: {error}"
        return error if text == str(error) and len(text) <= LONGEST else type(error)(text[:LONGEST])
    if isinstance(error, MemoryError):
        return LimitExceeded(f"{label} asks for more memory than there is")
    if isinstance(error, NotImplementedError):
        return UnsupportedLayer(f"{label}: {error}"[:LONGEST])
    where = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    text = f"{type(error).__name__}: {str(error)[:200]}{where}"
    return CorruptFile(f"{label}: the model config is inconsistent ({text[:300]})")
