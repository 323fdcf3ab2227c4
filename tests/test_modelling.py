"""init, check, summary, partition and merge, with_rng, activations."""

import chex
import numpy as np
import pytest

import fnet
from fnet import backend, bind, dense, embedding, input_layer, random, sequential

MODEL = sequential(
    ids=bind(input_layer, shape=(None, 6), dtype="int32"),
    table=bind(embedding, input_dim=10, output_dim=4),
    block=sequential(hidden=bind(dense, units=3, activation="relu"), out=bind(dense, units=2)),
)


def test_init_has_the_shape_of_the_rules(each_backend):
    params = fnet.init(MODEL, 3)
    fnet.check(MODEL, params)
    shapes = {"/".join(path): leaf.shape for path, leaf in fnet.tree.items(params)}
    assert shapes == {
        "table/embeddings": (10, 4),
        "block/hidden/kernel": (4, 3),
        "block/hidden/bias": (3,),
        "block/out/kernel": (3, 2),
        "block/out/bias": (2,),
    }
    chex.assert_trees_all_equal(params, fnet.init(MODEL, 3))
    assert MODEL(params, np.zeros((2, 6), int)).shape == (2, 6, 2)


def test_every_param_begins_from_a_key_of_its_own(each_backend):
    """Kernels of one shape would otherwise begin alike."""
    model = sequential(
        *(bind(dense, units=4) for _ in range(3)),
        bind(fnet.reshape, target_shape=(1, 4)),
        bind(fnet.gru, units=4, return_sequences=True),
        bind(fnet.bidirectional, layer=bind(fnet.gru, units=4)),
    )

    def kernels(seed):
        found = [np.asarray(leaf) for _, leaf in fnet.tree.items(fnet.init(model, seed, (None, 4)))]
        return [leaf.ravel() for leaf in found if np.any(leaf)]

    one, again, other = kernels(0), kernels(0), kernels(1)
    assert len(one) == 3 + 2 + 4
    first = [leaf[:4].tolist() for leaf in one] + [leaf[:4].tolist() for leaf in other]
    assert len({tuple(numbers) for numbers in first}) == 2 * len(one)
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_init_without_a_shape_asks_for_one():
    with pytest.raises(fnet.InvalidInput, match=r"give the input shape, as \(None, 32, 32, 3\)"):
        fnet.init(sequential(dense), 0)


def test_what_is_no_shape_is_said():
    with pytest.raises(TypeError, match=r"'m\.svg' is not a shape: give one such as"):
        fnet.plot(sequential(a=bind(dense, units=1)), {}, "m.svg")


def test_init_without_a_size_asks_for_one():
    with pytest.raises(ValueError, match=r"dense/kernel would be float32\[3, any\]: give the size \(units="):
        fnet.init(sequential(dense), 0, (None, 3))


def test_a_key_of_another_kind_is_named(each_backend):
    model = sequential(bind(fnet.dropout, rate=0.5))
    of_dtypes = (np.array([0, 5], dtype) for dtype in ("int64", "int32", "bool", "float32", "uint64", "U1"))
    for key in (np.zeros((3,), "uint32"), np.float32(3), None, "5", [0, 5], *of_dtypes):
        with pytest.raises(fnet.InvalidInput, match=r"a key is an int or uint32\[2\]; got .*jax\.random\.key_data"):
            fnet.with_rng(model, {}, key)
    with pytest.raises(fnet.InvalidInput, match=r"a key is an int or uint32\[2\]; got int32\[2\]"):
        model({"dropout": {"rng": np.array([0, 5], "int32")}}, np.ones((2, 3), "float32"))
    for seed in (1 << 64, -(1 << 63) - 1):
        with pytest.raises(fnet.InvalidInput, match="a seed has at most 64 bits; got"):
            fnet.with_rng(model, {}, seed)


