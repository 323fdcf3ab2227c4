"""The data sets: embedded ones, folders through `datasets`, and what is refused before training."""

import io

import numpy as np
import pytest

from train_keras import data, embedded, validation
from train_keras.errors import DataNotFound, EmptySplit, EmptyText, LabelOutOfRange, MalformedData, SplitOverlap, rows

pytestmark = pytest.mark.filterwarnings("ignore")  # `datasets` and its dependencies warn on their own account


def texts(**changed):
    parts = {
        "train": data.Split(np.array(["bagus sekali", "buruk"], object), np.array([2, 0])),
        "valid": data.Split(np.array(["biasa"], object), np.array([1])),
        "test": data.Split(np.array(["enak"], object), np.array([2])),
    }
    return data.Data("toy", "texts", data.NUSAX_CLASSES, **{**parts, **changed}, source="test")


def images(n=2, x=None, y=None):
    split = data.Split(np.zeros((n, 4, 4, 1), np.uint8), np.zeros(n, np.int64))
    changed = data.Split(split.x if x is None else x, split.y if y is None else y)
    return data.Data("toy", "images", ("a", "b"), split, split, changed, source="test")


def text_split(*pairs):
    return data.Split(np.array([t for t, _ in pairs], object), np.array([y for _, y in pairs]))


def test_digits_are_split_once_and_keep_their_bytes():
    found = data.load("images", "embedded")
    assert [len(s) for s in found.splits.values()] == [1197, 300, 300]
    assert found.train.x.dtype == np.uint8
    assert found.train.x.shape[1:] == (8, 8, 1)
    assert found.train.x.max() == 255
    assert found is data.load("images", "embedded")


def test_reviews_are_balanced_distinct_and_the_same_on_every_call():
    first, again = embedded.reviews(), embedded.reviews()
    assert first == again
    for split, (found, labels) in first.items():
        counts = np.bincount(labels)
        np.testing.assert_array_equal(counts, [embedded.PER_CLASS[split]] * 3)
        assert len(set(found)) == len(found)
        assert np.count_nonzero(np.diff(labels)) > len(labels) / 2  # mixed: training takes them as they come
    data.validate(data.load("texts", "embedded"))  # no sentence in two splits


def test_the_environment_says_where_data_are(monkeypatch, tmp_path):
    monkeypatch.setenv("FNET_DATA", str(tmp_path / "none"))
    with pytest.raises(DataNotFound, match=r"train\.csv.*'embedded', 'hub' or a folder"):
        data.load("texts")


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(ValueError, match="kind 'sounds'; use one of images, texts"):
        data.load("sounds")


@pytest.mark.parametrize("label", [99, -1, 10])
def test_labels_out_of_range_are_named_with_their_rows(label):
    with pytest.raises(LabelOutOfRange, match=f"rows 1, 3: label {label} is none of the 10 classes 0 to 9"):
        validation.check_labels([0, label, 9, label], 10)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [[0], [1]], ["a"], [True]])
def test_labels_must_be_a_row_of_integers(labels):
    with pytest.raises(LabelOutOfRange, match="must be integers of shape"):
        validation.check_labels(labels, 2)


@pytest.mark.parametrize("text", ["", "  \t\n", "!?! ...", "\u3000"])
def test_texts_without_a_token_are_named_with_their_rows(text):
    with pytest.raises(EmptyText, match="train split, row 1: no token in"):
        data.validate(texts(train=text_split(("baik", 2), (text, 0))))


def test_texts_must_be_strings():
    with pytest.raises(MalformedData, match="row 0: a text must be a string, got 3"):
        validation.check_texts([3, "baik"])


def test_an_empty_split_is_refused():
    with pytest.raises(EmptySplit, match="toy, valid split: no rows"):
        data.validate(texts(valid=data.Split(np.array([], object), np.array([], np.int64))))


def test_a_text_in_two_splits_is_refused():
    with pytest.raises(SplitOverlap, match="row 0 of test is in train too: 'buruk'"):
        data.validate(texts(test=text_split(("buruk", 0))))


@pytest.mark.parametrize(
    "x", [np.zeros((2, 4, 4, 1), np.float32), np.zeros((2, 5, 4, 1), np.uint8), np.zeros((2, 4, 4), np.uint8)]
)
def test_images_must_be_bytes_of_one_shape(x):
    with pytest.raises(MalformedData, match=r"test split: images must be uint8\[n, 4, 4, 1\], got"):
        data.validate(images(x=x))


def test_inputs_and_labels_must_be_as_many():
    with pytest.raises(MalformedData, match="2 inputs but 3 labels"):
        data.validate(images(y=np.zeros(3, np.int64)))


def test_the_fingerprint_tells_data_apart():
    assert texts().fingerprint == texts().fingerprint
    assert texts().fingerprint != texts(test=text_split(("enak", 0))).fingerprint


def test_row_numbers_in_messages():
    assert rows([3]) == "row 3"
    assert rows([1, 2]) == "rows 1, 2"
    assert rows(range(9)) == "rows 0, 1, 2, 3, 4, ... (9 in all)"


# --- folders ---------------------------------------------------------------------------------------


@pytest.fixture
def nusax(tmp_path):
    def write(split, lines, header="id,text,label"):
        (tmp_path / "nusax").mkdir(exist_ok=True)
        (tmp_path / "nusax" / f"{split}.csv").write_text("\n".join([header, *lines]), "utf-8")
        data._load.cache_clear()
        return str(tmp_path)

    write("train", ['1,"enak, sekali",positive', "2,NA,neutral"])
    write("valid", ["3,null,negative"])
    write("test", ["4,biasa,neutral"])
    return write


