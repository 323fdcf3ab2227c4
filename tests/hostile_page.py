"""docs/hostile-files.md: what fnet and the installed Keras do with each hostile file: `python -m tests.hostile_page`.

Each file is loaded in a process of its own, by Keras on its NumPy backend, with 5 s of work and 6 GiB.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from params import load_keras
from tests.hostile import ATTACKS, keras_zip, legacy
from tests.hostile_sizes import SIZES
from tests.test_hostile_sizes import MEMORY, SECONDS, peak

PAGE = Path(__file__).parent.parent / "docs" / "hostile-files.md"
LONG, ROOM = 5, 6 << 30
FORK = multiprocessing.get_context("fork")

TEXT = """# Hostile files: what fnet does, what Keras does

The {count} broken and hostile files that the tests make (`tests/hostile.py`, `tests/hostile_sizes.py`), loaded by fnet
and by Keras {version}: `load_model` as it is, with `safe_mode=True`, on the NumPy backend. An error is named by its type.
Seconds and memory are given above {seconds:.0f} s of work and {memory} MiB; a process was ended after {long} s, or at {room} GiB of
address space. `python -m tests.hostile_page` writes this page.

| of {count} files | fnet | Keras |
|---|---|---|
{summary}

What [security](explanation-security.md) promises is the column of fnet. That a file loads is no fault by itself: some are odd and
honest.

| file | fnet | Keras |
|---|---|---|
{rows}
"""  # noqa: E501 - lines of a page


def by_keras(data: bytes) -> None:
    """Load a file as a user of Keras does."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("m.h5" if data[:8] == b"\x89HDF\r\n\x1a\n" else "m.keras")
        path.write_bytes(data)
        keras.saving.load_model(path, compile=False)


def outcome(load: Callable[[bytes], Any], data: bytes) -> str:
    """What `load` does with a file, in a fork of this process."""
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_loaded, args=(load, data, theirs))
    child.start()
    theirs.close()
    try:
        word, seconds, memory = ours.recv()
    except EOFError:
        child.join()
        late = child.exitcode == -signal.SIGXCPU
        return f"not done after {LONG} s" if late else f"ends the process ({child.exitcode})"
    child.join()
    costs = [f"{seconds:.0f} s"] * (seconds > SECONDS) + [f"{memory >> 20} MiB"] * (memory > MEMORY)
    return ", ".join([word, *costs])


def _loaded(load: Callable[[bytes], Any], data: bytes, end: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (LONG, LONG + 5))
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    before, start = peak(reset=True), time.process_time()
    with Path(os.devnull).open("w", encoding="utf-8") as null, redirect_stdout(null), redirect_stderr(null):
        try:
            load(data)
            word = "loads"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is told
            word = type(error).__name__
    end.send((word, time.process_time() - start, peak() - before))


def kind(word: str) -> str:
    """The row of an outcome in the summary."""
    name, *costs = word.split(", ")
    if costs or name.startswith(("not done", "ends", "MemoryError")):
        return "costs more"
    return "loads" if name == "loads" else "refused with an error of its own" if name in OWN else "another error"


OWN = {"CorruptFile", "LimitExceeded", "UnsafeFile", "UnsupportedLayer", "WeightsMismatch", "ValueError"}
"""Errors that say that a file is refused: fnet's, and the one that Keras raises for it."""


def main() -> None:
    """Load all files and write the page."""
    import keras

    for honest in (keras_zip, legacy):  # what Keras imports late is imported once
        by_keras(honest())
    found = {}
    for name, attack in {**ATTACKS, **SIZES}.items():
        data = attack.build()
        found[name] = [outcome(load, data) for load in (load_keras, by_keras)]
        print(name, *found[name], sep=": ", flush=True)
    counts = [Counter(map(kind, column)) for column in zip(*found.values(), strict=True)]
    kinds = ("refused with an error of its own", "loads", "another error", "costs more")
    page = TEXT.format(
        count=len(found), version=keras.__version__, long=LONG,
        seconds=SECONDS, memory=MEMORY >> 20, room=ROOM >> 30,
        summary="\n".join(f"| {each} | {counts[0][each]} | {counts[1][each]} |" for each in kinds),
        rows="\n".join(f"| {name} | {ours} | {theirs} |" for name, (ours, theirs) in found.items()),
    )  # fmt: skip
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "numpy"
    main()
