"""A structure-aware fuzzer of everything that reads files: `python -m tests.fuzz TARGET --seconds N`.

It takes valid and hostile files apart (zip members, JSON values, HDF5 bytes, safetensors headers), changes their
structure, repeats parts, inserts huge and strange values, and assembles them again with correct checksums.
The result must be a model or a ModelFileError, in 2 seconds of work and 512 MiB. Other files are kept in a folder.

Half of the time libFuzzer chooses what to change, by the branches that files take (`tests.guided`); in the other half
files are drawn, those among them that it kept: ten times as many. Where atheris has no wheel, all are drawn.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import json
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from params import ModelFileError, explain, load_keras
from params.file.reading import read

ROOT = Path(__file__).parent.parent
SECONDS = 2.0
MEMORY = 512 << 20
LARGEST = 3_000_000
"""The most characters of a config that is repeated or nested."""
SEEDS_A_SECOND = 4
"""Of a short run, so that most of its time is for changes."""

STRANGE: list[Any] = [
    *(0, 1, -1, 2, 3, 7, 64, 255, 256, 1000, 10**5, 10**6, 10**9, -(10**9), 2**31, 2**53, 2**62, 2**63, 2**64 - 1),
    *(0.0, -0.5, 1.5, 1e-300, 1e300, -1e30, True, False, None, "", "a", "same", "relu", "float32", "int8", "string"),
    *([], {}, [[]], [None], [0], [-1], [1, 1], [10**9], [[1, 2], [3]], {"a": 1}, "channels_first", "\u2028", "../x"),
    *("keras.layers", "keras.src.ops.numpy", "Sequential", "Functional", "InputLayer", "Lambda", "\ud800", "x" * 5000),
]  # fmt: skip


# --- seeds ----------------------------------------------------------------------------------------------------


def seeds(target: str) -> list[bytes]:
    """Files to start from: hostile ones, small valid ones, golden archives."""
    from tests import hostile
    from tests.hostile_sizes import SIZES

    found = [hostile.keras_zip(), hostile.keras_zip(method=8), hostile.legacy(), hostile.dense_weights()]
    golden = [path for path in sorted((ROOT / "tests" / "golden").rglob("*")) if path.is_file()]
    for path in golden:
        found += _inside(path)
    sizes = [
        name for name in SIZES if name.startswith(("deep_", "dangling", "called_2000", "reads", "sums", "num_oov"))
    ]
    for attack in [*hostile.ATTACKS.values(), *(SIZES[name] for name in sizes)]:
        data = attack.build() if target != "store" else b""
        found += [data] if len(data) < 60_000 else []
    found += [(ROOT / "examples" / "models" / "nusax-lstm.safetensors").read_bytes()] if target == "store" else []
    kinds = {"keras": (b"PK\3\4",), "h5": (b"\x89HDF",)}
    if target == "store":
        return [data for data in found if data[8:9] == b"{"] + _stores()
    return [data for data in found if data.startswith(kinds[target]) and len(data) < 300_000]


def _inside(path: Path) -> list[bytes]:
    """A file, or the files in an archive of several."""
    data = path.read_bytes()
    if not zipfile.is_zipfile(path):
        return [data]
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "config.json" in names:
            return [data]
        return [archive.read(name) for name in names if archive.getinfo(name).file_size < 300_000]


def _stores() -> list[bytes]:
    """Saved models with many layers of the table of cases."""
    import fnet
    from params import save
    from tests.cases import all_cases

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for case in all_cases()[::7]:
            try:
                spec = fnet.core.infer.spec(case.inputs())
                model = fnet.sequential(
                    x=fnet.bind(fnet.input_layer, shape=spec.shape, dtype=spec.dtype), step=case.step
                )
                save(Path(folder) / "m", model, fnet.init(model, 0))
            except (ValueError, TypeError, AttributeError, KeyError):
                continue  # several inputs, tables: not one array
            found.append((Path(folder) / "m").read_bytes())
    return found


# --- mutation -------------------------------------------------------------------------------------------------


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut, moved or repeated."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found)) if found else 0
        kind = rng.randrange(7)
        if kind == 0 and found:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            found[at : at + 1] = rng.choice([b"\0", b"\xff", b"\x7f", b"\x80", b"\n", b'"', b"{", b"["])
        elif kind == 2:
            width = rng.choice([1, 2, 4, 8])
            found[at : at + width] = (rng.choice([0, 1, 2**31, 2**32 - 1, len(data), 10**9]) % 256**width).to_bytes(
                width, "little"
            )
        elif kind == 3:
            found[at : at + 8] = b"\xff" * 8
        elif kind == 4:
            del found[at : at + rng.choice([1, 4, 64, 1000])]
        elif kind == 5:
            source = rng.randrange(len(found)) if found else 0
            found[at:at] = found[source : source + rng.choice([1, 8, 64, 512])]
        else:
            found[at:at] = found[at : at + rng.choice([1, 8, 64])] * rng.choice([2, 10, 300])
    return bytes(found)


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(container, key) of every value in a JSON value."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(item, dict | list):
            places(item, found)
    return found


def mutated_json(value: Any, rng: random.Random) -> Any:
    """A JSON value with a few of its values replaced, removed, repeated, nested or swapped."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        if not isinstance(value, dict | list) or not value:
            return value
        found = places(value, [])
        holder, key = rng.choice(found)
        kind = rng.randrange(8)
        if kind < 3:
            holder[key] = copy.deepcopy(rng.choice(STRANGE))  # later changes must not change the table
        elif kind == 3:
            del holder[key]
        elif kind == 4:
            other, name = rng.choice(found)
            holder[key] = json.loads(json.dumps(other[name]))
        elif kind == 5 and isinstance(holder, list):
            most = LARGEST // len(json.dumps(value))
            holder[key:key] = [holder[key]] * min(most, rng.choice([1, 2, 50, 2000]))
        elif kind == 6 and isinstance(holder, dict):
            holder[rng.choice(["", "units", "name", "dtype", "layers", str(key) + "_"])] = holder[key]
        else:
            most = LARGEST // len(json.dumps(value))
            for _ in range(min(most, rng.choice([1, 5, 30]))):
                holder[key] = {**holder[key], "layer": holder[key]} if isinstance(holder[key], dict) else [holder[key]]
    return value


