"""Keras's names for the groups of a file."""

from __future__ import annotations

import re

PYTHON_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Classes that Keras exports, and writes into configs, under another name than the class itself has."""


def snake_case(name: str) -> str:
    """Keras's rule: "Conv2DTranspose" -> "conv2d_transpose", "PReLU" -> "p_re_lu"."""
    name = re.sub(r"\W+", "", PYTHON_NAMES.get(name, name))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
