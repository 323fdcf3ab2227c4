"""`fnet predict`: inputs, outputs, streaming, and messages for newcomers. Needs no Keras."""

import csv
import errno
import io
import json
import logging
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import bind, cli, sequential, writing
from fnet.cli import main
from tests.golden.archives import golden

ROOT = Path(__file__).parent.parent
TEXTS = "examples/models/nusax-lstm.safetensors"
IMAGES = "examples/models/cifar10-cnn.safetensors"
ROWS = [[1, 2, 3], [4, 5, 6], [7, 8, 9.5]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the example models, one on three numbers, one on two inputs, and inputs for them."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    Path("cnn.keras").write_bytes(golden("cnn.keras"))
    model = sequential(x=bind(fnet.input_layer, shape=(None, 3)), y=bind(fnet.dense, units=2, activation="softmax"))
    fnet.save("numbers.safetensors", model, fnet.init(model, 0), labels=["no", "yes"])
    inputs = {"a": bind(fnet.input_layer, shape=(None, 1)), "b": bind(fnet.input_layer, shape=(None, 1))}
    fnet.save(
        "two.safetensors", fnet.graph({**inputs, "y": (fnet.add, ["a", "b"])}, inputs=["a", "b"], outputs="y"), {}
    )
    Path("photos").mkdir()
    for i in range(3):
        Image.fromarray(np.full((20, 30, 3), 80 * i, "uint8")).save(f"photos/{i}.png")
    return tmp_path


def run(capsys, *arguments):
    status = main(["predict", *map(str, arguments)])
    return status, capsys.readouterr().out


def lines(capsys, *arguments):
    """The JSON objects that are printed."""
    status, out = run(capsys, *arguments, "--json")
    assert status == 0
    return [json.loads(line) for line in out.splitlines()]


# --- what is read -------------------------------------------------------------------------------------------


def test_numbers_come_from_every_kind_of_file(folder, capsys):
    import pyarrow
    import pyarrow.parquet

    np.save("x.npy", np.array(ROWS))
    np.savez("x.npz", x=np.array(ROWS))
    Path("x.csv").write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in ROWS))
    Path("x.tsv").write_text("a\tb\tc\n" + "\n".join("\t".join(map(str, row)) for row in ROWS))
    Path("lists.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    Path("objects.jsonl").write_text("\n\n".join(json.dumps(dict(zip("abc", row, strict=True))) for row in ROWS))
    columns = {name: [row[i] for row in ROWS] for i, name in enumerate("abc")}
    pyarrow.parquet.write_table(pyarrow.table(columns), "x.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"features": [list(map(float, row)) for row in ROWS]}), "l.parquet")
    names = ["x.npy", "x.npz", "x.csv", "x.tsv", "lists.jsonl", "objects.jsonl", "x.parquet", "l.parquet"]
    for batch in (1, 2, 32):
        answers = {
            n: [[row["output"], row["input"]] for row in lines(capsys, "numbers.safetensors", n, "--batch-size", batch)]
            for n in names
        }
        assert all(answer == answers["x.npy"] for answer in answers.values())
    outputs, rows = zip(*answers["x.npy"], strict=True)
    assert list(map(int, rows)) == list(range(len(ROWS)))
    model, params = fnet.load("numbers.safetensors")
    np.testing.assert_allclose(outputs, fnet.predict(model, params, np.array(ROWS)), atol=1e-6)


@pytest.mark.parametrize(("name", "data"), [
    *(("x.npy", b""), ("x.npy", b"\x93NUMPY"), ("x.npz", b"PK\3\4"), ("x.csv", b"a,b,c\n1,\xe9,3\n")),
    *(("x.jsonl", b'{"a": "\xff"}'), ("x.parquet", b"PAR1")),
    ("header.npy", b"\x93NUMPY\2\0\xa1\x0f\0\0" + b"[" * 4000 + b"\n"),
    *(("open.csv", b'a,b,c\n1,2,3\n4,"5,6\n7,8,9\n'), ("twice.jsonl", b'{"a": 1, "a": 2}')),
    *(("deep.jsonl", b"[" * 200_000), ("deeper.jsonl", b"[" * 900 + b"1" + b"]" * 900)),
])  # fmt: skip
def test_a_broken_file_of_numbers_is_named_in_one_line(folder, capsys, caplog, name, data):
    Path(name).write_bytes(data)
    status, out = run(capsys, "numbers.safetensors", name)
    assert (status, out) in ((1, ""), (2, ""))
    assert len(caplog.records) == 1
    assert name in caplog.text
    assert status == 2 or f"{name} cannot be read: " in caplog.text


@pytest.mark.parametrize("write", [np.save, np.savez])
def test_arrays_of_objects_are_told_with_what_to_save(write, folder, capsys, caplog):
    name = f"objects.np{'yz'[write is np.savez]}"
    write(name, np.array([[{}, 1, 2]], object))
    assert run(capsys, "numbers.safetensors", name) == (1, "")
    assert f"{name} cannot be read: " in caplog.text
    assert caplog.text.rstrip().endswith(
        "; save numbers or texts: np.save(name, np.array(rows, 'float32')), 'str' for texts"
    )


def test_what_a_file_unpacks_to_is_told_by_its_header_and_bounded(folder, capsys, caplog, monkeypatch):
    """A small file of zeros took all memory that there was."""
    monkeypatch.setattr("fnet.cli.inputs.FREE_ARRAYS", 1 << 20)
    zeros = np.zeros((100_000, 3), "float32")
    np.savez("stored.npz", x=zeros)
    np.savez_compressed("zeros.npz", x=zeros)
    assert run(capsys, "numbers.safetensors", "stored.npz", "--output", "y.npy")[0] == 0
    assert run(capsys, "numbers.safetensors", "zeros.npz") == (1, "")
    assert "zeros.npz cannot be read: it unpacks to 1,200,128 bytes, where 1,048,576 are the most" in caplog.text
    png = Path("photos/0.png").read_bytes()
    header = png[12:16] + struct.pack(">II", 9000, 9000) + png[24:29]
    Path("wide.png").write_bytes(png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:])
    assert run(capsys, IMAGES, "wide.png", "--resize", "--invalid", "raise") == (2, "")
    assert "243,000,000 bytes, where 150,000,000 are the most: make the image smaller first" in caplog.text
    assert run(capsys, IMAGES, "wide.png") == (2, "")
    assert "wide.png is 9000x9000, the model takes 32x32" in caplog.text


def test_texts_come_from_every_kind_of_file(folder, capsys, monkeypatch):
    texts = ["pelayanannya ramah", "makanan dingin"]
    Path("x.txt").write_text("\n".join(texts))
    Path("x.csv").write_text("id,ulasan\n" + "\n".join(f"{i},{text}" for i, text in enumerate(texts)))
    Path("x.jsonl").write_text("\n".join(map(json.dumps, texts)))
    Path("o.jsonl").write_text("\n".join(json.dumps({"id": 1, "text": text}) for text in texts))
    expected = run(capsys, TEXTS, "--text", *texts)
    assert run(capsys, TEXTS, "x.txt") == expected
    assert run(capsys, TEXTS, "x.csv", "--column", "ulasan") == expected
    assert run(capsys, TEXTS, "x.jsonl") == run(capsys, TEXTS, "o.jsonl") == expected
    for form, name in (("txt", "x.txt"), ("jsonl", "x.jsonl")):
        with Path(name).open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert run(capsys, TEXTS, "-", "--stdin-format", form) == expected


def test_a_line_of_json_that_lacks_a_key_is_named_and_marked(folder, capsys, caplog):
    """One of them ended the job, and nothing said which."""
    Path("x.jsonl").write_text('{"a": 1, "b": 2, "c": 3}\n\n{"a": 1, "c": 3}\n[1, 2, 3]\n{"c": 3, "b": 2, "a": 1}\n')
    rows = lines(capsys, "numbers.safetensors", "x.jsonl")
    assert [row["output"] is None for row in rows] == [False, True, True, False]
    assert rows[0]["output"] == rows[3]["output"]
    for said in ("line 3 lacks b: {'a': 1, 'c': 3}", "line 4 lacks a, b, c: [1, 2, 3]", "marked: 1, 2"):
        assert said in caplog.text
    assert run(capsys, "numbers.safetensors", "x.jsonl", "--invalid", "raise") == (2, "")
    assert "x.jsonl, line 3 lacks b: {'a': 1, 'c': 3}; every line must be" in caplog.text
    Path("n.jsonl").write_text('{"a": 1, "b": 2, "c": 3}\nnull\n')
    assert run(capsys, "numbers.safetensors", "n.jsonl", "--invalid", "raise") == (2, "")
    assert "n.jsonl, line 2 lacks a, b, c: None" in caplog.text
    Path("t.jsonl").write_text('{"id": 1, "text": "pelayanannya ramah"}\n{"id": 2}\n')
    assert [row["label"] is None for row in lines(capsys, TEXTS, "t.jsonl", "--keep", "id")] == [False, True]


def test_a_folder_of_images_is_its_images(folder, capsys):
    status, out = run(capsys, IMAGES, "photos", "--resize", "--batch-size", "2")
    assert status == 0
    assert [line.split("\t")[2] for line in out.splitlines()] == [f"photos/{i}.png" for i in range(3)]
    assert run(capsys, IMAGES, *[f"photos/{i}.png" for i in range(3)], "--resize")[1] == out


def test_a_table_holds_images_or_the_paths_of_some(folder, capsys, caplog):
    import pyarrow
    import pyarrow.parquet

    files = [f"photos/{i}.png" for i in range(3)]
    cells = [Path(name).read_bytes() for name in files]
    as_datasets_writes_them = [{"bytes": cell, "path": None} for cell in cells[:2]] + [
        {"bytes": None, "path": files[2]}
    ]
    expected = [row["output"] for row in lines(capsys, IMAGES, "photos", "--resize")]
    for column in (cells, as_datasets_writes_them, files):
        pyarrow.parquet.write_table(pyarrow.table({"id": [7, 8, 9], "image": column}), "t.parquet")
        for options in (["--keep", "id"], ["--column", "image", "--keep", "id", "--batch-size", "2"]):
            rows = lines(capsys, IMAGES, "t.parquet", "--resize", *options)
            assert np.allclose([row["output"] for row in rows], expected, rtol=0, atol=1e-6)
            assert [(row["input"], row["id"]) for row in rows] == [("0", 7), ("1", 8), ("2", 9)]
    pyarrow.parquet.write_table(pyarrow.table({"image": [cells[0], b"no image", None]}), "t.parquet")
    Path("t.csv").write_text('image\nphotos/0.png\nphotos/none.png\n""\n')
    Path("first.csv").write_text('image\n""\n""\nphotos/0.png\n')
    for name in ("t.parquet", "t.csv", "first.csv"):
        rows = lines(capsys, IMAGES, name, "--resize")
        assert [row["output"] is None for row in rows] == [name[0] == "f", True, name[0] != "f"]
        assert f"{name}, row 1 is not an image that can be read" in caplog.text
    assert "BytesIO" not in caplog.text
    caplog.clear()
    assert run(capsys, "numbers.safetensors", "t.parquet") == (2, "")
    assert len(caplog.text) < 400  # and not all bytes of the first


def test_a_pattern_that_the_shell_leaves_is_its_files(folder, capsys, caplog):
    assert run(capsys, IMAGES, "photos/*.png", "--resize") == run(capsys, IMAGES, "photos", "--resize")
    Path("photos/[1].png").write_bytes(Path("photos/2.png").read_bytes())
    (row,) = lines(capsys, IMAGES, "photos/[1].png", "--resize")
    assert row["input"] == "photos/[1].png"
    assert run(capsys, IMAGES, "photos/*.jpg", "--resize") == (1, "")
    assert "photos/*.jpg: No such file or directory" in caplog.text


def test_folders_in_a_folder_count_and_a_broken_image_is_a_row_without_an_answer(folder, capsys, caplog):
    Path("photos/more").mkdir()
    Path("photos/1.png").rename("photos/more/1.png")
    Path("photos/9.png").write_bytes(b"not a picture")
    rows = lines(capsys, IMAGES, "photos", "--resize")
    assert [row["input"] for row in rows] == ["photos/0.png", "photos/2.png", "photos/9.png", "photos/more/1.png"]
    assert [row["output"] is None for row in rows] == [False, False, True, False]
    assert "photos/9.png is not an image that can be read" in caplog.text
    assert "no answer for 1 of 4 rows, which are marked: 2" in caplog.text
    assert run(capsys, IMAGES, "photos", "--resize", "--invalid", "raise") == (2, "")
    assert run(capsys, IMAGES, "photos/9.png", "--resize")[0] == 1  # no image of the batch has a size


@pytest.mark.parametrize(("channels", "seen"), [(1, [1, 100]), (3, [1, 100]), (4, [1, 255])])
def test_images_of_16_bits_are_seen_by_their_upper_bytes(channels, seen, folder, capsys, caplog):
    """All above 255 of them was white."""
    from PIL import Image

    fnet.save("m.safetensors", sequential(x=bind(fnet.input_layer, shape=(None, 2, 1, channels)), y=fnet.flatten), {})
    Image.fromarray(np.array([[300], [25600]], "uint16")).save("x.png")
    Image.fromarray(np.array([[1], [200]], "float32")).save("f.tiff")
    rows = lines(capsys, "m.safetensors", "x.png", "f.tiff", "--scale", "1")
    assert [rows[0]["output"][0], rows[0]["output"][-1]] == seen
    assert rows[1]["output"] is None
    assert "f.tiff is not an image that can be read (its pixels are 32-bit numbers" in caplog.text
    assert run(capsys, "numbers.safetensors", "x.png") == (2, "")
    assert "x.png is an image, but the model takes float32[None, 3]: give a table or a .npy" in caplog.text


def test_large_images_come_in_smaller_batches_and_without_the_warnings_of_pillow(folder, capsys, caplog, monkeypatch):
    """Eight images of 7000x7000, 400 KB together, took 4 GB."""
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # those here have 600
    monkeypatch.setattr("fnet.cli.image_files.LARGEST", 2 * 20 * 30 * 3)
    rows, predict = [], fnet.predict

    def counted(model, params, x, **options):
        rows.append(len(x))
        return predict(model, params, x, **options)

    monkeypatch.setattr("fnet.predict", counted)
    mean = sequential(x=bind(fnet.input_layer, shape=(None, None, None, 3)), y=fnet.global_average_pooling2d)
    fnet.save("any.safetensors", mean, {})
    Path("photos/0a.png").write_bytes(b"not a picture")
    given = lines(capsys, "any.safetensors", "photos")
    assert rows == [2, 2]
    assert [row["output"] for row in given] == [[0.0] * 3, None, [80.0] * 3, [160.0] * 3]
    large = sequential(x=bind(fnet.input_layer, shape=(None, 1 << 20, 1 << 20, 3)), y=fnet.global_average_pooling2d)
    fnet.save("large.safetensors", large, {})
    assert run(capsys, "large.safetensors", "photos", "--resize") == (2, "")
    assert "the model takes images of 1048576x1048576: give them as arrays, in a .npy" in caplog.text


def test_images_of_several_sizes_for_a_model_that_takes_any(folder, capsys, caplog):
    from PIL import Image

    mean = sequential(x=bind(fnet.input_layer, shape=(None, None, None, 3)), y=fnet.global_average_pooling2d)
    fnet.save("any.safetensors", mean, {})
    Image.fromarray(np.full((5, 5, 3), 7, "uint8")).save("photos/small.png")
    assert run(capsys, "any.safetensors", "photos") == (2, "")
    assert "differ in size, and the model takes any: add --batch-size 1" in caplog.text
    rows = lines(capsys, "any.safetensors", "photos", "--batch-size", 1)
    assert rows[-1]["output"] == [7, 7, 7]


def test_the_truth_is_counted_and_what_is_wrong_is_told(folder, capsys, caplog):
    table = "id,a,b,c,is\n7,1,2,3,{0}\n8,4,5,6,{1}\n9,nan,1,1,yes\n"
    Path("t.csv").write_text(table.format("no", "yes"))
    rows = lines(capsys, "numbers.safetensors", "t.csv", "--truth", "is", "--keep", "id")
    assert [(row["id"], row["truth"]) for row in rows] == [("7", "no"), ("8", "yes"), ("9", "yes")]
    table = (folder / "t.csv").read_text("utf-8")
    (folder / "numbered.csv").write_text(table.replace("no\n", "0\n").replace("yes\n", "1\n"), "utf-8")
    assert lines(capsys, "numbers.safetensors", "numbered.csv", "--truth", "is", "--keep", "id") == rows
    assert rows[2]["label"] is None
    said = [row["label"] for row in rows[:2]]
    other = {"no": "yes", "yes": "no"}
    Path("t.csv").write_text(table.format(said[0], other[said[1]]))
    caplog.clear()
    status, _ = run(
        capsys, "numbers.safetensors", "t.csv", "--truth", "is", "--keep", "id", "--wrong", "--output", "w.csv"
    )
    assert status == 0
    assert "1 of 2 rows are right: accuracy 0.5000" in caplog.text
    wrong = list(csv.DictReader(Path("w.csv").read_text().splitlines()))
    assert [(row["id"], row["truth"], row["label"]) for row in wrong] == [
        ("8", other[said[1]], said[1]),
        ("9", "yes", ""),
    ]


@pytest.mark.parametrize("to", [("--format", "csv"), ("--output", "w.csv"), ("--output", "w.parquet")])
@pytest.mark.parametrize("rows", ["1,2,3,{0}", "nan,1,1,yes"])
def test_a_table_has_all_its_columns_whatever_rows_it_has(folder, capsys, to, rows):
    Path("t.csv").write_text("a,b,c,is\n1,2,3,no\n")
    right = lines(capsys, "numbers.safetensors", "t.csv", "--truth", "is")[0]["label"]
    Path("t.csv").write_text(f"a,b,c,is\n{rows.format(right)}\n")
    _, printed = run(capsys, "numbers.safetensors", "t.csv", "--truth", "is", "--wrong", *to)
    if to[1] == "w.parquet":
        columns = pytest.importorskip("pyarrow.parquet").read_schema("w.parquet").names
    else:
        columns = (printed or Path("w.csv").read_text()).splitlines()[0].split(",")
    assert columns[:5] == ["input", "truth", "label", "score", "output_0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["numbers.safetensors", "t.csv", "--truth", "what"], "t.csv has no column what; it has a, b, c, is"),
        (["numbers.safetensors", "n.csv", "--truth", "is"], "'maybe' is none of the labels no, yes"),
        (["numbers.safetensors", "t.csv", "--wrong"], "--wrong needs the right classes: --truth COLUMN"),
        (["numbers.safetensors", "t.csv", "--keep", "score"], "--keep score: the outputs have a column of that name"),
        (["two.safetensors", "two.csv", "--truth", "is"], "'yes' is not a class number from 0 to 1: name the classes"),
        (["three.safetensors", "n3.csv", "--truth", "is"], "'3' is not a class number from 0 to 2: name the classes"),
        (
            ["numbers.safetensors", "blank.csv", "--truth", "is", "--invalid", "raise"],
            "'' is none of the labels no, yes",
        ),
        ([TEXTS, "--text", "satu", "--truth", "is"], "--text has no columns"),
        ([IMAGES, "photos", "--resize", "--truth", "is"], "--truth folder"),
        (["numbers.safetensors", "t.csv", "--truth", "is", "--wrong", "--output", "x.npy"], "leave --wrong and --keep"),
        (["numbers.safetensors", "t.csv", "--keep", "is", "--output", "x.npy"], "leave --wrong and --keep"),
        (
            ["both.safetensors", "t.csv", "--column", "a,b,c", "--labels", "no,yes"],
            "need classes of one output; this model has several",
        ),
        (
            ["both.safetensors", "t.csv", "--column", "a,b,c", "--top", "1"],
            "need classes of one output; this model has several",
        ),
        (["both.safetensors", "t.csv", "--column", "a,b,c", "--output", "y.npy"], "does not fit into one .npy file"),
        (["free.safetensors", "t.jsonl", "--batch-size", "1", "--output", "y.npy"], "does not fit into one .npy file"),
        (
            ["any.safetensors", "t.jsonl", "--batch-size", "1", "--output", "y.npy"],
            "the outputs of the batches have several shapes and do not fit into one .npy",
        ),
        (["column.safetensors", "t.csv", "--truth", "is"], "--truth is for scores of classes, (rows, classes) of"),
        (["sums.safetensors", "t.jsonl", "--batch-size", "1"], "the model does not give one answer for each row"),
        (["numbers.safetensors", "t.csv", "n.csv"], "give one input file, or several images"),
    ],
)
def test_a_truth_that_cannot_be_judged_is_told(folder, capsys, caplog, arguments, message):
    Path("t.csv").write_text("a,b,c,is\n1,2,3,yes\n")
    Path("n.csv").write_text("a,b,c,is\n1,2,3,maybe\n")
    Path("two.csv").write_text("a,b,is\n1,2,yes\n")
    Path("n3.csv").write_text("a,b,c,is\n1,2,3,3\n")
    Path("blank.csv").write_text("a,b,c,is\n1,2,3,\n")
    fnet.save("three.safetensors", sequential(x=bind(fnet.input_layer, shape=(None, 3)), y=fnet.softmax), {})
    nodes = {"x": bind(fnet.input_layer, shape=(None, 3)), "y": (fnet.relu, "x"), "z": (fnet.flatten, "x")}
    fnet.save("both.safetensors", fnet.graph(nodes, inputs="x", outputs=["y", "z"]), {})
    Path("t.jsonl").write_text("[1, 2]\n[3]\n")
    fnet.save("any.safetensors", sequential(y=fnet.relu), {})
    fnet.save(
        "free.safetensors", fnet.graph(y=(fnet.relu, "x"), z=(fnet.flatten, "x"), inputs="x", outputs=["y", "z"]), {}
    )
    fnet.save("sums.safetensors", sequential(y=bind(fnet.operations.sum, axis=0)), {})
    column = sequential(x=bind(fnet.input_layer, shape=(None, 3)), y=bind(fnet.reshape, target_shape=(3, 1)))
    fnet.save("column.safetensors", column, {})
    assert run(capsys, *arguments)[0] == 2
    assert message in caplog.text


