"""Keras's names for the groups of a file."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

PYTHON_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Classes that Keras exports, and writes into configs, under another name than the class itself has."""


@functools.lru_cache(maxsize=256)
def snake_case(name: str) -> str:
    """Keras's rule: "Conv2DTranspose" -> "conv2d_transpose", "PReLU" -> "p_re_lu"."""
    name = re.sub(r"\W+", "", PYTHON_NAMES.get(name, name))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class Names:
    """Names that are given once: counting goes on where it stopped, so that many of one name take no longer."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def fresh(self, name: str) -> str:
        """`name`, or the first of `name_1`, `name_2`, ... that is free; it is taken then."""
        made = name
        while made in self._taken:
            number = self._next[name] = self._next.get(name, 0) + 1
            made = f"{name}_{number}"
        self._taken.add(made)
        return made


def elements(container: str, class_names: Mapping[str, str]) -> dict[str, str]:
    """{key: group} of the layers in a list: by class, numbered."""
    names = Names()
    return {key: f"{container}/{names.fresh(snake_case(class_name))}" for key, class_name in class_names.items()}