def test_csv_texts_keep_every_word(nusax):
    found = data.load("texts", nusax("test", ["4,biasa saja,neutral"]))
    assert list(found.train.x) == ["enak, sekali", "NA"]
    assert found.train.x.dtype == object  # one long text would make all as long
    assert list(found.valid.x) == ["null"]
    np.testing.assert_array_equal(found.train.y, [2, 1])


def test_a_csv_label_that_is_no_class_is_named(nusax):
    with pytest.raises(LabelOutOfRange, match="nusax, test split, row 1"):
        data.load("texts", nusax("test", ["4,biasa,neutral", "5,enak,happy"]))


def test_a_csv_with_other_columns_is_refused(nusax):
    with pytest.raises(MalformedData, match="no column label; got id, text, sentiment"):
        data.load("texts", nusax("test", ["4,biasa,neutral"], header="id,text,sentiment"))


def jpeg(value, size=(32, 32)):
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def cifar(tmp_path):
    def write(split, files, labels):
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = tmp_path / "cifar10"
        folder.mkdir(exist_ok=True)
        column = pa.array([{"bytes": file, "path": None} for file in files])
        table = pa.table({"img": column, "label": pa.array(labels)})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
        data._load.cache_clear()
        return str(tmp_path)

    write("train", [jpeg(10 * i) for i in range(10)], list(range(10)))
    write("test", [jpeg(7)], [3])
    return write


def test_parquet_images_are_decoded_split_and_cached(cifar, tmp_path):
    where = cifar("test", [jpeg(7)], [3])
    found = data.load("images", where, tmp_path / "cache")
    assert [len(s) for s in found.splits.values()] == [8, 2, 1]
    assert sorted([*found.train.y, *found.valid.y]) == list(range(10))
    np.testing.assert_array_equal(found.train.x[:, 0, 0, 0] // 10, found.train.y)
    data._load.cache_clear()
    again = data.load("images", where, tmp_path / "cache")
    assert again.fingerprint == found.fingerprint
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_what_is_no_image_is_named_with_its_row(cifar):
    with pytest.raises(MalformedData, match="test split, row 1: no readable image"):
        data.load("images", cifar("test", [jpeg(7), b"not an image"], [3, 3]))
    with pytest.raises(MalformedData, match=r"row 0: an image of \(16, 16\) pixels"):
        data.load("images", cifar("test", [jpeg(7, (16, 16))], [3]))


def test_a_parquet_label_out_of_range_is_named(cifar):
    with pytest.raises(LabelOutOfRange, match="cifar10, test split, row 0: label 99 is none of the 10"):
        data.load("images", cifar("test", [jpeg(7)], [99]))


def test_a_file_that_is_no_parquet_is_refused(cifar, tmp_path):
    (tmp_path / "cifar10" / "test-00000-of-00001.parquet").write_bytes(b"PAR1 no")
    data._load.cache_clear()
    with pytest.raises(MalformedData, match="is no whole Parquet file"):
        data.load("images", str(tmp_path))


@pytest.mark.parametrize("kind", data.KINDS)
def test_a_hub_that_cannot_be_reached_is_named(kind, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    data._load.cache_clear()
    with pytest.raises(DataNotFound, match="cannot read hf://datasets/"):
        data.load(kind, "hub")


def test_the_hub_is_asked_for_files_that_datasets_reads(monkeypatch):
    """No network here: the names that reach `load_dataset` are what can be tested."""
    import datasets

    asked = []

    def load_dataset(builder, data_files, **options):
        asked.append((builder, data_files["rows"]))
        word = data_files["rows"].split("/")[-2]
        return datasets.Dataset.from_dict({"id": [1], "text": [f"teks {word}"], "label": [1]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    data._load.cache_clear()
    found = data.load("texts", "hub")
    data._load.cache_clear()
    assert found.source == "Hugging Face hub"
    assert asked[1] == ("parquet", "hf://datasets/indonlp/NusaX-senti@refs/convert/parquet/ind/validation/*.parquet")


def folder_of(tmp_path, language, word):
    """A folder of NusaX laid out as its repository is."""
    place = tmp_path / "nusax" / language
    place.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        lines = [f"{i},{word} {split} {i},{label}" for i, label in enumerate(data.NUSAX_CLASSES)]
        (place / f"{split}.csv").write_text("\n".join(["id,text,label", *lines]))


def test_the_languages_of_nusax_are_folders_and_names_on_the_hub(tmp_path, monkeypatch):
    folder_of(tmp_path, "javanese", "apik")
    folder_of(tmp_path, "", "bagus")
    found = data.load("texts", tmp_path, language="javanese")
    assert (found.name, list(found.valid.x)) == ("nusax-javanese", [f"apik valid {i}" for i in range(3)])
    assert data.load("texts", tmp_path).name == "nusax"
    asked = []
    monkeypatch.setattr(data, "_rows", lambda builder, file, where: asked.append(file))
    with pytest.raises(AttributeError):
        data.load("texts", "hub", language="toba_batak")
    assert asked == ["hf://datasets/indonlp/NusaX-senti@refs/convert/parquet/bbc/train/*.parquet"]
    assert len(data.LANGUAGES) == len(set(data.LANGUAGES.values())) == 12


def test_a_language_that_is_not_there_is_told(tmp_path):
    folder_of(tmp_path, "", "bagus")
    with pytest.raises(DataNotFound, match=r"no .*nusax/sundanese/train\.csv"):
        data.load("texts", tmp_path, language="sundanese")
    with pytest.raises(DataNotFound, match="no english texts are embedded; --data is 'hub' or a folder"):
        data.load("texts", "embedded", language="english")
    with pytest.raises(ValueError, match="language 'jawa'; use one of indonesian, acehnese"):
        data.load("texts", tmp_path, language="jawa")
