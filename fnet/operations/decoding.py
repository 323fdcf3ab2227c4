"""Connectionist temporal classification: the best labellings of a sequence, and how likely a given one is.

Source: keras.ops.ctc_decode, keras.ops.ctc_loss; Graves et al. 2006, and for the beam search Graves and Jaitly 2014.
"""

from __future__ import annotations

from typing import Any, Literal

from fnet.activation_functions import ACTIVATIONS
from fnet.backend import ops, xp
from fnet.core.room import size
from fnet.dtypes import result_type, tensor
from fnet.operations.rules import operation
from fnet.records import NamedTuple
from fnet.shapes import fit, fits, shape_of, sized
from fnet.types import Array, Positive, Spec

NOTHING = -1
"""The padding after the last label of a row."""


def _decode_rule(
    inputs: Spec, sequence_lengths: Any, *, strategy: str, beam_width: int, top_paths: int
) -> tuple[Spec, Spec]:
    batch, steps, _ = inputs.shape
    if not fits(shape_of(sequence_lengths), (batch,)):
        raise ValueError(f"ctc_decode takes lengths of the shape (batch,); got {shape_of(sequence_lengths)}")
    paths = 1 if strategy == "greedy" else top_paths
    if strategy != "greedy" and top_paths > beam_width:
        raise ValueError(f"ctc_decode keeps beam_width={beam_width} labellings, too few for top_paths={top_paths}")
    return Spec((paths, batch, steps), "int32"), Spec((batch, paths), result_type(inputs.dtype, "float32"))


def _decode_room(x: tuple[Spec, Any], *, strategy: str, beam_width: int) -> tuple[int, int]:
    """At every step the beam compares all pairs of labellings, copies them, and extends each by each class."""
    batch, steps, classes = sized(x[0].shape, 1)
    width = 0 if strategy == "greedy" else beam_width
    memory = 8 * size(Spec((batch, width, width + classes))) + 3 * size(Spec((batch, width, steps)))
    return memory, steps * memory


@operation(_decode_rule, room=_decode_room)
def ctc_decode(
    inputs: Array,
    sequence_lengths: Array,
    *,
    strategy: Literal["greedy", "beam_search"] = "greedy",
    beam_width: Positive = 100,
    top_paths: Positive = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Array, Array]:
    """(batch, steps, classes) logits, (batch,) -> (int32 labels (paths, batch, steps), scores (batch, paths)).

    Rows of labels end in -1. `mask_index` is the blank class (None: the last).

    strategy: "greedy" takes the likeliest class of every step, drops blanks and (`merge_repeated`) repetitions; the
    score is minus the sum of the logits taken. "beam_search" keeps the `beam_width` likeliest labellings after
    every step and gives the best `top_paths` with their log-probabilities; repetitions without a blank between
    are always one.
    """
    logits = tensor(inputs, result_type(tensor(inputs).dtype.name, "float32"))
    lengths = tensor(sequence_lengths, "int32")
    blank = logits.shape[-1] - 1 if mask_index is None else mask_index % logits.shape[-1]
    if strategy == "greedy":
        return _greedy(logits, lengths, blank, merge_repeated)
    if strategy != "beam_search":
        raise ValueError(f"strategy must be 'greedy' or 'beam_search', got {strategy!r}")
    logs = _blank_last(ACTIVATIONS["log_softmax"](logits, -1), blank)
    paths, scores = (array[:, :top_paths] for array in _beam_search(logs, lengths, beam_width))
    return xp.moveaxis(xp.where(paths >= blank, paths + 1, paths), 1, 0), scores


def _blank_last(logs: Array, blank: int) -> Array:
    return xp.concatenate([logs[..., :blank], logs[..., blank + 1 :], logs[..., blank : blank + 1]], axis=-1)


def _greedy(logits: Array, lengths: Array, blank: int, merge: bool) -> tuple[Array, Array]:
    best = xp.argmax(logits, axis=-1)  # (batch, steps)
    within = xp.arange(best.shape[1])[None, :] < lengths[:, None]
    kept = within & (best != blank)
    if merge:
        kept &= xp.concatenate([xp.ones_like(kept[:, :1]), best[:, 1:] != best[:, :-1]], axis=1)
    order = xp.argsort(~kept, axis=-1, stable=True)  # the labels kept, in their order, to the front
    labels = xp.take_along_axis(xp.where(kept, best, NOTHING), order, axis=-1).astype("int32")
    top = xp.max(logits, axis=-1)
    return labels[None], -xp.sum(xp.where(within, top, xp.zeros_like(top)), axis=-1, keepdims=True)


# --- beam search ----------------------------------------------------------------------------------


