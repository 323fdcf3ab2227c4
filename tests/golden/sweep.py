"""The sweep: every layer class of the Keras that is installed, each option at every value, and what it gave.

    PYTHON_WITH_KERAS tests/golden/sweep.py FOLDER [CLASS ... | CLASS-]    # writes files and what they gave
    PYTHON_WITH_KERAS tests/golden/sweep.py FOLDER --drawn COUNT [SEED]    # the same of whole models, drawn at random
    python -m tests.golden.check_sweep FOLDER                               # loads each: right, or refused by name

`CLASS-` is that class and all after it, in the order in which the sweep goes: how to go on with one that was stopped.

Each value of each option in `sweep_rows.py` is tried alone, then options at random together; what this Keras does not
know or cannot build is passed over. The bare layer is also tried in a Sequential, with three others and called twice,
in a nested model called three times, and time-distributed.
"""

import functools
import itertools
import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from recording import KERAS_2, NUMBER, called, keras, numbered, predicted, redraw, set_policy
from sweep_drawn import draw_model
from sweep_rows import BATCH, ROWS, layer_class, made

L = keras.layers
TOGETHER = 5
SECONDS = 60
"""What a drawn model may take of the processor, however many others want it."""
POLICIES = ("float64", "float16", "mixed_float16", "mixed_bfloat16")
DRAWN = ("float32",) * 12 + POLICIES


def all_classes():
    """Every public layer class, those of `experimental` last."""
    found = [name for name in dir(L) if isinstance(getattr(L, name), type)]
    for prefix in ("experimental", "experimental.preprocessing"):
        place = layer_class(prefix)
        found += [prefix + "." + name for name in dir(place) if isinstance(getattr(place, name), type)] if place else []
    return found


# --- inputs ---------------------------------------------------------------------------------------

WORDS = np.array(["satu", "dua", "tiga", "x", "", "lima", "\u00e9t\u00e9", "empat"])
TEXTS = np.array(["dua satu", "Tiga, x lima! empat dua", "", "satu  satu\u00c0 dua", "x"])


def feed(row, batch=BATCH):
    """Random inputs for a row, a first axis of size `batch`."""
    return [_feed(row.feed, number, (batch,) + shape) for number, shape in enumerate(row.shapes)]


def _feed(kind, number, shape):
    rng = np.random.RandomState(number + 1)
    if kind in ("words", "adapt_words"):
        return rng.choice(WORDS, shape)
    if kind == "texts":
        return rng.choice(TEXTS, shape) if len(shape) > 1 else TEXTS[: shape[0]]
    if kind in ("int", "adapt_int") or (kind == "weights" and number == 0):
        values = rng.randint(0, 10, shape).astype("int32")
        return values if kind != "adapt_int" else values.astype("int64")
    if kind == "ids":
        return rng.randint(0, 6, shape).astype("int64")
    if kind == "bytes":
        return rng.randint(0, 256, shape).astype("uint8")
    if kind == "image":
        return (rng.uniform(size=shape) * 255).astype("float32")
    values = rng.standard_normal(shape).astype("float32")
    if kind == "gaps":
        keep = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 0, 0], [1, 0, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0]])[
            : shape[0], : shape[1]
        ]
        values *= keep.reshape(keep.shape + (1,) * (len(shape) - 2)).astype("float32")
    return values


def adapt(layer, row, values):
    if row.feed.startswith("adapt") or (row.feed == "texts" and "vocabulary" not in row.always):
        layer.adapt(values[0])


# --- models ---------------------------------------------------------------------------------------


def inputs_of(row, values):
    batch = {} if row.batch is None else {"batch_size": row.batch}
    return [
        L.Input(value.shape[1:], dtype="string" if value.dtype.kind == "U" else value.dtype.name, **batch)
        for value in values
    ]


def applied(layer, row, tensors):
    if row.call:
        return row.call(layer)(tensors)
    return layer(tensors if len(tensors) > 1 else tensors[0])


def build(cls, row, options, values):
    layer = cls(**{key: made(value) for key, value in dict(row.always, **options).items()})
    adapt(layer, row, values)
    return layer


def plain(cls, row, options, values):
    tensors = inputs_of(row, values)
    return keras.Model(tensors, applied(build(cls, row, options, values), row, tensors)), values


