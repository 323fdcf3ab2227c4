"""All refusals of a file at once: a refused layer gets a stand-in with the output in the file; the rest is read too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import fnet
from fnet.core import infer, room
from fnet.core.model import Model
from fnet.types import Spec
from params.convert.conversion import BROKEN, BUILD_IT, NOT_BUILT, Converted
from params.convert.legacy_config import in_keras_3_form
from params.convert.models import begin, convert, convert_object
from params.convert.requirements import screen
from params.errors import CorruptFile, ModelFileError, UnsupportedLayer
from params.file.keras_objects import KerasObject, layers_of, survey
from params.file.model_file import Limits, ModelFile
from params.file.strict_json import runs
from params.output_sizes import require_room

MOST = 10_000
"""The most layers and calls that are converted again, in total, to find further refusals."""


class _RefusedStep(UnsupportedLayer):
    """What a shape rule refuses, with the path of the layer."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class Refusals:
    """The refusals of one file. converted, spec: the model with stand-ins and its inputs, if there is one."""

    def __init__(
        self, file: ModelFile, graphs: Collection[str], custom: Mapping[str, Callable[..., Any]], limits: Limits
    ) -> None:
        self.of_file: list[str] = []
        """Reasons that do not concern a single layer."""
        self.config, version, legacy = in_keras_3_form(file, graphs, self._refusing_file)
        _, self.conversion = begin(self.config, custom, version, legacy)
        self.room = limits, file.stored
        self.objects = dict(objects(self.conversion.root))
        self.outputs = dict(_outputs(self.conversion.root))
        self.of_layers: dict[str, str] = {}
        """{path: why}."""
        self.limits: dict[str, str] = {}
        """{path: what differs from Keras}."""
        for path in self.objects:
            self._convert_alone(path, has_tables=file.format != "h5")
        with self._refusing_file():
            screen(self.config, {name.rpartition("/")[2] for name in (*self.conversion.custom, *self.of_layers)})
        self.rows: list[infer.TracedStep] = []
        """The traced steps of the model."""
        self.converted = self._convert()
        self.spec = None if self.converted is None else self.converted.takes
        if self.converted is not None and self.spec is None:
            self.of_file.append(f"{self.converted.source.label} {NOT_BUILT}; {BUILD_IT}")

    @property
    def guessed(self) -> set[str]:
        """The layers of unknown sizes: a refused one, and from there on all, to one whose output is in the file."""
        guessed, unknown = set(), False
        for path, source in self.objects.items():
            unknown = path not in self.outputs and (unknown or path in self.of_layers)
            if unknown and source.class_name != "InputLayer":
                guessed.add(path)
        return guessed

    @property
    def all(self) -> tuple[str, ...]:
        """All reasons, each once, layers first."""
        return tuple(dict.fromkeys([*self.of_layers.values(), *self.of_file]))

    @contextmanager
    def _refusing_file(self) -> Iterator[None]:
        try:
            yield
        except ModelFileError as error:
            self.of_file.append(str(error))

    def _convert_alone(self, path: str, has_tables: bool) -> None:
        """Convert one layer, to see whether it is refused. has_tables: whether the file has a place for its tables."""
        source = self.objects[path]
        try:
            converted = convert_object(source, replace(self.conversion, path=tuple(path.split("/")[:-1])), None)
        except ModelFileError as error:
            self.of_layers[path] = str(error)
            return
        self.objects[path], self.limits[path] = converted.source, converted.entry.limits
        if converted.entry.tables is not None and not has_tables:
            with self._refusing_file():
                converted.entry.tables(source.config, None, converted.step)

    def _convert(self) -> Converted | None:
        """The model, with a stand-in for each layer that is refused by itself, in a call, or by its shape rule."""
        legacy, version = self.conversion.legacy, self.conversion.version
        for _ in range(2 + MOST // runs(self.config)):
            own = {path: _stand_in(self.outputs.get(path)) for path in self.of_layers}
            try:
                converted = convert(
                    self.config, custom={**self.conversion.custom, **own}, version=version, legacy=legacy
                )
                self.rows = self._traced(converted)
                return converted
            except ModelFileError as error:
                path = error.path if isinstance(error, _RefusedStep) else self._culprit(str(error))
                if self.of_layers.keys() - self.outputs.keys() and isinstance(error, CorruptFile):
                    return None  # shapes are a guess after a layer whose output is not in the file
                if path is None or path in self.of_layers:
                    self.of_file.append(str(error))
                    return None
                self.of_layers[path] = str(error)
        self.of_file.append(f"{len(self.of_layers)} layers are refused, and perhaps more: no others were looked for")
        return None

    def _culprit(self, message: str) -> str | None:
        """The layer in a message."""
        named = [path for path, source in self.objects.items() if source.label in message]
        return named[0] if len(named) == 1 else None

    def _traced(self, converted: Converted) -> list[infer.TracedStep]:
        """The steps of a model whose inputs are known. Raises what a shape rule (`_RefusedStep`) or limits refuse."""

        def walk(step: Any, x: Any, path: tuple[str, ...]) -> Any:
            if isinstance(step, Model):
                return step.walk(x, lambda name, _, inner, read: walk(inner, read, (*path, name)), infer.resolve_specs)
            place = "/".join(path)
            try:
                return infer.trace(step, x)[-1].outputs
            except BROKEN as error:
                label = self.objects[place].label if place in self.objects else place
                raise _RefusedStep(f"{label}: {error}", place) from error

        if (spec := converted.takes) is None:
            return []
        try:
            rows = infer.trace(converted.step, spec)
        except BROKEN:  # which does not say where
            walk(converted.step, spec, ())
            raise
        require_room(rows, *self.room)
        return rows


def objects(model: KerasObject, path: str = "") -> Iterator[tuple[str, KerasObject]]:
    """(path, layer) of every layer and operation, also in nested models, in the order of the file."""
    for layer in layers_of(model) if model.is_model else []:
        if layer.is_model:
            yield from objects(layer, f"{path}{layer.name}/")
        else:
            yield f"{path}{layer.name}", layer


def _outputs(model: KerasObject, path: str = "") -> Iterator[tuple[str, Spec]]:
    """(path, Spec of the only output) of the layers for which the config has it."""
    layers = layers_of(model) if model.is_model else []
    for layer, after in pairwise(layers):
        shape = after.build_config.get("input_shape")
        if not after.calls and isinstance(shape, list) and all(d is None or type(d) is int for d in shape):
            yield f"{path}{layer.name}", Spec(tuple(shape))
    for item in survey([layer.calls for layer in layers], {}).objects:
        match item:
            case {
                "class_name": "__keras_tensor__",
                "config": {"shape": list(shape), "keras_history": [name, 0, 0], **more},
            }:
                yield f"{path}{name}", Spec(tuple(shape), str(more.get("dtype", "float32")))
    for layer in layers:
        yield from _outputs(layer, f"{path}{layer.name}/")


def _stand_in(spec: Spec | None) -> Callable[..., Any]:
    """A stand-in for a refused layer: its output has this Spec, or is its input where that is unknown."""

    @fnet.layer(shape=lambda x: (room.arrays(x)[0] if spec is None else spec, {}))
    def refused(params: Any, x: Any) -> Any:
        raise NotImplementedError

    return refused
