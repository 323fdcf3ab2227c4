"""bind, sequential and graph: records equal by value, structures as Keras takes them, errors that help."""

import functools
import pickle
import sys
import types

import numpy as np
import pytest

import fnet
from benchmarks.journeys import KINDS, calls_of, traced
from fnet import at, bind, dense, embedding, graph, identity, input_layer, layer, masked_by, sequential
from fnet.core import infer
from fnet.core.compose import input_names
from fnet.core.options import misfit
from fnet.core.sources import describe
from fnet.masks import Masked
from fnet.tree import FrozenDict, freeze, thaw
from tests.golden.archives import golden
from tests.public import NAMES


def names():
    return dict(NAMES)


@layer(shape=lambda x: (x[0], {}))
def plus(params, x):
    return x[0] + x[1]


@layer(shape=lambda x: ((x, x), {}), mask="keep")
def twice(params, x, *, by=2.0):
    return (x, x * by)


@layer(shape=lambda x: (x, {}))
def pair(params, x):
    return x


def test_masks_go_from_each_input_to_the_output_in_its_place():
    nodes = {"a": (bind(twice), fnet.masked_by("x", "m")), "b": (bind(pair), (fnet.at("a", 1), fnet.at("a", 0)))}
    pooled = {f"p{i}": (fnet.global_average_pooling1d, fnet.at("b", i)) for i in (0, 1)}
    step = graph({**nodes, **pooled}, inputs=("x", "m"), outputs=("p0", "p1"))
    x, mask = np.array([[[1.0], [3.0]]], "float32"), np.array([[True, False]])
    first, second = step({}, (x, mask))
    assert (float(first[0, 0]), float(second[0, 0])) == (4.0, 1.0)


def test_bound_layers_are_values():
    a, b = bind(dense, units=3, activation="relu"), bind(dense, activation="relu", units=3)
    assert a == b
    assert hash(a) == hash(b)
    assert a != bind(dense, units=3)
    assert eval(repr(a), names()) == a
    assert pickle.loads(pickle.dumps(a)) == a
    assert bind(a, units=4).options == {"units": 4, "activation": "relu"}


def test_misspelt_option_names_the_legal_ones():
    with pytest.raises(TypeError, match=r"dense has no option 'unitz'; it takes units, activation, use_bias, .*dtype"):
        bind(dense, unitz=3)


@pytest.mark.parametrize("value", [[1, [2]], (1, [2]), {"a": [1]}, slice(1, None, 2), ..., None, "x", [[]]])
def test_freeze_makes_hashable_and_thaw_undoes_it(value):
    frozen = freeze(value)
    hash(frozen)
    assert thaw(frozen) == value
    assert type(thaw(frozen)) is type(value)
    assert eval(repr(frozen)) == value


def test_frozen_list_and_tuple_differ():
    assert freeze([1]) != freeze((1,))
    assert FrozenDict(a=1, b=2) == FrozenDict(b=2, a=1)


def test_positional_steps_get_keras_like_names():
    model = sequential(dense, bind(dense, units=2), identity)
    assert model.names == ("dense", "dense_1", "identity")


@pytest.mark.parametrize("form", [{"a-b.c d": identity}, [("a-b.c d", identity)]])
def test_names_that_are_no_identifiers(form):
    model = sequential(form)
    assert model.names == ("a-b.c d",)
    assert eval(repr(model), names()) == model


def test_a_name_is_used_once():
    with pytest.raises(ValueError, match="two steps are named 'a'"):
        sequential([("a", identity), ("a", identity)])
    with pytest.raises(TypeError, match="a step is"):
        sequential(a=3)


def test_order_comes_from_the_steps_not_from_the_params(each_backend):
    model = sequential(b=bind(dense, units=3), a=bind(dense, units=2))
    params = fnet.init(model, 0, (None, 4))
    x = np.ones((2, 4), "float32")
    backwards = dict(sorted(params.items()))
    np.testing.assert_array_equal(model(params, x), model(backwards, x))


