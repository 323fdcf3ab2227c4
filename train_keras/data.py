"""The data sets: CIFAR-10 and NusaX-Sentiment (Indonesian) through `datasets`, and two embedded small ones.

`where` is the source: "embedded" (scikit-learn's digits and a synthetic review set, no network), "hub", or
a folder with

    cifar10/{train,test}-00000-of-00001.parquet     columns img {bytes, path}, label 0-9
    nusax/{train,valid,test}.csv                    columns id, text, label (negative, neutral, positive)
    nusax/LANGUAGE/{train,valid,test}.csv           the same in another of the twelve languages of NusaX

Pixels stay uint8 (the models divide by 255 themselves), texts stay strings, labels are int64.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train_keras import embedded
from train_keras.errors import DataNotFound, EmptySplit, LabelOutOfRange, MalformedData, SplitOverlap, rows
from train_keras.validation import check_images, check_labels, check_texts
from train_keras.whole import whole

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NUSAX_CLASSES = ("negative", "neutral", "positive")
KINDS = ("images", "texts")
CIFAR10_TRAIN = 40_000
SPLIT_SEED = 0

CIFAR10_HUB = {s: f"hf://datasets/uoft-cs/cifar10/plain_text/{s}-*.parquet" for s in ("train", "test")}
# The repository of NusaX-Senti is a loading script, which `datasets` no longer runs; the hub keeps its
# conversion to Parquet under another revision.
NUSAX_HUB = "hf://datasets/indonlp/NusaX-senti@refs/convert/parquet/{}/{}/*.parquet"
NUSAX_FOLDERS = {"train": "train", "valid": "validation", "test": "test"}
INDONESIAN = "indonesian"
LANGUAGES = {
    INDONESIAN: "ind",
    "acehnese": "ace",
    "balinese": "ban",
    "banjarese": "bjn",
    "buginese": "bug",
    "english": "eng",
    "javanese": "jav",
    "madurese": "mad",
    "minangkabau": "min",
    "ngaju": "nij",
    "sundanese": "sun",
    "toba_batak": "bbc",
}
"""{language of NusaX, the name of its folder: its name on the hub}."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a data set: x (n, height, width, channels) uint8 or (n,) of str, y (n,) int64."""

    x: Any
    y: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set: three splits, the names of the classes, and its source."""

    name: str
    kind: str
    classes: tuple[str, ...]
    train: Split
    valid: Split
    test: Split
    source: str

    @property
    def splits(self) -> dict[str, Split]:
        """{split name: split}."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of every row of every split, in order: equal if training sees the same data."""
        digest = hashlib.sha256(repr((self.kind, self.classes)).encode())
        for name, split in self.splits.items():
            digest.update(f"{name} {len(split)}".encode())
            digest.update(np.ascontiguousarray(split.y).tobytes())
            if self.kind == "images":
                digest.update(np.ascontiguousarray(split.x).tobytes())
            else:
                digest.update("\0".join(split.x).encode())
        return digest.hexdigest()


def validate(data: Data) -> None:
    """Raise a DataError for data on which training or scores would be silently wrong: splits, labels, texts, shapes."""
    for name, split in data.splits.items():
        where = f"{data.name}, {name} split"
        if len(split.x) != len(split.y):
            raise MalformedData(f"{where}: {len(split.x)} inputs but {len(split.y)} labels")
        if not len(split):
            raise EmptySplit(f"{where}: no rows; every split needs at least one")
        check_labels(split.y, len(data.classes), where)
        if data.kind == "images":
            check_images(split.x, data.train.x.shape[1:], where)
        else:
            check_texts(split.x, where)
    if data.kind == "texts":
        _check_overlap(data)


def _check_overlap(data: Data) -> None:
    first: dict[str, str] = {}
    for name, split in data.splits.items():
        for i, text in enumerate(split.x):
            if first.setdefault(text, name) != name:
                raise SplitOverlap(f"{data.name}: row {i} of {name} is in {first[text]} too: {text!r:.60}")


