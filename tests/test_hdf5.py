"""The HDF5 reader, structure by structure: one field of a valid file is wrong at a time."""

import io
import json
import re
import struct
import zlib

import h5py
import numpy as np
import pytest

from params.errors import CorruptFile, LimitExceeded, ModelFileError, WeightsMismatch, reading
from params.file import hdf5
from params.file.checksum import checksum
from params.file.hdf5 import _inflate
from params.file.reading import read
from tests.golden import archives, make_hdf5
from tests.hostile import BIAS, KERNEL, dense_vars, dense_vars_with, dense_weights, h5

UNDEFINED = b"\xff" * 8
WEIGHTS = dense_weights()
NEW = h5(dense_vars, libver="latest")


def many(file, count=400, length=1):
    group = file.create_group("vars")
    for number in range(count):
        group.create_dataset(f"{number}".zfill(length), data=np.float32(number))


DENSE = h5(many, libver=("v108", "v108"))
TALL = h5(lambda f: many(f, 1200))
MANY = h5(lambda f: (many(f, 1200, 200), [f["vars"].attrs.__setitem__(f"a{n}", n) for n in range(4)]), libver="latest")


def replaced(data, old, new, nth=0):
    """`data` with the n-th `old` replaced by `new`, of any length up to the end."""
    at = -1
    for _ in range(nth + 1):
        at = data.index(old, at + 1)
    return data[:at] + new + data[at + len(new) :]


def patched(data, signature, offset, new, nth=0):
    """`data` with `new` at `offset` after the n-th `signature`."""
    at = -1
    for _ in range(nth + 1):
        at = data.index(signature, at + 1)
    return data[: at + offset] + new + data[at + offset + len(new) :]


def reference(length, index):
    """The reference to the text "dense" of WEIGHTS: length, heap, number."""
    return struct.pack("<IQI", length, WEIGHTS.index(b"GCOL"), index)


def layout(address, size, version=3, kind=1):
    return struct.pack("<BBQQ", version, kind, address, size)


def place_of(path, data=WEIGHTS):
    """Address of an array's bytes, and of its header."""
    with h5py.File(io.BytesIO(data)) as file:
        return file[path].id.get_offset(), h5py.h5o.get_info(file[path].id).addr


KERNEL_AT, KERNEL_HEADER = place_of("layers/dense/vars/0")
BIAS_AT, _ = place_of("layers/dense/vars/1")
SPACE = struct.pack("<BBBB4xQQ", 1, 2, 1, 0, 3, 2)
CHUNKED = h5(lambda f: dense_vars_with(f, chunks=(2, 1), compression="gzip"))
SHUFFLED = h5(lambda f: dense_vars_with(f, chunks=(2, 1), shuffle=True))
CHUNKS = struct.pack("<BBB", 3, 2, 3)
TEXTS = h5(
    lambda f: (f.create_group("vars").attrs.create("name", np.bytes_(b"abcde")), f["vars"].attrs.create("naoe", 1))
)

