"""Functions of strings. They run in NumPy on both backends, and give object arrays of str (of bytes where these are not
UTF-8). Source: tf.strings."""

# ruff: noqa: A002, A006 - the arguments have the names of TensorFlow
from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from fnet.backend import ops
from fnet.errors import InvalidInput
from fnet.hashes import farmhash64, siphash64
from fnet.operations.rules import Operation, named
from fnet.shapes import broadcast_shapes, reduced_shape
from fnet.strings import as_texts, utf8
from fnet.tf_functions.rules import as_spec, function
from fnet.types import Array, Axis, Positive, Spec

Unit = Literal["BYTE", "UTF8_CHAR"]


def _bytes(x: Any, name: str) -> Array:
    texts, shape = utf8(x, name)
    y = np.empty(len(texts), object)
    y[:] = texts
    return y.reshape(shape)


def _of_text(x: Any) -> Spec:
    spec = as_spec(x)
    if spec.dtype != "string":
        raise InvalidInput(f"strings are expected; got {spec}")
    return spec


def _changed(x: Any, change: Callable[[bytes], bytes], name: str) -> Array:
    texts, shape = utf8(x, name)
    return as_texts([change(text) for text in texts], shape)


def _cased(name: str, text: str, ascii_letters: Callable[[bytes], bytes], letters: Callable[[str], str]) -> Operation:
    def apply(input: Array, *, encoding: Literal["", "utf-8"] = "") -> Array:
        change = ascii_letters if not encoding else lambda text: letters(text.decode("utf-8", "replace")).encode()
        return _changed(input, change, name)

    return function(_of_text, f"strings.{name}", host=True)(named(name, text, apply))


lower = _cased("lower", "ASCII letters in lower case; all letters with encoding='utf-8'.", bytes.lower, str.lower)
upper = _cased("upper", "ASCII letters in upper case; all letters with encoding='utf-8'.", bytes.upper, str.upper)


@function(_of_text, "strings.strip", host=True)
def strip(input: Array) -> Array:
    """Without the ASCII white space at both ends."""
    return _changed(input, bytes.strip, "strip")


@function(lambda input: Spec(_of_text(input).shape, "int32"), "strings.length", host=True)
def length(input: Array, *, unit: Unit = "BYTE") -> Array:
    """The number of bytes or characters."""
    texts, shape = utf8(input, "length")
    return ops.asarray(np.array([len(_units(text, unit)) for text in texts], "int32").reshape(shape))


def _units(text: bytes, unit: str) -> bytes | str:
    return text if unit == "BYTE" else text.decode("utf-8", "replace")


def _substr_rule(input: Any, pos: Any, len: Any) -> Spec:
    return Spec(broadcast_shapes(*(as_spec(x).shape for x in (_of_text(input), pos, len))), "string")


@function(_substr_rule, "strings.substr", host=True)
def substr(input: Array, pos: Array, len: Array, *, unit: Unit = "BYTE") -> Array:
    """`len` units from `pos` on, negative ones from the end; with a negative `len` all bytes, or no character."""
    x, starts, counts = np.broadcast_arrays(_bytes(input, "substr"), pos, len)
    parts = [_part(_units(t, unit), s, n) for t, s, n in zip(x.flat, starts.flat, counts.flat, strict=True)]
    return as_texts([part if isinstance(part, bytes) else part.encode() for part in parts], x.shape)


def _part(text: bytes | str, start: int, count: int) -> bytes | str:
    first = start + len(text) if start < 0 else start
    if not 0 <= first <= len(text):
        raise InvalidInput(f"substr begins at {start} of {text!r:.60}, which has {len(text)}")
    return text[first : max(first + count, first)] if count >= 0 or isinstance(text, str) else text[first:]


# --- patterns -------------------------------------------------------------------------------------

_ESCAPE = rf"\\[{re.escape(string.punctuation)}]"
_PIECE = rf"(?:[^\\.^$*+?()\[\]{{}}|]|{_ESCAPE}|\\[sSdDwW]|\.|\[\^?(?:[^\\\[\]^]|{_ESCAPE}|\\[sdw])+\])([*+?]?)"
_PATTERN = re.compile(rf"\^?(?:{_PIECE})+(?:\|(?:{_PIECE})+)*\$?")
_SPACE = {r"\s": r"[\t\n\f\r ]", r"\S": r"[^\t\n\f\r ]"}


@functools.lru_cache(64)
def _compiled(pattern: str, *, whole: bool = False) -> re.Pattern[str]:
    """A pattern of RE2 that means the same here, and takes at most quadratic time: without groups, few repeats.

    whole: it will match whole strings, so only one start is tried.
    """
    repeats = "".join("|" if m[0] == "|" else m[1] for m in re.finditer(rf"{_PIECE}|\|", pattern)).split("|")
    most = 2 if whole else 1
    if not _PATTERN.fullmatch(pattern) or any(
        len(branch) - branch.count("?") > most or branch.count("?") > 2 for branch in repeats
    ):
        raise NotImplementedError(
            f"the pattern {pattern!r:.60}: patterns are characters and classes of them, of which {most} may be "
            "repeated by * or + and two by ?"
        )
    inside = re.sub(r"\[\^?(?:\\.|[^\]])+\]", lambda m: m[0].replace(r"\s", r"\t\n\f\r "), pattern)
    plain = re.sub(r"\[(?:\\.|[^\]])+\]|\\.", lambda m: _SPACE.get(m[0], m[0]), inside)
    compiled = re.compile(plain[:-1] + r"\Z" if plain.endswith("$") and not plain.endswith(r"\$") else plain, re.ASCII)
    if compiled.match(""):
        raise NotImplementedError(f"the pattern {pattern!r:.60}, which matches the empty string")
    return compiled


