"""Steps that are models: Functional, Sequential, several levels deep, called twice, with several outputs."""

from __future__ import annotations

from typing import Any

from tests.random_models.builder import Builder

DEEPEST = 3


def functional(b: Builder, x: Any) -> Any:
    """A drawn nested model, perhaps with further outputs (as a list or dict), perhaps called twice."""
    if b.depth >= DEEPEST:
        return b.layers.Dense(3)(x)
    child = b.child()
    inner_input = child.input(x.shape[1:])
    main = child.grow(inner_input, b.number(1, 2))
    model = b.keras.Model(inner_input, _structure(b, [main, *child.extras[:2]]))
    y = _main(b, model(x))
    again = tuple(y.shape[1:]) == tuple(x.shape[1:]) and b.flag()
    return _main(b, model(y)) if again else y


def _structure(b: Builder, outputs: list[Any]) -> Any:
    if len(outputs) == 1:
        return outputs[0]
    return outputs if b.flag() else {f"z_{len(outputs) - i}": y for i, y in enumerate(outputs)}


def _main(b: Builder, y: Any) -> Any:
    """One output of a nested model; the others become outputs of the model around it."""
    if isinstance(y, dict):
        y = list(y.values())
    if isinstance(y, list | tuple):
        b.extras += y[1:]
        y = y[0]
    return y


def sequential(b: Builder, x: Any) -> Any:
    """A Sequential, with an Input or not."""
    layers = b.layers
    steps = [layers.Dense(x.shape[-1]), layers.Activation(b.activation()), layers.BatchNormalization()]
    steps = steps[: b.number(1, 3)]
    if b.flag():
        steps.insert(0, b.keras.Input(x.shape[1:]))
    inner = b.keras.Sequential(steps)
    y = inner(x)
    return inner(y) if b.flag() else y


def two_inputs(b: Builder, x: Any) -> Any:
    """A model of two inputs, given as a list or a dict."""
    first, second = b.keras.Input(x.shape[1:], name="left"), b.keras.Input(x.shape[1:], name="right")
    y = b.layers.Add()([b.layers.Dense(x.shape[-1])(first), b.layers.Activation(b.activation())(second)])
    other = b.layers.Dense(x.shape[-1])(x)
    if b.flag():
        return b.keras.Model([first, second], y)([x, other])
    return b.keras.Model({"left": first, "right": second}, y)({"right": other, "left": x})


def shared_model(b: Builder, x: Any) -> Any:
    """One model used wherever the shape is the same."""
    key = ("model", tuple(x.shape[1:]))
    if key not in b.shared:
        inner = b.keras.Input(x.shape[1:])
        b.shared[key] = b.keras.Model(inner, b.layers.Dense(x.shape[-1], activation=b.activation())(inner))
    model = b.shared[key]
    return b.layers.Average()([model(x), model(-x)])


STEPS = [functional, functional, sequential, two_inputs, shared_model]