def test_class_numbers_are_compared_as_numbers_and_rows_without_a_truth_are_not_counted(folder, capsys, caplog):
    fnet.save("three.safetensors", sequential(x=bind(fnet.input_layer, shape=(None, 3)), y=fnet.softmax), {})
    Path("t.csv").write_text("a,b,c,is\n1,2,3,02\n3,2,1,1\n3,2,1,\n")
    rows = lines(capsys, "three.safetensors", "t.csv", "--truth", "is")
    assert [(row["label"], row["truth"]) for row in rows] == [("2", "2"), ("0", "1"), ("0", "")]
    assert "1 rows have no right class and are not counted" in caplog.text
    assert "1 of 2 rows are right: accuracy 0.5000" in caplog.text
    rows = lines(capsys, "three.safetensors", "t.csv", "--truth", "is", "--wrong")
    assert [row["truth"] for row in rows] == ["1"]


@pytest.mark.parametrize(
    ("kept", "more"),
    [
        ("output_0", ["--format", "csv"]),
        ("label_1", ["--top", "2", "--output", "y.parquet"]),
        ("top", ["--top", "2", "--json"]),
    ],
)
def test_a_kept_column_that_an_output_would_replace_is_refused(folder, capsys, caplog, kept, more):
    Path("t.csv").write_text(f"a,b,c,{kept}\n1,2,3,mine\n")
    assert run(capsys, "numbers.safetensors", "t.csv", "--keep", kept, *more)[0] == 2
    assert f"--keep {kept}: the outputs have a column of that name" in caplog.text
    assert f"{kept}\t" not in run(capsys, "numbers.safetensors", "t.csv", "--keep", kept)[1]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("predict", ["numbers.safetensors", "g1*.csv", "--output", "g1.csv"]),
        ("predict", ["numbers.safetensors", "g1.csv", "--labels", "l.txt", "--output", "l.txt"]),
        ("export", ["cfg.json", "w.keras", "--weights", "w.keras"]),
        ("convert", ["cnn.keras", "l.safetensors", "--labels", "l.safetensors"]),
        ("export", ["cnn.keras", "f.py", "--to", "keras", "--custom", "my>F=f.py:f"]),
    ],
)
def test_no_file_that_is_read_is_written_over(folder, caplog, command, arguments):
    for name in ("g1.csv", "l.txt", "l.safetensors", "f.py", "w.keras", "cfg.json"):
        Path(name).write_text("a,b,c\n1,2,3\n" if name == "g1.csv" else "no\nyes\n")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main([command, *arguments]) == 2
    assert "which is read; give it another name" in caplog.text
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_kept_cells_of_parquet_are_written_in_every_format(folder, capsys):
    import datetime
    import decimal

    import pyarrow
    import pyarrow.parquet

    at, price = datetime.datetime(2026, 1, 2, 3, 4), decimal.Decimal("1.50")
    cells = {"at": [at], "price": [price], "raw": [b"a\xff"], "none": [float("nan")], "of": [{"at": at}]}
    pyarrow.parquet.write_table(pyarrow.table({"a": [1], "b": [2], "c": [3], **cells}), "t.parquet")
    kept = ["numbers.safetensors", "t.parquet", "--keep", ",".join(cells)]
    (row,) = lines(capsys, *kept)
    assert [row[key] for key in cells] == [str(at), "1.50", "a\\xff", None, {"at": str(at)}]
    (row,) = csv.DictReader(run(capsys, *kept, "--format", "csv")[1].splitlines())
    assert [row[key] for key in ("at", "price", "raw", "none")] == [str(at), "1.50", "a\\xff", ""]
    assert "a\\xff" in run(capsys, *kept)[1]
    pyarrow.parquet.write_table(pyarrow.table([[b"ramah"], [7]], names=["text", "id"]), "t.parquet")
    assert lines(capsys, TEXTS, "t.parquet")[0]["input"] == "ramah"
    pyarrow.parquet.write_table(pyarrow.table([[1], [2], [3], [7], [8]], names=[*"abc", "id", "id"]), "t.parquet")
    assert len(lines(capsys, "numbers.safetensors", "t.parquet", "--column", "a,b,c")) == 1