def load(
    kind: str, where: str | Path | None = None, cache: str | Path | None = None, language: str = INDONESIAN
) -> Data:
    """The validated data set of a kind ("images" or "texts") from `where`.

    where: "embedded", "hub" or a folder; None reads FNET_DATA, and is "embedded" where that is not set.
    cache: a folder that keeps decoded CIFAR-10 pixels between runs. One process loads a data set once.
    language: of the texts of NusaX, one of LANGUAGES.

    Raises a DataError that names the split and the rows.
    """
    for what, given, legal in (("kind", kind, KINDS), ("language", language, LANGUAGES)):
        if given not in legal:
            raise ValueError(f"{what} {given!r}; use one of {', '.join(legal)}")
    where = str(where or os.environ.get("FNET_DATA") or "embedded")
    return _load(kind, where, str(cache) if cache else None, language if kind == "texts" else INDONESIAN)


@functools.lru_cache(maxsize=4)
def _load(kind: str, where: str, cache: str | None, language: str) -> Data:
    if where == "embedded":
        if language != INDONESIAN:
            raise DataNotFound(f"no {language} texts are embedded; --data is 'hub' or a folder with nusax/{language}")
        data = _digits() if kind == "images" else _reviews()
    elif kind == "images":
        data = _cifar10(where, cache)
    else:
        data = _nusax(where, language)
    validate(data)
    return data


# --- the sources -----------------------------------------------------------------------------------


def _digits() -> Data:
    pixels, labels = embedded.digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    train, valid, test = (Split(pixels[part], labels[part]) for part in np.split(order, [1197, 1497]))
    return Data("digits", "images", tuple("0123456789"), train, valid, test, "scikit-learn digits, 8x8")


def _reviews() -> Data:
    parts = {name: _texts(texts, labels) for name, (texts, labels) in embedded.reviews().items()}
    return Data("reviews", "texts", NUSAX_CLASSES, **parts, source="synthetic, train_keras/embedded.py")


def _texts(texts: Sequence[str], labels: Sequence[int]) -> Split:
    return Split(np.array(texts, dtype=object), np.array(labels, dtype=np.int64))


def _cifar10(where: str, cache: str | None) -> Data:
    files = CIFAR10_HUB if where == "hub" else _in_folder(where, "cifar10", "{}-00000-of-00001.parquet")
    columns = {name: _rows("parquet", files[name], where) for name in ("train", "test")}
    parts = {name: _decoded(table, f"cifar10, {name} split", cache) for name, table in columns.items()}
    order = np.random.default_rng(SPLIT_SEED).permutation(len(parts["train"]))
    x, y = parts["train"].x, parts["train"].y
    kept = min(CIFAR10_TRAIN, round(0.8 * len(y)))
    train, valid = (Split(x[part], y[part]) for part in (order[:kept], order[kept:]))
    return Data("cifar10", "images", CIFAR10_CLASSES, train, valid, parts["test"], _origin(where))


def _nusax(where: str, language: str) -> Data:
    builder = "parquet" if where == "hub" else "csv"
    if where == "hub":
        files = {split: NUSAX_HUB.format(LANGUAGES[language], folder) for split, folder in NUSAX_FOLDERS.items()}
    else:
        files = _in_folder(where, "nusax", "{}.csv" if language == INDONESIAN else f"{language}/{{}}.csv")
    data, parts = "nusax" if language == INDONESIAN else f"nusax-{language}", {}
    for name in NUSAX_FOLDERS:
        table = _rows(builder, files[name], where)
        _need(table, ("text", "label"), f"{data}, {name} split")
        labels = _class_numbers(table["label"], f"{data}, {name} split")
        parts[name] = _texts(list(table["text"]), labels)
    return Data(data, "texts", NUSAX_CLASSES, **parts, source=_origin(where))


def _class_numbers(labels: Sequence[Any], where: str) -> list[int]:
    """Class numbers from names or numbers of classes. Raises LabelOutOfRange for anything else."""
    numbers: dict[Any, int] = {given: i for i, name in enumerate(NUSAX_CLASSES) for given in (i, name)}
    wrong = [i for i, label in enumerate(labels) if not isinstance(label, str | int) or label not in numbers]
    if wrong:
        legal = f"{', '.join(NUSAX_CLASSES)}, or 0 to {len(NUSAX_CLASSES) - 1}"
        raise LabelOutOfRange(f"{where}, {rows(wrong)}: label {labels[wrong[0]]!r} is no class; use {legal}")
    return [numbers[label] for label in labels]


def _origin(where: str) -> str:
    return "Hugging Face hub" if where == "hub" else "local folder"