class Beam(NamedTuple):
    """The labellings that are kept, the likeliest first; an unused slot has probability 0."""

    labels: Array
    """(batch, beam, steps), -1 after the last label."""
    length: Array
    """(batch, beam)."""
    blank: Array
    """(batch, beam): the log-probability that the steps so far give these labels and end in a blank."""
    label: Array
    """(batch, beam): the same, ending in the last label."""
    shared: Array
    """(batch, beam, beam): the length of the common prefix of two labellings."""

    @property
    def total(self) -> Array:
        return xp.logaddexp(self.blank, self.label)


def _beam_search(logs: Array, lengths: Array, width: int) -> tuple[Array, Array]:
    """((batch, width, steps) labels, (batch, width) log-probabilities), the blank being the last class."""
    beams: tuple[Array, Array] = ops.compiled(_search, width)(logs, lengths)
    return beams


def _search(width: int, logs: Array, lengths: Array) -> tuple[Array, Array]:
    batch, steps, _ = logs.shape
    never = xp.full((batch, width), -float("inf"), logs.dtype)
    empty = xp.where(xp.arange(width)[None, :] == 0, xp.zeros_like(never), never)
    labels = xp.full((batch, width, steps), NOTHING, "int32")
    beam = Beam(labels, xp.zeros((batch, width), "int32"), empty, never, xp.zeros((batch, width, width), "int32"))

    def advance(beam: tuple[Array, ...], now: tuple[Array, Array]) -> tuple[tuple[Array, ...], tuple[()]]:
        number, log = now
        grown = _step(Beam(*beam), log)
        going = number < lengths  # (batch,)
        return tuple(
            xp.where(going.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)
            for new, old in zip(grown, beam, strict=True)
        ), ()

    carried, _ = ops.scan(advance, tuple(beam), (xp.arange(steps), xp.moveaxis(logs, 1, 0)), steps)
    beam = Beam(*carried)
    return beam.labels, beam.total