def test_slices_are_models():
    model = sequential(a=bind(dense, units=3), b=identity, c=bind(dense, units=2))
    assert model["a":"c"].names == ("a", "b")
    assert model["b":].names == ("b", "c")
    assert model[1:].names == ("b", "c")
    assert model["c"] == bind(dense, units=2)
    with pytest.raises(KeyError, match="no step 'z'; the steps are a, b, c"):
        model["z":]
    assert model["b":"b"].names == model[2:1].names == ()
    with pytest.raises(ValueError, match="'a' comes before 'c'"):
        model["c":"a"]


def test_errors_name_the_step():
    model = sequential(block=sequential(head=bind(dense, units=3)))
    params = {"block": {"head": {"kernel": np.ones((6, 3), "float32"), "bias": np.ones(3, "float32")}}}
    with pytest.raises(ValueError, match=r"dense takes \(None, 6\)") as caught:
        model(params, np.ones((2, 5), "float32"))
    notes = caught.value.__notes__
    assert notes[0] == ("in 'block/head': dense() got float32[2, 5], params {kernel: float32[6, 3], bias: float32[3]}")
    with pytest.raises(ValueError, match="conv2d") as caught:
        fnet.init(sequential(block=sequential(head=bind(fnet.conv2d, filters=1, kernel_size=1))), 0, (2, 5))
    assert [note.partition(":")[0] for note in caught.value.__notes__] == ["in 'block/head'"]


def test_graph_shares_weights_by_params_name(each_backend):
    model = graph(
        inputs=("a", "b"),
        h=(bind(dense, units=3), "a"),
        h_1=(bind(dense, units=3), "b", "h"),
        y=(plus, ("h", "h_1")),
        outputs={"sum": "y", "left": ["h"]},
    )
    params = fnet.init(model, 0, (None, 4), (None, 4))
    assert list(params) == ["h"]
    x = np.ones((2, 4), "float32")
    y = model(params, (x, x))
    assert list(y) == ["sum", "left"]
    assert isinstance(y["left"], list)
    np.testing.assert_array_equal(y["sum"], 2 * y["left"][0])
    assert eval(repr(model), {**names(), "plus": plus}) == model
    assert pickle.loads(pickle.dumps(model)) == model


def test_graph_reads_elements_and_numbers(each_backend):
    model = graph(inputs="x", t=(twice, "x"), y=(plus, (at("t", 1), 1.5)), outputs=("y", at("t", 0)))
    y, first = model({}, np.float32([[1, 2]]))
    np.testing.assert_array_equal(y, [[3.5, 5.5]])
    np.testing.assert_array_equal(first, [[1, 2]])
    assert eval(repr(model), {**names(), "plus": plus, "twice": twice}) == model


def test_graph_refuses_unknown_sources():
    with pytest.raises(ValueError, match="'y' reads 'z', which is neither an input nor an earlier node; known here: x"):
        graph(inputs="x", y=(identity, "z"), outputs="y")
    with pytest.raises(ValueError, match="'x' is an input of the graph, and a node that reads 'y'"):
        graph(inputs=("x", "y"), x=(identity, "y"), outputs="x")
    with pytest.raises(ValueError, match="the step of the input 'x' comes after a node that reads the input"):
        graph({"y": (identity, "x"), "x": identity}, inputs="x", outputs="y")
    with pytest.raises(ValueError, match=r"each input is named once; got \('x', 'x'\)"):
        graph(inputs=("x", "x"), y=(plus, ("x", "x")), outputs="y")
    with pytest.raises(ValueError, match="two nodes are named 'y'"):
        graph({"y": (identity, "x")}, y=(identity, "x"), inputs="x", outputs="y")


def test_the_input_of_a_row_of_steps_as_a_graph_has_a_name_of_its_own():
    model = sequential({"input": identity, "input_of_model": identity}).as_graph()
    assert model.inputs not in ("input", "input_of_model")
    assert model({}, 3.0) == 3.0


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_steps_that_share_params_may_differ_in_all_else(names):
    nodes = {"a": (bind(fnet.gru, units=1, stateful=True), "x", "p"), "b": (bind(fnet.gru, units=1), "x", "p")}
    model = graph({name: nodes[name] for name in names}, inputs="x", outputs=("a", "b"))
    kept, fresh = fnet.predict(model, fnet.init(model, 0, (None, 3, 1)), np.ones((4, 3, 1), "float32"), batch_size=2)
    assert (kept[:2] != kept[2:]).all()
    np.testing.assert_array_equal(fresh[:2], fresh[2:])
    nodes = {"a": (bind(fnet.dropout, rate=0.5), "x", "p"), "b": (fnet.flatten, "x", "p")}
    model = graph({name: nodes[name] for name in names}, inputs="x", outputs=("a", "b"))
    assert list(fnet.with_rng(model, {}, 0)["p"]) == ["rng"]


