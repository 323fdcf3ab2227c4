"""JSON as data: bounded, without duplicates; infinite numbers only where Keras writes them."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from params.errors import CorruptFile, LimitExceeded, quoted
from params.source import Limits

LARGEST = 1 << 64
"""Integers at or above this are refused; no size, seed or salt needs them."""

_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(data: bytes | str, what: str, limits: Limits, *, infinite: bool = False) -> Any:
    """The value that strict JSON text in UTF-8 stands for.

    infinite: take `Infinity` and `-Infinity`, which Keras writes for the arguments of operations.
    Raises CorruptFile for what is not JSON, duplicate keys, NaN, infinity, lone surrogates and huge integers,
    and LimitExceeded for text that is too long or nested too deep; `what` names the text in messages.
    """
    if len(data) > limits.config:
        raise LimitExceeded(f"{what} has {len(data)} bytes; `Limits.config` allows {limits.config}")
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{what} is not UTF-8 text: {error}") from error
    _check_depth(text, what, limits.depth)
    constant = _infinity if infinite else _constant
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=constant, parse_float=_finite, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise CorruptFile(f"{what} is not JSON: {error}") from error
    except ValueError as error:
        raise CorruptFile(f"{what}: {error}") from error
    if _SURROGATE.search(text):
        _check_text(value, what)
    return value


def parse_object(data: bytes | str, what: str, limits: Limits, *, infinite: bool = False) -> dict[str, Any]:
    """`parse`, of a text that must be a JSON object."""
    value = parse(data, what, limits, infinite=infinite)
    if not isinstance(value, dict):
        raise CorruptFile(f"{what} must be a JSON object, not {quoted(value, 40)}")
    return value


def _check_depth(text: str, what: str, most: int) -> None:
    """Measured before parsing, which would recurse."""
    depth = 0
    for found in _STRUCTURE.finditer(text):
        mark = found[0]
        if mark in "[{":
            depth += 1
            if depth > most:
                raise LimitExceeded(f"{what} is nested deeper than the {most} levels of `Limits.depth`")
        elif mark in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ValueError(f"key {quoted(twice)} is there twice")
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _infinity(text: str) -> Any:
    return _constant(text) if text == "NaN" else float(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{quoted(text, 40)} is beyond any float")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) >= LARGEST:
        raise ValueError(f"{quoted(text, 40)} is too large an integer")
    return int(text)


def _check_text(value: Any, what: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise CorruptFile(f"{what} has half of a surrogate pair in a text") from error
