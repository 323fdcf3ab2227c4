"""`explain`: the contents of a model file, and the model that fnet makes of it, from its config alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.layer import brief
from fnet.inference.scaling import scales
from fnet.writing import is_saved
from params.assign.weights_outline import weights_alone
from params.convert.conversion import of_file
from params.convert.generations import Version, options_of_age, version_of
from params.convert.mask_trace import trace_masks
from params.convert.recognition import own_graphs
from params.errors import ModelFileError, quoted
from params.explaining.record import Explanation, Step, lost_masks, named, shown_specs
from params.explaining.refusals import Refusals
from params.explaining.sizes import by_path, peak_memory, sizes
from params.explaining.stored import explain_stored
from params.file.keras_objects import POLICIES, KerasObject, is_call
from params.file.model_file import UNSAID, Limits, ModelFile, allowed
from params.file.reading import Source, read

NEWEST_TRIED: Version = (3, 15)


def explain(
    source: Source, *, custom: Mapping[str, Callable[..., Any]] | None = None, limits: Limits | None = None
) -> Explanation:
    """The contents of a `.keras`, `.h5` or `.safetensors` file, or of a config alone, without reading weights.

    Every layer and operation with its shapes, parameters, floating-point operations and masks, and all reasons for a
    refusal, where `load_keras` stops at the first. custom, limits: as in `load_keras`.
    Raises ModelFileError where the file has no readable config, OSError when it does not exist.
    """
    if is_saved(source):
        return explain_stored(source, custom, limits)
    with opened(source, custom, limits) as (file, refused):
        return _explanation(file, refused)


@contextlib.contextmanager
def opened(
    source: Source, custom: Mapping[str, Callable[..., Any]] | None, limits: Limits | None
) -> Iterator[tuple[ModelFile, Refusals]]:
    """A file of Keras and its refusals; errors in the `with` block become ModelFileErrors."""
    graphs, layers = own_graphs(custom)
    limits = allowed(limits)
    file = read(source, limits, arrays=False)
    if file.config is None:
        raise weights_alone(file)
    with of_file(file.label):
        yield file, Refusals(file, graphs, layers, limits)


def _explanation(file: ModelFile, refused: Refusals) -> Explanation:
    rows, masks = by_path(refused.rows), dict[str, str]()
    if rows and refused.conversion.masked:
        masks = trace_masks(refused.rows[-1].step, refused.spec, rows)
    guessed, measures = refused.guessed if rows else set(), sizes(rows)
    steps = [
        _step(path, source, refused, rows.get(path), masks.get(path, ""), measures.get(path, {}))
        for path, source in refused.objects.items()
    ]
    steps = [
        replace(step, output="?", params=None, flops=None, bytes=None) if step.path in guessed else step
        for step in steps
    ]
    return Explanation(
        file.label.strip("'"),
        file.format,
        None if file.keras_version == UNSAID else file.keras_version,
        shown_specs(refused.spec),
        "?" if {step.path for step in steps[-1:]} & guessed else shown_specs(rows[""].outputs) if rows else "",
        tuple(steps),
        refused.all,
        tuple(_unusual(steps, refused)),
        peak_memory(rows) if rows and not guessed else None,
    )


def _step(
    path: str, source: KerasObject, refused: Refusals, row: infer.TracedStep | None, mask: str, measures: dict[str, Any]
) -> Step:
    """One layer. row: its traced step."""
    why = refused.of_layers.get(path, "")
    plain = source.class_name == "InputLayer" and not (source.config.get("sparse") or source.config.get("ragged"))
    limits = "" if why or plain else refused.limits[path]
    return Step(
        path,
        source.class_name,
        "" if row is None or why else brief(row.step, 400),
        "refused" if why else "limited" if limits else "supported",
        why or limits,
        _policy(source),
        "" if row is None else shown_specs(row.outputs),
        mask=mask,
        age=dict(options_of_age(source.class_name, source.config, refused.conversion.version)) or None,
        **({} if why else measures),
    )


def _policy(source: KerasObject) -> str:
    try:
        return source.policy
    except ModelFileError:
        return quoted(source.config.get("dtype"))


def _trains(layer: KerasObject) -> bool:
    """Whether a call of a layer in the config has training=True."""
    return any(call["kwargs"].get("training") in (True, 1) for call in layer.calls if is_call(call))


def _unusual(steps: list[Step], refused: Refusals) -> Iterator[str]:
    """Remarks about a model that loads."""
    conversion = refused.conversion
    inputs = [item for item in tree.leaves(refused.spec) if item is not None]
    if NEWEST_TRIED < conversion.version != version_of(UNSAID):
        yield f"written by a Keras newer than {NEWEST_TRIED[0]}.{NEWEST_TRIED[1]}, the newest that fnet was tried on"
    images = [s for s in inputs if len(s.shape) == 4 and s.shape[-1] in (1, 3) and s.dtype.startswith("float")]
    if images and refused.converted is not None and not scales(refused.converted.step):
        yield "no Rescaling or Normalization layer: give images scaled as they were in training (1/255 is common)"
    last = next((step for step in reversed(steps) if step.params), None)
    if last is not None and "softmax" in last.fnet and last.output.endswith("[None, 1]"):
        yield f"softmax over one unit ({last.path}) gives 1 for every row"
    if drawn := [path for path, source in refused.objects.items() if _trains(source)]:
        yield f"called with training=True: {', '.join(drawn[:5])} (docs/howto-inputs.md says what then counts)"
    yield from lost_masks(steps)
    policies = sorted({step.policy for step in steps if step.policy in POLICIES})
    if len(policies) > 1:
        yield f"several dtype policies: {', '.join(policies)}"
    if old := [step.path for step in steps if step.age]:
        yield f"by the rules of an older Keras (docs/generations.md): {named(old)}"
