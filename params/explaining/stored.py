"""`explain` of a `.safetensors` file that `save` wrote, from its header alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from fnet import tree
from fnet.core import infer
from fnet.core.layer import Bound, bind, brief
from fnet.core.model import Model
from params.convert.mask_trace import trace_masks
from params.errors import quoted, reading
from params.explaining.record import Explanation, Step, lost_masks, shown_specs
from params.explaining.sizes import by_path, peak_memory, sizes
from params.file.containers import content
from params.file.model_file import Limits, allowed
from params.file.reading import Source
from params.store.saving import DEFAULT, architecture, as_file_errors, info_of
from params.table.layers import class_of


def open_stored(
    source: Source, custom: Mapping[str, Callable[..., Any]] | None, limits: Limits | None
) -> tuple[str, Any, dict[str, str]]:
    """(name of the file, model, metadata) of a source that `is_saved`."""
    limits = allowed(limits, DEFAULT)
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    name = "the model file" if path is None else path.name
    with reading(quoted(name)):
        data = memoryview(cast(bytes, source)) if path is None else content(path, limits.total)
        return name, *architecture(data, limits, custom)


def explain_stored(
    source: Source, custom: Mapping[str, Callable[..., Any]] | None, limits: Limits | None
) -> Explanation:
    """The explanation of a source that `is_saved`."""
    name, model, metadata = open_stored(source, custom, limits)
    with reading(quoted(name)), as_file_errors():
        explanation = _explained(name, model, f"fnet store {metadata.get('format_version', '')}")
        info = info_of(metadata, allowed(limits, DEFAULT))
        return replace(explanation, labels=info["labels"] and tuple(info["labels"]), scale=info["scale"])


def _explained(name: str, model: Any, kind: str) -> Explanation:
    spec = infer.input_spec(model)
    if spec is None:
        parts = [(key, step) for key, _, step in model.entries] if isinstance(model, Model) else [("", model)]
        steps = [_step((key,), step) for key, step in parts]
        unusual = ("the model does not say what it takes, so shapes are not known: begin with fnet.input_layer",)
        return Explanation(name, kind, None, "", "", tuple(steps), (), unusual)
    rows = by_path(infer.trace(model, spec))
    masks = trace_masks(model, spec, rows)
    steps = [
        _step(rows[path].path, rows[path].step, shown_specs(rows[path].outputs), masks.get(path, ""), **size)
        for path, size in sizes(rows).items()
        if path
    ]
    ends = shown_specs(tree.leaves(spec)), shown_specs(rows[""].outputs)
    return Explanation(name, kind, None, *ends, tuple(steps), (), tuple(lost_masks(steps)), peak_memory(rows))


def _step(path: tuple[Any, ...], step: Any, output: str = "", mask: str = "", **size: Any) -> Step:
    bound = step if isinstance(step, Bound) else None if isinstance(step, Model) else bind(step)
    function = None if bound is None else bound.function
    kind = type(step).__name__ if function is None else class_of(function) or function.__name__
    policy = "float32" if bound is None or bound.dtype is None else bound.dtype
    return Step(tree.path_name(path), kind, brief(step, 400), "supported", "", policy, output, mask=mask, **size)
