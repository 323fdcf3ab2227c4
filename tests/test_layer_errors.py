"""Inputs that do not fit the params: refused where NumPy would broadcast; the error names layer and shapes."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
import pytest

import fnet
from fnet import Spec, bind
from fnet.core import infer, options
from fnet.core.diagnosis import WORDS
from fnet.core.options import fits, option_names
from fnet.errors import OutOfMemory
from fnet.masks import Masked
from fnet.types import OutputMode, Positive, Rate
from params.store.records import known_layers
from tests.cases.operations import CASES

SHAPES = [
    ({"h": bind(fnet.dense, units=3)}, (4,), (5,), r"dense takes \(None, 4\) .*; got \(2, 5\), .* kernel of \(5, 3\)"),
    ({"h": bind(fnet.conv2d, filters=3, kernel_size=3)}, (8, 8, 1), (8, 8, 3), r"conv2d takes \(None, 8, 8, 1\)"),
    ({"f": fnet.flatten, "h": bind(fnet.dense, units=2)}, (3, 3), (4, 4), r"dense takes \(None, 9\) .* got \(2, 16\)"),
    ({"h": bind(fnet.lstm, units=3)}, (5, 3), (5, 4), r"lstm takes \(None, 5, 3\)"),
    ({"h": bind(fnet.bidirectional, layer=bind(fnet.gru, units=3))}, (5, 3), (5, 4), r"gru takes \(None, 5, 3\)"),
    ({"h": fnet.layer_normalization}, (3,), (4,), r"layer_normalization takes \(None, 3\)"),
    ({"h": bind(fnet.dense, units=3, dtype="float16")}, (4,), (5,), r"dense takes \(None, 4\)"),
]


@pytest.mark.parametrize(("steps", "takes", "given", "message"), SHAPES, ids=lambda value: str(value)[:30])
def test_an_input_of_the_wrong_shape_names_the_layer_and_what_it_takes(steps, takes, given, message):
    model = fnet.sequential(x=bind(fnet.input_layer, shape=(None, *takes)), **steps)
    params = fnet.init(model, 0)
    with pytest.raises(fnet.InvalidInput, match=message) as caught:
        model(params, np.ones((2, *given), "float32"))
    notes = caught.value.__notes__
    assert notes[0].startswith("in 'h': ")
    assert notes[-1] == f"the model takes {(None, *takes)}; got {(2, *given)}"
    assert caught.value.__cause__ is not None


def test_a_layer_alone_says_what_it_takes_and_several_inputs_what_they_would_need():
    with pytest.raises(fnet.InvalidInput, match=r"dense takes \(None, 4\) with these params; got \(2, 5\)"):
        fnet.dense({"kernel": np.ones((4, 3)), "bias": np.ones(3)}, np.ones((2, 5)))
    with pytest.raises(fnet.InvalidInput, match="do not broadcast: sizes must be equal or 1"):
        fnet.add({}, (np.ones((2, 2)), np.ones((2, 3))))


def test_an_input_takes_and_gives_a_last_axis_of_size_1(each_backend):
    for given, declared, gives in (
        ((3,), (None, 1), (3, 1)),
        ((3, 2, 1), (None, 2), (3, 2)),
        ((3, 1), (None, 1), (3, 1)),
    ):
        assert fnet.input_layer({}, np.ones(given, "float32"), shape=declared).shape == gives
    for given, declared in (((3,), (None, 2)), ((3, 1, 2), (None, 1)), ((3, 2, 1, 1), (None, 2))):
        with pytest.raises(fnet.InvalidInput, match="expected"):
            fnet.input_layer({}, np.ones(given, "float32"), shape=declared)


@pytest.mark.parametrize("alone", [True, False])
def test_a_wrong_option_is_not_said_to_be_a_wrong_input(alone):
    step, x = bind(fnet.dense, units=2, activation="Relu"), np.ones((1, 3), "float32")
    params = {"kernel": np.ones((3, 2), "float32"), "bias": np.ones(2, "float32")}
    with pytest.raises(ValueError, match=r"^no activation 'Relu'; known: ") as caught:
        step(params, x) if alone else fnet.sequential(d=step)({"d": params}, x)
    assert not isinstance(caught.value, fnet.InvalidInput)


def test_a_dtype_policy_that_there_is_not_is_refused_when_it_is_bound():
    for name in ("flaot16", "int8", "mixed_", np.float16):
        with pytest.raises(ValueError, match=r"dense: .* is not a dtype policy"):
            bind(fnet.dense, units=2, dtype=name)


def test_dot_takes_batches_of_one_size(each_backend):
    step, x = bind(fnet.dot, axes=1), (np.ones((3, 2), "float32"), np.ones((1, 2), "float32"))
    for call in (lambda: step({}, x), lambda: fnet.infer(step, infer.spec(x))):
        with pytest.raises(fnet.InvalidInput, match=r"dot takes axes of one size; got axis 0 of float32\[3, 2\]"):
            call()


def test_a_spectrogram_of_no_rows_has_none(each_backend):
    step = bind(fnet.mel_spectrogram, fft_length=8, sequence_stride=2, num_mel_bins=3)
    assert step({}, np.zeros((0, 20), "float32")).shape == (0, 3, 11)


def test_an_option_is_refused_also_after_one_that_equals_it():
    x, params = np.ones((1, 5, 5, 1), "float32"), {"kernel": np.ones((3, 3, 1, 2), "float32"), "bias": np.zeros(2)}
    assert fnet.conv2d(params, x, kernel_size=3, strides=2).shape == (1, 2, 2, 2)
    with pytest.raises(ValueError, match="strides must be one int"):
        fnet.conv2d(params, x, kernel_size=3, strides=2.0)


def test_an_error_with_another_cause_goes_on_as_it_is():
    @fnet.layer(shape=lambda x: (x, {"offset": fnet.Param(x.shape[-1:])}))
    def failing(params, x):
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own") as caught:
        failing({"offset": np.ones(3)}, np.ones((2, 3)))
    assert type(caught.value) is ValueError


@pytest.mark.parametrize(("layer", "options"), [
    (fnet.batch_normalization, {}),
    (fnet.batch_normalization, {"axis": 1}),
    (fnet.layer_normalization, {}),
    (fnet.group_normalization, {"groups": 1}),
    (fnet.rms_normalization, {}),
    (fnet.normalization, {}),
    (fnet.prelu, {}),
    (fnet.prelu, {"shared_axes": (1,)}),
    (fnet.multi_head_attention, {"num_heads": 1, "key_dim": 2}),
    (fnet.einsum_dense, {"equation": "abc,cd->abd", "output_shape": (None, 2)}),
    (fnet.einsum_dense, {"equation": "abc,cd->abcd", "output_shape": (None, None, 2)}),
    (fnet.additive_attention, {}),
])  # fmt: skip
@pytest.mark.parametrize("alone", [True, False])
def test_params_do_not_broadcast_over_an_input_of_size_1(layer, options, alone, each_backend):
    step, axis = fnet.bind(layer, **options), options.get("axis", 2)
    pair = layer in (fnet.multi_head_attention, fnet.additive_attention)
    spec, x = Spec((None, 4, 3)), np.ones((2, 1, 3) if axis == 1 else (2, 4, 1), "float32")
    params = fnet.init(step, 0, {"query": spec, "value": spec} if pair else spec)
    x = {"query": x, "value": x} if pair else x
    model, params = (step, params) if alone else (fnet.sequential(only=step), {"only": params})
    with pytest.raises(fnet.InvalidInput, match=rf"{layer.__name__}.* got .* would need a .*, and it has"):
        model(params, x)


@pytest.mark.parametrize(("step", "x"), [
    (fnet.bind(fnet.rescaling, scale=(1.0, 2.0, 3.0)), np.ones((2, 4, 1), "float32")),
    (fnet.bind(fnet.normalization, mean=(1.0, 2.0, 3.0), variance=1.0), np.ones((2, 4, 1), "float32")),
    (fnet.bind(fnet.layer_scale, projection_dim=3), np.ones((2, 4, 1), "float32")),
    (fnet.bind(fnet.multi_head_attention, num_heads=1, key_dim=2), {"query": (4,), "value": (5,), "key": (1,)}),
    (fnet.bind(fnet.group_query_attention, head_dim=2, num_query_heads=2, num_key_value_heads=1),
     {"query": (4,), "value": (5,), "key": (1,)}),
    (fnet.bind(fnet.multi_head_attention, num_heads=1, key_dim=2, attention_axes=2),
     {"query": (4, 4), "value": (1, 4)}),
    (fnet.bind(fnet.multi_head_attention, num_heads=1, key_dim=2, attention_axes=2),
     {"query": (4, 4), "value": (4, 4), "key": (1, 4)}),
])  # fmt: skip
def test_inputs_of_size_1_do_not_broadcast(step, x, each_backend):
    if isinstance(x, dict):
        x = {name: np.ones((2, *shape, 3), "float32") for name, shape in x.items()}
        honest = {name: Spec((None, *(4,) * (len(x["query"].shape) - 2), 3)) for name in x}
    else:
        honest = Spec((None, 4, 3))
    with pytest.raises(fnet.InvalidInput, match=r"broadcast|equal sizes|differ at an axis"):
        step(fnet.init(step, 0, honest), x)


def test_an_axis_that_is_not_there_is_told_in_the_words_of_the_shape_rule(each_backend_slowly):
    x, told = np.ones((2, 4), "float32"), 0
    for name, function in known_layers().items():
        if "axis" not in option_names(function) or name in ("rms_normalization", "tf_functions.concat"):
            continue  # one asks for its params first, one gives a single array as it is
        with pytest.raises((ValueError, fnet.InvalidInput, NotImplementedError)) as refused:
            fnet.infer(bind(function, axis=7), Spec(x.shape))
        if "axis 7 does not exist in 2 dimensions" in str(refused.value):
            told += 1
            with pytest.raises(fnet.InvalidInput, match=r": axis 7 does not exist in 2 dimensions$"):
                function({}, x, axis=7)
    assert told > 40


def test_einsum_sums_axes_of_one_size(each_backend):
    """NumPy and JAX stretch a size of 1; TensorFlow does not. Axes that stay broadcast as Keras lets them."""
    einsum, ones = fnet.operations.einsum, np.ones
    with pytest.raises(ValueError, match=r"sums axes 'b' of sizes 1 and 3"):
        einsum({}, (ones((2, 1)), ones((3, 4))), subscripts="ab,bc->ac")
    with pytest.raises(ValueError, match=r"sums axes 'b' of sizes 1 and 3"):
        fnet.infer(fnet.bind(einsum, subscripts="ab,bc->ac"), (Spec((None, 1)), Spec((3, 4))))
    y = einsum({}, (ones((1, 2, 3, 4)), ones((5, 2, 3, 4))), subscripts="abcd,abed->abce")
    assert y.shape == (5, 2, 3, 3)
    assert einsum({}, (ones((1, 2, 3)), ones((5, 3, 4))), subscripts="...ab,...bc->...ac").shape == (5, 2, 4)


def test_additive_attention_adds_features_that_broadcast(each_backend):
    """Keras adds a query of one feature to keys of three, with a scale of one."""
    step = fnet.bind(fnet.additive_attention)
    x = (np.full((1, 2, 1), 0.5, "float32"), np.arange(12, dtype="float32").reshape(1, 4, 3) / 12)
    params = {"scale": np.array([2.0], "float32")}
    scores = 2 * np.tanh(x[0][:, :, None] + x[1][:, None]).sum(-1)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(step(params, x), weights @ x[1], rtol=1e-5)


OVER_SPACE = [
    (getattr(fnet, f"{layer}{rank}d"), rank)
    for layer in ("cropping", "zero_padding", "up_sampling")
    for rank in (1, 2, 3)
]


@pytest.mark.parametrize(("layer", "rank"), OVER_SPACE, ids=lambda value: getattr(value, "__name__", None))
@pytest.mark.parametrize("more", [1, 3])
def test_layers_over_space_take_one_number_of_axes(layer, rank, more):
    shape = (5,) * (rank + more)
    with pytest.raises(fnet.InvalidInput, match=f"{layer.__name__} takes {rank + 2} axes"):
        layer({}, np.ones(shape))
    with pytest.raises(fnet.InvalidInput, match=f"{layer.__name__} takes {rank + 2} axes"):
        fnet.infer(layer, Spec(shape))


KINDS = [
    (int, [1, np.int64(1)], [True, 1.0, "1", None]),
    (float, [1.5, 1, np.float32(1)], [True, "1", None]),
    (bool, [True], [1, "True", None]),
    (str, ["a"], [1, None]),
    (int | None, [1, None], ["1"]),
    (Literal["a", None], ["a", None], ["b"]),
    (Positive, [1], [0, 1.0]),
    (Rate, [0, 1.0], [-0.1, 1.1]),
    (OutputMode, ["int"], ["ints", 1]),
    (tuple[int, str], [(1, "a"), [1, "a"]], [(1,), (1, "a", 1), ("a", "a"), (1, 1), "ab"]),
    (tuple[int, ...], [(1, 2), ()], [(1, "a"), ("a", 1), 1]),
    (Sequence[float], [[1, 2.5]], [[1, "a"], ["a", 1], "a"]),
    (list[tuple[int, int]], [[(1, 2)], []], [[(1, 2), 3], [3, (1, 2)]]),
    (Mapping[str, Any], [{"a": 1}], [[1], None]),
    (Callable[..., Any], [len], [1, None]),
    (Any, [1, None, "a"], []),
]


@pytest.mark.parametrize(("kind", "right", "wrong"), KINDS, ids=str)
def test_an_option_is_of_its_annotated_type_in_every_part(kind, right, wrong):
    assert [value for value in right if not fits(value, kind)] == []
    assert [value for value in wrong if fits(value, kind)] == []


def test_of_many_numbers_one_of_each_type_is_looked_at():
    seen = []
    assert options._all_fit(tuple, (float, ...), [lambda value: not seen.append(value)], [*range(1000), 0.5, 1.5])
    assert seen == [999, 1.5]


FOREIGN = [
    "abc",
    b"x",
    None,
    {1, 2},
    [[1, 2], [3]],
    {},
    object(),
    np.full((2, 4), "a"),
    np.zeros((2, 4), "V4"),
    [10**400],
]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("x", FOREIGN, ids=lambda x: type(x).__name__)
def test_a_model_that_is_called_with_no_arrays_says_so(x, declared):
    first = {"x": bind(fnet.input_layer, shape=(None, 4))} if declared else {}
    model = fnet.sequential(**first, y=bind(fnet.dense, units=2))
    params = {"y": {"kernel": np.ones((4, 2), "float32"), "bias": np.zeros(2, "float32")}}
    with pytest.raises(fnet.InvalidInput):
        model(params, x)


@pytest.mark.parametrize("shape", [(3, 7), (2,), (2, 5, 4)])
def test_a_mask_that_does_not_fit_its_values_is_told(shape):
    step = bind(fnet.multi_head_attention, num_heads=1, key_dim=2)
    x = np.ones((2, 5, 3), "float32")
    model = fnet.graph(inputs="x", y=(step, ("x", "x")), outputs="y")
    params = fnet.init(model, 0, x.shape)
    with pytest.raises(fnet.InvalidInput, match="mask"):
        model(params, Masked(x, np.ones(shape, bool)))


def test_no_memory_for_a_step_names_it():
    def greedy(params, x):
        raise MemoryError("Unable to allocate 9 PiB")

    model = fnet.sequential(greedy=fnet.layer(shape=infer.identity)(greedy))
    with pytest.raises(OutOfMemory, match="greedy takes more memory") as caught:
        model({}, np.ones((1, 2)))
    assert isinstance(caught.value, MemoryError | fnet.InvalidInput)


def needed(name):
    """The names of the arguments that a public function cannot do without."""
    parameters = inspect.signature(getattr(fnet, name)).parameters.values()
    return [
        p.name.replace("step", "model") for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    ]


FUNCTIONS = [name for name in fnet.PUBLIC if inspect.isfunction(getattr(fnet, name)) and name != "run"]
OF_MODELS = [name for name in FUNCTIONS if "model" in needed(name)]
OF_PARAMS = [name for name in OF_MODELS if {"params", "arrays"} & {*needed(name)}]
GIVEN = {"x": np.ones((1, 4)), "y": np.ones((1, 2)), "key": 0, "path": "unwritten", "tokens": ["a"]}


@pytest.mark.parametrize("given", ["path", "params"])
@pytest.mark.parametrize("name", OF_MODELS)
def test_what_is_no_model_is_told(name, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = fnet.sequential(y=bind(fnet.dense, units=2))
    params = fnet.init(model, 0, (None, 4))
    wrong = "model.keras" if given == "path" else params
    values = GIVEN | {"model": wrong, **dict.fromkeys(("params", "arrays"), model if given == "params" else params)}
    with pytest.raises((fnet.InvalidInput, TypeError)) as caught:
        getattr(fnet, name)(*(values[key] for key in needed(name)))
    message = str(caught.value)
    assert len(message) < 200
    if given == "params" and name in OF_PARAMS:
        assert re.match(r"the order is \w+\(.*model, .*\); got the params first, then the model", message)
    else:
        assert re.search("(?i)model|layer", message)
    assert list(tmp_path.iterdir()) == []


def test_params_in_place_of_shapes_are_told():
    model = fnet.sequential(y=bind(fnet.dense, units=2))
    with pytest.raises(fnet.InvalidInput, match=r"dense, units=2\) does not take \{y: \{kernel: float32\[4, 2\]"):
        fnet.summary(model, fnet.init(model, 0, (None, 4)))


ONE = Spec((2, 3, 4))


@pytest.mark.parametrize(("step", "x", "said"), [
    (bind(fnet.lstm, units=2), Spec((2, 3)), "3 axes|\\(batch, time"),
    (bind(fnet.max_pooling2d), (), "does not take \\(\\): it takes an array of 4 axes"),
    (bind(fnet.lstm_cell, units=2), (ONE, ONE, ONE), "a cell takes \\(inputs, states\\), the states in a list; got 3"),
    (bind(fnet.hashed_crossing, num_bins=3), ONE, "does not take .*: it takes 2 arrays of any number of axes"),
    (fnet.operations.logaddexp, (ONE,), r"it takes 2 arrays \(x1, x2\) of any number of axes"),
    (fnet.operations.outer, (Spec((2,), "string"),) * 2, r"it takes 2 arrays \(x1, x2\) of any number of axes"),
    (fnet.operations.bitwise_and, ONE, r"it takes 2 arrays \(x, y\) of any number of axes"),
    (fnet.operations.scatter_update, (ONE,), r"it takes 3 arrays \(inputs, indices, updates\)"),
    (fnet.operations.svd, Spec(()), "it takes an array .*2 or more axes"),
    *((layer, ONE, f"{layer.__name__} lacks the option") for layer in (fnet.input_layer, fnet.time_distributed)),
    (fnet.random_hue, {"a": ONE}, "it takes an array of"),
    (fnet.operations.rot90, Spec((3,)), r"it takes an array \(array\) of 2 or more axes"),
    (fnet.operations.diagonal, Spec((2,), "string"), r"it takes an array \(x\) of 2 or more axes"),
    (fnet.operations.nonzero, Spec(()), "does not take .*: it takes"),
    (fnet.operations.where, (Spec(()),) * 2, "where takes a condition and two values .* got one value"),
    (bind(fnet.operations.saturate_cast, dtype="int8"), Spec((2,), "string"), r"does not take string\[2\]: it takes"),
])  # fmt: skip
def test_a_wrong_structure_is_told_with_what_is_taken(step, x, said):
    with pytest.raises(fnet.InvalidInput, match=said):
        infer.trace(bind(step), x)


def test_params_of_other_options_are_told_as_such():
    """The message was about an input with an axis of one size of the kernel, which nobody gave."""
    wrong = {"kernel": np.ones((3, 3, 1, 5), "float32")}
    said = r"conv2d got \(1, 6, 6, 1\), for which it would need a kernel of \(3, 3, 1, 4\), and it has \(3, 3, 1, 5\)"
    with pytest.raises(fnet.InvalidInput, match=said):
        fnet.conv2d(wrong, np.ones((1, 6, 6, 1), "float32"), filters=4, kernel_size=3, use_bias=False)


def test_a_rule_that_fails_for_any_input_is_not_tried_with_all_of_them():
    """The search cost 140 times what reading the options of a layer of 2,000 cells did."""
    tried = []

    def rule(x):
        tried.append(x)
        raise AttributeError("no such cell")

    with pytest.raises(fnet.InvalidInput, match=r"does not take float32\[2, 3\]: no such cell"):
        infer.trace(bind(fnet.layer(shape=rule)(lambda params, x: x)), Spec((2, 3)))
    assert len(tried) < 8


def test_no_rule_of_an_operation_answers_a_wrong_structure_in_words_of_python():
    for case in CASES:
        step = bind(case.layer, **case.options)
        for x in ((), (ONE,), {"a": ONE}, None, "x", (ONE, None), (ONE,) * 7):
            try:
                infer.trace(step, x)
            except (ValueError, NotImplementedError) as error:
                words = ("argument", "attribute", "iterable", "subscriptable", "out of range", *WORDS)
                assert not any(word in str(error) for word in words), error  # noqa: PT017


def test_what_jax_traces_on_numpy_is_told():
    model = fnet.sequential(y=bind(fnet.dense, units=2))
    params, x = fnet.init(model, 0, (None, 4)), np.ones((3, 4), "float32")
    for f in (jax.jit(model), jax.grad(lambda params, x: model(params, x).sum()), jax.vmap(model, (None, 0))):
        with pytest.raises(TypeError, match="fnet runs on NumPy in this process: set FNET_BACKEND=jax before"):
            f(params, x[:, None])
    with pytest.raises(TypeError, match="set FNET_BACKEND=jax"):
        jax.jit(fnet.dense)(params["y"], x)
    with pytest.raises(TypeError, match="the arrays are of JAX, but fnet runs on NumPy"):
        fnet.conv2d({"kernel": jax.numpy.ones((3, 3, 3, 32))}, np.ones((8, 32, 32, 3), "float32"), filters=32)
    with pytest.raises(TypeError, match="the arrays are of JAX, but fnet runs on NumPy"):
        fnet.adaptive_max_pooling1d({}, jax.numpy.ones((1, 7, 3)), output_size=2)
