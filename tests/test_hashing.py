"""Hashes equal TensorFlow's: 10,000 random strings of length 0 to 200, unicode and raw bytes, and integers."""

import numpy as np
import pytest

import fnet
from fnet import bind
from fnet.hashes import farmhash64, siphash64

BUCKETS = 2**63 - 25  # nearly all bits of the hash are compared


def raw_strings(count=10_000):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, n % 201, dtype=np.uint8).tobytes() for n in range(count)]


def unicode_strings(count=10_000):
    rng = np.random.default_rng(1)
    alphabets = [(32, 127), (0x80, 0x800), (0x4E00, 0x9FFF), (0x1F300, 0x1F600)]
    strings = []
    for n in range(count):
        low, high = alphabets[n % 4]
        strings.append("".join(map(chr, rng.integers(low, high, n % 201))))
    return strings


def whole_integers(count=10_000):
    rng = np.random.default_rng(2)
    return np.concatenate([rng.integers(-(2**63), 2**63 - 1, count - 5), [0, -1, 1, 2**63 - 1, -(2**63)]])


@pytest.mark.parametrize("strings", [raw_strings(), unicode_strings()], ids=["bytes", "unicode"])
def test_hashes_of_random_strings_are_tensorflows(strings):
    import tensorflow as tf

    encoded = [s.encode() if isinstance(s, str) else s for s in strings]
    fast = tf.strings.to_hash_bucket_fast(encoded, BUCKETS).numpy()
    np.testing.assert_array_equal(farmhash64(encoded) % np.uint64(BUCKETS), fast.astype(np.uint64))
    for key in ([3, 5], [-1, -(2**63)]):
        strong = tf.strings.to_hash_bucket_strong(encoded, BUCKETS, key).numpy()
        np.testing.assert_array_equal(siphash64(encoded, key) % np.uint64(BUCKETS), strong.astype(np.uint64))


def test_hashes_of_long_strings_are_tensorflows():
    import tensorflow as tf

    strings = [bytes([n % 251]) * n for n in range(200, 5000, 37)]
    fast = tf.strings.to_hash_bucket_fast(strings, BUCKETS).numpy()
    np.testing.assert_array_equal(farmhash64(strings) % np.uint64(BUCKETS), fast.astype(np.uint64))


@pytest.mark.parametrize("options", [{}, {"salt": (3, 5)}, {"salt": 133}, {"mask_value": ""}])
def test_the_layer_on_unicode_strings(options):
    import keras

    strings = unicode_strings(2_000)
    theirs = keras.layers.Hashing(997, **options)(np.array(strings, object))
    np.testing.assert_array_equal(fnet.hashing({}, strings, num_bins=997, **options), np.asarray(theirs))


@pytest.mark.parametrize("options", [{}, {"salt": (3, 5)}, {"mask_value": 1}])
def test_the_layer_on_integers(options, each_backend):
    import keras

    x = whole_integers()
    theirs = keras.layers.Hashing(997, **options)(x)
    np.testing.assert_array_equal(fnet.hashing({}, x, num_bins=997, **options), np.asarray(theirs))
    model = fnet.sequential(x=bind(fnet.input_layer, shape=(None,), dtype="int64"), h=bind(fnet.hashing, num_bins=997))
    if not options:
        np.testing.assert_array_equal(np.asarray(fnet.jit(model)({}, x)), np.asarray(theirs))


def test_crosses_of_random_columns_are_tensorflows():
    import keras

    columns = (np.array(unicode_strings(1_000), object), whole_integers(1_000), whole_integers(1_000)[::-1] % 50)
    theirs = keras.layers.HashedCrossing(10_007)(columns)
    np.testing.assert_array_equal(fnet.hashed_crossing({}, columns, num_bins=10_007), np.asarray(theirs))


def test_crosses_that_are_sparse_are_no_less_integers(tmp_path):
    """Of the layers with `sparse`, HashedCrossing alone does not ask for another output than integers."""
    import keras

    columns = (keras.Input((1,), dtype="int64"), keras.Input((1,), dtype="int64"))
    keras.Model(columns, keras.layers.HashedCrossing(5, sparse=True)(columns)).save(tmp_path / "m.keras")
    x = (np.arange(4)[:, None], np.arange(4)[:, None] + 7)
    model, params = fnet.load_keras(tmp_path / "m.keras")
    np.testing.assert_array_equal(model(params, x), fnet.hashed_crossing({}, x, num_bins=5))


def test_no_strings_and_wrong_ones():
    assert fnet.hashing({}, np.array([], str), num_bins=3).shape == (0,)
    assert farmhash64([]).shape == siphash64([], (1, 2)).shape == (0,)
    with pytest.raises(fnet.InvalidInput, match="item 1 is None"):
        fnet.hashing({}, np.array(["a", None], object), num_bins=3)
    with pytest.raises(fnet.InvalidInput, match="one shape"):
        fnet.hashed_crossing({}, (["a", "b"], ["a"]), num_bins=3)
    with pytest.raises(fnet.InvalidInput, match="strings or integers"):
        fnet.hashed_crossing({}, (["a"], np.array([1.5])), num_bins=3)
