"""Arrays from what people have: tables, columns, tensors of other libraries, lists; missing cells become NaN.

Nothing is imported for it: what has `__array__`, `__dlpack__` or a buffer is asked for it, a table for its columns.
Only a table that has nothing but `__arrow_c_stream__` or `__dataframe__` needs pyarrow, where such things come from.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from numbers import Complex, Number
from typing import Any, TypeGuard

import numpy as np

from fnet.backend import ops
from fnet.core.diagnosis import is_of_trace, on_numpy
from fnet.errors import InvalidInput, needing
from fnet.strings import first_of, is_strings, string_array
from fnet.types import Array

NumpyArray = np.ndarray[Any, Any]

NUMBERS = (bool, int, float, np.number, np.bool_, type(None))
WAYS = {
    "collect": "x.collect()",
    "toarray": "x.toarray()",
    "to_tensor": "x.to_tensor()",
    "batch": "of each batch in x",
    "collate_fn": "of each batch in x",
    "__iter__": "list(x)",
}
"""{what an object has that is not an array: the way to one}, the first that holds."""

WIDENED = ("bfloat16", "float8_", "float6_", "float4_", "int4", "uint4", "int2", "uint2")
"""Beginnings of the names of dtypes that NumPy itself does not have: they are taken as float32 or int8."""


def array(value: Any) -> Any:
    """`value` as an array of native byte order: an array of the backend, else a NumPy array; None stays.

    value: an array, tensor or column of any library, a number, a string, or (nested) lists of these.
    Raises InvalidInput, naming the type and the way out, for what is none of them.
    """
    if value is None or _is_masked(value):
        return value if value is None else _filled(value)
    if is_table(value):
        return table(value)
    if isinstance(value, list | tuple):
        return _of_list(value)
    if isinstance(value, str | bytes):
        return string_array(value)
    values = value if ops.is_array(value) else _of_object(value)
    if values.ndim and values.dtype.kind == "O" and values.size and _is_row(values.flat[0]):
        return _of_list(list(values))
    return _native(_with_nan(values))


def is_table(value: Any) -> bool:
    """Whether `value` is a table with named columns: a DataFrame, a Table, a record batch."""
    tabular = any(hasattr(value, name) for name in ("__dataframe__", "__arrow_c_stream__", "iloc"))
    return tabular and not isinstance(value, type) and not _is_column(value)


def _is_column(value: Any) -> bool:
    """Whether `value` is one column, as pandas.Series, polars.Series, pyarrow.ChunkedArray are."""
    return hasattr(value, "to_numpy") and not hasattr(value, "columns") and not hasattr(value, "column_names")


def columns(value: Any) -> dict[str, NumpyArray]:
    """{name: array (rows,)} of a table."""
    if hasattr(value, "column_names"):  # pyarrow
        names, column = value.column_names, value.column
        names = names() if callable(names) else names
    elif hasattr(value, "iloc"):  # pandas
        names, column = value.columns, lambda i: value.iloc[:, i]
    elif hasattr(value, "to_series"):  # polars
        names, column = value.columns, value.to_series
    else:
        return columns(_by_protocol(value))
    names = [str(name) for name in names]
    if len(set(names)) < len(names):
        raise InvalidInput(f"a table with several columns of one name: {', '.join(names)}")
    return {name: array(column(i)) for i, name in enumerate(names)}


def table(value: Any) -> NumpyArray:
    """A table, or a dict of columns, as one array (rows, columns), columns in their order."""
    by_name = {key: array(item) for key, item in value.items()} if isinstance(value, Mapping) else columns(value)
    if not by_name:
        raise InvalidInput("a table without columns")
    if any(part.dtype.kind in "biuf" for part in by_name.values()):  # a column of None alone is one of numbers, too
        by_name = {name: np.full(part.shape, np.nan) if is_none(part) else part for name, part in by_name.items()}
    parts = list(by_name.values())
    if not all(part.ndim for part in parts):
        raise InvalidInput("a dict of single values where rows are expected; put it in a list: [row]")
    for what, fits in (("texts", is_strings), ("dates", lambda part: part.dtype.kind in "mM")):
        odd = sorted(name for name, part in by_name.items() if fits(part))
        if odd and len(odd) < len(parts):
            raise InvalidInput(
                f"a table with {what} in {', '.join(odd)} and numbers in the rest; "
                "choose the columns that the model takes"
            )
    sizes = {len(part) for part in parts}
    if len(sizes) > 1:
        raise InvalidInput(f"columns of different lengths: { {name: len(part) for name, part in by_name.items()} }")
    return np.concatenate([part.reshape(len(part), math.prod(part.shape[1:])) for part in parts], axis=1)


def _by_protocol(value: Any) -> Any:
    """A table that only a protocol describes, read by pyarrow."""
    with needing("parquet", f"a table of the type {_type(value)}"):
        import pyarrow
        from pyarrow.interchange import from_dataframe
    try:
        return pyarrow.table(value) if hasattr(value, "__arrow_c_stream__") else from_dataframe(value)
    except ValueError as error:
        raise InvalidInput(f"a {_type(value)} is not a table that pyarrow can read: {str(error)[:200]}") from error


def _of_object(value: Any) -> NumpyArray:
    """What another library (or a number, or a buffer) is as an array."""
    if isinstance(value, bool | int | float | complex):
        return np.asarray(value)
    for attempt in (_column, _exported, _shared):
        result = attempt(value)
        if result is not None:
            return _filled(result) if _is_masked(result) else result
    hint = next((f" ({way})" for name, way in WAYS.items() if hasattr(value, name)), "")
    raise InvalidInput(
        f"a {_type(value)} is not an array and has no `__array__`, `__dlpack__` or buffer; give a NumPy array{hint}"
    )


def _column(value: Any) -> NumpyArray | None:
    """A column of a table; missing numbers are NaN."""
    if not _is_column(value):
        return None
    if hasattr(value, "combine_chunks") or hasattr(value, "type"):  # pyarrow
        arrow = value.to_numpy(zero_copy_only=False)
        return arrow if isinstance(arrow, np.ndarray) else np.asarray(arrow)
    if not hasattr(value.dtype, "na_value") or getattr(value.dtype, "kind", "O") not in "biuf":
        return np.asarray(value.to_numpy())
    if value.hasnans:  # pandas', with its own NA
        return np.asarray(value.to_numpy(dtype="float64", na_value=np.nan))
    return np.asarray(value.to_numpy(dtype=getattr(value.dtype, "numpy_dtype", None)))


def _exported(value: Any) -> NumpyArray | None:
    """What `__array__`, or a buffer, gives."""
    if hasattr(value, "detach") and hasattr(value, "__array__"):  # torch's, which in a gradient give no array
        value = value.detach()
    if not (hasattr(value, "__array__") or hasattr(value, "__array_interface__") or _is_buffer(value)):
        return None
    try:
        result = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, NotImplementedError, BufferError) as error:
        if is_of_trace(error):
            raise on_numpy(error) from error
        if hasattr(value, "__dlpack__"):
            return None
        raise InvalidInput(f"a {_type(value)} does not give its array: {str(error)[:200]}") from error
    return None if result.dtype.kind == "O" and not result.ndim else result


def _shared(value: Any) -> NumpyArray | None:
    """What `__dlpack__` gives; torch's bfloat16, which NumPy does not have, as float32."""
    if not hasattr(value, "__dlpack__"):
        return None
    attempts: list[Callable[[Any], NumpyArray]] = [np.from_dlpack]
    if hasattr(value, "detach") and hasattr(value, "float"):
        attempts.append(lambda tensor: np.asarray(tensor.detach().cpu().float()))
    for attempt in attempts:
        try:
            return attempt(value)
        except (TypeError, ValueError, RuntimeError, BufferError, AttributeError) as error:
            reason = str(error)[:200]
    raise InvalidInput(f"a {_type(value)} does not share its array: {reason}")


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def _of_list(value: Any) -> Any:
    """(Nested) lists of numbers or strings, or a list of rows, as an array."""
    if is_strings(value):
        return string_array(value)
    if not isinstance(first_of(value), Number | np.ndarray | np.generic | list | tuple | None):
        return _stacked([ops.to_numpy(array(item)) for item in value])
    try:
        return _native(_with_nan(np.asarray(value)))
    except ValueError as error:
        raise InvalidInput("rows of different lengths: pad them to one, or give one at a time") from error