@pytest.mark.parametrize(
    ("inputs", "x"),
    [
        ("a", [1]),
        ("a", {"a": 1}),
        (["a", "b"], (1, 2)),
        (("a", "b"), {"b": 2, "a": 1}),
        ({"p": "b", "q": "a"}, [2, 1]),
        ({"p": "b", "q": "a"}, {"q": 1, "p": 2}),
        ({"p": "b", "q": "a"}, {"a": 1, "b": 2}),
        ((("a",), {"k": "b"}), ((1,), {"k": 2})),
    ],
)
def test_inputs_are_matched_as_leniently_as_keras_does(inputs, x):
    values = fnet.core.sources.feed(freeze(inputs), x)
    assert {"a": values["a"], "b": values.get("b", 2)} == {"a": 1, "b": 2}


def test_wrong_number_of_inputs_is_named():
    with pytest.raises(fnet.InvalidInput, match="takes 2 inputs, a, b; got 3"):
        fnet.core.sources.feed(("a", "b"), (1, 2, 3))


def test_masks_travel_inside_and_never_come_out(each_backend):
    inner = sequential(e=bind(embedding, input_dim=5, output_dim=2, mask_zero=True), d=bind(dense, units=3))
    outer = sequential(inner=inner, i=identity)
    ids = np.array([[1, 0, 2]])
    params = fnet.init(outer, 0, (None, None))
    assert isinstance(fnet.run(inner, params["inner"], ids), Masked)
    np.testing.assert_array_equal(np.asarray(fnet.run(outer, params, ids).mask), [[True, False, True]])
    assert not isinstance(outer(params, ids), Masked)


def test_what_is_given_is_described_and_read_with_its_masks_and_gaps():
    x = Masked(np.ones((1, 2), "float32"), np.ones((1, 2), bool))
    assert describe([x, {"a": x.mask}]) == "(Masked(float32[1, 2], bool[1, 2]), {a: bool[1, 2]})"
    assert infer.spec((None, (None, 3))) == (None, fnet.Spec((None, 3)))
    texts = [np.array(["a", "b"], kind) for kind in ("S", "U", "O")]
    assert infer.spec(texts) == [fnet.Spec((2,), "string")] * 3
    assert "'relux' is not an activation" in misfit(fnet.lstm, {"recurrent_activation": "relux"})


def test_explicit_masks_win(each_backend):
    model = graph(inputs=("x", "m"), y=(identity, masked_by("x", "m")), outputs="y")
    flowing = fnet.run(model, {}, (Masked(np.ones((1, 2)), np.zeros((1, 2), bool)), np.array([[True, False]])))
    np.testing.assert_array_equal(np.asarray(flowing.mask), [[True, False]])


def test_input_layer_casts_and_mends_the_rank_as_keras_does(each_backend):
    step = bind(input_layer, shape=(None, 3))
    assert step({}, np.ones((2, 3), "float64")).dtype == np.float32
    assert step({}, [[1, 2, 3]]).shape == (1, 3)
    assert bind(input_layer, shape=(None, 1))({}, np.ones(4)).shape == (4, 1)
    assert bind(input_layer, shape=(None, 5, 1))({}, np.ones((4, 5))).shape == (4, 5, 1)
    assert bind(input_layer, shape=(None,))({}, np.ones((4, 1))).shape == (4,)
    assert bind(input_layer, shape=(None, 1), optional=True)({}, None) is None


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "bfloat16", "mixed_bfloat16", "float64"])
def test_dtype_policies_round_inputs_weights_and_outputs(policy):
    step = bind(dense, units=2, dtype=policy)
    assert eval(repr(step), names()) == step
    params = {"kernel": np.full((1, 2), 1.0009765, "float32"), "bias": np.zeros(2, "float32")}
    y = step(params, np.ones((1, 1), "float32"))
    wanted = {"float16": 1.0009765625, "bfloat16": 1.0, "float64": np.float64(np.float32(1.0009765))}
    assert y[0, 0] == wanted[policy.removeprefix("mixed_")]


