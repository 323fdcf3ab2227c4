"""Initial params, and the random numbers for them: bounds, moments, independence."""

import itertools
import math

import numpy as np
import pytest

import fnet
from fnet import bind, initializers, random

KEY = random.key(5)


@pytest.mark.parametrize(
    ("shape", "fans"), [((), 2), ((900,), 1800), ((30, 50), 80), ((3, 5, 8, 16), 15 * 24), ((7, 40, 2), 7 * 42)]
)
def test_glorot_uniform_fills_its_interval(shape, fans, each_backend):
    x = np.asarray(initializers.glorot_uniform(KEY, shape))
    limit = math.sqrt(6 / fans)
    assert x.shape == shape
    assert x.dtype == np.float32
    assert np.abs(x).max() <= limit
    if x.size > 100:
        assert 0.98 * limit < x.max()
        assert x.min() < -0.98 * limit
        assert x.var() == pytest.approx(limit**2 / 3, rel=0.15)


def test_uniform_fills_its_interval(each_backend):
    x = np.asarray(initializers.uniform(KEY, (40, 50)))
    assert 0.0498 < np.abs(x).max() <= 0.05
    assert x.mean() == pytest.approx(0, abs=0.003)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4)])
def test_orthogonal_is_that_and_of_either_sign(shape, each_backend):
    x = np.asarray(initializers.orthogonal(KEY, shape)).reshape(-1, shape[-1])
    small = min(x.shape)
    product = x.T @ x if x.shape[1] == small else x @ x.T
    np.testing.assert_allclose(product, np.eye(small), atol=1e-6)
    firsts = [float(np.asarray(initializers.orthogonal(random.key(n), shape)).flat[0]) for n in range(40)]
    assert 8 < sum(first > 0 for first in firsts) < 32


def test_the_forget_gate_begins_open(each_backend):
    np.testing.assert_array_equal(initializers.unit_forget(KEY, (12,)), [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(initializers.unit_forget(KEY, (2, 4)), [[0, 1, 0, 0]] * 2)
    np.testing.assert_array_equal(initializers.zeros(KEY, (2, 3)), np.zeros((2, 3)))
    images = bind(fnet.conv_lstm1d, filters=1, kernel_size=1)
    for step, shape in (bind(fnet.lstm, units=1), (1, 2, 3)), (images, (1, 2, 3, 4)):
        for opens in (True, False):
            made = fnet.init(bind(step, unit_forget_bias=opens), 0, shape)["bias"]
            np.testing.assert_array_equal(made, [0, opens, 0, 0])
    np.testing.assert_array_equal(initializers.ones(KEY, (2, 3)), np.ones((2, 3)))


def test_uniform_and_normal_numbers_have_their_moments(each_backend):
    u = np.asarray(random.uniform(KEY, (200, 101), -1.0, 3.0))
    assert u.shape == (200, 101)
    assert -1 <= u.min() < -0.99
    assert 2.99 < u.max() < 3
    assert (u.mean(), u.var()) == pytest.approx((1, 16 / 12), abs=0.03)
    assert random.uniform(KEY, (1 << 16,)).min() < 1e-4
    n = np.asarray(random.normal(KEY, (201, 101)), np.float64)
    assert n.dtype == np.float64
    assert (n.mean(), n.std(), (n**3).mean(), (n**4).mean()) == pytest.approx((0, 1, 0, 3), abs=0.1)
    assert np.abs(n).max() > 3.5
    assert abs(np.corrcoef(n[:, :-1].ravel(), n[:, 1:].ravel())[0, 1]) < 0.03


def test_keys_and_the_numbers_of_a_key_are_all_different(each_backend):
    keys = [random.key(seed) for seed in (0, 1, 2**32, 2**32 + 1, 2**63)]
    keys += [random.fold_in(keys[0], n) for n in (0, 1, 2**31)] + random.split(keys[1], 3)
    drawn = [tuple(np.asarray(random.bits(key, (4,))).tolist()) for key in keys]
    assert all(a != b for a, b in itertools.combinations(drawn, 2))
    whole = np.asarray(random.bits(KEY, (7, 3)))
    assert whole.dtype == np.uint32
    assert len(np.unique(whole)) == 21
    assert len(random.split(KEY, 5)) == 5
    assert len(random.split(KEY)) == 2


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_published_words(key, counter, expected, each_backend):
    """The known answers of Random123."""
    words = random._threefry(np.uint32(key), *(np.uint32([word]) for word in counter))
    assert [int(word[0]) for word in words] == list(expected)