def _with_nan(values: Any) -> Any:
    """Objects that are numbers, some of them None or Decimals as from a database, as floats with NaN; else as it is."""
    kinds = set(map(type, values.flat)) if values.dtype.kind == "O" else set()
    exact = {kind for kind in kinds if issubclass(kind, Number) and not issubclass(kind, Complex)}  # Decimal is neither
    mixed = len(kinds) > 1 and not all(issubclass(kind, int | np.integer) for kind in kinds)
    floats = (exact or mixed) and all(issubclass(kind, NUMBERS) for kind in kinds - exact)
    return values.astype(np.float64) if floats else values


def numbers(values: Any) -> Any:
    """An array of objects that are numbers as one of these; else as it is: 64 bits do not hold all integers."""
    kinds = set(map(type, values.flat)) - {type(None)} if values.dtype.kind == "O" else set()
    if not kinds or not all(issubclass(kind, NUMBERS) for kind in kinds):
        return values
    found = np.array(values.tolist())
    whole = all(issubclass(kind, int | np.integer) for kind in kinds)
    return found if found.dtype.kind in ("biu" if whole else "biuf") else values


def is_none(values: Any) -> bool:
    return values.dtype.kind == "O" and all(item is None for item in values.flat)


def _stacked(rows: list[NumpyArray]) -> NumpyArray:
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise InvalidInput(
            "rows of different lengths: pad them to one, or give one at a time; got "
            + ", ".join(map(str, shapes))[:100]
        )
    return np.stack(rows)


