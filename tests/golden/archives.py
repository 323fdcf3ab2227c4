"""The archives of this folder: files that versions of Keras wrote, and the arrays that were recorded then."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
NEWEST = FOLDER / "keras-3.15.1.zip"


def files(pattern):
    """(archive, name) of every file other than a record, in the archives whose names match."""
    found = [(archive, zipfile.ZipFile(archive).namelist()) for archive in sorted(FOLDER.glob(pattern))]
    return [(archive, name) for archive, names in found for name in names if not name.endswith(".npz")]


def read(archive, name):
    """The bytes of a member."""
    with zipfile.ZipFile(archive) as members:
        return members.read(name)


def members(data):
    """{name: bytes} of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npz(archive, name):
    """The arrays in the member `name`.npz."""
    return np.load(io.BytesIO(read(archive, f"{name}.npz")))


def golden(name):
    """The bytes of a file of the newest Keras."""
    return read(NEWEST, name)


def config_in(data):
    """The config in the bytes of a `.keras`."""
    return json.loads(read(io.BytesIO(data), "config.json"))


def named(value):
    """The id of a test for an archive."""
    return getattr(value, "stem", value)