def in_sequential(cls, row, options, values):
    first = L.Input(values[0].shape[1:], dtype=inputs_of(row, values)[0].dtype)
    layers = [build(cls, row, options, values)]
    return keras.Sequential([first] + layers if NUMBER >= (2, 4) else layers), values


def siblings(cls, row, options, values):
    """Four layers of the class next to each other, the second of them called twice."""
    tensors = inputs_of(row, values)
    layers = [build(cls, row, options, values) for _ in range(4)]
    return keras.Model(tensors, [applied(layer, row, tensors) for layer in layers + layers[1:2]]), values


def nested(cls, row, options, values):
    """A model of the layer inside a model, three times, around three layers of it."""
    tensors = inputs_of(row, values)
    layers = [build(cls, row, options, values) for _ in range(3)]
    inner = keras.Model(tensors, [applied(layer, row, tensors) for layer in layers])
    sets = [inputs_of(row, values) for _ in range(3)]
    results = [inner(one if len(one) > 1 else one[0]) for one in sets]
    more = [_feed(row.feed, 10 + number, value.shape) for number, value in enumerate(values * 2)]
    results = [part for result in results for part in (result if isinstance(result, (list, tuple)) else [result])]
    return keras.Model([tensor for one in sets for tensor in one], results), values + more


def distributed(cls, row, options, values):
    layer = L.TimeDistributed(build(cls, row, options, values))
    x = L.Input((3,) + values[0].shape[1:], dtype="string" if values[0].dtype.kind == "U" else values[0].dtype.name)
    return keras.Model(x, layer(x)), [_feed(row.feed, 0, (BATCH, 3) + values[0].shape[1:])]


def of_integers(kind):
    """The model with integers where floats come in."""

    def integers(cls, row, options, values):
        values = [(value * 3).astype(kind) if value.dtype.kind == "f" else value for value in values]
        return plain(cls, row, options, values)

    integers.__name__ = kind
    return integers


CONTEXTS = (siblings, nested)
INTEGERS = tuple(map(of_integers, ("int32", "uint8", "int64")))
SINGLE_CONTEXTS = (in_sequential, distributed)


def variants(name, row, rng):
    """(how, options) of a row."""
    yield plain, {}
    for key, choices in row.options.items():
        for value in choices:
            yield plain, {key: value}
    if row.feed == "gaps":
        return
    drawable = [key for key, choices in row.options.items() if choices]
    for _ in range(TOGETHER if len(drawable) > 1 else 0):
        keys = rng.sample(drawable, rng.randint(2, min(len(drawable), 6)))
        yield plain, {key: rng.choice(row.options[key]) for key in keys}
    for how in (*CONTEXTS, *(INTEGERS if row.feed == "float" else ())):
        yield how, {}
    if len(row.shapes) == 1 and row.call is None:
        for how in SINGLE_CONTEXTS:
            yield how, {}
    for policy in POLICIES if row.policies else ():
        yield plain, {"dtype": policy}


def clear():
    if hasattr(keras.backend, "clear_session"):
        keras.backend.clear_session()


def write(folder, stem, model, found):
    """The files of a model next to what it gave; (names of the files, what could not be saved)."""
    files = []
    suffixes = ("h5",) if NUMBER < (2, 12) else ("h5", "keras") if KERAS_2 else ("keras", "h5")
    errors = []
    for suffix in suffixes:
        file = folder / f"{stem}.{suffix}"
        try:
            model.save(str(file), **({"save_format": "keras_v3"} if KERAS_2 and suffix == "keras" else {}))
            files.append(file.name)
        except Exception as error:  # what this version cannot write is not a file to load
            errors.append(f"{suffix}: {str(error)[:80]}")
            if file.exists():
                file.unlink()
    np.savez(str(folder / f"{stem}.npz"), **found)
    return files, errors


def shown(options):
    return ", ".join(f"{key}={_shown(value)}" for key, value in options.items())


def _shown(value):
    try:
        value = made(value)
    except Exception as error:  # this Keras cannot make it, nor will it build the layer
        return type(error).__name__
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if hasattr(value, "get_config"):
        inner = getattr(value, "cells", None) or getattr(value, "layer", None)
        return type(value).__name__ + (f"({_shown(inner)})" if inner else "")
    return getattr(value, "__name__", repr(value))


