"""Params to PyTorch, flax.nnx and Equinox and back: the real modules compute the same."""

import chex
import numpy as np
import pytest

import fnet
from fnet import ExportError, bind, tree
from params.bridges import from_equinox, from_flax, from_torch, to_equinox, to_flax, to_torch
from params.bridges.layouts import EQUINOX, FLAX, TORCH
from tests import exported

WAYS = {"torch": (to_torch, from_torch), "flax": (to_flax, from_flax), "equinox": (to_equinox, from_equinox)}

GRU = bind(fnet.gru, units=4, return_sequences=True)
LSTM = bind(fnet.lstm, units=4, return_sequences=True)
HEADS = bind(fnet.multi_head_attention, num_heads=2, key_dim=3)
ROWS = {
    "dense": (bind(fnet.dense, units=4), (2, 3)),
    "dense without bias": (bind(fnet.dense, units=4, use_bias=False), (2, 3)),
    "conv1d": (bind(fnet.conv1d, filters=4, kernel_size=3), (2, 7, 3)),
    "conv2d": (bind(fnet.conv2d, filters=4, kernel_size=(3, 2), strides=2), (2, 7, 6, 3)),
    "conv2d in groups": (bind(fnet.conv2d, filters=4, kernel_size=3, groups=2), (2, 7, 6, 2)),
    "conv3d": (bind(fnet.conv3d, filters=2, kernel_size=2), (2, 4, 5, 3, 2)),
    "depthwise_conv2d": (bind(fnet.depthwise_conv2d, kernel_size=3, depth_multiplier=2), (2, 6, 5, 3)),
    "conv2d_transpose": (bind(fnet.conv2d_transpose, filters=4, kernel_size=3, strides=2), (2, 4, 5, 3)),
    "batch_normalization": (fnet.batch_normalization, (4, 3)),
    "layer_normalization": (fnet.layer_normalization, (4, 3)),
    "group_normalization": (bind(fnet.group_normalization, groups=2), (2, 5, 4)),
    "embedding": (bind(fnet.embedding, input_dim=5, output_dim=3), (2, 6)),
    "lstm": (LSTM, (2, 5, 3)),
    "gru": (GRU, (2, 5, 3)),
    "gru without bias": (bind(fnet.gru, units=4, return_sequences=True, use_bias=False), (2, 5, 3)),
    "simple_rnn": (bind(fnet.simple_rnn, units=4, return_sequences=True), (2, 5, 3)),
    "bidirectional": (bind(fnet.bidirectional, layer=LSTM), (2, 5, 3)),
    "multi_head_attention": (HEADS, (2, 5, 6)),
}
LACKING = {
    "flax": ("depthwise_conv2d", "conv2d_transpose", "simple_rnn", "bidirectional"),
    "equinox": ("depthwise_conv2d", "conv2d_transpose", "simple_rnn", "bidirectional", "batch_normalization"),
}


def drawn(name):
    """(step, params, x) of a case, all params drawn."""
    step, shape = ROWS[name]
    rng = np.random.default_rng(0)
    ids = name == "embedding"
    x = rng.integers(0, 5, shape).astype("int32") if ids else rng.standard_normal(shape).astype("float32")
    takes = fnet.Spec(shape, "int32" if ids else "float32")
    wanted = fnet.infer(step, (takes, takes) if name == "multi_head_attention" else takes)[1]
    return step, tree.map(lambda p: np.abs(rng.standard_normal(p.shape)).astype("float32"), wanted), x


def pairs():
    return [(library, name) for library in WAYS for name in ROWS if name not in LACKING.get(library, ())]