def test_true_and_false_in_a_csv_are_what_they_are_in_json(folder, capsys):
    Path("x.csv").write_text("a,b,c\nTrue,false,2\n")
    Path("x.jsonl").write_text('{"a": true, "b": false, "c": 2}\n')
    rows = [lines(capsys, "numbers.safetensors", name) for name in ("x.csv", "x.jsonl")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl", "e.parquet", "e.txt"])
def test_a_file_without_rows_is_told_whatever_its_kind(folder, capsys, caplog, name):
    import pyarrow
    import pyarrow.parquet

    Path(name).write_text("text\n" if name == "e.csv" else "")
    if name == "e.parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), name)
    for command in (["predict", "--output", "y.npy"], ["activations"], ["predict"]):
        caplog.clear()
        lines_of_text = name == "e.txt" and len(command) == 1 and command[0] == "predict"  # none, and all is well
        assert main([command[0], TEXTS, name, *command[1:]]) == (0 if lines_of_text else 2)
        assert lines_of_text or ("there are no rows" if name == "e.txt" else f"{name} has no rows") in caplog.text


def test_what_does_not_fit_is_told_before_the_first_batch(folder, capsys, caplog, monkeypatch):
    nodes = {"x": bind(fnet.input_layer, shape=(None, 3)), "y": (fnet.relu, "x"), "z": (fnet.flatten, "x")}
    fnet.save("both.safetensors", fnet.graph(nodes, inputs="x", outputs=["y", "z"]), {})
    Path("t.csv").write_text("a,b,c\n1,2,3\n")
    monkeypatch.delattr(fnet, "predict")
    assert run(capsys, "both.safetensors", "t.csv", "--output", "y.npy")[0] == 2
    assert "does not fit into one .npy file" in caplog.text
    assert run(capsys, "numbers.safetensors", "t.csv", "--labels", "a,b,c")[0] == 2
    assert "3 labels, but the model has 2 classes" in caplog.text


def test_kept_cells_of_several_types_are_texts_in_parquet(folder, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    Path("x.jsonl").write_text("\n".join(f'{{"a": 1, "b": 2, "c": 3, "id": {i}}}' for i in ("7", '"x"', '"\\ud800"')))
    arguments = ["numbers.safetensors", "x.jsonl", "--keep", "id", "--output", "y.parquet"]
    assert run(capsys, *arguments)[0] == 0
    assert parquet.read_table("y.parquet")["id"].to_pylist() == ["7", "x", "\\ud800"]


def test_several_inputs_are_columns_by_name(folder, capsys):
    Path("x.csv").write_text("b,id,a\n1,7,10\n2,8,20\n")
    assert [row["output"] for row in lines(capsys, "two.safetensors", "x.csv")] == [[11], [22]]


def test_the_name_of_an_only_column_is_said_and_no_header_makes_it_a_row(folder, capsys, caplog):
    Path("x.csv").write_text("ramah\ndingin\n")
    assert len(run(capsys, TEXTS, "x.csv")[1].splitlines()) == 1
    assert "'ramah' is taken for the name of the column; --no-header makes it a row" in caplog.text
    assert len(run(capsys, TEXTS, "x.csv", "--no-header")[1].splitlines()) == 2
    Path("n.csv").write_text("1,2,3\n4,5,6\n")
    assert len(lines(capsys, "numbers.safetensors", "n.csv", "--no-header")) == 2


def test_whole_numbers_are_not_rounded_to_float32(folder, capsys):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="int32"), y=fnet.identity)
    fnet.save("ids.safetensors", model, {})
    Path("x.csv").write_text("id\n16777217\n")
    assert lines(capsys, "ids.safetensors", "x.csv")[0]["output"] == [16777217]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", 1234567890123456789),
        ("uint64", 2**64 - 1),
        ("float64", 0.1234567890123456),
    ],
)
def test_numbers_that_float32_or_float64_would_round_are_read_as_the_model_takes_them(dtype, value):
    import pyarrow
    import pyarrow.parquet

    model = sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype=dtype), y=fnet.identity)
    Path("x.csv").write_text(f"id\n{value}\n5\n")
    Path("x.jsonl").write_text(f'{{"id": {value}}}\n{{"id": 5}}\n')
    pyarrow.parquet.write_table(pyarrow.table({"id": np.array([value, 5], dtype)}), "x.parquet")
    np.save("x.npy", np.array([[value], [5]], dtype))
    for name in ("x.csv", "x.jsonl", "x.parquet", "x.npy"):
        args = cli.parser().parse_args(["predict", "m", name, "--scale", "1"])
        source = cli.predict.inputs.source(cli.predict.inputs.request(model, args, 32))
        rows = cli.predict.inputs.scaling(model, args, {}, False)(next(source.batches).rows)
        assert rows.dtype == dtype or int(rows[1, 0]) == 5, name
        assert rows[0, 0] == np.dtype(dtype).type(value), name