def tried(folder, name):
    """Every model of a class as (line of the index, what writes its files and completes the line)."""
    seen = set()
    for number, row in enumerate(ROWS.get(name, ())):
        rng = random.Random(name + str(number))
        for turn, (how, options) in enumerate(variants(name, row, rng)):
            label = f"{name}[{number}] {how.__name__}({shown(options)})"
            if label in seen:
                continue
            seen.add(label)
            stem = f"{name}-{number}-{turn:03d}"
            policy = str(options.get("dtype", "float32"))
            line = {"label": label, "class": name, "files": [], "error": "", "stem": stem, "policy": policy}
            yield line, functools.partial(complete, line, folder, row, how, options)


def complete(line, folder, row, how, options):
    cls = layer_class(line["class"])
    set_policy(line["policy"])  # that of layers inside it
    try:
        clear()
        model, values = how(cls, row, options, feed(row))
        if row.redraws:
            redraw(model)
        found = dict(numbered("x", values), **numbered("y", called(model, values)))
        line["files"], line["save_errors"] = write(folder, line["stem"], model, found)
        configs = [layer.get_config() for layer in model.layers if type(layer) is cls]
        line["lost"] = [key for key in options if configs and key not in configs[0]]  # the file has not got these
    except Exception as error:  # passed over: this Keras has no such option, or cannot run it
        line["error"] = f"{type(error).__name__}: {str(error)[:200]}"


def tried_drawn(count, seed, folder, name):
    """Every drawn model as (line of the index, what writes its files and completes the line)."""
    for turn in range(count):
        rng = random.Random(f"{seed} {turn}")
        line = {"label": "", "class": name, "files": [], "error": "", "stem": f"drawn-{seed}-{turn:04d}"}
        line["policy"] = rng.choice(DRAWN)
        yield line, functools.partial(complete_drawn, line, folder, rng)


class TooLong(BaseException):
    """A model takes too long; not an Exception, of which those of a step mean that it is drawn again."""


def too_long(*_):
    raise TooLong


def complete_drawn(line, folder, rng):
    """A drawn model with what the call gave, what `predict` gave, and its weights alone in a file."""
    set_policy(line["policy"])
    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        clear()
        model, values, line["label"], redraws = draw_model(rng, feed)
        if redraws:
            redraw(model)
        given = called(model, values)
        if any(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(given, called(model, values))):
            raise ValueError("the model draws numbers when it is called")
        found = dict(numbered("x", values), **numbered("y", given))
        if rng.random() < 0.4:
            found.update(numbered("p", predicted(model, values)))
        line["files"], line["save_errors"] = write(folder, line["stem"], model, found)
        weights = folder / f"{line['stem']}.weights.h5"
        if line["files"] and NUMBER >= (2, 12):
            model.save_weights(str(weights))
            line["files"].append(weights.name)
    except (Exception, TooLong) as error:
        line["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def sweep(folder, name, index, tried=tried):
    """Write the models of a class in a process of their own; where Keras brings it down, in another those after it."""
    lines, done = [line for line, _ in tried(folder, name)], 0
    while done < len(lines):
        progress, signal = os.pipe()
        child = os.fork()
        if child == 0:
            for line, write_files in itertools.islice(tried(folder, name), done, None):
                write_files()
                index.write(json.dumps(line) + "\n")
                index.flush()
                os.write(signal, b".")
            os._exit(0)
        os.close(signal)
        with os.fdopen(progress, "rb") as dots:
            done += len(dots.read())
        status = os.waitpid(child, 0)[1]
        if status:
            index.write(json.dumps(dict(lines[done], error=f"Keras brought its process down: status {status}")) + "\n")
            index.flush()
            done += 1


def main(folder, only=()):
    folder.mkdir(parents=True, exist_ok=True)
    if only and only[0] == "--drawn":
        with (folder / "index.jsonl").open("w") as index:
            sweep(folder, "drawn", index, functools.partial(tried_drawn, int(only[1]), "".join(only[2:])))
        return
    known = all_classes()
    known.sort(key=lambda name: ("RNN" in name) + ("LSTM" in name) + ("GRU" in name) + ("Bidirectional" in name))
    if only and only[0].endswith("-"):
        known = known[known.index(only[0][:-1]) :]
    elif only:
        known = [name for name in known if name in only]
    print("no rows for", [name for name in known if name not in ROWS], flush=True)
    with (folder / "index.jsonl").open("w") as index:
        for name in known:
            sweep(folder, name, index)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
