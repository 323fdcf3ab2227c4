"""`Entry`: one entry of the conversion tables.

By default a config key that is an option of the fnet layer is passed on under its own name (lists as tuples); keys
that matter only in training (`IGNORED`, initializers, regularizers, constraints) are left out; any other key must be
null or hold a value that changes nothing, else the layer is refused. The arrays of a layer are in the order of the
params in its shape rule; nested dicts are sub-groups.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeAlias

from fnet.core import infer
from fnet.core.rules import Rules, rules_of
from fnet.records import dataclass


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a layer: given by the caller, or in a file, whose bytes are at `place`."""

    tokens: Sequence[Any] = ()
    file: bytes | None = None
    place: str = ""


Vocabularies: TypeAlias = Callable[[str, str], Vocabulary | None]
"""(group of a layer, its name) -> its tokens from the caller or a `vocabulary.txt`, or None."""


def in_configs(group: str, name: str) -> None:
    """The `Vocabularies` of a file whose configs hold all tokens."""


@dataclass(frozen=True)
class Entry:
    """How a Keras class becomes an fnet layer.

    layer: the fnet layer function. options: config -> changed config, where keys do not map one to one (nested
    layers are steps by then; may raise UnsupportedLayer). ignored: config keys that never matter at inference, {"*"}
    for all. neutral: {config key without an fnet option: values that change nothing}.

    groups: {params key: sub-group of the file}, where they differ; "" is the layer's own arrays, its sub-layers
    included (an LSTM keeps all in "cell": {"": "cell"}); "a/b" names a deeper key. The groups of a wrapped
    layer (`children` of its rules) follow its own entry.
    arrays: config -> names of the layer's own arrays in file order, where they are not those of the rule: a name
    that the rule does not have is read past (Normalization's "count").
    tables: (config, Vocabulary or None, step) -> params that come from the config or a vocabulary, not from arrays.
    copies: sub-groups where Keras writes the layer's own arrays once more.
    container: attribute whose list of layers has the params keys "0", "1", ...

    arguments: names of the arguments of the Keras call, in order, for layers called with more than one. A literal
    for an argument that is an option of the fnet layer becomes that option. The tensors become `x`: alone when only
    the first is given, else a tuple in this order (a dict by name when one in between is missing), or the result of
    `inputs`, which takes {name: source}. `mask` and `training` need not be listed.

    earlier: arguments that are in the call only in files of earlier versions, and in the config today.
    call: {argument: value} of a call -> the same under the names of the fnet layer.
    literal: arguments whose literal numbers stay numbers, because shape rules read them (sizes).

    limits: what is refused, in words, for docs/layers.md.
    """

    layer: Callable[..., Any]
    options: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ignored: frozenset[str] = frozenset()
    neutral: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    arrays: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    tables: Callable[[dict[str, Any], Vocabulary | None, Any], dict[str, Any]] | None = None
    copies: tuple[str, ...] = ()
    container: str = ""
    arguments: tuple[str, ...] = ("inputs",)
    earlier: tuple[str, ...] = ()
    inputs: Callable[[dict[str, Any]], Any] | None = None
    call: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    literal: tuple[str, ...] = ()
    limits: str = ""

    @functools.cached_property
    def rules(self) -> Rules:
        """What the layer declares; an operation has `rules.call`."""
        return rules_of(self.layer)

    @property
    def further(self) -> str:
        """The option that takes all further arguments (`**name` among `arguments`); "" where there is none."""
        last = self.arguments[-1] if self.arguments else ""
        return last[2:] if last.startswith("**") else ""


OF_MODELS = Entry(infer.identity)
"""The entry of a model."""

IGNORED = frozenset({
    "name", "trainable", "dtype", "autocast", "seed", "data_seed", "rng_type", "activity_regularizer", "lora_rank",
    "lora_alpha", "batch_input_shape", "batch_shape", "input_shape", "build_config",
    "quantization_config", "gptq_unpacked_column_size",  # read by params.convert.quantization
})  # fmt: skip
"""Config keys that no layer needs at inference."""

ADAPTED = "adapted"
"""Marks the config of a Discretization of Keras 2 whose boundaries are in its arrays (`options_from_arrays`)."""

MOST_BINS = 1_000_000
"""The largest number of bins of such a layer."""

DENSE: dict[str, tuple[Any, ...]] = {"sparse": (False, True), "ragged": (False,)}
"""{option: values without effect}: sparse tensors of Keras are dense here (but see `params.table.layers.BY_ENTRY`)."""