def test_large_ids_next_to_an_empty_cell_are_told_not_rounded(folder, capsys, caplog):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="int64"), y=fnet.identity)
    fnet.save("ids.safetensors", model, {})
    Path("x.csv").write_text('id\n1234567890123456789\n""\n')
    assert run(capsys, "ids.safetensors", "x.csv")[0] == 2
    assert "rows from 0 on hold whole numbers beyond 2^53, which empty cells would round" in caplog.text


def test_a_scale_that_would_cut_ids_to_zero_is_refused(folder, capsys, caplog):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="int32"), y=fnet.identity)
    fnet.save("ids.safetensors", model, {})
    Path("x.csv").write_text("id\n7\n")
    assert lines(capsys, "ids.safetensors", "x.csv", "--offset", "-1")[0]["output"] == [6]
    assert run(capsys, "ids.safetensors", "x.csv", "--scale", "1/255")[0] == 1
    assert "the model takes int32, whole numbers: scale 0.00392" in caplog.text
    with pytest.raises(fnet.InvalidInput, match="would be cut"):
        fnet.Predict("ids.safetensors", scale=0.5)(np.array([[7]]))


def test_an_option_that_a_command_lacks_is_said_by_that_command(folder, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "numbers.safetensors", "x.csv", "--nope"])
    assert "fnet predict: error: unrecognized arguments: --nope\n" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["plot", IMAGES, "a.svg"])
    assert "unrecognized arguments: a.svg; a file to write is --output a.svg\n" in capsys.readouterr().err


def test_an_empty_cell_is_a_row_without_an_answer(folder, capsys, caplog):
    Path("x.csv").write_text("a,b,c\n1,2,3\n4,,6\n")
    assert [row["output"] is None for row in lines(capsys, "numbers.safetensors", "x.csv", "--batch-size", 1)] == [
        False,
        True,
    ]
    assert "no answer for 1 of 2 rows, which are marked: 1" in caplog.text
    assert run(capsys, "numbers.safetensors", "x.csv", "--invalid", "raise", "--batch-size", 1)[0] == 1
    assert "has NaN" in caplog.text
    assert "in the batch whose row 0 is row 1 of all" in caplog.text


NUMBERS = "numbers.safetensors"


@pytest.mark.parametrize(("model", "name", "first", "other", "said"), [
    *((NUMBERS, "x.csv", "a,b,c\n1,2,3", row, f"row 1 has {row.count(',') + 1} fields, the header names 3")
      for row in ("1,2", "1,2,3,4")),
    (NUMBERS, "x.csv", "a,b,c\n1,2,3", "1,n/a,3", "row 1: every column must hold numbers for this model (b: could not"),
    *((NUMBERS, "x.jsonl", "[1, 2, 3]", line, said) for line, said in (
        ("[1, 2", "line 2: not JSON"), ("[" * 200_000, "line 2: not JSON"), ("null", "marked: 1"),
        ("[1, 2]", "row 1: it has the shape (2,), the first row (3,)"),
        ("[[1, 2, 3]]", "row 1: it has the shape (1, 3)"), ("[1, [2], 3]", "row 1: every column"),
        ('{"a": 1}', "row 1: every column"), (f"[1, 2, 1{'0' * 400}]", "row 1: every column"),
    )),
    *((NUMBERS, "x.jsonl", '{"a": 1, "b": 2, "c": 3}', line, said) for line, said in (
        ("{'a': 1}", "line 2: not JSON"), ("null", "marked: 1"), ('{"a": [1], "b": 2, "c": 3}', "row 1: every column"),
    )),
    *((TEXTS, "x.jsonl", '"ramah"', line, said) for line, said in (
        ('"ramah', "line 2: not JSON"), ("5", "marked: 1"), ('["ramah"]', "marked: 1"))),
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 32])
def test_a_row_that_is_something_else_than_the_first_is_named_and_marked(
    folder, capsys, caplog, model, name, first, other, said, size
):
    """One of them ended the job."""
    rows = [first, other, first.rpartition("\n")[2]]
    Path(name).write_text("\n".join(rows))
    answers = lines(capsys, model, name, "--batch-size", size)
    assert [row["output"] is None for row in answers] == [False, True, False]
    assert answers[0]["output"] == answers[2]["output"]
    assert said in caplog.text
    assert "no answer for 1 of 3 rows, which are marked: 1" in caplog.text
    status, _ = run(capsys, model, name, "--batch-size", size, "--invalid", "raise")
    assert status in (1, 2)
    assert said == "marked: 1" or caplog.records[-1].levelname == "ERROR"
    assert said == "marked: 1" or said in caplog.records[-1].message


def test_rows_of_any_length_are_read_one_at_a_time(folder, capsys, caplog):
    takes_any = sequential(x=bind(fnet.input_layer, shape=(None, None, 1)), y=fnet.flatten)
    fnet.save("any.safetensors", takes_any, {})
    Path("x.jsonl").write_text("[[1]]\nnull\n[[1], [2]]\n[[1, 2]]")
    assert [row["output"] for row in lines(capsys, "any.safetensors", "x.jsonl", "--batch-size", 1)] == [
        [1], None, [1, 2], None]  # fmt: skip
    assert run(capsys, "any.safetensors", "x.jsonl") == (2, "")
    assert "rows from 0 on differ in size, and the model takes any: pad them, or add --batch-size 1" in caplog.text


# --- what is written ----------------------------------------------------------------------------------------


def test_the_suffix_says_the_form(folder, capsys):
    import pyarrow.parquet

    Path("x.jsonl").write_text("[1, 2, null]\n[1, 2, 3]\n[4, 5, 6]")
    expected = lines(capsys, "numbers.safetensors", "x.jsonl")
    for suffix in ("csv", "tsv", "parquet", "jsonl", "txt", "npy"):
        assert run(capsys, "numbers.safetensors", "x.jsonl", "--batch-size", 2, "--output", f"y.{suffix}") == (0, "")
    assert [json.loads(line) for line in Path("y.jsonl").read_text().splitlines()] == expected
    assert np.isnan(np.load("y.npy")).any(axis=1).tolist() == [True, False, False]
    for rows in (
        list(csv.DictReader(io.StringIO(Path("y.csv").read_text()))),
        list(csv.DictReader(io.StringIO(Path("y.tsv").read_text()), delimiter="\t")),
        pyarrow.parquet.read_table("y.parquet").to_pylist(),
    ):
        assert list(rows[0]) == ["input", "label", "score", "output_0", "output_1"]
        assert not rows[0]["label"]
        assert [row["label"] for row in rows[1:]] == [row["label"] for row in expected[1:]]
        assert [float(rows[1][f"output_{i}"]) for i in (0, 1)] == expected[1]["output"]