BROKEN = {
    "superblock_version": (WEIGHTS[:8] + b"\x09" + WEIGHTS[9:], CorruptFile, "superblock version 9"),
    "superblock_short": (WEIGHTS[:9], CorruptFile, "ends before"),
    "address_size": (WEIGHTS[:13] + b"\4" + WEIGHTS[14:], CorruptFile, "addresses of"),
    "base": (WEIGHTS[:24] + b"\1" + WEIGHTS[25:], CorruptFile, "inside another file"),
    "end": (WEIGHTS[:40] + UNDEFINED + WEIGHTS[48:], CorruptFile, "truncated"),
    "root_elsewhere": (WEIGHTS[:64] + UNDEFINED + WEIGHTS[72:], CorruptFile, "truncated"),
    "root_is_an_array": (
        WEIGHTS[:64] + struct.pack("<Q", KERNEL_HEADER) + WEIGHTS[72:], CorruptFile, "root of the HDF5 file",
    ),
    "two_layouts": (patched(WEIGHTS[:KERNEL_HEADER], b"", 0, b"") + replaced(
        WEIGHTS[KERNEL_HEADER:], b"\5\0\x08\0", b"\x08\0\x08\0"), CorruptFile, "2 data layout messages"),
    "shared_message": (WEIGHTS[:KERNEL_HEADER + 20] + b"\2" + WEIGHTS[KERNEL_HEADER + 21:], CorruptFile, "is shared"),
    "long_message": (
        WEIGHTS[:KERNEL_HEADER + 18] + b"\xff\xff" + WEIGHTS[KERNEL_HEADER + 20:], CorruptFile, "past the end",
    ),
    "header_version": (WEIGHTS[:KERNEL_HEADER] + b"\7" + WEIGHTS[KERNEL_HEADER + 1:], CorruptFile, "no OHDR"),
    "new_header_version": (patched(NEW, b"OHDR", 4, b"\x09"), CorruptFile, "object header version 9"),
    "no_layout": (replaced(WEIGHTS, layout(KERNEL_AT, 24)[:2], b"\x09\1"), CorruptFile, "data layout version 9"),
    "layout_class": (replaced(WEIGHTS, layout(KERNEL_AT, 24), b"\3\7"), CorruptFile, "data layout class 7"),
    "shared_bytes": (
        replaced(WEIGHTS, layout(BIAS_AT, 8), layout(KERNEL_AT + 4, 8)), CorruptFile, "share bytes",
    ),
    "stored_size": (replaced(WEIGHTS, layout(KERNEL_AT, 24), layout(KERNEL_AT, 25)), CorruptFile, "24 bytes, 25 are"),
    "address": (replaced(WEIGHTS, layout(KERNEL_AT, 24), layout(1 << 40, 24)), CorruptFile, "truncated"),
    "rank": (replaced(WEIGHTS, SPACE, b"\1\x28"), CorruptFile, "rank 40"),
    "dataspace_version": (replaced(WEIGHTS, SPACE, b"\7"), CorruptFile, "dataspace version 7"),
    **{
        f"name_{kind}": (h5(lambda f, value=value: dense_vars(f, name=value)), CorruptFile, f"attribute 'name'{said}")
        for kind, value, said in (
            ("twice", ["a", "b"], " of 'layers/dense/vars' is not one text"),
            ("nowhere", [], " of 'layers/dense/vars' is not one text"),
            ("in_a_row", [["a"]], " of 'layers/dense/vars' is not one text"),
            ("a_number", 3, " is int64; text was expected"),
        )
    },
    "heap_object": (replaced(WEIGHTS, reference(5, 1), reference(5, 9)), CorruptFile, "no object 9"),
    "heap_text": (replaced(WEIGHTS, reference(5, 1), reference(50, 1)), CorruptFile, "longer than what is stored"),
    "heap_size": (patched(WEIGHTS, b"GCOL", 24, b"\xff" * 7), CorruptFile, "past the end of the global heap"),
    "attribute_twice": (replaced(TEXTS, b"naoe", b"name"), CorruptFile, "two attributes called 'name'"),
    "attribute_short": (
        replaced(TEXTS, b"\x13\1\0\0\5\0\0\0", b"\x13\1\0\0\xff\0\0\0"), CorruptFile, "less than it declares",
    ),
    "attribute_version": (replaced(TEXTS, b"\1\0\5\0\x08\0\x08\0", b"\x09"), CorruptFile, "attribute version 9"),
    "attribute_fields": (replaced(TEXTS, b"\1\0\5\0\x08\0\x08\0", b"\1\0\xff"), CorruptFile, "before its fields"),
    "attribute_type_shared": (replaced(NEW, b"\3\0\5\0", b"\3\1"), CorruptFile, "named type"),
    "group_name_outside": (patched(WEIGHTS, b"HEAP", 8, struct.pack("<QQ", 2, 1)), CorruptFile, "outside its heap"),
    "group_name_endless": (patched(WEIGHTS, b"HEAP", 8, struct.pack("<QQ", 10, 1)), CorruptFile, "has no end"),
    "group_name_slash": (replaced(WEIGHTS, b"dense\0", b"den/e"), CorruptFile, "cannot be the name"),
    "group_name_not_utf8": (replaced(WEIGHTS, b"dense\0", b"d\xffnse"), CorruptFile, "a name in a heap is not UTF-8"),
    "group_name_twice": (replaced(TALL, b"10\0\0\0\0\0\0", b"100"), CorruptFile, "two members called"),
    "group_name_elsewhere": (replaced(TALL, b"1005\0", b"zzzz"), CorruptFile, "names ascend"),
    "group_tree_keys": (patched(WEIGHTS, b"TREE", 40, bytes(8)), CorruptFile, "names ascend"),
    "group_entry_kind": (patched(WEIGHTS, b"SNOD", 24, b"\7"), CorruptFile, "kind of a symbol table entry"),
    "group_heap_free": (patched(WEIGHTS, b"HEAP", 16, UNDEFINED), CorruptFile, "free space of a local heap"),
    "superblock_ranks": (WEIGHTS[:16] + bytes(4) + WEIGHTS[20:], CorruptFile, "no room for entries"),
    "group_tree_type": (patched(WEIGHTS, b"TREE", 4, b"\1"), CorruptFile, "type of a group's B-tree"),
    "group_tree_levels": (patched(TALL, b"TREE", 5, b"\2", 1), CorruptFile, "levels of a group's B-tree"),
    "group_tree_signature": (patched(WEIGHTS, b"TREE", 0, b"E"), CorruptFile, "no TREE structure"),
    "link_name": (replaced(NEW, b"\x06layers", b"\xff"), CorruptFile, "past the link"),
    "link_version": (replaced(NEW, b"\1\0\x06layers", b"\x09"), CorruptFile, "link message version 9"),
    "heap_width": (patched(DENSE, b"FRHP", 110, b"\0\0"), CorruptFile, "fractal heap make no sense"),
    "heap_filters": (patched(DENSE, b"FRHP", 7, b"\1"), CorruptFile, "filters of a fractal heap"),
    "heap_empty": (patched(DENSE, b"FRHP", 132, UNDEFINED), CorruptFile, "outside its fractal heap"),
    "tree_depth": (patched(DENSE, b"BTHD", 12, b"\xff"), CorruptFile, "B-tree make no sense"),
    "tree_type": (patched(DENSE, b"BTHD", 5, b"\6"), CorruptFile, "B-tree type 6"),
    "heap_id_huge": (patched(DENSE, b"BTLF", 10, b"\x10"), CorruptFile, "KeyError"),
    "heap_id_kind": (patched(DENSE, b"BTLF", 10, b"\x20"), CorruptFile, "kind of an object"),
    "heap_id_offset": (patched(DENSE, b"BTLF", 11, b"\xff\xff\xff\xff"), CorruptFile, "outside its fractal heap"),
    "chunk_rank": (replaced(CHUNKED, CHUNKS, b"\3\2\2"), CorruptFile, "chunks of"),
    "chunk_address": (replaced(CHUNKED, CHUNKS, CHUNKS + UNDEFINED), WeightsMismatch, "never written"),
    "chunk_filters": (replaced(CHUNKED, CHUNKS, layout(KERNEL_AT, 24)), CorruptFile, "filters but no chunks"),
    "filter_version": (replaced(CHUNKED, b"\1\1\0\0\0\0\0\0\1\0", b"\x09"), CorruptFile, "filter pipeline version"),
    "chunk_twice": (
        patched(CHUNKED, b"TREE\1", 24 + 2 * 40 + 8, bytes(24)), CorruptFile, "twice or outside the array",
    ),
    "chunk_inside": (patched(CHUNKED, b"TREE\1", 24 + 24, b"\4"), CorruptFile, "inside a value"),
    "shuffle_width": (replaced(SHUFFLED, b"shuffle\0\4", b"shuffle\0\x08"), CorruptFile, "shuffled as others"),
    "chunk_tree": (patched(CHUNKED, b"TREE\1", 5, b"\1"), CorruptFile, "no TREE structure"),
}  # fmt: skip


