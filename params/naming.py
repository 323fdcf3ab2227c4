"""Keras's names for the groups of a file."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

PYTHON_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Classes that Keras exports, and writes into configs, under another name than the class itself has."""


def snake_case(name: str) -> str:
    """Keras's rule: "Conv2DTranspose" -> "conv2d_transpose", "PReLU" -> "p_re_lu"."""
    name = re.sub(r"\W+", "", PYTHON_NAMES.get(name, name))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def fresh(name: str, taken: Container[str]) -> str:
    """`name`, or the first of `name_1`, `name_2`, ... that is free."""
    number, made = 0, name
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    return made


def elements(container: str, class_names: Mapping[str, str]) -> dict[str, str]:
    """{key: group} of the layers in a list: by class, numbered."""
    names: list[str] = []
    for class_name in class_names.values():
        names.append(fresh(snake_case(class_name), names))
    return {key: f"{container}/{name}" for key, name in zip(class_names, names, strict=True)}