def mutated_text(data: bytes, rng: random.Random) -> bytes:
    """JSON text, changed as a value or as bytes."""
    if rng.random() < 0.8:
        try:
            return json.dumps(mutated_json(json.loads(data), rng)).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError, IndexError, KeyError, TypeError):
            pass
    return mutated_bytes(data, rng)


def mutated_zip(data: bytes, rng: random.Random) -> bytes:
    """A `.keras` with one of its members changed, others left out or repeated; or the bytes of the zip changed."""
    if rng.random() < 0.1:
        return mutated_bytes(data, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        zlib.error,
        OSError,
        RuntimeError,
        struct.error,
        EOFError,
    ):
        return mutated_bytes(data, rng)
    for name in rng.sample(sorted(members), min(len(members), rng.choice([1, 1, 2]))):
        change = mutated_text if name.endswith(".json") else mutated_bytes
        members[name] = change(members[name], rng)
    if "config.json" in members and rng.random() < 0.7:
        members["config.json"] = mutated_text(members["config.json"], rng)
    if members and rng.random() < 0.1:
        members[rng.choice(["assets/layers/x/vocabulary.txt", "metadata.json", "x"])] = rng.choice(
            list(members.values())
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def mutated_store(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file with its header, the texts in its metadata, or its bytes changed."""
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header["__metadata__"]
        if rng.random() < 0.7:
            key = rng.choice([*metadata, "model", "model"])
            metadata[key] = mutated_text(metadata[key].encode(), rng).decode("utf-8", "replace")
        else:
            header = mutated_json(header, rng)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return mutated_bytes(data, rng)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    body = data[8 + size :] if rng.random() < 0.9 else mutated_bytes(data[8 + size :], rng)
    return len(text).to_bytes(8, "little") + text + body


# --- the loop -------------------------------------------------------------------------------------------------


def load_all(data: bytes) -> None:
    """Read every array of a file, explain it, then load the model."""
    for array in read(data).arrays.every:
        array.load()
    try:
        explain(data)
    finally:
        load_keras(data)


def load_store(data: bytes) -> None:
    """Load a saved model and its info."""
    from params import load, load_info

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            load(file.name)
        finally:
            load_info(file.name)


TARGETS: dict[str, tuple[Callable[[bytes, random.Random], bytes], Callable[[bytes], None]]] = {
    "keras": (mutated_zip, load_all),
    "h5": (mutated_bytes, load_all),
    "store": (mutated_store, load_store),
}


def outcome(load: Callable[[bytes], None], data: bytes) -> str | None:
    """What is wrong with the result for a file, or None."""
    from tests.test_hostile_sizes import peak

    measured = sys.platform == "linux"
    before, start = (peak(reset=True) if measured else 0), time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # NumPy's: a value that nobody thought of
            load(data)
    except ModelFileError as error:
        if len(str(error)) > 1000:
            return f"a message of {len(str(error))} characters"
    except Exception as error:  # noqa: BLE001 - whatever it is: that is what is looked for
        return f"{type(error).__name__}: {error}"[:300]
    seconds, memory = time.process_time() - start, (peak() - before) if measured else 0
    times = max(1, len(data) / (1 << 20))
    if seconds > SECONDS * times:
        return f"{seconds:.1f} seconds"
    return f"{memory >> 20} MiB" if memory > MEMORY * times else None


def guided(
    target: str, folder: Path, corpus: list[bytes], seconds: float, seed: int
) -> tuple[list[bytes], list[bytes]]:
    """(files with branches that the corpus does not take, files that `tests.guided` holds for wrong)."""
    for name in ("corpus", "suspects"):
        (folder / name).mkdir()
    for data in corpus:
        (folder / "corpus" / hashlib.sha1(data).hexdigest()).write_bytes(data)
    before = set((folder / "corpus").iterdir())
    command = [sys.executable, "-m", "tests.guided", target, str(folder), f"{seconds:.0f}", str(seed)]
    end = subprocess.run(command, check=False, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    new = [path.read_bytes() for path in set((folder / "corpus").iterdir()) - before]
    kinds = ("suspects/*", "crash-*", "timeout-*", "oom-*")
    wrong = [path.read_bytes() for kind in kinds for path in folder.glob(kind)]
    if end.returncode and not wrong:
        raise RuntimeError(end.stderr[-3000:])
    print(f"{target}: {end.stderr.splitlines()[-1]}, {len(new)} files kept for their branches", flush=True)
    return new, wrong


def main() -> int:
    """Fuzz one target for some time; exit status 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="folder for what is found")
    args = parser.parse_args()
    change, load = TARGETS[args.target]
    corpus, found, count = seeds(args.target), {}, 0
    start = told = time.monotonic()
    now = args.keep / f"{args.target}-now"
    args.keep.mkdir(exist_ok=True)
    print(f"{args.target}: {len(corpus)} seeds", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"{args.target}: stopped after {count} files"))

    def judge(data: bytes, seed: str) -> None:
        now.write_bytes(data)  # kept for a look if it kills the process
        wrong = outcome(load, data)
        if wrong is not None and wrong.endswith("seconds"):  # a busy machine can only add to the work that is counted
            wrong = outcome(load, data)
        if wrong is not None and found.setdefault(wrong[:60], seed) == seed:
            (args.keep / f"{args.target}-{seed}").write_bytes(data)
            print(f"{args.target} {seed}: {wrong}", flush=True)

    if find_spec("atheris"):
        with tempfile.TemporaryDirectory() as folder:
            some = corpus[:: max(1, round(len(corpus) / args.seconds / SEEDS_A_SECOND))]
            new, suspects = guided(args.target, Path(folder), some, args.seconds / 2, args.seed)
        corpus += new
        for number, data in enumerate(suspects):
            judge(data, f"{args.seed}-guided-{number}")
    while (passed := time.monotonic() - start) < args.seconds:
        if start + passed > told + 60:
            told = start + passed
            work = f"{time.process_time():.0f} s of work in {passed:.0f} s"
            print(f"{args.target}: {count} files, {work}, {len(found)} findings", flush=True)
        seed = f"{args.seed}-{count}"
        rng = random.Random(seed)
        judge(change(rng.choice(corpus), rng), seed)
        count += 1
    now.unlink(missing_ok=True)
    print(f"{args.target}: {count} files in {args.seconds:.0f} s, {len(found)} findings", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