def load_all(data):
    for array in read(data).arrays.every:
        array.load()


@pytest.fixture
def any_checksum(monkeypatch):
    """Accept any checksum, as if it was taken after the change."""
    monkeypatch.setattr(hdf5, "check_sum", lambda data, told, at: None)


@pytest.mark.usefixtures("any_checksum")
@pytest.mark.parametrize("name", BROKEN)
def test_one_wrong_field_is_noticed(name):
    data, error, match = BROKEN[name]
    with pytest.raises(error, match=match):
        load_all(data)


def test_the_honest_files_are_read():
    for data in (WEIGHTS, NEW, DENSE, TALL, CHUNKED, TEXTS):
        load_all(data)


def test_an_empty_text_needs_no_heap():
    data = replaced(WEIGHTS, reference(5, 1), reference(0, 0))
    assert read(data).arrays.groups["layers/dense"].name == ""


def test_a_heap_without_free_space_ends_where_it_ends():
    data = patched(WEIGHTS, b"GCOL", 8, struct.pack("<Q", 40))
    assert read(data).arrays.groups["layers/dense"].name == "dense"


@pytest.mark.parametrize(("data", "published"), [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)])
def test_checksums_are_those_that_their_author_publishes(data, published):
    assert checksum(data) == published


GUARDED = [(NEW, "\x89HDF"), (NEW, "OHDR"), *((DENSE, s) for s in ("FRHP", "FHDB", "BTHD", "BTLF")),
           (MANY, "FHIB"), (MANY, "BTIN"), (MANY, "OCHK")]  # fmt: skip


