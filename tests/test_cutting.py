"""Models cut at named steps: slices and `fnet.cut` on graphs, sequential and nested models, against Keras."""

import numpy as np
import pytest

import fnet
from fnet import at, bind, cut, dense, graph, identity, pruned, sequential
from fnet.core import infer
from fnet.layers.merging import add
from tests.public import NAMES

X = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")


MANY = sequential({f"dense_{i}": bind(dense, units=2) for i in range(20)})


def residual():
    """x -> a -> b -> c with a shortcut around b."""
    return graph(
        inputs="x",
        x=bind(fnet.input_layer, shape=(None, 4)),
        a=(bind(dense, units=4, activation="relu"), "x"),
        b=(bind(dense, units=4, activation="tanh"), "a"),
        sum=(add, ("a", "b")),
        c=(bind(dense, units=2), "sum"),
        side=(bind(dense, units=3), "x"),
        outputs=["c", "side"],
    )


def nested():
    block = residual()
    return graph(
        inputs="y",
        y=bind(fnet.input_layer, shape=(None, 4)),
        first=(bind(dense, units=4), "y"),
        block=(block, "first"),
        last=(bind(dense, units=5), at("block", 0)),
        outputs="last",
    )


def made(model):
    params = fnet.init(model, 0)
    return params, fnet.activations(model, params, X)


def same(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-6, atol=1e-6)


def test_a_slice_of_a_graph_is_what_lies_between(each_backend):
    model = residual()
    params, values = made(model)
    part = model["a":"c"]
    assert part.names == ("x", "a", "b", "sum")  # c is not in it, nor what only other outputs need
    same(part(params, X), values["sum"])
    assert part.inputs == "x"
    same(model["sum":"c"](params, (values["a"], values["b"])), values["sum"])
    a, b = model[:"sum"](params, X)  # what the sum reads
    same(a, values["a"])
    same(b, values["b"])
    assert eval(repr(part), {**NAMES, "add": add}) == part
    assert model["c"] == model[4] == bind(dense, units=2)


def test_what_comes_around_a_cut_is_told(each_backend):
    model = residual()
    with pytest.raises(
        ValueError, match=r"need more than 'sum': 'side' reads the input 'x' around the cut.*'sum', 'x'"
    ):
        model["c":]
    params, values = made(model)
    both = cut(model, inputs=("sum", "x"))
    for ours, theirs in zip(both(params, (values["sum"], X)), model(params, X), strict=True):
        same(ours, theirs)


@pytest.mark.parametrize(
    ("outputs", "look"),
    [
        ("sum", lambda y, v: [(y, v["sum"])]),
        (("b", "c"), lambda y, v: [(y[0], v["b"]), (y[1], v["c"])]),
        ({"late": "c", "early": ["a", "x"]}, lambda y, v: [(y["late"], v["c"]), (y["early"][0], v["a"])]),
    ],
)
def test_outputs_by_name(outputs, look, each_backend):
    model = residual()
    params, values = made(model)
    y = cut(model, outputs=outputs)(params, X)
    for ours, theirs in look(y, values):
        same(ours, theirs)


def test_features_and_head_make_the_whole(each_backend):
    """As for Grad-CAM: the gradient of a score by the features is that of the head."""
    model = residual()
    params, values = made(model)
    features, head = cut(model, outputs="sum"), cut(model, inputs="sum", outputs="c")
    assert head.names == ("sum", "c")
    same(head(params, features(params, X)), values["c"])
    same(fnet.predict(head, params, np.asarray(values["sum"])), values["c"])
    few = pruned(head, params)
    assert list(few) == ["c"]
    fnet.check(head, few)  # the part says what it takes, as the whole did
    same(head(few, values["sum"]), values["c"])


def test_steps_of_nested_models_by_path(each_backend):
    model = nested()
    params, values = made(model)
    y = cut(model, outputs={"inner": "block/sum", "outer": "last"})(params, X)
    same(y["inner"], values["block/sum"])
    same(y["outer"], values["last"])
    same(cut(model, inputs="block/sum", outputs="block/c")(params, values["block/sum"]), values["block/c"])
    part = model["block/a":"block/c"]
    same(part(params, values["first"]), values["block/sum"])
    assert list(pruned(part, params)["block"]) == ["a", "b"]
    assert model["block/b"] == bind(dense, units=4, activation="tanh")


def test_sequential_models_too(each_backend):
    inner = sequential(g=bind(dense, units=2), h=bind(dense, units=3))
    model = sequential(e=bind(dense, units=4), f=inner, k=identity)
    params = fnet.init(model, 0, (None, 4))
    values = fnet.activations(model, params, X)
    assert cut(model, inputs="e", outputs="k") == model["f":] == sequential(f=inner, k=identity)
    e, g = cut(model, outputs=["e", "f/g"])(params, X)
    same(e, values["e"])
    same(g, values["f/g"])
    same(model["f/h":](params, values["f/g"]), values["k"])


@pytest.mark.parametrize("look", [lambda m: m, lambda m: m.as_graph()])
def test_a_part_declares_its_input_where_the_model_does(look):
    model = look(sequential(x=bind(fnet.input_layer, shape=(None, 4)), a=bind(dense, units=3), b=bind(dense, units=2)))
    part = cut(model, inputs="a")
    assert part.names == ("a", "b")
    assert infer.input_spec(part) == fnet.Spec((None, 3))