def test_a_function_without_rules_is_told_what_to_do():
    with pytest.raises(TypeError, match=r"is not a layer: decorate it with @fnet.layer"):
        fnet.infer(bind(lambda params, x: x), fnet.Spec((1,)))


def test_a_long_repr_is_broken_into_lines_and_still_is_the_call():
    block = sequential(a=bind(dense, units=300, activation="relu"), b=bind(dense, units=300, activation="tanh"))
    steps = {f"step {i}": block for i in range(3)}
    model = fnet.graph(
        x=bind(fnet.input_layer, shape=(None, 300)),
        h=(sequential(steps), "x"),
        y=(bind(fnet.bidirectional, layer=bind(fnet.lstm, units=3, activation="relu", recurrent_dropout=0.25)), "h"),
        inputs="x",
        outputs="y",
    )
    assert len(repr(model).splitlines()) > 10
    assert eval(repr(model), names()) == model
    assert "\n" not in repr(block)


def test_a_model_in_a_notebook_is_a_table_of_steps_and_shapes():
    begun = sequential({"<x>": bind(fnet.input_layer, shape=(None, 4)), "d": bind(dense, units=3)})
    table = begun._repr_html_()
    assert "&lt;x&gt;" in table
    assert ">(None, 3)<" in table
    assert "total params: 15" in table
    assert "bind(dense, units=3)" in sequential(d=bind(dense, units=3))._repr_html_()


def test_params_are_shown_as_a_tree_of_shapes(monkeypatch):
    params = {"d": {"kernel": np.zeros((3, 2), "float32")}, "f": {}}
    lines = ["d", "  kernel: float32[3, 2]", "f: {}", "total: 6 numbers, 24 bytes"]
    assert repr(fnet.show(params)).splitlines() == lines
    monkeypatch.setitem(sys.modules, "treescope", None)
    assert fnet.show(params)._repr_html_() == f"<pre>{fnet.show(params)!r}</pre>"
    drawing = types.SimpleNamespace(render_to_html=lambda value: f"<b>{list(value)}</b>")
    monkeypatch.setitem(sys.modules, "treescope", drawing)
    assert fnet.show(params)._repr_html_() == "<b>['d', 'f']</b>"
    with pytest.raises(fnet.InvalidInput, match=r"show takes params.* got a Bound; a model shows itself"):
        fnet.show(bind(dense, units=3))


def test_a_layer_costs_three_calls_for_a_plain_array_of_floats():
    """The layer, its product, `activate`; rules are looked at where there is a mask or an integer."""
    short, long = (sequential(*[bind(dense, units=3)] * count) for count in (1, 9))
    x = np.ones((2, 3), np.float32)
    params = fnet.init(long, 0, x.shape)
    counts = [traced(lambda model=model: model(params, x)).calls.total() for model in (short, long, short, long)]
    assert counts[3] - counts[2] == 8 * 3


@pytest.mark.parametrize(("kind", "most"), [
    ("dense, softmax", 6), ("embedding", 2), ("max_pooling2d", 2), ("batch_normalization", 5), ("conv2d", 6),
    ("depthwise_conv2d", 7), ("layer_normalization", 5),
])  # fmt: skip
def test_a_layer_costs_no_more_calls_than_before(kind, most):
    assert calls_of(*KINDS[kind]) <= most


def test_a_load_goes_from_file_to_file_no_more_often_than_before():
    """Small changes added a third in one day."""
    data = golden("cnn.keras")
    fnet.load_keras(data)
    assert traced(lambda: fnet.load_keras(data)).changes <= 940


def test_numbers_of_numpy_are_options_as_those_of_python_are():
    x = np.float32([-1])
    assert (
        fnet.elu({}, x, alpha=np.float64(0.3)).dtype == bind(fnet.elu, alpha=np.float64(0.3))({}, x).dtype == "float32"
    )
    clip = bind(fnet.operations.clip, x_min=np.float64(0), x_max=np.float64(1))
    assert sequential(clip)({}, x).dtype == "float32"