@pytest.mark.parametrize(("data", "signature"), GUARDED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_structure_that_is_not_what_its_checksum_was_taken_of_is_refused(data, signature):
    load_all(data)
    at = data.index(signature.encode("latin1")) + 12
    with pytest.raises(CorruptFile, match="its checksum is wrong"):
        load_all(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])


@pytest.mark.parametrize(("node", "record", "widths"), [
    (512, 74, [0, 1, 1, 2]),  # of 6, 41, 251 and 1511 records at most
    (2048, 45, [0, 2, 2, 3]),  # of 45, 1747, 64675 and 2393011
])  # fmt: skip
def test_what_a_node_of_a_tree_leaves_for_pointers_decides_how_wide_their_counts_are(node, record, widths):
    """The prefix of a node takes 10 bytes, a pointer an address and the counts of the levels below it."""
    levels = hdf5._Levels(node, record, 3)
    assert (levels.count_width, levels.total_widths) == (1, widths)


@pytest.mark.usefixtures("any_checksum")
def test_a_dense_group_without_members_is_empty():
    assert read(patched(DENSE, b"BTHD", 16, UNDEFINED)).arrays.groups[""].arrays == ()


@pytest.mark.parametrize("libver", [None, ("v108", "v108"), "latest"])
def test_long_names_fill_indirect_blocks_of_the_heap(libver):
    def write(file):
        many(file, 3000, 300)
        for number in range(60):
            file["vars"].attrs[f"a{number}"] = np.full(3000, number, "f8")

        file["vars"].attrs["name"] = np.bytes_(b"x" * 30_000)

    group = read(h5(write, **({} if libver is None else {"libver": libver}))).arrays.groups[""]
    assert group.name == "x" * 30_000
    named = group.named
    assert [float(named[f"{n}".zfill(300)].load()) for n in range(3000)] == list(range(3000))


def test_many_chunks_make_a_tall_tree():
    array = np.arange(500, dtype="f4").reshape(250, 2)
    data = h5(lambda f: f.create_group("vars").create_dataset("0", data=array, chunks=(1, 1)))
    np.testing.assert_array_equal(read(data).arrays.groups[""].arrays[0].load(), array)
    at = data.index(b"TREE\1\1")
    for wrong in (b"\2", b"\0"):
        with pytest.raises(ModelFileError):
            load_all(data[: at + 5] + wrong + data[at + 6 :])
    child = data[at + 24 + 32 : at + 24 + 40]
    looped = data[: at + 24 + 32] + struct.pack("<Q", at) + data[at + 24 + 40 :]
    assert child != struct.pack("<Q", at)
    with pytest.raises(CorruptFile, match="is not a tree"):
        load_all(looped)


