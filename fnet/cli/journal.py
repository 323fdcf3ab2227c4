"""The file FILE.part, with a line for each batch of an interrupted `fnet predict --output FILE`, for `--resume`.

A line is JSON: a digest of the model, the settings and the rows of a batch, and the outputs for them. So the next run
reuses exactly what it would compute: changed rows, or another scale, model or file of --custom, have another digest.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fnet import tree, writing
from fnet.cli.common import UsageError
from fnet.records import NamedTuple
from fnet.types import Params

BEGIN = b'{"key": "'
"""The beginning of each line."""


class Entry(NamedTuple):
    """The outputs for the rows of a batch."""

    outputs: Any
    marked: list[int]
    """Rows without an answer."""


class Journal:
    """The finished batches, written to disk one by one."""

    def __init__(self, output: Path, resume: bool, model: Any, params: Params, *settings: Any) -> None:
        self.path = part_of(output)
        whole = hashlib.blake2b(repr((model, settings)).encode())
        for path, leaf in tree.items(params):
            _feed(whole, (path, np.asarray(leaf)))
        self.of_model = whole.digest()
        self.resumed = resume and self.path.exists()
        self.file = _opened(self.path)
        try:
            self.kept = _kept(self.path)
            if self.kept and not resume:
                what = f"{self.path} keeps what an interrupted run has finished"
                raise UsageError(f"{what}: --resume continues, and computes again what has changed; or remove the file")
        except UsageError:
            self.file.close()
            raise
        self.rows = self.taken = 0

    def key(self, rows: Any) -> str:
        """The digest of a batch of rows, for this model and these settings."""
        digest = hashlib.blake2b(self.of_model, digest_size=20)
        for item in tree.items(rows):
            _feed(digest, item)
        return digest.hexdigest()

    def get(self, key: str, rows: int) -> Entry | None:
        """The entry of a batch with this number of rows, or None."""
        self.rows += rows
        entry = self.kept.get(key)
        self.taken += 0 if entry is None else rows
        return entry

    def add(self, key: str, entry: Entry) -> None:
        """Keep a finished batch. Raises OSError, which names the file: a full disk."""
        line = {"key": key, "marked": entry.marked, "outputs": tree.map(_text_of, entry.outputs)}
        with writing.naming(self.path):
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def close(self, done: bool) -> None:
        """Leave the file for `--resume`, or remove it if everything is done."""
        with contextlib.suppress(OSError):  # of what `add` could not write, and told
            self.file.close()
        if done or not (self.path.exists() and self.path.stat().st_size):
            self.path.unlink(missing_ok=True)


def part_of(output: Path) -> Path:
    """The path of the journal of an output file."""
    return output.with_name(f"{output.name}.part")


def _opened(path: Path) -> TextIO:
    """The file, to add to it, for this process alone. Raises UsageError where it is another's, or no file."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(WRONG.format(path))
    file = path.open("a", encoding="utf-8")
    if not writing.lock(file.fileno()):
        file.close()
        raise UsageError(f"{path}: another fnet predict is writing it; give this one another --output")
    return file


WRONG = "{} is not what an interrupted fnet predict leaves: move it, as its name is needed"


def _kept(path: Path) -> dict[str, Entry]:
    """{key: entry} of the complete lines of the file; an incomplete last line of a killed process is cut off.

    Raises UsageError for any other file, and leaves it as it is, as it would be overwritten and at the end removed.
    """
    wrong = WRONG.format(path)
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    torn = data[len(whole) :]
    try:
        values = [json.loads(line) for line in whole.splitlines()]
        kept = {v["key"]: Entry(tree.map(_array_of, v["outputs"]), v["marked"]) for v in values}
    except (ValueError, LookupError, TypeError, EOFError) as error:
        raise UsageError(f"{wrong} ({error})") from error
    if not BEGIN.startswith(torn[: len(BEGIN)]):
        raise UsageError(wrong)
    if torn:
        os.truncate(path, len(whole))
    return kept


def _feed(digest: Any, item: tuple[Any, np.ndarray[Any, Any]]) -> None:
    """Add an array with its path to a digest; texts count by their repr."""
    path, array = item
    digest.update(repr((path, array.dtype, array.shape)).encode())
    digest.update(repr(array.tolist()).encode() if array.dtype == object else np.ascontiguousarray(array).data)


def _text_of(array: np.ndarray[Any, Any]) -> str:
    buffer = io.BytesIO()
    np.save(buffer, np.array(array.tolist()) if array.dtype == object else array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def _array_of(text: str) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
    return array