@pytest.mark.parametrize(("library", "name"), pairs())
def test_there_and_back_is_the_same(library, name):
    step, params, _ = drawn(name)
    if (library, name) == ("flax", "gru"):
        params["bias"][1, 8:] = 0
    there, back = WAYS[library]
    arrays = there(step, params)
    again = there(step, back(step, arrays))
    assert set(again) == set(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(again[key], array)
    if "lstm" not in str(step) and not (library != "torch" and name.startswith("gru")):
        for path, leaf in tree.items(back(step, arrays)):
            np.testing.assert_array_equal(leaf, tree.get(params, path))


@pytest.mark.parametrize("library", WAYS)
def test_every_row_of_the_table_crosses_whole_or_is_refused(library):
    """Without the other library; the cases below run in it."""
    layouts, (there, back) = {"torch": TORCH, "flax": FLAX, "equinox": EQUINOX}[library], WAYS[library]
    for case in (case for cases in exported.cases().values() for case in cases if case.layer in layouts):
        params = exported.model_of(case)[1].get("layer", {})
        try:
            arrays = there(case.step, params)
        except ExportError:
            continue
        again = back(case.step, arrays)
        lost = {path for path, _ in tree.items(params)} - {path for path, _ in tree.items(again)}
        assert not lost or case.options.get("renorm"), case.id
        for key, array in there(case.step, again).items():
            np.testing.assert_array_equal(array, arrays[key])


def test_what_has_no_place_in_a_module_is_refused():
    step = bind(fnet.multi_head_attention, num_heads=2, key_dim=3, use_gate=True)
    params = fnet.init(step, 0, ((None, 4, 5), (None, 6, 5)))
    for to in (to_flax, to_equinox):
        with pytest.raises(ExportError, match=r"multi_head_attention: .* has no place for .*gate"):
            to(step, params)
    relu = bind(fnet.lstm, units=4, activation="relu")
    with pytest.raises(ExportError, match="activation='relu': the cells of other libraries"):
        to_equinox(relu, drawn("lstm")[1])
    odd = bind(fnet.simple_rnn, units=4, activation="softsign")
    with pytest.raises(ExportError, match="activation='softsign'"):
        to_torch(odd, drawn("simple_rnn")[1])


def test_models_go_by_the_names_of_their_layers():
    model = fnet.sequential(hidden=bind(fnet.dense, units=3, activation="relu"), scores=bind(fnet.dense, units=2))
    params = fnet.init(model, 0, (None, 4))
    arrays = to_torch(model, params)
    assert list(arrays) == ["hidden.weight", "hidden.bias", "scores.weight", "scores.bias"]
    back = from_torch(model, arrays)
    np.testing.assert_array_equal(back["hidden"]["kernel"], params["hidden"]["kernel"])


def test_layers_are_told_apart_whose_names_have_dots():
    one, two = fnet.bind(fnet.dense, units=3), fnet.bind(fnet.dense, units=2)
    model = fnet.sequential(**{"a.b": one, "a": two})
    params = fnet.init(model, 0, (None, 4))
    chex.assert_trees_all_equal(from_torch(model, to_torch(model, params)), params)
    model = fnet.sequential(**{"a": fnet.sequential(b=one), "a.b": two})
    with pytest.raises(ExportError, match=r"two arrays called a\.b\.bias, a\.b\.weight: rename a layer"):
        to_torch(model, fnet.init(model, 0, (None, 4)))


def test_params_that_lack_or_are_left_over_are_refused():
    model = fnet.sequential(relu=fnet.relu, d=fnet.bind(fnet.dense, units=2), g=fnet.bind(fnet.gru, units=3))
    params = fnet.init(model, 0, (None, 5, 4))
    for there, _ in WAYS.values():
        assert set(there(fnet.gru, params["g"])) == {n.removeprefix("g.") for n in there(model, params) if n[0] == "g"}
        for fewer in ({}, {"d": params["d"]}, {**params, "d": {"bias": params["d"]["bias"]}}):
            with pytest.raises(fnet.InvalidParams, match="its params lack what is '"):
                there(model, fewer)
        with pytest.raises(fnet.InvalidParams, match="has no layers for the params dense"):
            there(model, {**params, "dense": params["d"]})


@pytest.mark.slow
def test_tensors_that_are_trained_and_those_of_bfloat16_are_read():
    torch = pytest.importorskip("torch")
    step = fnet.bind(fnet.dense, units=2)
    for dtype in (torch.float32, torch.bfloat16):
        module = torch.nn.Linear(3, 2, dtype=dtype)
        params = from_torch(step, dict(module.named_parameters()))
        assert {leaf.dtype.name for leaf in params.values()} == {"float32"}
        np.testing.assert_array_equal(params["kernel"], module.weight.T.detach().float().numpy())


def test_arrays_of_other_shapes_or_dtypes_are_refused_where_the_model_declares_its_input():
    model = fnet.sequential(x=fnet.bind(fnet.input_layer, shape=(None, 3)), d=fnet.bind(fnet.dense, units=2))
    right = {"d.weight": np.ones((2, 3), "float32"), "d.bias": np.zeros(2, "float32")}
    assert from_torch(model, right)["d"]["kernel"].shape == (3, 2)
    for wrong in (right["d.weight"].T, right["d.weight"].astype("float64")):
        with pytest.raises(ExportError, match=r"do not fit the model:\n  d/kernel: expected float32\[3, 2\], got"):
            from_torch(model, {**right, "d.weight": wrong})


def test_arrays_that_lack_or_are_left_over_are_refused():
    for library, name in pairs():
        step, params, _ = drawn(name)
        if (library, name) == ("flax", "gru"):
            params["bias"][1, 8:] = 0
        there, back = WAYS[library]
        model, arrays = fnet.sequential(relu=fnet.relu, step=step), there(step, params)
        for key in arrays:
            with pytest.raises(ExportError, match=f"lack '{key}'"):
                back(model, {f"step.{k}": array for k, array in arrays.items() if k != key})
        with pytest.raises(ExportError, match=r"nothing here takes these arrays of .*: weight_ih_l1"):
            back(step, {**arrays, "weight_ih_l1": np.ones(3)})
        with pytest.raises(ExportError, match=r"the model: nothing here takes .*: other\.weight"):
            back(model, {f"step.{k}": array for k, array in arrays.items()} | {"other.weight": np.ones(3)})


REFUSED = {
    "rms": (bind(fnet.layer_normalization, rms_scaling=True), {"gamma": np.ones(3)}, "leaves the mean"),
    "no bridge": (bind(fnet.prelu), {"alpha": np.ones(3)}, "there is no bridge for prelu to PyTorch"),
    "other activation": (
        bind(fnet.lstm, units=1, activation="relu"),
        {"kernel": np.ones((1, 4))},
        "activation='relu': the cells of other libraries have 'tanh'",
    ),
    "reset before": (
        bind(fnet.gru, units=1, reset_after=False),
        {"kernel": np.ones((1, 3))},
        "resets before it multiplies",
    ),
    "sizes of heads": (
        bind(fnet.multi_head_attention, num_heads=1, key_dim=2),
        {
            **{f"{n}_dense": {"kernel": np.ones((3, 1, 2))} for n in ("query", "key", "value")},
            "output_dense": {"kernel": np.ones((1, 2, 3))},
        },
        "the heads of PyTorch share one size",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_lacks_is_refused(name):
    step, params, message = REFUSED[name]
    with pytest.raises(ExportError, match=message):
        to_torch(step, params)


def test_the_gru_of_flax_lacks_a_bias():
    step, params, _ = drawn("gru")
    bias = np.zeros_like(params["bias"])
    to_flax(step, {**params, "bias": bias})
    bias[1, -1] = 1
    with pytest.raises(ExportError, match="has no bias of the state"):
        to_flax(step, {**params, "bias": bias})
    step, params, _ = drawn("gru without bias")
    arrays = to_flax(step, params)
    assert sorted(from_flax(step, arrays)) == ["kernel", "recurrent_kernel"]
    with pytest.raises(ExportError, match="is not zero, and this gru has no bias"):
        from_flax(step, {**arrays, "dense_i.bias": arrays["dense_i.bias"] + 1})


# --- the real libraries -----------------------------------------------------------------------------------------


def assert_same(ours, theirs):
    """Within what float32 rounds."""
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=4e-6 * float(np.abs(ours).max()))


def torch_module(torch, name, x):
    """The module of a case, and its output for `x` with channels last."""
    nn, channels = torch.nn, x.shape[-1]
    first = lambda module: lambda x: module(x.movedim(-1, 1)).movedim(1, -1)  # noqa: E731
    rnn = lambda module: lambda x: module(x)[0]  # noqa: E731
    heads = nn.MultiheadAttention(6, 2, batch_first=True)
    made = {
        "dense": lambda: (nn.Linear(3, 4), None),
        "dense without bias": lambda: (nn.Linear(3, 4, bias=False), None),
        "conv1d": lambda: (nn.Conv1d(3, 4, 3), first),
        "conv2d": lambda: (nn.Conv2d(3, 4, (3, 2), 2), first),
        "conv2d in groups": lambda: (nn.Conv2d(2, 4, 3, groups=2), first),
        "conv3d": lambda: (nn.Conv3d(2, 2, 2), first),
        "depthwise_conv2d": lambda: (nn.Conv2d(3, 6, 3, groups=channels), first),
        "conv2d_transpose": lambda: (nn.ConvTranspose2d(3, 4, 3, 2), first),
        "batch_normalization": lambda: (nn.BatchNorm1d(3, eps=1e-3), None),
        "layer_normalization": lambda: (nn.LayerNorm(3, eps=1e-3), None),
        "group_normalization": lambda: (nn.GroupNorm(2, 4, eps=1e-3), first),
        "embedding": lambda: (nn.Embedding(5, 3), None),
        "lstm": lambda: (nn.LSTM(3, 4, batch_first=True), rnn),
        "gru": lambda: (nn.GRU(3, 4, batch_first=True), rnn),
        "gru without bias": lambda: (nn.GRU(3, 4, batch_first=True, bias=False), rnn),
        "simple_rnn": lambda: (nn.RNN(3, 4, batch_first=True), rnn),
        "bidirectional": lambda: (nn.LSTM(3, 4, batch_first=True, bidirectional=True), rnn),
        "multi_head_attention": lambda: (heads, lambda module: lambda x: module(x, x, x)[0]),
    }[name]()
    module, call = made
    return module.eval(), (call or (lambda m: m))(module)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_pytorch_computes_the_same(name):
    torch = pytest.importorskip("torch")
    step, params, x = drawn(name)
    module, call = torch_module(torch, name, x)
    arrays = {key: torch.tensor(np.array(value)) for key, value in to_torch(step, params).items()}
    missing = module.load_state_dict(arrays, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"num_batches_tracked"}
    with torch.no_grad():
        theirs = call(torch.tensor(x)).numpy()
    given = (x, x) if name == "multi_head_attention" else x
    assert_same(step(params, given), theirs)
    assert_same(step(from_torch(step, module.state_dict()), given), theirs)


def flax_module(nnx, name):
    rngs = nnx.Rngs(0)
    return {
        "dense": lambda: nnx.Linear(3, 4, rngs=rngs),
        "dense without bias": lambda: nnx.Linear(3, 4, use_bias=False, rngs=rngs),
        "conv1d": lambda: nnx.Conv(3, 4, (3,), padding="VALID", rngs=rngs),
        "conv2d": lambda: nnx.Conv(3, 4, (3, 2), (2, 2), padding="VALID", rngs=rngs),
        "conv2d in groups": lambda: nnx.Conv(2, 4, (3, 3), padding="VALID", feature_group_count=2, rngs=rngs),
        "conv3d": lambda: nnx.Conv(2, 2, (2, 2, 2), padding="VALID", rngs=rngs),
        "batch_normalization": lambda: nnx.BatchNorm(3, epsilon=1e-3, use_running_average=True, rngs=rngs),
        "layer_normalization": lambda: nnx.LayerNorm(3, epsilon=1e-3, rngs=rngs),
        "group_normalization": lambda: nnx.GroupNorm(4, 2, epsilon=1e-3, rngs=rngs),
        "embedding": lambda: nnx.Embed(5, 3, rngs=rngs),
        "lstm": lambda: nnx.OptimizedLSTMCell(3, 4, rngs=rngs),
        "gru": lambda: nnx.GRUCell(3, 4, rngs=rngs),
        "gru without bias": lambda: nnx.GRUCell(3, 4, rngs=rngs),
        "multi_head_attention": lambda: nnx.MultiHeadAttention(2, 6, decode=False, rngs=rngs),
    }[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for library, name in pairs() if library == "flax"])
def test_flax_computes_the_same(name):
    nnx = pytest.importorskip("flax.nnx")
    step, params, x = drawn(name)
    if name == "gru":
        params["bias"][1, 8:] = 0
    module = flax_module(nnx, name)
    for path, array in to_flax(step, params).items():
        *above, last = path.split(".")
        home = module
        for part in above:
            home = getattr(home, part)
        variable = getattr(home, last)
        assert variable[...].shape == array.shape
        variable[...] = array
    if name.startswith(("lstm", "gru")):
        carry, outputs = module.initialize_carry((2, 3), nnx.Rngs(0)), []
        for t in range(x.shape[1]):
            carry, y = module(carry, x[:, t])
            outputs.append(np.asarray(y))
        theirs = np.stack(outputs, axis=1)
    else:
        theirs = np.asarray(module(x))
    assert_same(step(params, (x, x) if name == "multi_head_attention" else x), theirs)


def equinox_module(eqx, jax, name):
    key = jax.random.PRNGKey(0)
    return {
        "dense": lambda: eqx.nn.Linear(3, 4, key=key),
        "dense without bias": lambda: eqx.nn.Linear(3, 4, use_bias=False, key=key),
        "conv1d": lambda: eqx.nn.Conv1d(3, 4, 3, key=key),
        "conv2d": lambda: eqx.nn.Conv2d(3, 4, (3, 2), 2, key=key),
        "conv2d in groups": lambda: eqx.nn.Conv2d(2, 4, 3, groups=2, key=key),
        "conv3d": lambda: eqx.nn.Conv3d(2, 2, 2, key=key),
        "layer_normalization": lambda: eqx.nn.LayerNorm(3, eps=1e-3),
        "group_normalization": lambda: eqx.nn.GroupNorm(2, 4, eps=1e-3),
        "embedding": lambda: eqx.nn.Embedding(5, 3, key=key),
        "lstm": lambda: eqx.nn.LSTMCell(3, 4, key=key),
        "gru": lambda: eqx.nn.GRUCell(3, 4, key=key),
        "gru without bias": lambda: eqx.nn.GRUCell(3, 4, use_bias=False, key=key),
        "multi_head_attention": lambda: eqx.nn.MultiheadAttention(
            2, 6, **{f"use_{part}_bias": True for part in ("query", "key", "value", "output")}, key=key
        ),
    }[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for library, name in pairs() if library == "equinox"])
def test_equinox_computes_the_same(name):
    eqx, jax = pytest.importorskip("equinox"), pytest.importorskip("jax")
    step, params, x = drawn(name)
    module = equinox_module(eqx, jax, name)
    for path, array in to_equinox(step, params).items():

        def place(tree, path=path):
            for part in path.split("."):
                tree = getattr(tree, part)
            return tree

        assert place(module).shape == array.shape
        module = eqx.tree_at(place, module, array)

    def run(row):
        if name.startswith(("lstm", "gru")):
            state, outputs = (np.zeros(4, "float32"),) * 2 if name == "lstm" else np.zeros(4, "float32"), []
            for t in range(row.shape[0]):
                state = module(row[t], state)
                outputs.append(np.asarray(state[0] if name == "lstm" else state))
            return np.stack(outputs)
        if name.startswith("conv") or name == "group_normalization":
            return np.moveaxis(np.asarray(module(np.moveaxis(row, -1, 0))), 0, -1)
        if name == "embedding":
            return np.stack([np.asarray(module(i)) for i in row])
        return np.asarray(module(row, row, row) if name == "multi_head_attention" else module(row))

    assert_same(step(params, (x, x) if name == "multi_head_attention" else x), np.stack([run(row) for row in x]))