def test_without_pyarrow_a_parquet_file_is_refused_before_the_work(folder, capsys, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(capsys, "numbers.safetensors", "x.csv", "--output", "y.parquet") == (1, "")
    assert "pip install 'fnet-layers[parquet]'" in caplog.text
    assert not list(Path().glob("y.parquet*"))


def test_a_table_is_printed_as_it_is_written(folder, capsys):
    rows = ["[null, 2, 3]", *["[1, 2, 3]", "[4, 5, null]"] * 3, "[4, 5, 6]"]
    Path("x.jsonl").write_text("\n".join(rows))
    for form in ("csv", "tsv"):
        assert run(capsys, "numbers.safetensors", "x.jsonl", "--output", f"y.{form}") == (0, "")
        for batch in (1, 3, 32):  # of 1: the first has no row with an answer
            printed = run(capsys, "numbers.safetensors", "x.jsonl", "--batch-size", batch, "--format", form)
            assert printed == (0, Path(f"y.{form}").read_text())
    assert run(capsys, "numbers.safetensors", "x.jsonl", "--output", "-", "--format", "tsv") == printed
    printed = run(capsys, "numbers.safetensors", "x.jsonl", "--format", "jsonl")
    assert printed == run(capsys, "numbers.safetensors", "x.jsonl", "--json")
    assert not Path("-").exists()
    assert run(capsys, "numbers.safetensors", "x.jsonl", "--output", "y.json", "--format", "csv")[0] == 2
    Path("x.jsonl").write_text("[null, 2, 3]")
    assert run(capsys, "numbers.safetensors", "x.jsonl", "--format", "csv") == (
        1,
        "input,label,score,output_0,output_1\n0,,,,\n",
    )


def test_a_printed_table_whose_rows_grow_says_where_they_fit(folder, capsys, caplog):
    model = sequential(x=bind(fnet.input_layer, shape=(None, None, 1)), y=fnet.relu)
    fnet.save("any.safetensors", model, {})
    Path("x.jsonl").write_text("[[1]]\n[[1], [2]]\n")
    assert run(capsys, "any.safetensors", "x.jsonl", "--format", "csv", "--batch-size", 1)[0] == 2
    assert "a row has more outputs than the first (output_1_0): --format jsonl" in caplog.text


def test_a_model_that_says_no_shape_takes_rows_of_any(folder, capsys):
    fnet.save("free.safetensors", sequential(y=fnet.relu), {})
    Path("x.jsonl").write_text("[1, -2]\n[3]\n")
    rows = lines(capsys, "free.safetensors", "x.jsonl", "--batch-size", 1)
    assert [row["output"] for row in rows] == [[1, 0], [3]]


def test_columns_of_numbers_are_taken_in_the_order_of_column(folder, capsys):
    Path("x.csv").write_text("c,id,a,b\n3,7,1,2\n")
    Path("y.csv").write_text("a,b,c\n1,2,3\n")
    status, out = run(capsys, "numbers.safetensors", "x.csv", "--column", "a,b,c", "--format", "csv")
    assert (status, out) == run(capsys, "numbers.safetensors", "y.csv", "--format", "csv")
    assert status == 0


def test_columns_of_one_name_are_read_each_at_its_place(folder, capsys, caplog):
    """All were read as the first of them, without a word."""
    Path("x.csv").write_text("a,a,b\n1,2,3\n")
    Path("y.csv").write_text("a,b,c\n1,2,3\n")
    expected = run(capsys, "numbers.safetensors", "y.csv", "--format", "csv")
    assert run(capsys, "numbers.safetensors", "x.csv", "--format", "csv") == expected
    assert main(["predict", "numbers.safetensors", "x.csv", "--column", "a,a,b"]) == 2
    assert "x.csv has several columns a; it has a, a, b" in caplog.text


@pytest.mark.parametrize(
    ("model", "text", "arguments", "message"),
    [
        ("two.safetensors", "a,b,a\n1,2,3\n", (), "several columns a; it has a, b, a"),
        (TEXTS, "text,text\nramah,kotor\n", (), "several columns text; it has text, text"),
        ("numbers.safetensors", "a,b,c,is,is\n1,2,3,no,yes\n", ("--truth", "is"), "several columns is; it has a,"),
        ("numbers.safetensors", "a,b,c,k,k\n1,2,3,4,5\n", ("--keep", "k"), "several columns k; it has a, b, c, k, k"),
    ],
)
def test_a_column_that_is_named_and_there_twice_is_told(folder, caplog, model, text, arguments, message):
    Path("x.csv").write_text(text)
    assert main(["predict", model, "x.csv", *arguments]) == 2
    assert message in caplog.text


@pytest.mark.parametrize(("name", "mark"), [("x.csv", ";"), ("x.csv", "\t"), ("x.csv", "|"), ("x.tsv", ";")])
def test_the_header_tells_what_separates_fields(folder, capsys, caplog, name, mark):
    """Excel writes semicolons where numbers have decimal commas."""
    Path("y.csv").write_text("a,b,c\n1.5,2,3\n")
    expected = run(capsys, "numbers.safetensors", "y.csv")
    Path(name).write_text(f"\r\na{mark}b{mark}c\r\n1.5{mark}2{mark}3\r\n")
    assert run(capsys, "numbers.safetensors", name) == expected
    Path(name).write_text(f"a{mark}b{mark}c\n1,5{mark}2{mark}3\n")
    assert run(capsys, "numbers.safetensors", name)[0] == 2
    assert "'1,5'); numbers are written as 1234.5, or as 1234,5 with --decimal ," in caplog.text
    assert run(capsys, "numbers.safetensors", name, "--decimal", ",") == expected


def test_with_decimal_commas_a_point_is_no_number(folder, capsys, caplog):
    """1.234 is 1234 for who writes 1,5."""
    rows = "a;b;c\n1,5;2;3\n1.234;2;3\n1.234,5;2;3\n"
    Path("x.csv").write_text(rows)
    answers = lines(capsys, "numbers.safetensors", "x.csv", "--decimal", ",")
    assert [row["output"] is None for row in answers] == [False, True, True]
    assert "numbers are written as 1234,5" in caplog.text
    Path("x.csv").write_text(f"vorne;hinten;c\n{'1,5e-3;-2;3'}\n")
    (row,) = lines(capsys, "numbers.safetensors", "x.csv", "--decimal", ",")
    Path("x.csv").write_text("a,b,c\n0.0015,-2,3\n")
    assert [row] == lines(capsys, "numbers.safetensors", "x.csv")


def test_a_csv_is_read_as_people_write_them(folder, capsys, caplog):
    """UTF-16, as from Excel; a space after each comma, quoted texts too; texts of any length."""
    reviews, text = "examples/models/nusax-lstm.safetensors", 'id,text\n1,"bagus, ramah"\n2,' + "é " * 70_000 + "\n"
    Path("x.csv").write_text(text)
    expected = run(capsys, reviews, "x.csv")
    assert expected[0] == 0
    for encoding in ("utf-16", "utf-8-sig"):
        Path("x.csv").write_text(text, encoding)
        assert run(capsys, reviews, "x.csv") == expected
    Path("x.csv").write_text(text.replace(",", ", ", 3).replace("bagus,  ", "bagus, "))
    assert run(capsys, reviews, "x.csv") == expected
    Path("x.csv").write_text('text,id\nbagus,1\n"ramah,2\nkotor,3\nlama,4\n')
    assert run(capsys, reviews, "x.csv", "--batch-size", "1")[0] == 2
    assert caplog.messages[-1].startswith('x.csv: a quote (") in the row that begins in line 3 is not closed')
    assert csv.field_size_limit() == 131_072  # the process's own


def test_more_labels_than_a_name_of_a_file_has_letters_are_labels(folder, capsys):
    Path("x.csv").write_text("a,b,c\n1,2,3\n")
    names = ["n" * 150, "y" * 150]
    assert lines(capsys, "numbers.safetensors", "x.csv", "--labels", ",".join(names))[0]["label"] in names


def test_labels_are_read_whatever_editor_wrote_them(folder, capsys):
    Path("x.csv").write_text("a,b,c\n1,2,3\n")
    expected = run(capsys, "numbers.safetensors", "x.csv", "--labels", "left,right")
    for encoding in ("utf-8-sig", "utf-16"):
        Path("labels.txt").write_bytes("left \r\nright\r\n\r\n".encode(encoding))
        assert run(capsys, "numbers.safetensors", "x.csv", "--labels", "labels.txt") == expected


def test_hidden_images_are_no_rows(folder, capsys):
    """What macOS and notebooks put next to images; Keras leaves hidden folders out, too."""
    expected = run(capsys, IMAGES, "photos", "--resize")
    Path("photos/.checkpoints").mkdir()
    for name in ("._0.png", ".checkpoints/0.png"):
        Path("photos", name).write_bytes(b"not a picture")
    assert run(capsys, IMAGES, "photos", "--resize") == expected


def test_what_the_first_row_without_an_answer_has_is_told(folder, capsys, caplog):
    Path("x.csv").write_text("b,a\n1,2\n2,3\n3,\n4,inf\n")
    for size in (1, 3, 32):
        assert run(capsys, "two.safetensors", "x.csv", "--batch-size", size)[0] == 0
        told = "no answer for 2 of 4 rows, which are marked: 2, 3; row 2 has NaN in input 'a'"
        assert caplog.messages[-1] == told


def test_pixels_that_nothing_scales_are_told_unless_scale_is_given(folder, capsys, caplog):
    shape = (None, 20, 30, 3)
    plain = sequential(x=bind(fnet.input_layer, shape=shape), y=fnet.flatten, z=bind(fnet.dense, units=1))
    fnet.save("plain.safetensors", plain, fnet.init(plain, 0))
    own = sequential(x=bind(fnet.input_layer, shape=shape), s=bind(fnet.rescaling, scale=2 / 255, offset=-1), m=plain)
    fnet.save("own.safetensors", own, {"m": fnet.load("plain.safetensors")[1]})
    told = "no Rescaling or Normalization layer in the model"
    images = np.full((2, 20, 30, 3), 9, "uint8")
    np.savez("images.npz", x_test=images, y_test=[0, 1])
    for column in (), ("--column", "x"), ("--column", "x_test,y_test"):
        caplog.clear()
        assert run(capsys, "plain.safetensors", "images.npz", *column)[0] == 2
        assert caplog.messages == [
            "images.npz has the arrays x_test, y_test: name the one for the model, --column NAME"
        ]
    for rows in ("photos/1.png",), ("images.npz", "--column", "x_test"):
        caplog.clear()
        assert run(capsys, "plain.safetensors", *rows)[0] == 0
        assert told in caplog.text
    np.savez("images.npz", x_test=images.astype("float32"))
    caplog.clear()
    run(capsys, "plain.safetensors", "images.npz")
    assert not caplog.messages
    _, expected = run(capsys, "own.safetensors", "photos/1.png")
    assert run(capsys, "plain.safetensors", "photos/1.png", "--scale", "1/127.5", "--offset", "-1") == (0, expected)
    run(capsys, "plain.safetensors", "photos/1.png", "--scale", "1")
    nodes = {
        "x": bind(fnet.input_layer, shape=shape),
        "by": (fnet.operations.true_divide, ("x", 127.5)),
        "m": (plain, "by"),
    }
    within = fnet.graph(nodes, inputs="x", outputs="m")  # as where Keras's preprocess_input was called
    fnet.save("within.safetensors", within, {"m": fnet.load("plain.safetensors")[1]})
    run(capsys, "within.safetensors", "photos/1.png")
    assert told not in caplog.text
    twice = "--scale scales once more"
    run(capsys, "within.safetensors", "photos/1.png", "--scale", "1/255")
    assert twice in caplog.text
    caplog.clear()
    after = fnet.graph(
        {"x": nodes["x"], "m": (plain, "x"), "by": (fnet.operations.true_divide, ("m", 2.0))}, inputs="x", outputs="by"
    )
    fnet.save("after.safetensors", after, {"m": fnet.load("plain.safetensors")[1]})
    run(capsys, "after.safetensors", "photos/1.png", "--scale", "1/255")
    run(capsys, "after.safetensors", "photos/1.png")
    assert told in caplog.text
    assert twice not in caplog.text
    for name, scales in {"own": True, "within": True, "after": False}.items():
        fnet.to_keras(*fnet.load(f"{name}.safetensors"), f"{name}.keras")
        assert any("no Rescaling" in line for line in fnet.explain(f"{name}.keras").unusual) != scales


@pytest.mark.parametrize("offset", ["-1/2", "-5e-1", "-.5"])
def test_an_offset_may_be_negative_in_every_form(offset, folder, capsys):
    Path("x.csv").write_text("a,b,c\n1,2,3\n")
    expected = run(capsys, "numbers.safetensors", "x.csv", "--offset=-0.5")
    assert run(capsys, "numbers.safetensors", "x.csv", "--offset", offset) == expected


@pytest.mark.parametrize("text", ["1/", "/2", "1/0", "nan"])
def test_a_scale_is_a_number_or_one_over_another(text, capsys):
    with pytest.raises(SystemExit):
        main(["predict", "model.keras", "x.npy", "--scale", text])
    assert "is not a number such as 0.5 or 1/127.5" in capsys.readouterr().err


def test_a_row_of_many_scores_is_told_how_to_read_it(folder, capsys, caplog):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 3)), y=bind(fnet.dense, units=21))
    fnet.save("many.safetensors", model, fnet.init(model, 0))
    np.save("x.npy", ROWS)
    for arguments, said in (([], 1), (["--top", "2"], 0), (["--json"], 0), (["--output", "y.csv"], 0)):
        caplog.clear()
        with caplog.at_level("INFO", "fnet"):
            assert run(capsys, "many.safetensors", "x.npy", "--batch-size", 1, *arguments)[0] == 0
        assert caplog.text.count("a row is 21 numbers: --top 5") == said


