"""`load_keras` and `from_keras`: from a file or a live Keras model to (model, params)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from fnet import tree
from fnet.core import infer, parameters
from fnet.core.layer import bind
from fnet.core.rules import rules_of
from fnet.errors import warn
from fnet.types import Array, ParamTree
from params.assign.group_names import join, namings
from params.assign.legacy_arrays import by_order
from params.assign.options_from_arrays import options_from_arrays
from params.assign.values import values
from params.assign.weight_paths import Loaded, by_groups, fitting, map_weights
from params.convert.conversion import BROKEN, BUILD_IT, NOT_BUILT, Converted, of_file
from params.convert.generations import NEWEST, Version, ages_of
from params.convert.legacy_config import in_keras_3_form
from params.convert.models import convert
from params.convert.recognition import own_graphs
from params.convert.requirements import require_batch, screen
from params.errors import CorruptFile, ModelFileError, UnsupportedLayer, WeightsMismatch, quoted
from params.file.containers import VOCABULARY
from params.file.keras_objects import survey
from params.file.model_file import UNSAID, Limits, ModelFile, allowed
from params.output_sizes import require_room
from params.table.entry import Vocabularies, Vocabulary


def load_keras(
    source: Any,
    *,
    weights: Any = None,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    vocabulary: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    limits: Limits | None = None,
    rng: Array | int | None = None,
    training: str | None = None,
) -> tuple[Any, dict[str, Any]]:
    """(model, params) from a `.keras` file (zip or directory) or a `.h5` of Keras 2 or 3, without Keras.

    source: a path, bytes or file object; also a config alone (`model.to_json()`), with its arrays in `weights`.
    weights: another file, with the arrays.
    custom: layers of your own, each a function declared with `fnet.layer`. {"package>Name": layer} is a Keras class:
    its options are the keys of the Keras config, its params have the names of the attributes of the Keras layer.
    {"layer name": layer} replaces a single layer, such as a Lambda ("block/lambda_1" for one inside others): its
    options are looked up in the config, and in the `arguments` of a Lambda. {"Trainer": fnet.graph} says of a subclass
    of Model with a `train_step` of its own that it computes what its graph says.
    vocabulary: the tokens of the text layer, special tokens included, where the file has lost them; or
    {layer name: tokens}. limits: how much a file may ask for. rng: the key for layers that draw random numbers because
    they were called with training=True.
    training: None gives the values of `predict` and `model(x, training=False)` of the Keras that wrote the file: in
    Keras 3 they override every `training=` in a call, in Keras 2 they obey it. "as written" gives the values of a bare
    `model(x)`, which obeys it.

    Outputs have Keras's structure; the arrays of the params are read-only.
    Raises ModelFileError: UnsafeFile, CorruptFile, UnsupportedLayer, WeightsMismatch or LimitExceeded.
    """
    from params.file.reading import opened

    limits = allowed(limits)
    with ExitStack() as files:
        file = files.enter_context(opened(source, limits))
        if weights is not None:
            file = _with_weights(file, files.enter_context(opened(weights, limits)))
        _require_model(file)
        if training not in (None, "as written"):
            raise ValueError(f'training={training!r}: give "as written", or nothing for what Keras\'s `predict` gives')
        graphs, layers = own_graphs(custom)
        with of_file(file.label):
            return _load(file, graphs, layers, vocabulary, limits, rng, bare=training is not None)


def from_keras(
    model: Any,
    *,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    vocabulary: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    limits: Limits | None = None,
    rng: Array | int | None = None,
    training: str | None = None,
) -> tuple[Any, dict[str, Any]]:
    """(model, params) of a live `keras.Model`; the arguments are those of `load_keras`.

    The model is saved to a temporary file and loaded from there, so that a live model and its file cannot differ.
    Raises TypeError for anything but a Keras model, and ModelFileError as `load_keras`.
    """
    if isinstance(model, type) or not callable(getattr(model, "save", None)) or not hasattr(model, "get_config"):
        hint = "; load_keras reads a file" if isinstance(model, str | os.PathLike) else ""
        raise TypeError(f"from_keras takes a keras.Model; got {type(model).__name__}{hint}")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.keras"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy, for how Keras makes arrays
            model.save(path)
        return load_keras(path, custom=custom, vocabulary=vocabulary, limits=limits, rng=rng, training=training)


def _with_weights(file: ModelFile, weights: ModelFile) -> ModelFile:
    """The config of one file with the arrays of another."""
    if file.config is None and weights.format == "json":
        raise CorruptFile(f"{file.label} has the weights, {weights.label} the config: load_keras(config, weights=...)")
    version = None if file.keras_version == UNSAID else file.keras_version
    return replace(
        weights,
        label=f"{file.label} with {weights.label}",
        config=file.config,
        keras_version=version or weights.keras_version or file.keras_version,
        assets={**weights.assets, **file.assets},
        legacy=file.legacy,
        two_files=True,
    )


def _require_model(file: ModelFile) -> None:
    """Raise a ModelFileError for a file without a config or without arrays."""
    if file.config is None:
        from params.assign.weights_outline import weights_alone  # for an error only

        raise weights_alone(file)
    if file.format == "json":
        raise CorruptFile(
            f"{file.label}: it is the config of a model without its weights (model.to_json): give them, "
            "load_keras(path, weights=...) or `fnet predict model.json --weights FILE`, or save the whole model"
        )


def _load(
    file: ModelFile,
    graphs: Collection[str],
    custom: Mapping[str, Callable[..., Any]],
    vocabulary: Sequence[str] | Mapping[str, Sequence[str]] | None,
    limits: Limits,
    rng: Array | int | None,
    bare: bool,
) -> tuple[Any, dict[str, Any]]:
    """(model, params) of an open file: the model of its config, and its arrays where that model has params."""
    screen(file.config, {name.rpartition("/")[2] for name in custom})
    config, version, legacy = in_keras_3_form(file, graphs)
    make = partial(convert, config, custom=custom, version=version, legacy=legacy, rng=rng, bare=bare)
    converted = make()
    expected = _expected(converted, file, limits)
    if options := options_from_arrays(converted, expected, file.arrays, version):
        converted = make(from_arrays=options)
        expected = _expected(converted, file, limits)
    if file.keras_version == UNSAID:
        _warn_of_age(make, converted, file, *ages_of(survey(config, custom).objects))
    if any(rules_of(step).mask is None for step in custom.values()) and survey(config, custom).masked:
        _warn_of_masks(converted.step, custom, file.label)
    if infer.keeps_states(converted.step):
        require_batch(file.config)
    looked_up = set[str]()
    stored = _stored(file, converted, expected, _vocabularies(file, vocabulary, looked_up))
    named = set(vocabulary) if isinstance(vocabulary, Mapping) else looked_up
    if vocabulary is not None and not (named and named <= looked_up):
        raise WeightsMismatch(
            f"vocabulary= is for layers that look up tokens; here: {', '.join(sorted(looked_up)) or 'none'}"
        )
    params = values(stored, expected)
    lines = parameters.misplaced(dict(tree.items(expected)), params)  # the numbers were looked at as they were read
    if lines:
        raise WeightsMismatch(f"these parameters do not fit the model: {'; '.join(lines)}"[:400])
    return converted.step, params


def _stored(file: ModelFile, converted: Converted, expected: ParamTree, vocabularies: Vocabularies) -> Loaded:
    """The arrays of a file for the params of its model: by their order in a `.h5`, else by the names of groups."""
    if file.format == "h5":
        return by_order(map_weights(converted, expected, vocabularies), converted, file, whole=not file.two_files)
    possible = namings(file.arrays.version, file.arrays.groups)
    maps = [partial(map_weights, converted, expected, vocabularies, naming) for naming in possible]
    return fitting(maps, partial(by_groups, file=file.arrays, two_files=file.two_files), file.arrays)


def _warn_of_age(
    make: Callable[..., Converted], converted: Converted, file: ModelFile, first: Version, last: Version
) -> None:
    """Warn where it matters which of the possible Keras 3 wrote a file: the first would make another model of it."""
    with suppress(ModelFileError, *BROKEN):
        if make(version=first).step == converted.step:
            return
    said = "the newest" if last == NEWEST else f"the last of them, {last[0]}.{last[1]}"
    warn(
        f"{file.label} does not say which Keras 3 wrote it ({first[0]}.{first[1]} or later, by its keys), and they "
        f"differ in layers of this model. It is taken for {said}; write the version into the JSON, "
        '"keras_version": "3.6.0" next to "class_name"'
    )


def _warn_of_masks(model: Any, custom: Mapping[str, Any], label: str) -> None:
    """Warn where a mask comes to functions of the caller that do not say what becomes of it."""
    from params.convert.mask_trace import trace_masks  # for few models only

    if (spec := infer.input_spec(model)) is None:
        return
    rows = {tree.path_name(step.path): step for step in infer.trace(model, spec)}
    declared = [rules_of(step) for step in custom.values()]
    unsaid = [
        path
        for path in trace_masks(model, spec, rows)
        if (own := bind(rows[path].step).rules) in declared and not own.mask
    ]
    if unsaid:
        warn(
            f"{label}: a mask comes to {', '.join(map(quoted, unsaid))} and is passed on. Keras loses it at "
            "layers of one's own without supports_masking: say what yours does, "
            '@fnet.layer(shape=..., mask="drop") or mask="keep"; mask="own" where layers inside it are attention, '
            "recurrent or pooling layers: Keras hides there what the mask hides"
        )


def _vocabularies(
    file: ModelFile, tokens_of: Sequence[str] | Mapping[str, Sequence[str]] | None, looked_up: set[str]
) -> Vocabularies:
    """The tokens in the argument `vocabulary=` of the loader, else those in the layer's `vocabulary.txt`. Layers that
    look for some are added to `looked_up`."""

    def of(group: str, name: str) -> Vocabulary | None:
        looked_up.add(name)
        tokens = tokens_of.get(name) if isinstance(tokens_of, Mapping) else tokens_of
        if tokens is not None:
            return Vocabulary(tokens)
        place = join(group, VOCABULARY)
        return Vocabulary(file=file.assets[place], place=place) if place in file.assets else None

    return of


def _expected(converted: Converted, file: ModelFile, limits: Limits) -> ParamTree:
    """The shapes and dtypes of the params, derived from those of the inputs."""
    spec = converted.takes
    if spec is None:
        although = f" although it holds {len(file.arrays.every)} arrays" if file.arrays.every else ""
        raise UnsupportedLayer(f"{converted.source.label} {NOT_BUILT}{although}; {BUILD_IT}")
    rows = infer.trace(converted.step, spec)
    require_room(rows, limits, file.stored)
    return infer.params_of(rows)