def _step(beam: Beam, log: Array) -> Beam:
    """The beam after one more step with log-probabilities (batch, classes)."""
    batch, width = beam.length.shape
    last = _last(beam)
    parents = _parents(beam)  # (batch, parent, child)
    stayed = _stayed(beam, log, last, parents)
    children = _children(beam, log, last, parents)  # (batch, width, labels)
    count = children.shape[-1]
    totals = xp.concatenate([stayed.total, children.reshape(batch, -1)], axis=1)
    order = xp.argsort(-totals, axis=1, stable=True)[:, :width]
    source = xp.where(order < width, order, (order - width) // count)
    added = xp.where(order < width, NOTHING, (order - width) % count).astype("int32")
    labels = xp.take_along_axis(beam.labels, source[:, :, None], axis=1)
    length = xp.take_along_axis(beam.length, source, axis=1)
    here = (xp.arange(labels.shape[-1]) == length[..., None]) & (added != NOTHING)[..., None]
    ends = xp.concatenate([stayed.label, children.reshape(batch, -1)], axis=1)
    blanks = xp.concatenate([stayed.blank, xp.full_like(children, -float("inf")).reshape(batch, -1)], axis=1)
    return Beam(
        xp.where(here, added[..., None], labels),
        length + (added != NOTHING).astype("int32"),
        xp.take_along_axis(blanks, order, axis=1),
        xp.take_along_axis(ends, order, axis=1),
        _shared(beam.shared, labels, length, source, added),
    )


def _last(beam: Beam) -> Array:
    """(batch, width): the last label, -1 where there is none."""
    at = xp.maximum(beam.length - 1, 0)[..., None]
    return xp.take_along_axis(beam.labels, at, axis=-1)[..., 0]


def _parents(beam: Beam) -> Array:
    """(batch, i, j): whether labelling j is labelling i with one more label."""
    length, used = beam.length[..., None], xp.isfinite(beam.total)
    inside = beam.shared == length  # i is a prefix of j
    return inside & (length + 1 == beam.length[:, None, :]) & used[:, :, None] & used[:, None, :]


def _shared(shared: Array, labels: Array, length: Array, source: Array, added: Array) -> Array:
    """`Beam.shared` after a step: labellings from the slots `source` get the label `added`, or none where it is -1."""
    rows = xp.take_along_axis(shared, source[:, :, None], axis=1)
    before = xp.take_along_axis(rows, source[:, None, :], axis=2)
    inside = xp.take_along_axis(labels, xp.minimum(before, labels.shape[-1] - 1), axis=-1)
    after = xp.where(before < length[..., None], inside, added[..., None])  # the first label that may differ
    return before + ((after == xp.swapaxes(after, 1, 2)) & (after != NOTHING)).astype("int32")


def _stayed(beam: Beam, log: Array, last: Array, parents: Array) -> Beam:
    """The same labellings after a step that is a blank, repeats the last label, or extends the parent by it."""
    parent = xp.argmax(parents, axis=1)  # (batch, width)
    twice = last == xp.take_along_axis(last, parent, axis=1)
    before = xp.where(
        twice, xp.take_along_axis(beam.blank, parent, axis=1), xp.take_along_axis(beam.total, parent, axis=1)
    )
    before = xp.where(xp.any(parents, axis=1), before, xp.full_like(before, -float("inf")))
    last_score = xp.take_along_axis(log, xp.maximum(last, 0), axis=1)
    label = xp.logaddexp(beam.label, before) + last_score
    return beam._replace(blank=beam.total + log[:, -1:], label=label)


def _children(beam: Beam, log: Array, last: Array, parents: Array) -> Array:
    """(batch, width, labels): log-probabilities of labellings with one more label that are not yet in the beam."""
    names = xp.arange(log.shape[-1] - 1)
    repeats = names == last[..., None]
    known = xp.matmul(parents.astype(log.dtype), repeats.astype(log.dtype)) > 0
    grown = log[:, None, :-1] + xp.where(repeats, beam.blank[..., None], beam.total[..., None])
    return xp.where(known, xp.full_like(grown, -float("inf")), grown)


# --- loss -----------------------------------------------------------------------------------------


def _loss_rule(target: Any, output: Spec, target_length: Any, output_length: Any) -> Spec:
    shapes = map(shape_of, (target, output, target_length, output_length))
    return Spec(
        (fit("rows labels, rows steps classes, rows, rows", *shapes)["rows"],), result_type(output.dtype, "float32")
    )


def _loss_room(x: tuple[Any, Spec, Any, Any]) -> tuple[int, int]:
    """At every step each label, and each blank around them, has a probability."""
    batch, steps, _ = sized(x[1].shape, 1)
    memory = 4 * size(Spec((batch, steps, 2 * sized(shape_of(x[0])[-1:], 1)[0] + 1)))
    return memory, memory


@operation(_loss_rule, room=_loss_room)
def ctc_loss(target: Array, output: Array, target_length: Array, output_length: Array, *, mask_index: int = 0) -> Array:
    """(batch, labels), (batch, steps, classes) logits, two (batch,) -> (batch,): -log of the target's probability.

    Summed over all ways to spread the target's labels over the steps, with blanks (`mask_index`) between.
    """
    logits = tensor(output, result_type(tensor(output).dtype.name, "float32"))
    target, lengths, steps = (tensor(v, "int32") for v in (target, target_length, output_length))
    places = _with_blanks(target, mask_index % logits.shape[-1])  # (batch, 2 labels + 1)
    logs = xp.take_along_axis(ACTIVATIONS["log_softmax"](logits, -1), places[:, None, :], axis=-1)
    return ops.compiled(_minus_log)(places, logs, lengths, steps)


def _minus_log(places: Array, logs: Array, lengths: Array, steps: Array) -> Array:
    """(batch,): -log of the probability of all ways through the places (batch, 2 labels + 1)."""
    # a blank between two different labels may be left out
    jumps = xp.arange(places.shape[1]) % 2 == 1
    jumps = jumps & (places != _moved(places, 2, NOTHING))

    def advance(before: Array, now: tuple[Array, Array]) -> tuple[Array, tuple[()]]:
        number, log = now
        jumped = xp.where(jumps, _moved(before, 2, never), xp.full_like(before, never))
        after = xp.logaddexp(xp.logaddexp(before, _moved(before, 1, never)), jumped) + log
        return xp.where((number < steps)[:, None], after, before), ()

    never = -float("inf")
    start = xp.where(xp.arange(places.shape[1]) == 0, xp.zeros_like(logs[:, 0]), xp.full_like(logs[:, 0], never))
    ends, _ = ops.scan(advance, start, (xp.arange(logs.shape[1]), xp.moveaxis(logs, 1, 0)), logs.shape[1])
    blank = xp.take_along_axis(ends, 2 * lengths[:, None], axis=1)
    label = xp.take_along_axis(ends, xp.maximum(2 * lengths[:, None] - 1, 0), axis=1)
    label = xp.where(lengths[:, None] > 0, label, xp.full_like(label, never))
    return -xp.logaddexp(blank, label)[:, 0]


def _with_blanks(target: Array, blank: int) -> Array:
    """(batch, labels) -> (batch, 2 labels + 1): a blank before and after each label."""
    labels = xp.maximum(target, 0)
    pairs = xp.stack([xp.full_like(labels, blank), labels], axis=-1).reshape(len(labels), -1)
    return xp.concatenate([pairs, xp.full_like(pairs[:, :1], blank)], axis=1)


def _moved(x: Array, count: int, fill: float) -> Array:
    """(batch, n) -> (batch, n): every number `count` places to the right, `fill` before them."""
    return xp.concatenate([xp.full_like(x[:, :count], fill), x[:, :-count]], axis=1)