def _in_folder(where: str, name: str, pattern: str) -> dict[str, str]:
    """{split: file} in `where`/`name`."""
    folder = Path(where).expanduser() / name
    splits = ("train", "test") if name == "cifar10" else ("train", "valid", "test")
    files = {split: folder / pattern.format(split) for split in splits}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise DataNotFound(f"no {', no '.join(missing)}; --data is 'embedded', 'hub' or a folder with these")
    return {split: str(file) for split, file in files.items()}


def _rows(builder: str, file: str, where: str) -> Any:
    """The rows of one split as a `datasets.Dataset`; nothing is decoded."""
    datasets = _quiet_datasets()
    if where != "hub":
        datasets.disable_progress_bars()  # nothing is downloaded
    # Texts such as "NA" or "null" are texts.
    options: dict[str, Any] = {"keep_default_na": False} if builder == "csv" else {}
    if where != "hub":
        _check_file(Path(file))
    unreachable: tuple[type[Exception], ...] = (OSError, *_http_errors())
    with tempfile.TemporaryDirectory(prefix="fnet-data-") as scratch:
        try:
            table = datasets.load_dataset(
                builder,
                data_files={"rows": file},
                split="rows",
                keep_in_memory=True,
                # A cache of the Arrow copy helps only for downloaded files.
                cache_dir=None if where == "hub" else scratch,
                **options,
            )
        except unreachable as error:
            raise DataNotFound(f"cannot read {file}: {error}") from error
        except (ValueError, datasets.exceptions.DatasetsError) as error:
            raise MalformedData(f"{file} is no {builder.upper()} file that can be read: {error}") from error
    return table


def _check_file(file: Path) -> None:
    """Raise a DataError in place of the various errors of CSV and Parquet readers."""
    content = file.read_bytes()
    if file.suffix == ".parquet":
        if len(content) < 12 or not content.startswith(b"PAR1") or not content.endswith(b"PAR1"):
            raise MalformedData(f"{file} is no whole Parquet file: it does not begin and end with PAR1. Fetch it again")
        return
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MalformedData(
            f"{file}, line {line}: byte {content[error.start]:#04x} is no UTF-8. Save it as UTF-8"
        ) from None
    if len([line for line in lines if line.strip()]) < 2:
        raise EmptySplit(f"{file}: no rows below the header; every split needs at least one")


def _quiet_datasets() -> Any:
    """The `datasets` library, imported without its log of the frameworks that it finds."""
    logging.getLogger("datasets").setLevel(logging.WARNING)
    import datasets

    return datasets


def _http_errors() -> tuple[type[Exception], ...]:
    """The errors of the hub's HTTP client without a network; the client depends on the hub's version."""
    return tuple(sys.modules[name].HTTPError for name in ("httpx", "httpx2") if name in sys.modules)


def _need(table: Any, columns: Sequence[str], where: str) -> None:
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise MalformedData(f"{where}: no column {', '.join(missing)}; got {', '.join(table.column_names)}")


def _decoded(table: Any, where: str, cache: str | None) -> Split:
    """uint8 pixels (n, 32, 32, 3) and labels of CIFAR-10 rows, from `cache` if they are there."""
    datasets = _quiet_datasets()
    _need(table, ("img", "label"), where)
    if not len(table):
        raise EmptySplit(f"{where}: no rows; every split needs at least one")
    labels = np.asarray(table["label"], np.int64)
    if isinstance(table.features["img"], datasets.Image):
        table = table.cast_column("img", datasets.Image(decode=False))
    files = table.data.column("img").combine_chunks().field("bytes")
    kept = None if cache is None else Path(cache) / f"cifar10-{_digest(files)}.npy"
    if kept is not None and kept.is_file():
        return Split(np.load(kept), labels)
    pixels = np.stack(list(_images(files, where)))
    if kept is not None:
        _keep(kept, pixels)
    return Split(pixels, labels)


def _digest(files: Any) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.as_buffer() or b"")
    return digest.hexdigest()[:16]


def _images(files: Any, where: str) -> Iterator[Any]:
    from PIL import Image, UnidentifiedImageError

    for i, file in enumerate(files):
        try:
            with Image.open(io.BytesIO(file.as_py() or b"")) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise MalformedData(f"{where}, row {i}: no readable image: {error}") from error
        if pixels.shape != (32, 32, 3):
            raise MalformedData(f"{where}, row {i}: an image of {pixels.shape[:2]} pixels, expected (32, 32)")
        yield pixels


def _keep(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    """Write an array file; it appears under its name when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part, part.open("wb") as file:
        np.save(file, pixels)