def test_a_tree_of_chunks_belongs_to_one_array():
    """A hundred arrays of the same 10,000 chunks, in a file of 30 KB, took ten seconds."""

    def write(file):
        for name in "01":
            file.require_group("vars").create_dataset(name, data=np.ones((250, 2), "f4"), chunks=(1, 1))

    data = h5(write)
    first, second = (match.start() for match in re.finditer(b"TREE\x01\x01", data))
    with pytest.raises(CorruptFile, match="is used twice"):
        load_all(data.replace(struct.pack("<Q", second), struct.pack("<Q", first)))
    child = slice(first + 56, first + 64), slice(second + 56, second + 64)
    with pytest.raises(CorruptFile, match="is not a tree"):
        load_all(data[: child[1].start] + data[child[0]] + data[child[1].stop :])


@pytest.mark.parametrize("name", make_hdf5.WRITTEN)
def test_a_file_with_a_changed_byte_is_refused_or_read_as_hdf5_reads_it(name):
    """Against a record made with h5py; a stricter reader needs a new one (tests/golden/make_hdf5.py)."""
    record = json.loads(archives.read(make_hdf5.ARCHIVE, "record.json"))[name]
    expected = [end for end, count in record["ends"] for _ in range(count)]
    files = make_hdf5.changed(archives.read(make_hdf5.ARCHIVE, f"{name}.h5"), record["guarded"])
    assert [make_hdf5.outcome(data) for data in files] == expected


@pytest.mark.parametrize(("name", "steps"), [
    ("weights", 151), ("chunked", 186), ("shuffled", 186), ("kinds", 179), ("filtered", 180), ("latest", 239),
    ("one_chunk", 241), ("dense", 718),
])  # fmt: skip
def test_each_structure_counts_its_steps(name, steps):
    """If one were not counted, overlapping structures would cost more than `Limits.steps` allows."""
    data = archives.read(make_hdf5.ARCHIVE, f"{name}.h5")
    assert make_hdf5.ours(data, steps)
    with pytest.raises(LimitExceeded, match=r"Limits\.steps"):
        make_hdf5.ours(data, steps - 1)


def test_filters_that_a_chunk_skips_are_not_undone():
    def write(file):
        made = file.create_group("vars").create_dataset("0", (3, 2), "f4", chunks=(3, 2), compression="gzip")
        made.id.write_direct_chunk((0, 0), KERNEL.tobytes(), filter_mask=1)

    np.testing.assert_array_equal(read(h5(write)).arrays.groups[""].arrays[0].load(), KERNEL)


def test_small_chunks_may_be_larger_than_their_array_and_large_ones_may_not():
    """h5py pads small arrays to a chunk: up to a megabyte, or four times the array."""

    def kernel(shape, chunk):
        data = np.ones(shape, "f4")
        return h5(lambda f: dense_vars_with(f, shape, data, chunks=chunk, maxshape=(None, None), compression="gzip"))

    mega = 1 << 17  # rows of two float32 each
    for shape, chunk in (((3, 2), (mega, 2)), ((mega, 2), (4 * mega, 2))):
        array = read(kernel(shape, chunk)).arrays.groups["layers/dense"].arrays[0]
        np.testing.assert_array_equal(array.load(), np.ones(shape, "f4"))
        with pytest.raises(LimitExceeded, match="a chunk of"):
            read(kernel(shape, (chunk[0] + 1, 2))).arrays.groups["layers/dense"].arrays[0].load()


def test_chunk_indexes_that_are_not_read_say_what_to_do():
    def write(file):
        file.create_group("vars").create_dataset("0", data=KERNEL, chunks=(2, 1))

    with pytest.raises(ModelFileError, match="save again with h5py's default settings"):
        read(h5(write, libver="latest"))


def test_parts_check_for_themselves():
    with pytest.raises(CorruptFile, match="does not begin with the HDF5 signature"):
        hdf5.open_file(memoryview(bytes(100)), total=100, steps=100, text=100, stored=100)
    with pytest.raises(CorruptFile, match="before its fields"):
        hdf5.integer(memoryview(b"abc"), 2, 2)
    with pytest.raises(CorruptFile, match="has no end"):
        _inflate(memoryview(zlib.compress(bytes(100))[:-6]), 1000)


def test_running_out_of_memory_or_stack_is_a_limit():
    for error in (MemoryError, RecursionError):
        with pytest.raises(LimitExceeded, match="'x': reading it takes more memory"), reading("'x'"):
            raise error
    assert BIAS.size
