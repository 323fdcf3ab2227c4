"""A strict JSON parser: limited, without duplicate keys; NaN and infinity only where Keras writes them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from params.errors import CorruptFile, LimitExceeded, Retold, quoted
from params.file.model_file import Limits

LARGEST = 1 << 64
"""Integers at or above this are refused; no size, seed or salt needs them."""

UNREAD = ("compile_config", "training_config")
"""Keys for training, whose values are dropped as soon as they are parsed."""
_STRING = r'(?s)"(?:[^"\\]++|\\.)*+(?:"|\Z|\\\Z)'
"""A string, or the rest of an input that ends inside one, so that scanning takes linear time."""
_LEVELS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_UNMARKED = bytes(set(range(256)) - set(b'[{]},:"'))
_TOKEN = r'(?s)"(?:[^"\\]++|\\.)*+"|[\[\]{},:]|[^\s"\[\]{},:]++'
_SURROGATE = r"\\u[dD][89a-fA-F]"


HOLDING = ("layers", "cells", "cell", "layer", "backward_layer")
"""Keys of a layer, or a list of layers, each of which counts two against `Limits.layers`: itself and a call."""
CALLS = "inbound_nodes"
"""The key of the calls of a layer; all but the first count one each."""
_COUNTED_OR_DROPPED = frozenset((*UNREAD, *HOLDING, CALLS))


def parse(data: bytes | memoryview | str, what: str, limits: Limits, *, nonfinite: bool = False) -> Any:
    """The value of strict JSON in UTF-8, 16 or 32, as `json.loads`, and so Keras, tells them apart.

    nonfinite: accept `NaN`, `Infinity` and `-Infinity`, which Keras writes for the arguments of operations. what: the
    name of the text in messages.
    Raises CorruptFile for text that is not JSON, duplicate keys, lone surrogates and huge integers, and LimitExceeded
    for text that is too long, too deeply nested or has too many layers.
    """
    if len(data) > limits.config:
        raise LimitExceeded(f"{what} has {len(data)} bytes; `Limits.config` allows {limits.config}")
    try:
        text = data if isinstance(data, str) else str(data, json.detect_encoding(bytes(data[:4])))
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{what} is not {error.encoding.upper()} text: {error}") from error
    keys, objects = _check_size(text, what, limits), _Objects(limits)
    constant = float if nonfinite else _constant
    with Retold((ValueError,), partial(_refusal, text, what)):
        value = json.loads(
            text, object_hook=objects.count, parse_constant=constant, parse_float=_finite, parse_int=_integer
        )
        if objects.keys != keys:
            json.loads(text, object_pairs_hook=_require_unique)
    if "\\u" in text and re.search(_SURROGATE, text):
        _check_text(value, what)
    if (count := runs(value)) > limits.layers:
        raise LimitExceeded(f"{what}: layers run {count} times, more than the {limits.layers} of `Limits.layers`")
    return value


def _refusal(text: str, what: str, error: Exception) -> Exception:
    """An error of the parser as one that names the text and the place in it."""
    if isinstance(error, LimitExceeded):
        return error
    if isinstance(error, json.JSONDecodeError):
        return CorruptFile(f"{what} is not JSON: {error}")
    return CorruptFile(f"{what}{_place(text, error.token) if isinstance(error, _Refused) else ''}: {error}")


def runs(item: Any) -> int:
    """How many layers run when an item of a config is called, with what it holds as often as it is called.

    A short config may have a model that calls a model four times, which calls another four times, and so on.
    """
    if isinstance(item, list):
        return sum(map(runs, item))
    if not isinstance(item, dict):
        return 1
    config, calls = item.get("config"), item.get(CALLS)
    inside = [config[key] for key in HOLDING if key in config] if isinstance(config, dict) else config
    return max(runs(inside), 1) * (max(len(calls), 1) if isinstance(calls, list) else 1)


def parse_object(
    data: bytes | memoryview | str, what: str, limits: Limits, *, nonfinite: bool = False
) -> dict[str, Any]:
    """`parse`, of a text that must be a JSON object."""
    return as_object(parse(data, what, limits, nonfinite=nonfinite), what)


def as_object(value: Any, what: str) -> dict[str, Any]:
    """`value`, which must be a JSON object. what: the name of the text in messages."""
    if not isinstance(value, dict):
        raise CorruptFile(f"{what} must be a JSON object, not {quoted(value, 40)}")
    return value


def _check_size(text: str, what: str, limits: Limits) -> int:
    """How many keys the objects have. Checks the number of values and the nesting before parsing, which takes memory
    for each and recurses.
    """
    marks = _marks(text)
    opened, closed = (marks.count(a) + marks.count(b) for a, b in (b"[{", b"]}"))
    values = opened + marks.count(b",")
    if 2 * values > limits.steps:
        raise LimitExceeded(f"{what} has {values} values, each two steps; `Limits.steps` allows {limits.steps}")
    if opened != closed:
        raise CorruptFile(f"{what} is not JSON: {opened} brackets open, {closed} close")
    levels = np.frombuffer(marks.translate(_LEVELS, b",:"), np.int8)
    if levels.cumsum(dtype=np.int32).max(initial=0) > limits.depth:
        raise LimitExceeded(f"{what} is nested deeper than the {limits.depth} levels of `Limits.depth`")
    return marks.count(b":")


def _marks(text: str) -> bytes:
    """The brackets, commas and colons of JSON that are in no string."""
    if "\\" in text:
        text = re.sub(_STRING, "", text)
    marks = text.encode("utf-8", "replace").translate(None, _UNMARKED).replace(b'""', b"")
    return b"".join(marks.split(b'"')[::2])


class _Objects:
    """The objects of one text: counts their keys and their layers, drops `UNREAD`."""

    def __init__(self, limits: Limits) -> None:
        self.keys = 0
        self.most = self.left = limits.layers

    def count(self, members: dict[str, Any]) -> dict[str, Any]:
        """An object of the text. One that has a key twice has fewer keys than the text."""
        self.keys += len(members)
        if not _COUNTED_OR_DROPPED.isdisjoint(members):
            self._count(members)
        return members

    def _count(self, members: dict[str, Any]) -> None:
        if "class_name" in members:
            for key in UNREAD:
                members.pop(key, None)
        for key in HOLDING:
            if key in members and isinstance(members[key], list | dict):
                self.left -= 2 * (len(members[key]) if isinstance(members[key], list) else 1)
        if isinstance(members.get(CALLS), list):
            self.left -= max(0, len(members[CALLS]) - 1)
        if self.left < 0:
            raise LimitExceeded(f"more than the {self.most} layers and calls that `Limits.layers` allows")


def _require_unique(pairs: list[tuple[str, Any]]) -> None:
    """Raise ValueError for an object that has a key twice."""
    twice, count = max(Counter(key for key, _ in pairs).items(), key=itemgetter(1), default=("", 0))
    if count > 1:
        raise ValueError(f"key {quoted(twice)} appears twice")


class _Refused(ValueError):
    """A number that is refused; `token`: its text."""

    def __init__(self, token: str, why: str) -> None:
        super().__init__(f"{quoted(token, 40) if len(token) > 9 else token} {why}")
        self.token = token


def _constant(text: str) -> Any:
    raise _Refused(text, "is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(text, "is beyond any float")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) >= LARGEST:
        raise _Refused(text, "is too large an integer")
    return number


def _place(text: str, token: str) -> str:
    """Where in `text` the first bare `token` is, as " at layers[2].config.rate"; "" at the top."""
    path: list[str | int] = []
    key = ""
    for match in re.finditer(_TOKEN, text):
        mark = match[0]
        if mark == token:
            break
        if mark in ("[", "{"):
            path.append(0 if mark == "[" else "")
        elif mark in ("]", "}"):
            path.pop()
        elif mark == "," and isinstance(path[-1], int):
            path[-1] += 1
        elif mark == ":":
            path[-1] = key.strip('"')
        key = mark
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f" at {quoted(steps.removeprefix('.'), 160)}" if steps else ""


def _check_text(value: Any, what: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise CorruptFile(f"{what} has half of a surrogate pair in a text") from error