def test_shared_weights_stay_shared(each_backend):
    block = sequential(h=bind(dense, units=4), g=bind(dense, units=4))
    model = graph(inputs="x", one=(block, "x"), two=(block, "one", "one"), outputs="two")
    params = fnet.init(model, 0, (None, 4))
    values = fnet.activations(model, params, X)
    part = cut(model, outputs=("one/h", "two/h"))
    for ours, path in zip(part(params, X), ("one/h", "two/h"), strict=True):
        same(ours, values[path])
    assert list(pruned(part, params)) == ["one"]
    assert list(pruned(part, params)["one"]) == ["h", "g"]  # the first call needs both


def test_calls_of_one_model_keep_what_either_needs():
    given = bind(fnet.input_layer, shape=(None, 4))
    model = graph(inputs="x", x=given, m=(nested(), "x"), n=(nested(), "x", "m"), outputs=("m", "n"))
    params, values = made(model)
    part = cut(model, outputs=["m/block/a", "n/block/side"])
    some = pruned(part, params)
    assert set(some["m"]["block"]) == {"a", "side"}
    for ours, name in zip(part(some, X), ("m/block/a", "n/block/side"), strict=True):
        same(ours, values[name])


def test_a_list_of_one_input_stays_one():
    model = graph(inputs=["x"], a=(bind(dense, units=3), "x"), b=(bind(dense, units=3), "a"), outputs="b")
    assert cut(model, outputs="a").inputs == model.inputs


def test_a_mask_is_given_with_the_values():
    model = graph(
        inputs="i",
        e=(bind(fnet.embedding, input_dim=5, output_dim=3, mask_zero=True), "i"),
        d=(bind(dense, units=3), "e"),
        y=(bind(fnet.lstm, units=2), "d"),
        outputs="y",
    )
    params = fnet.init(model, 0, fnet.Spec((None, 3), "int32"))
    ids = np.array([[1, 2, 0], [0, 3, 0]])
    values = fnet.activations(model, params, ids)
    head = cut(model, inputs="d")
    same(head(params, fnet.Masked(values["d"], ids != 0)), values["y"])
    assert np.abs(head(params, values["d"]) - values["y"]).max() > 1e-3


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda m: m[99], IndexError, "no step 99; the model has 4, from 0"),
        (lambda m: MANY[-99], IndexError, "no step -99; the model has 20, from 0"),
        (lambda m: MANY[None], KeyError, "no step None; the steps are dense_0, "),
        (lambda m: m["blok"], KeyError, "no step 'blok'; the steps are y, first, block, last"),
        (lambda m: m["block/z":], KeyError, "no step 'z'; the steps are x, a, b, sum, c, side"),
        (
            lambda m: fnet.cut(MANY, outputs="dense3"),
            KeyError,
            "no step 'dense3'; of 20 steps the nearest are dense_3, ",
        ),
        (lambda m: fnet.cut(MANY, outputs="conv"), KeyError, "no step 'conv'; the steps are dense_0, dense_1, "),
        (lambda m: m["first/x"], KeyError, "'first' is a layer and has no steps inside"),
        (lambda m: m["first":"last":2], ValueError, "a slice of a model has no step; got 2"),
        (lambda m: m[:"y"], ValueError, "'y' is an input, so no model can end before it"),
        (lambda m: cut(m, inputs="last", outputs="first"), ValueError, "need nothing of what 'last' gives"),
        (lambda m: cut(bind(dense, units=2)), TypeError, "only models have named steps"),
    ],
)
def test_errors(use, error, message):
    with pytest.raises(error, match=message):
        use(nested())


def test_as_keras_cuts():
    import keras

    x = keras.Input((4,))
    a = keras.layers.Dense(3, activation="relu", name="a")(x)
    b = keras.layers.Add(name="b")([a, keras.layers.Dense(3, name="c")(a)])
    whole = keras.Model(x, keras.layers.Dense(2, name="d")(b))
    model, params = fnet.from_keras(whole)
    theirs = keras.Model(whole.input, [whole.get_layer(n).output for n in ("a", "b")])(X)
    for ours, wanted in zip(cut(model, outputs=["a", "b"])(params, X), theirs, strict=True):
        same(ours, wanted)
    same(model["d":](params, np.asarray(theirs[1])), whole(X))


def test_activations_takes_one_name_as_one():
    model = residual()
    params, values = made(model)
    assert list(fnet.activations(model, params, X, "sum")) == ["sum"]
    same(fnet.activations(model, params, X, "sum")["sum"], values["sum"])


@pytest.mark.parametrize(
    "part", [lambda m: fnet.cut(m, inputs=("b", "c")), lambda m: m["d":], lambda m: fnet.cut(m, inputs="d")]
)
def test_a_step_that_became_an_input_reads_no_params(part, tmp_path):
    """Its own stayed among those of the part, which then could not be saved or exported."""
    whole = graph(
        {
            "x": bind(fnet.input_layer, shape=(None, 3)),
            "b": (bind(dense, units=2), "x"),
            "c": (bind(dense, units=2), "x"),
            "d": (fnet.concatenate, ["b", "c"]),
            "e": (bind(dense, units=1), "d"),
        },
        inputs="x",
        outputs="e",
    )
    params = fnet.init(whole, 0)
    rest = part(whole)
    assert list(fnet.pruned(rest, params)) == ["e"]
    fnet.check(rest, fnet.pruned(rest, params))