def test_labels_of_teachable_machine_lose_their_numbers(folder, capsys):
    Path("labels.txt").write_text("0 left\n1 right hand\n")
    Path("other.txt").write_text("1 left\n2 right\n")
    Path("x.csv").write_text("a,b,c\n1,2,3\n")
    for name, labels in (("labels.txt", {"left", "right hand"}), ("other.txt", {"1 left", "2 right"})):
        assert run(capsys, "numbers.safetensors", "x.csv", "--labels", name)[1].split("\t")[0] in labels


def test_a_config_and_weights_in_two_files_are_one_model(folder, capsys):
    with zipfile.ZipFile("cnn.keras") as archive:
        Path("cnn.json").write_bytes(archive.read("config.json"))
        Path("cnn.weights.h5").write_bytes(archive.read("model.weights.h5"))
    shape = fnet.core.infer.input_spec(fnet.load_keras("cnn.keras")[0]).shape
    np.save("x.npy", np.random.default_rng(0).random((2, *shape[1:])))
    expected = run(capsys, "cnn.keras", "x.npy", "--json")
    assert run(capsys, "cnn.json", "x.npy", "--json", "--weights", "cnn.weights.h5") == expected
    assert main(["convert", "cnn.json", "cnn.safetensors", "--weights", "cnn.weights.h5"]) == 0
    assert run(capsys, "cnn.safetensors", "x.npy", "--json") == expected


def test_convert_keeps_an_offset_as_a_layer(folder, capsys, caplog):
    shape = fnet.core.infer.input_spec(fnet.load_keras("cnn.keras")[0]).shape
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (2, *shape[1:])))
    expected = run(capsys, "cnn.keras", "x.npy", "--scale", "1/127.5", "--offset", "-1")
    assert main(["convert", "cnn.keras", "cnn.safetensors", "--scale", "1/127.5", "--offset", "-1"]) == 0
    assert run(capsys, "cnn.safetensors", "x.npy") == expected
    assert fnet.load_info("cnn.safetensors")["scale"] is None
    ids = sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="int32"), y=fnet.identity)
    fnet.save("ids.safetensors", ids, {})
    for name in ("two", "ids"):
        caplog.clear()
        fnet.to_keras(*fnet.load(f"{name}.safetensors"), f"{name}.keras")
        assert main(["convert", f"{name}.keras", "y.safetensors", "--offset", "-1"]) == 2
        assert "with --offset, is for a model with one input, of floats" in caplog.text


@pytest.mark.parametrize("name", ["y.json", "y.png", "y.h5"])
def test_other_suffixes_are_refused_before_the_work(folder, caplog, name):
    assert main(["predict", "missing.keras", "x.npy", "--output", name]) == 2
    assert f"{name}: write to .csv, .jsonl, .npy, .parquet, .tsv, .txt" in caplog.text
    assert (".jsonl has one JSON object a line" in caplog.text) == (name == "y.json")


def test_the_best_classes_come_with_their_scores(folder, capsys):
    _, out = run(capsys, TEXTS, "--text", "pelayanannya ramah sekali", "--top", "2")
    first, score, second, other, text = out.rstrip("\n").split("\t")
    assert (first, text) == ("positive", "pelayanannya ramah sekali")
    assert float(score) > float(other)
    (row,) = lines(capsys, TEXTS, "--text", "pelayanannya ramah sekali", "--top", "2")
    assert [best["label"] for best in row["top"]] == [first, second]
    _, out = run(capsys, TEXTS, "--text", "ramah\r\nsekali\tini")
    assert out.rstrip("\n").split("\t")[2:] == ["ramah  sekali ini"]
    assert row["top"][0]["score"] == pytest.approx(max(row["output"]), abs=1e-6)


def test_a_row_with_one_score_that_is_nan_has_no_label(folder, capsys):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 2)), y=bind(fnet.operations.log))
    fnet.save("log.safetensors", model, {}, labels=["no", "yes"])
    Path("x.jsonl").write_text("[1, -1]\n[1, 2]\n[1, 0]")
    with np.errstate(all="ignore"):
        rows = lines(capsys, "log.safetensors", "x.jsonl")
    assert [row["label"] for row in rows] == [None, "yes", "no"]
    assert rows[0]["output"] == rows[2]["output"] == [0, None]  # JSON has no infinity either


# --- as it comes --------------------------------------------------------------------------------------------


def start(*arguments, **options):
    command = [sys.executable, "-m", "fnet", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, text=True, cwd=ROOT, env=env, **pipes, **options)


def test_a_pipe_sees_rows_before_its_end(folder):
    with start("predict", TEXTS, "-", "--batch-size", "1") as running:
        for text in ("ramah", "dingin"):
            running.stdin.write(f"{text}\n")
            running.stdin.flush()
            assert running.stdout.readline().endswith(f"{text}\n")  # while standard input is open
        running.stdin.close()
        assert running.stderr.read() == ""


@pytest.mark.usefixtures("interruptible")
def test_a_reader_who_leaves_and_ctrl_c_are_quiet(folder):
    import signal

    with start("predict", TEXTS, "-", "--batch-size", "1") as running:
        running.stdin.write("ramah\n")
        running.stdin.flush()
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
        assert running.stderr.read() == ""
    np.save("many.npy", np.zeros((20000, 3), "float32"))
    with start("predict", str(folder / "numbers.safetensors"), str(folder / "many.npy")) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.wait(60) == 1
        assert running.stderr.read() == ""