def test_arrays_of_numpy_in_options_and_sources_are_lists_of_their_numbers(each_backend):
    """A scale by channel was "unhashable", and a graph with an array ran on NumPy alone and equalled nothing."""
    x, scale = np.ones((2, 3), "float32"), np.array([1, 2, 3], "float32")
    step = bind(fnet.rescaling, scale=scale, offset=np.array(1.0))
    assert step == bind(fnet.rescaling, scale=[1.0, 2.0, 3.0], offset=1.0)
    model, same = (
        graph(inputs="x", y=(step, "x"), z=(fnet.operations.add, ("y", numbers)), outputs="z")
        for numbers in (scale, [1.0, 2.0, 3.0])
    )
    assert model == same
    for run in (model, fnet.jit(model), functools.partial(fnet.predict, model)):
        np.testing.assert_array_equal(run({}, x), [[3, 5, 7]] * 2)


def test_options_come_to_a_layer_as_tuples_also_those_that_were_lists():
    @layer(shape=lambda x, *, sizes: (x, {}))
    def told(params, x, *, sizes):
        return sizes

    assert told({}, np.ones(1), sizes=[[1, 2], 3]) == ((1, 2), 3)
    assert bind(told, sizes=[[1, 2], 3])({}, np.ones(1)) == ((1, 2), 3)
    assert sequential(bind(told, sizes=[[1, 2], 3]))({}, np.ones(1)) == ((1, 2), 3)


def test_what_a_layer_lacks_is_told_on_the_straight_path_too():
    model = sequential(a=bind(dense, units=3), b=bind(dense, units=3))
    with pytest.raises(fnet.InvalidParams, match=r"missing kernel: the params of dense are empty") as error:
        model({"a": {"kernel": np.ones((3, 3)), "bias": np.ones(3)}, "b": {}}, np.ones((1, 3)))
    assert error.value.__notes__ == ["in 'b': dense() got float64[1, 3], params {}"]
    with pytest.raises(fnet.InvalidInput, match=r"dense takes .params, x.: a dict of arrays first; got a ndarray"):
        model({"a": np.ones(3), "b": {}}, np.ones((1, 3)))


def test_only_a_graph_names_its_inputs():
    """Commands, exports and `predict` call the input of any other model x."""
    model = fnet.sequential(first=bind(fnet.input_layer, shape=(None, 2)), dense=bind(fnet.dense, units=1))
    assert input_names(model) == input_names(model["dense"]) == "x"
    assert input_names(model.as_graph()) == "first"


def test_a_pickle_holds_a_model_and_nothing_that_calls_made_of_it():
    model = fnet.sequential(first=bind(fnet.input_layer, shape=(None, 2)), dense=bind(fnet.dense, units=1))
    for each in (model, model.as_graph()):
        before = pickle.dumps(each)
        each(fnet.init(each, 0), np.ones((1, 2), "float32"))
        assert pickle.dumps(each) == before


def test_who_looks_for_a_method_of_keras_is_told_the_function():
    with pytest.raises(AttributeError, match=r"a model has no 'predict': .* such as fnet.predict\(model, params, x\)"):
        sequential(a=identity).predict  # noqa: B018 - asking raises
    with pytest.raises(AttributeError, match=r"x\); use model\.names$"):
        sequential(a=identity).layers  # noqa: B018
    with pytest.raises(AttributeError, match=r"a model has no 'conv2d': .*; a step is model\[name\]$"):
        sequential(a=identity).conv2d  # noqa: B018
    with pytest.raises(fnet.InvalidInput, match=r"the order is with_rng\(model, params, key\)"):
        fnet.with_rng({}, sequential(a=identity), 0)
    with pytest.raises(TypeError, match=r"pairs of a name and a layer; .*; layers in a list: sequential\(\*layers\)$"):
        sequential([identity, identity])


def test_an_element_of_an_element_of_a_node():
    inner = at("t", 1)
    assert at(inner, "a") == at("t", 1, "a")
    assert at(inner) == inner
    assert at("t", 0).path == (0,)
