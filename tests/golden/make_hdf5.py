"""Results of the HDF5 reader for files with one byte changed: `hdf5-bytes.zip`.

`python -m tests.golden.make_hdf5` writes it: small files with most structures that the reader knows, and the result of
reading (an error or a digest of the values) for two changes of each byte that is not 0, and one of the zeros right
after. Checksums are recomputed after a change. Meanwhile the values are compared with h5py's: where both read a file,
they are the same. (Not for `dense`: HDF5's library does not survive all changes of it.)
"""

import collections
import io
import itertools
import json
import zipfile
import zlib

import h5py
import numpy as np

from params.errors import CorruptFile, ModelFileError, reading
from params.file import hdf5
from params.file.checksum import checksum
from tests.golden.archives import FOLDER
from tests.hostile import KERNEL, dense_vars, dense_vars_with, h5

ARCHIVE = FOLDER / "hdf5-bytes.zip"
OTHER_BOUNDS = {"chunked": 2, "shuffled": 2, "filtered": 2}
"""{file: number of changes in the last key of a tree of chunks}: HDF5 searches by it, and no longer finds a chunk."""


def _low(group, name, dtype, data, **options):
    """A dataset made by h5py's low-level functions."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    for option, values in options.items():
        getattr(made, option)(*values)
    space = h5py.h5s.create_simple(data.shape)
    dataset = h5py.h5d.create(group.id, name, h5py.h5t.py_create(dtype), space, made)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data.astype(dtype))


def _kinds(file):
    group = file.create_group("vars")
    group.attrs["name"], group.attrs["names"] = "abc", ["de", "fgh"]
    group.attrs.create("b", np.bytes_(b"xyz"))
    for name, value in enumerate(
        (np.array([1.5, -2], ">f4"), np.array([True, False]), np.uint16([1, 2]), np.float64(7))
    ):
        group[f"{name}"] = value
    _low(group, b"4", np.dtype("i2"), np.arange(3), set_layout=(h5py.h5d.COMPACT,))


def _filtered(file):
    group = file.create_group("vars")
    options = {"chunks": (1, 2, 3), "shuffle": True, "compression": "gzip", "fletcher32": True}
    group.create_dataset("0", data=np.arange(24, dtype="f4").reshape(2, 3, 4), **options)
    # the checksum is taken before shuffling: four bytes are left over
    _low(group, b"1", np.dtype("f8"), np.arange(5), set_chunk=((3,),), set_fletcher32=(), set_shuffle=())


def _dense(file):
    group = file.create_group("vars")
    group.attrs["text"] = "abc"
    for number in range(10):
        group[f"{number}"] = np.float32(number)
        group.attrs[f"a{number}"] = number


WRITTEN = {
    "weights": lambda: h5(dense_vars),
    "chunked": lambda: h5(lambda f: dense_vars_with(f, data=KERNEL, chunks=(2, 1), compression="gzip")),
    "shuffled": lambda: h5(lambda f: dense_vars_with(f, data=KERNEL, chunks=(2, 1), shuffle=True)),
    "kinds": lambda: h5(_kinds),
    "filtered": lambda: h5(_filtered),
    "latest": lambda: h5(dense_vars, libver="latest"),
    "one_chunk": lambda: h5(lambda f: dense_vars_with(f, chunks=(3, 2), compression="gzip"), libver="latest"),
    "dense": lambda: h5(_dense, libver=("v108", "v108")),
}


def ours(data, steps=10_000):
    """{path of an array, or of a group and its attribute: values} of a file, from our reader."""
    found = {}

    def walk(group):
        for name in group._attributes:
            try:
                found[f"{group.path}@{name}"] = group.texts(name)
            except CorruptFile as error:
                if "text was expected" not in str(error):
                    raise
        for array in group.datasets.values():
            found[f"/{array.path}"] = array.load() if array.type.readable else array.type.name
        for inner in group.groups.values():
            walk(inner)

    with reading("it"):
        walk(hdf5.open_file(memoryview(data), total=1 << 20, steps=steps, text=1 << 16, stored=len(data)))
    return found


def outcome(data):
    """The result of reading: the name of the error, or a digest of everything that was read."""
    try:
        found = ours(data)
    except ModelFileError as error:
        return type(error).__name__
    told = [(key, str(getattr(value, "dtype", "")), np.asarray(value).tolist()) for key, value in sorted(found.items())]
    return f"{zlib.crc32(repr(told).encode()):08x}"


def changed(data, guarded):
    """The file with each of the changes. guarded: [begin, length, place of the checksum] of each structure."""
    places = [i for i in range(len(data)) if any(data[max(0, i - 7) : i + 1])]
    for place, flip in [(i, flip) for i in places for flip in ((1, 255) if data[i] else (255,))]:
        made = bytearray(data)
        made[place] ^= flip
        for at, size, told in guarded:
            if at <= place < at + size and not told <= place < told + 4:
                made[told : told + 4] = bytes(4) if told < at + size else made[told : told + 4]
                made[told : told + 4] = checksum(bytes(made[at : at + size])).to_bytes(4, "little")
        yield bytes(made)


def _guarded(data):
    found, kept = [], hdf5.check_sum
    hdf5.check_sum = lambda block, told, at: found.append((at, len(block), data.index(told.to_bytes(4, "little"), at)))
    try:
        ours(data)
    finally:
        hdf5.check_sum = kept
    return found


def _theirs(data):
    found = {}

    def walk(name, item):
        if isinstance(item, h5py.Dataset) and item.size < 1000:
            found[f"/{name}"] = np.asarray(item)

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(walk)
    return found


def _agrees(data):
    """Whether h5py reads the same arrays, or fails."""
    try:
        theirs = _theirs(data)
    except Exception:
        return True
    found = {key: value for key, value in ours(data).items() if "@" not in key}
    read = [key for key, value in found.items() if not isinstance(value, str)]  # a str: of an unreadable type
    return found.keys() == theirs.keys() and all(np.array_equal(found[k], theirs[k], equal_nan=True) for k in read)


def main():
    record = {}
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, write in WRITTEN.items():
            data = write()
            guarded = _guarded(data)
            ends = [outcome(made) for made in changed(data, guarded)]
            if name != "dense":
                read = [made for made, end in zip(changed(data, guarded), ends, strict=True) if end.islower()]
                other = sum(not _agrees(made) for made in read)
                assert other <= OTHER_BOUNDS.get(name, 0), f"{name}: {other} changes are read otherwise than by h5py"
            runs = [(end, len(list(same))) for end, same in itertools.groupby(ends)]
            record[name] = {"guarded": guarded, "ends": runs}
            archive.writestr(zipfile.ZipInfo(f"{name}.h5"), data, zipfile.ZIP_DEFLATED)
            print(name, len(data), collections.Counter(end if end[0].isupper() else "read" for end in ends))
        archive.writestr(zipfile.ZipInfo("record.json"), json.dumps(record), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
