"""The work of every function that takes a model grows with its steps: one that looked at all for each would take hours
for the deepest models that load. Calls of Python are counted, which no other process changes."""

import sys

import numpy as np
import pytest

import fnet
from fnet import bind, graph, sequential

SHORT, LONG = 100, 200


def chain(steps):
    """A model of steps one after the other."""
    units = {f"d{i}": bind(fnet.dense, units=2) for i in range(steps)}
    return sequential({"x": bind(fnet.input_layer, shape=(None, 2)), **units})


def ladder(steps):
    """A graph in which 2^steps ways lead from the input to the output."""
    nodes = {"x": bind(fnet.input_layer, shape=(None, 2)), "n0": (bind(fnet.dense, units=1, activation="sigmoid"), "x")}
    nodes |= {f"n{i}": (fnet.average, (f"n{i - 1}", f"n{i - 1}")) for i in range(1, steps)}
    return graph(nodes, inputs="x", outputs=f"n{steps - 1}")


def nest(steps):
    """Models in models."""
    model = bind(fnet.dense, units=2)
    for i in range(steps // 20):
        model = sequential({f"m{i}": model})
    return sequential({"x": bind(fnet.input_layer, shape=(None, 2)), "m": model})


def pairs(steps):
    """Models of two outputs in models, each output of all of those inside."""
    model = graph(inputs="x", y=(bind(fnet.dense, units=1, activation="sigmoid"), "x"), outputs=("y", "y"))
    for _ in range(steps // 20):
        means = {name: (fnet.average, (fnet.at("m", 0), fnet.at("m", 1))) for name in "ab"}
        model = graph({"m": (model, "x"), **means}, inputs="x", outputs=("a", "b"))
    return graph({"x": bind(fnet.input_layer, shape=(None, 2)), "m": (model, "x")}, inputs="x", outputs=fnet.at("m", 0))


def fan(steps):
    """A step with many outputs, of which one reads all."""
    nodes = {
        "x": bind(fnet.input_layer, shape=(None, 2)),
        "wide": (bind(fnet.operations.tile, repeats=(1, steps)), "x"),
        "parts": (bind(fnet.operations.split, indices_or_sections=steps, axis=1), "wide"),
        "y": (fnet.add, tuple(fnet.at("parts", i) for i in range(steps))),
    }
    return graph(nodes, inputs="x", outputs="y")


def shared(steps):
    """One layer, called many times."""
    dense = bind(fnet.dense, units=2)
    nodes = {"x": bind(fnet.input_layer, shape=(None, 2)), "n0": (dense, "x")}
    nodes |= {f"n{i}": (dense, f"n{i - 1}", "n0") for i in range(1, steps)}
    return graph(nodes, inputs="x", outputs=f"n{steps - 1}")


X = np.ones((3, 2), "float32")


def saved(model, params, folder):
    fnet.save(folder / "m.safetensors", model, params)
    fnet.load(folder / "m.safetensors")


def through_keras(model, params, folder):
    fnet.to_keras(model, params, folder / "m.keras")
    model, params = fnet.load_keras(folder / "m.keras")
    for how in ({}, {"by_name": True}, {"skip_mismatch": True}):
        fnet.load_weights(folder / "m.keras", model, params, **how)


FUNCTIONS = {
    "init": lambda model, params, _: fnet.init(model, 1),
    "call": lambda model, params, _: model(params, X),
    "predict": lambda model, params, _: fnet.predict(model, params, X),
    "compile": lambda model, params, _: fnet.compile(model, params)(X),
    "optimize": lambda model, params, _: fnet.optimize(model, params),
    "classes": lambda model, params, _: fnet.classes(model, X[:, :1]),
    "check": lambda model, params, _: fnet.check(model, params),
    "partition": lambda model, params, _: fnet.partition(model, params),
    "activations": lambda model, params, _: fnet.activations(model, params, X),
    "cut": lambda model, params, _: fnet.cut(model, outputs=model.names[-2]),
    "pruned": lambda model, params, _: fnet.pruned(model, params),
    "with_rng": lambda model, params, _: fnet.with_rng(model, params, 0),
    "streaming": lambda model, params, _: fnet.streaming(model)(params, X),
    "summary": lambda model, params, _: str(fnet.summary(model)),
    "plot": lambda model, params, _: fnet.plot(model),
    "repr": lambda model, params, _: repr(model),
    "save": saved,
    "to_keras": through_keras,
}


def calls(function, model, folder):
    """How many functions of Python a call runs."""
    params, count = fnet.init(model, 0), 0

    def note(frame, event, argument):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(model, params, folder)
    finally:
        sys.setprofile(before)
    return count


CASES = [(name, model) for name in FUNCTIONS for model in (chain, ladder, nest)]
CASES.remove(("repr", nest))  # whose lines are indented by their depth
CASES.append(("classes", pairs))
CASES += [(name, model) for name in ("call", "predict", "check", "save", "to_keras") for model in (fan, shared)]


@pytest.mark.parametrize(("name", "model"), CASES)
def test_work_grows_with_the_steps_of_a_model(name, model, tmp_path):
    calls(FUNCTIONS[name], model(20), tmp_path)  # imports, and what is done once
    short, long = (calls(FUNCTIONS[name], model(steps), tmp_path) for steps in (SHORT, LONG))
    assert long <= 2.1 * short, (short, long)