def interrupted(folder, monkeypatch, *arguments):
    """The journal of a run with --output that Ctrl-C ends in its third batch."""
    predict, calls = fnet.predict, []

    def until_the_third(*args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predict(*args, **options)

    monkeypatch.setattr(fnet, "predict", until_the_third)
    assert main(["predict", *arguments, "--batch-size", "2"]) == 130
    monkeypatch.setattr(
        fnet, "predict", lambda *args, **options: calls.append(len(args[2])) or predict(*args, **options)
    )
    calls.clear()
    return calls


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl", "txt", "npy"])
def test_an_interrupted_run_goes_on_and_gives_what_a_whole_one_gives(folder, capsys, caplog, monkeypatch, suffix):
    np.save("x.npy", np.arange(27, dtype="float32").reshape(9, 3) % 5)
    run(capsys, "numbers.safetensors", "x.npy", "--output", f"whole.{suffix}", "--batch-size", 2)
    output, part = Path(f"y.{suffix}"), Path(f"y.{suffix}.part")
    output.write_text("of before")
    calls = interrupted(folder, monkeypatch, "numbers.safetensors", "x.npy", "--output", str(output))
    assert output.read_text() == "of before"
    assert f"4 rows are kept in {part}: the same command with --resume continues" in caplog.text
    with part.open("a") as file:
        file.write('{"key": "torn off')
    resumed = ["numbers.safetensors", "x.npy", "--batch-size", 2, "--output", output, "--resume"]
    assert run(capsys, *resumed) == (0, "")
    assert calls == [2, 2, 1]
    assert f"4 of 9 rows are taken over from {part}" in caplog.text
    assert output.read_bytes() == Path(f"whole.{suffix}").read_bytes()
    assert not part.exists()


@pytest.mark.parametrize(
    ("change", "computed"),
    [
        (lambda: np.save("x.npy", np.full((9, 3), 2.0, "float32")), [2, 2, 2, 2, 1]),
        (lambda: fnet.save("m.safetensors", *_trained("m.safetensors"), labels=["no", "yes"]), [2, 2, 2, 2, 1]),
        (lambda: ["--scale", "0.5"], [2, 2, 2, 2, 1]),
        (lambda: ["--batch-size", "3"], [3, 3, 3]),
        (lambda: ["--labels", "b,a", "--top", "2"], [2, 2, 1]),  # another form of the same outputs
    ],
)
def test_what_has_changed_is_computed_again(folder, capsys, monkeypatch, change, computed):
    Path("m.safetensors").write_bytes(Path("numbers.safetensors").read_bytes())
    np.save("x.npy", np.ones((9, 3), "float32") * np.arange(9)[:, None].astype("float32"))
    calls = interrupted(folder, monkeypatch, "m.safetensors", "x.npy", "--output", "y.jsonl")
    more = change() or []
    run(capsys, "m.safetensors", "x.npy", "--batch-size", 2, *more, "--output", "y.jsonl", "--resume")
    assert calls == computed
    run(capsys, "m.safetensors", "x.npy", *more, "--output", "whole.jsonl")
    assert Path("y.jsonl").read_text() == Path("whole.jsonl").read_text()


def _trained(path):
    model, params = fnet.load(path)
    return model, fnet.tree.map(lambda a: a + 1, params)


def test_resume_needs_a_file_and_takes_no_other_one(folder, capsys, caplog):
    np.save("x.npy", np.ones((2, 3), "float32"))
    assert main(["predict", "numbers.safetensors", "x.npy", "--resume"]) == 2
    assert "--resume continues a file: give --output FILE" in caplog.text


@pytest.mark.parametrize("more", [[], ["--resume"]], ids=["new", "resumed"])
@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a", '{"key": 1}\n', '{"key": "a", "marked": [], "outputs": ""}\n'])
def test_a_file_that_has_the_name_of_what_is_kept_stays(folder, caplog, more, text):
    """It was overwritten, and removed at the end; with --resume its last line was cut off."""
    np.save("x.npy", np.ones((2, 3), "float32"))
    part, arguments = Path("y.csv.part"), ["predict", "numbers.safetensors", "x.npy", "--output", "y.csv", *more]
    part.write_text(text)
    assert main(arguments) == 2
    assert "y.csv.part is not what an interrupted fnet predict leaves: move it" in caplog.text
    assert part.read_text() == text
    part.rename("other")
    part.symlink_to("other")
    assert main(arguments) == 2
    assert (part.is_symlink(), part.read_text()) == (True, text)


def test_a_line_that_was_torn_off_is_none_to_the_runs_after_it(folder, capsys, monkeypatch):
    np.save("x.npy", np.arange(45, dtype="float32").reshape(15, 3))
    arguments = ["numbers.safetensors", "x.npy", "--output", "y.csv"]
    interrupted(folder, monkeypatch, *arguments)
    with Path("y.csv.part").open("a") as file:
        file.write('{"key": "torn off')
    interrupted(folder, monkeypatch, *arguments, "--resume")
    assert run(capsys, *arguments, "--batch-size", 2, "--resume") == (0, "")


def test_finished_work_is_not_thrown_away_without_resume(folder, capsys, caplog, monkeypatch):
    np.save("x.npy", np.arange(27, dtype="float32").reshape(9, 3))
    interrupted(folder, monkeypatch, "numbers.safetensors", "x.npy", "--output", "y.csv")
    part = Path("y.csv.part")
    kept = part.read_bytes()
    assert run(capsys, "numbers.safetensors", "x.npy", "--output", "y.csv") == (2, "")
    assert "y.csv.part keeps what an interrupted run has finished: --resume continues" in caplog.text
    assert part.read_bytes() == kept
    part.write_text('{"key": "torn off')  # nothing is finished
    assert run(capsys, "numbers.safetensors", "x.npy", "--output", "y.csv") == (0, "")
    assert not part.exists()


@pytest.mark.skipif(sys.platform in writing.NO_LOCKS, reason="no locks")
def test_two_runs_do_not_write_one_file(folder, capsys, caplog, monkeypatch):
    np.save("x.npy", np.zeros((4, 3), "float32"))
    predict, seen = fnet.predict, []

    def twice(*args, **options):
        monkeypatch.setattr(fnet, "predict", predict)
        seen.append(run(capsys, "numbers.safetensors", "x.npy", "--output", "y.csv", "--resume"))
        return predict(*args, **options)

    monkeypatch.setattr(fnet, "predict", twice)
    assert run(capsys, "numbers.safetensors", "x.npy", "--output", "y.csv", "--batch-size", 2) == (0, "")
    assert seen == [(2, "")]
    assert "y.csv.part: another fnet predict is writing it" in caplog.text
    assert len(Path("y.csv").read_text().splitlines()) == 5


def test_changed_code_of_custom_layers_is_computed_again(folder, capsys, monkeypatch):
    np.save("x.npy", np.ones((9, 3), "float32") * np.arange(9)[:, None].astype("float32"))
    layer = "import fnet\n@fnet.layer(shape=lambda x: x)\ndef f(x): return x"
    Path("mine.py").write_text(layer)
    arguments = ["numbers.safetensors", "x.npy", "--custom", "my>F=mine.py:f", "--output", "y.jsonl"]
    calls = interrupted(folder, monkeypatch, *arguments)
    Path("mine.py").write_text(f"{layer} + 1")
    assert run(capsys, *arguments, "--batch-size", 2, "--resume")[0] == 0
    assert calls == [2, 2, 2, 2, 1]


def test_another_batch_size_of_a_model_with_states_is_another_run(folder):
    """Its states go on from batch to batch; the whole file is one entry."""
    from fnet.cli import predict

    spec = bind(fnet.input_layer, shape=(None, 4, 2))
    model = sequential(x=spec, y=bind(fnet.lstm, units=1, stateful=True))
    fnet.save("states.safetensors", model, fnet.init(model, 0))
    np.save("x.npy", np.ones((4, 4, 2), "float32"))
    keys = set()
    for size in ("1", "2", "2"):
        args = cli.parser().parse_args(
            ["predict", "states.safetensors", "x.npy", "--output", "y.csv", "--batch-size", size]
        )
        job = predict._Run(args, ".csv")
        keys.add(job.journal.key(np.load("x.npy")))
        job.close(True)
    assert len(keys) == 2


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_keeps_all_digits_of_its_numbers(folder, capsys, suffix):
    np.save("x.npy", np.array([[0.1, -9, 2], [8, 0.3, -9]], "float32"))
    run(capsys, "numbers.safetensors", "x.npy", "--output", f"y.{suffix}")
    y = fnet.predict(*fnet.load("numbers.safetensors"), np.load("x.npy"))
    if suffix == "parquet":
        table = pytest.importorskip("pyarrow.parquet").read_table("y.parquet").to_pylist()
    elif suffix == "csv":
        table = list(csv.DictReader(Path("y.csv").read_text().splitlines()))
    else:
        table = [json.loads(line) for line in Path("y.jsonl").read_text().splitlines()]
        table = [{f"output_{i}": value for i, value in enumerate(row["output"])} for row in table]
    assert [[np.float32(row[f"output_{i}"]) for i in range(2)] for row in table] == y.tolist()
    if suffix != "jsonl":
        assert [np.float32(row["score"]) for row in table] == y.max(axis=1).tolist()


def test_rows_of_a_killed_process_are_kept(folder):
    np.save("x.npy", np.zeros((200_000, 3), "float32"))
    arguments = ["predict", "numbers.safetensors", "x.npy", "--output", "y.csv", "--batch-size", "8"]
    places = [str(folder / word) if "." in word else word for word in arguments]
    with start(*places) as running:
        part = folder / "y.csv.part"
        while not (part.exists() and part.stat().st_size > 10_000):
            assert running.poll() is None
        running.kill()
    lines = part.read_text().splitlines()
    assert len(lines) > 1
    assert all(json.loads(line)["marked"] == [] for line in lines[:-1])
    assert not (folder / "y.csv").exists()


def test_a_full_disk_is_told_with_the_file_and_what_is_kept(folder, capsys, caplog, monkeypatch):
    np.save("x.npy", np.zeros((8, 3), "float32"))
    dumps = json.dumps

    def full(value):
        if Path("y.csv.part").stat().st_size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return dumps(value)

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", full)
        assert run(capsys, "numbers.safetensors", "x.npy", "--output", "y.csv", "--batch-size", 2) == (1, "")
    kept = "2 rows are kept in y.csv.part: the same command with --resume continues"
    assert caplog.messages == [kept, "y.csv.part: No space left on device"]
    assert run(capsys, "numbers.safetensors", "x.npy", "--output", "y.csv", "--batch-size", 2, "--resume")[0] == 0


def test_progress_is_for_a_terminal_only(folder, monkeypatch, capsys):
    np.save("x.npy", np.zeros((5, 3), "float32"))
    ticks = iter(np.arange(100.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    run(capsys, "numbers.safetensors", "x.npy", "--batch-size", 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(["predict", "numbers.safetensors", "x.npy", "--batch-size", "2"])
    assert "4 of 5 rows, 2 rows/s, 0 s left" in capsys.readouterr().err
    main(["predict", "numbers.safetensors", "x.npy", "--batch-size", "2", "--quiet"])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main(["predict", "numbers.safetensors", "x.npy", "--batch-size", "2"])
    assert capsys.readouterr().err == ""  # the answers are there
    main(["predict", "numbers.safetensors", "x.npy", "--batch-size", "2", "--output", "y.npy"])
    assert "4 of 5 rows" in capsys.readouterr().err


def test_progress_is_seen_while_rows_are_computed(folder, monkeypatch):
    np.save("x.npy", np.zeros((5, 3), "float32"))
    shown, seen, ticks = io.BytesIO(), [], iter(np.arange(100.0))
    terminal = io.TextIOWrapper(shown, line_buffering=True)  # what is printed waits for the end of its line
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(time, "monotonic", lambda: seen.append(shown.getvalue()) or next(ticks))
    main(["predict", "numbers.safetensors", "x.npy", "--batch-size", "2", "--output", "y.npy"])
    assert b"2 of 5 rows" in seen[-1]


@pytest.mark.parametrize(("seconds", "text"), [
    (0.4, "0 s"), (59, "59 s"), (60, "1:00 min"), (200, "3:20 min"), (3599, "59:59 min"), (3600, "1:00 h"),
    (7500, "2:05 h"),
])  # fmt: skip
def test_the_time_that_is_left_is_read_at_a_glance(seconds, text):
    assert cli.predict._duration(seconds) == text


def test_a_model_without_wrappers_runs_in_a_fresh_process(folder):
    np.save("x.npy", np.zeros((1, 3), "float32"))
    with start("predict", str(folder / "numbers.safetensors"), str(folder / "x.npy")) as running:
        assert running.stdout.read().count("\n") == 1
        assert running.stderr.read() == ""


def test_states_go_on_over_all_rows(folder, capsys):
    layer = bind(fnet.simple_rnn, units=2, stateful=True)
    model = sequential(x=bind(fnet.input_layer, shape=(None, 3, 1)), y=layer)
    params = fnet.init(model, 0)
    fnet.save("states.safetensors", model, params)
    np.save("x.npy", np.ones((4, 3, 1), "float32"))
    answers = [row["output"] for row in lines(capsys, "states.safetensors", "x.npy", "--batch-size", 2)]
    np.testing.assert_allclose(answers, fnet.predict(model, params, np.ones((4, 3, 1)), batch_size=2), atol=1e-6)


# --- a newcomer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([TEXTS, "makanan dingin"], "makanan dingin: no such file; for words, use --text 'makanan dingin'"),
        ([IMAGES, "cat.heic"], "cat.heic: no such file"),
        ([IMAGES, "examples/models"], "examples/models is a folder without images"),
        ([IMAGES, "cnn.keras"], "cnn.keras: not read; use .csv, .jsonl, .npy"),
        ([TEXTS, "photos/0.png"], "photos/0.png is an image, but the model takes texts"),
        (
            ["numbers.safetensors", "words.txt"],
            "lines of text in words.txt, and the model takes float32[None, 3]: give a",
        ),
        (
            ["numbers.safetensors", "-"],
            "lines of text in standard input, and the model takes float32[None, 3]: say what it holds",
        ),
        ([TEXTS, "--text", "a", "--top", "0"], "--batch-size and --top are at least 1"),
        ([TEXTS, "--text", "a", "--json", "--output", "y.csv"], "--format jsonl writes .jsonl"),
        ([IMAGES, "broken.jsonl"], "broken.jsonl, line 1: not JSON"),
        (
            ["photos/0.png", "cnn.keras"],
            "photos/0.png is not a model file; the model comes first: fnet predict MODEL INPUT",
        ),
        (["numbers.safetensors", "four.csv"], "has 4 columns for the model (id, a, b, c), which takes 3: name them"),
        (["numbers.safetensors", "four.csv", "--column", "a,z,c"], "no column z; it has id, a, b, c"),
        (["two.safetensors", "four.csv"], "id, a, c, d; the model takes a column for each of its inputs, a, b"),
        (["numbers.safetensors", "four.csv", "--weights", "w.h5"], "numbers.safetensors has its own"),
        (["numbers.safetensors", "four.csv", "--labels", "four.json"], "four.json: there is no name in the file"),
        ([TEXTS, "--text", "\udcff"], "is not in UTF-8; save it in a .txt file"),
        (["numbers.safetensors", "four.npz"], "four.npz holds something other than arrays"),
        (["numbers.safetensors", "four.csv", "--output", "photos"], "photos: not a regular file, so not written over"),
        (
            ["numbers.safetensors", "5.1", "3"],
            "5.1: no such file; for numbers, echo 1.5,2 | fnet predict MODEL - --std",
        ),
        (["numbers.safetensors", "four.csv.gz"], "unpack it first, or as in zcat 'four.csv.gz' | fnet predict MODEL -"),
        (["numbers.safetensors", "four.json"], "four.json: save it as .jsonl, with one JSON object a line"),
        (["numbers.safetensors", "four.xlsx"], "four.xlsx: a spreadsheet is not read: save its sheet as .csv"),
        ([TEXTS, "makanan", "dingin"], "makanan: no such file; for words, use --text 'makanan'"),
    ],
)
def test_hints(folder, caplog, arguments, message):
    Path("four.csv.gz").touch()
    Path("four.xlsx").touch()
    Path("four.json").touch()
    with zipfile.ZipFile("four.npz", "w") as archive:
        archive.writestr("words.txt", "no array")
    Path("broken.jsonl").write_text("[1,\n[1]\n")
    header = "id,a,b,c" if arguments[0] != "two.safetensors" else "id,a,c,d"
    Path("four.csv").write_text(f"{header}\n1,2,3,4\n")
    assert main(["predict", *arguments]) == 2
    assert message in caplog.text


@pytest.mark.parametrize("value", ["torch", "jax"])
def test_a_backend_that_is_not_there_is_one_line_and_status_2(value, tmp_path):
    (tmp_path / "jax.py").write_text("raise ModuleNotFoundError(\"No module named 'jax'\", name='jax')")
    env = {**os.environ, "FNET_BACKEND": value, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-m", "fnet", "--version"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"fnet: FNET_BACKEND={value!r} is unknown" if value == "torch" else "fnet: FNET_BACKEND=jax needs"
    )
    assert done.stderr.count("\n") == 1
    code = [sys.executable, "-c", "import fnet"]
    done = subprocess.run(code, env=env, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "MissingBackend" in done.stderr


@pytest.mark.parametrize("value", ["", "NumPy", " numpy"])
def test_the_name_of_a_backend_in_any_case_and_none_at_all(value):
    env = {**os.environ, "FNET_BACKEND": value}
    command = [sys.executable, "-c", "import fnet.backend; print(fnet.backend.name())"]
    assert subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT, check=True).stdout == "numpy\n"


# --- help ---------------------------------------------------------------------------------------------------


def commands():
    """{name: parser} of the commands that fnet itself has."""
    (group,) = (action for action in cli.parser()._actions if action.dest == "command" or action.choices)
    return {name: command for name, command in group.choices.items() if command.add_help}


def examples():
    for command in commands().values():
        for line in command.format_help().splitlines():
            text = line.removeprefix("example:").strip()
            if text.startswith(("fnet ", "printf ")):
                yield text


def marked(example):
    return pytest.param(example, marks=pytest.mark.slow if example.startswith("fnet export") else (), id=example)


@pytest.mark.parametrize("example", [marked(example) for example in examples()])
def test_the_examples_of_help_run_as_printed(folder, example):
    script = f'fnet() {{ {sys.executable} -m fnet "$@"; }}; set -e -o pipefail; {example}'
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if "table.keras" in example or "model.json" in example:
        model = sequential(x=bind(fnet.input_layer, shape=(None, 2)), y=bind(fnet.dense, units=1))
        fnet.to_keras(model, fnet.init(model, 0), "table.keras")
        with zipfile.ZipFile("table.keras") as archive:
            Path("model.json").write_bytes(archive.read("config.json"))
            Path("model.weights.h5").write_bytes(archive.read("model.weights.h5"))
        Path("flats.csv").write_text("id,rooms,area\n7,2,50\n8,3,80\n")
    if "lstm.keras" in example:
        model = sequential(x=bind(fnet.input_layer, shape=(None, None, 4)), y=bind(fnet.lstm, units=3))
        fnet.to_keras(model, fnet.init(model, 0), "lstm.keras")
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr or done.stderr.startswith("fnet: wrote") or "rows are right" in done.stderr
    assert done.stdout or ">" in example or any(word in example for word in ("--output", "convert", "export", "plot"))


def test_every_command_has_an_example():
    assert len(list(examples())) >= len(commands()) > 3


def test_quiet_and_verbose_before_and_after_the_command(folder, capsys, caplog):
    np.save("x.npy", [[1, 2, 3], [np.nan, 2, 3]])
    rows = ["predict", "numbers.safetensors", "x.npy"]
    for arguments, count in ((rows, 1), (["-q", *rows], 0), ([*rows, "--quiet"], 0)):
        caplog.clear()
        assert main(arguments) == 0
        assert len(caplog.messages) == count
    with pytest.raises(FileNotFoundError):
        main(["predict", "missing.keras", "--text", "a", "-v"])
    assert {logging.getLogger(name).level for name in ("fnet", "compare", "train_keras")} == {logging.DEBUG}