@pytest.mark.parametrize("seed", [5, (1 << 64) - 1, -1])
def test_a_seed_of_numpy_is_that_of_python(each_backend, seed):
    number = np.uint64(seed) if seed > 0 else np.int64(seed)
    np.testing.assert_array_equal(random.as_key(number), random.as_key(seed))
    np.testing.assert_array_equal(random.as_key(random.as_key(seed)), [(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF])


def test_a_number_that_is_traced_is_folded_in_as_one_that_is_known():
    import jax

    with backend.using("jax"):
        keys = (
            jax.jit(lambda rng, n: random.fold_in(rng, n))(random.key(5), 3),
            jax.jit(lambda n: random.fold_in(random.key(5), n))(3),
        )
        for key in keys:
            np.testing.assert_array_equal(key, random.fold_in(random.key(5), np.int8(3)))
        negative = jax.jit(lambda n: random.fold_in(random.key(5), n))(-1)
        np.testing.assert_array_equal(negative, random.fold_in(random.key(5), -1))
    with pytest.raises(TypeError):
        random.fold_in(random.key(5), 1.5)


def test_typed_keys_of_jax_are_their_numbers():
    jax = pytest.importorskip("jax")
    model = sequential(bind(dense, units=2), bind(fnet.dropout, rate=0.5))
    with backend.using("jax"):
        typed, plain = jax.random.key(3), jax.random.key_data(jax.random.key(3))
        one, same = (fnet.init(model, key, (None, 3)) for key in (typed, plain))
        np.testing.assert_array_equal(one["dense"]["kernel"], same["dense"]["kernel"])
        traced = jax.jit(lambda key: fnet.with_rng(model, one, key)["dropout"]["rng"])(typed)
        np.testing.assert_array_equal(traced, fnet.with_rng(model, one, plain)["dropout"]["rng"])
        of_others = [
            fnet.with_rng(model, one, jax.random.key(seed, impl="rbg"))["dropout"]["rng"] for seed in (0, 0, 1)
        ]
        assert of_others[0].tolist() == of_others[1].tolist() != of_others[2].tolist()


def test_check_of_a_part_with_the_params_of_the_whole_names_what_leaves_out_the_rest():
    params = fnet.init(MODEL, 0)
    with pytest.raises(fnet.InvalidParams, match=r"\n  extra spare/kernel: .*\n  fnet.pruned\(model, params\) leaves"):
        fnet.check(MODEL, {**params, "spare": {"kernel": np.ones(2, "float32")}})


def test_check_lists_everything_that_is_wrong_at_once():
    params = fnet.init(MODEL, 0)
    del params["table"]
    params["block"]["out"]["kernel"] = np.ones((3, 5), "float32")
    params["block"]["hidden"]["gamma"] = np.ones(1, "float32")
    with pytest.raises(fnet.InvalidParams) as caught:
        fnet.check(MODEL, params)
    assert str(caught.value).splitlines()[1:] == [
        "  missing table/embeddings: float32[10, 4]",
        "  extra block/hidden/gamma: float32[1]",
        "  block/out/kernel: expected float32[3, 2], got float32[3, 5]",
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "int32", "uint8", "bool"])
def test_init_makes_what_check_takes_also_where_a_backend_lacks_the_dtype(each_backend, dtype):
    @fnet.layer(shape=lambda x: (x, {"a": fnet.Param((2,), "zeros", dtype)}))
    def held(params, x):
        return x

    made = fnet.init(held, 0, (None, 2))
    fnet.check(held, made, (None, 2))
    with pytest.raises(fnet.InvalidParams, match=f"expected {dtype}"):
        fnet.check(held, {"a": np.zeros(2, "float16")}, (None, 2))


def test_summary_counts_each_parameter_once():
    text = fnet.summary(MODEL)
    assert "block/hidden  dense" in text
    assert text.splitlines()[-1] == "total params: 63"


def test_summary_of_a_layer_alone_and_sizes_that_are_numbers_of_numpy():
    lines = fnet.summary(fnet.bind(fnet.dense, units=2), (None, np.int64(3))).splitlines()
    assert lines[2].split() == ["dense", "dense", "(None,", "2)", "8"]
    assert lines[-1] == "total params: 8"


def test_partition_and_merge_are_inverse(each_backend):
    params = fnet.init(MODEL, 0)
    params["block"]["out"]["rng"] = np.zeros(2, "uint32")
    trainable, rest = fnet.partition(MODEL, params)
    assert [path for path, _ in fnet.tree.items(rest)] == [("block", "out", "rng")]
    chex.assert_trees_all_equal(fnet.merge(trainable, rest), params)


def test_params_in_bfloat16_are_trained():
    """Those that a user casts: NumPy does not count them among its floats, and none was trainable."""
    with fnet.backend.using("jax"):
        params = fnet.tree.map(lambda leaf: leaf.astype("bfloat16"), fnet.init(MODEL, 0))
        trainable, rest = fnet.partition(MODEL, params)
    assert not rest
    chex.assert_trees_all_equal(trainable, params)


def test_activations_tells_what_flows_at_any_step(each_backend):
    params = fnet.init(MODEL, 0)
    ids = np.ones((2, 6), int)
    found = fnet.activations(MODEL, params, ids, ["block/hidden", "table"])
    assert list(found) == ["block/hidden", "table"]
    np.testing.assert_array_equal(MODEL["block"]["out":](params["block"], found["block/hidden"]), MODEL(params, ids))
    with pytest.raises(KeyError, match="no step nope"):
        fnet.activations(MODEL, params, ids, ["nope"])


def test_params_begin_with_the_dtypes_that_their_layer_declares(each_backend):
    declared = {"a": fnet.Param((2,), "zeros", "int8"), "b": fnet.Param((2, 3), dtype="float16")}
    step = fnet.layer(shape=lambda x: (x, declared))(lambda params, x: x)
    assert [a.dtype.name for a in fnet.init(step, 0, (None, 2)).values()] == ["int8", "float16"]
