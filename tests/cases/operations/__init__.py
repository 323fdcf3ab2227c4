"""Rows of fnet.operations, one file a family."""

from __future__ import annotations

from tests.cases.operations.dtypes import BY_DTYPE
from tests.cases.operations.elementwise import ELEMENTWISE
from tests.cases.operations.images import IMAGES
from tests.cases.operations.indexing import INDEXING, OTHERS
from tests.cases.operations.linear_algebra import DEFINITE, LINEAR_ALGEBRA, POSITIVE_DEFINITE, SIGNALS
from tests.cases.operations.neural import NEURAL, WINDOWS
from tests.cases.operations.options import OPTIONS
from tests.cases.operations.reductions import REDUCTIONS
from tests.cases.operations.row import OpCase
from tests.cases.operations.shaping import SHAPING

__all__ = ["CASES", "OpCase"]

CASES = [
    *(*ELEMENTWISE, *REDUCTIONS, *SHAPING, *INDEXING, *LINEAR_ALGEBRA, *SIGNALS, *NEURAL, *WINDOWS, *IMAGES),
    *(*POSITIVE_DEFINITE, *DEFINITE, *OTHERS, *OPTIONS, *BY_DTYPE),
]