def _is_row(item: Any) -> bool:
    return isinstance(item, list | tuple) or (hasattr(item, "__array__") and getattr(item, "shape", ()) != ())


def _is_masked(value: Any) -> TypeGuard[np.ma.MaskedArray[Any, Any]]:
    """Whether it is a masked array: whoever made one has imported numpy.ma, which NumPy itself does when it is used."""
    masked: Any = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray)


def _filled(value: np.ma.MaskedArray[Any, Any]) -> NumpyArray:
    """A masked array with NaN in its masked cells."""
    if not np.ma.getmaskarray(value).any():
        return np.asarray(_native(np.asarray(value.data)))
    if value.dtype.kind not in "biuf":
        raise InvalidInput(f"a masked array of {value.dtype} with masked cells; fill them: x.filled(...)")
    dtype = value.dtype.newbyteorder("=") if value.dtype.kind == "f" else np.float64
    return np.asarray(np.where(np.ma.getmaskarray(value), np.nan, value.data), dtype)


def _native(values: Array) -> Array:
    """An array of a dtype and a byte order that both backends compute with."""
    if values.dtype.name.startswith(WIDENED):
        return values.astype("float32" if "float" in values.dtype.name else "int8")
    if isinstance(values, np.ndarray) and values.dtype.kind == "V":
        raise InvalidInput(f"an array of records or raw bytes ({values.dtype}); give an array of one dtype")
    if isinstance(values, np.ndarray) and not values.dtype.isnative:
        return values.astype(values.dtype.newbyteorder("="))
    return np.asarray(values) if isinstance(values, np.matrix) else values


def _type(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