def _replace_rule(input: Any, *, pattern: str, rewrite: str) -> Spec:
    _compiled(pattern)
    if "\\" in rewrite:
        raise NotImplementedError(f"a backslash in the rewrite {rewrite!r:.60}")
    return _of_text(input)


@function(_replace_rule, "strings.regex_replace", host=True)
def regex_replace(input: Array, *, pattern: str, rewrite: str, replace_global: bool = True) -> Array:
    """Each match of `pattern` (the first one alone without `replace_global`) replaced by `rewrite`."""
    texts, shape = utf8(input, "regex_replace")
    search, count = _compiled(pattern), 0 if replace_global else 1
    changed = (search.sub(lambda _: rewrite, text.decode("utf-8", "replace"), count) for text in texts)
    return as_texts([text.encode() for text in changed], shape)


def _match_rule(input: Any, *, pattern: str) -> Spec:
    _compiled(pattern, whole=True)
    return Spec(_of_text(input).shape, "bool")


@function(_match_rule, "strings.regex_full_match", host=True)
def regex_full_match(input: Array, *, pattern: str) -> Array:
    """Whether `pattern` matches the whole string."""
    texts, shape = utf8(input, "regex_full_match")
    whole = _compiled(pattern, whole=True).fullmatch
    return ops.asarray(np.array([bool(whole(t.decode("utf-8", "replace"))) for t in texts], bool).reshape(shape))


# --- joined, hashed, and as numbers ---------------------------------------------------------------


def _join_rule(inputs: Sequence[Any]) -> Spec:
    return Spec(broadcast_shapes(*(_of_text(x).shape for x in inputs)), "string")


@function(_join_rule, "strings.join", host=True)
def join(inputs: Sequence[Array], *, separator: str = "") -> Array:
    """The strings of several tensors (or single strings) joined, one of each."""
    rows = np.broadcast_arrays(*(_bytes(x, "join") for x in inputs))
    joined = map(separator.encode().join, zip(*(x.flat for x in rows), strict=True))
    return as_texts([*joined], rows[0].shape)


def _reduce_join_rule(inputs: Any, *, axis: Axis, keepdims: bool) -> Spec:
    return Spec(reduced_shape(_of_text(inputs).shape, axis, keepdims), "string")


@function(_reduce_join_rule, "strings.reduce_join", host=True)
def reduce_join(inputs: Array, *, axis: int | None = None, keepdims: bool = False, separator: str = "") -> Array:
    """The strings along `axis` (None: all) joined."""
    x = _bytes(inputs, "reduce_join")
    rows = x.reshape(1, -1) if axis is None else np.moveaxis(x, axis, -1)
    y = as_texts([*map(separator.encode().join, rows.reshape(-1, rows.shape[-1]))], rows.shape[:-1])
    kept = [1 if axis is None or i == axis % x.ndim else n for i, n in enumerate(x.shape)]
    return y.reshape(kept) if keepdims else y.reshape(()) if axis is None else y


def _buckets(x: Any, num_buckets: int, hashes: Callable[[list[bytes]], Any], name: str) -> Array:
    texts, shape = utf8(x, name)
    return ops.asarray((hashes(texts) % np.uint64(num_buckets)).astype("int64").reshape(shape))


def _bucket_rule(input: Any) -> Spec:
    return Spec(_of_text(input).shape, "int64")


@function(_bucket_rule, "strings.to_hash_bucket_fast", host=True)
def to_hash_bucket_fast(input: Array, *, num_buckets: Positive) -> Array:
    """FarmHash64 modulo `num_buckets`."""
    return _buckets(input, num_buckets, farmhash64, "to_hash_bucket_fast")


@function(_bucket_rule, "strings.to_hash_bucket_strong", host=True)
def to_hash_bucket_strong(input: Array, *, num_buckets: Positive, key: Sequence[int]) -> Array:
    """SipHash-2-4 under `key` modulo `num_buckets`."""
    return _buckets(input, num_buckets, lambda texts: siphash64(texts, key), "to_hash_bucket_strong")


@function(lambda input, *, out_type: Spec(_of_text(input).shape, out_type), "strings.to_number", host=True)
def to_number(input: Array, *, out_type: Literal["float32", "float64", "int32", "int64"] = "float32") -> Array:
    """The number that each string spells."""
    texts, shape = utf8(input, "to_number")
    try:
        if b"_" in b"".join(texts):  # which only Python reads
            raise ValueError("'_' in a number")
        numbers = [(int if out_type.startswith("int") else float)(text) for text in texts]
        return ops.cast(np.array(numbers, out_type).reshape(shape), out_type)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"to_number takes strings that spell numbers of {out_type}: {error}") from error


@function(lambda input: Spec(as_spec(input).shape, "string"), "strings.as_string", host=True)
def as_string(
    input: Array,
    *,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: Literal["", " ", "0", "+", "-"] = "",
) -> Array:
    """Each number as C's printf writes it, bools as true and false."""
    x = ops.to_numpy(input)
    kind = x.dtype.kind
    letter = "d" if kind in "iu" else "g" if shortest else "e" if scientific else "f"
    form = f"%{fill}{width if width > -1 else ''}{f'.{precision}' if precision > -1 else ''}{letter}"
    words = [str(n).lower() if kind == "b" else form % n for n in x.ravel().tolist()]
    return as_texts([word.encode() for word in words], x.shape)
