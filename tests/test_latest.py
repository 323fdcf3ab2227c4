"""The cache of the latest things, with several threads."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import fnet
from fnet.inference import prepared as preparing
from fnet.latest import Latest


def test_what_was_not_asked_for_longest_is_forgotten_first():
    latest = Latest(2)
    made = []
    for key in "abacab":
        latest.computed(key, lambda key=key: made.append(key))
    assert "".join(made) == "abcb"  # "a" is asked for again and again
    assert list(latest) == ["a", "b"]
    assert (latest.find("c"), latest.find("c", 3), latest.keep("c", 7), latest.find("c")) == (None, 3, 7, 7)


def test_a_value_of_none_is_made_once():
    latest, made = Latest(2), []
    for _ in range(2):
        assert latest.computed("x", lambda: made.append(1)) is None
    assert made == [1]


def test_what_is_made_raises_its_own_error():
    def fails():
        raise KeyError("of the model")

    latest = Latest(2)
    with pytest.raises(KeyError, match="of the model") as raised:
        latest.computed("x", fails)
    assert raised.value.__context__ is None
    assert not latest


def test_threads_that_forget_what_others_ask_for_see_no_error():
    latest = Latest(1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def ask(name):
        for number in range(300):
            key = (name, number % 3)
            assert latest.computed(key, lambda key=key: key) == key
            latest.pop((1 - name, number % 3), None)

    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ask, (0, 1)))
    finally:
        sys.setswitchinterval(interval)
    assert len(latest) <= 1


def test_a_model_that_is_asked_for_between_others_stays_prepared(monkeypatch):
    monkeypatch.setattr(preparing, "_prepared", Latest(2))
    model = fnet.sequential(fnet.bind(fnet.layers.activation, activation="relu"))
    first = preparing.prepared(model, model)
    for name in ("tanh", "elu", "selu"):
        other = fnet.sequential(fnet.bind(fnet.layers.activation, activation=name))
        preparing.prepared(other, other)
        assert preparing.prepared(model, model) is first
