"""What the report says of mistakes: recall, precision and F1 of classes, by length of text, and quotes."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from compare import cli
from compare.studies import charts, mistakes

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
PREDICTED = np.array([[0, 0, 1, 1, 1, 1, 2, 2, 2, 2], [0, 0, 0, 1, 1, 1, 1, 2, 0, 0]])


def test_classes_come_with_their_scores_the_worst_first():
    finding = SimpleNamespace(classes=("a", "b", "c", "never"), labels=LABELS, study=SimpleNamespace(name="s"))
    options = SimpleNamespace(options=SimpleNamespace(kind="k"))
    _, table, _ = mistakes._classes("t", finding, SimpleNamespace(predicted=PREDICTED, label="v", config=options))
    precision, recall, f1, _ = precision_recall_fscore_support(
        np.tile(LABELS, 2), PREDICTED.ravel(), labels=range(4), zero_division=0
    )
    mostly = ("b (37.5%)", "c (16.7%)", "a (33.3%)", "–")
    rows = [(n, *(f"{v[i]:.4f}" for v in (recall, precision, f1)), mostly[i]) for i, n in enumerate(finding.classes)]
    assert table.rows == tuple(rows[i] for i in np.argsort(f1, kind="stable"))


def test_texts_are_counted_by_quarters_of_their_length_and_of_words_unseen():
    train = SimpleNamespace(x=["a b C"])
    test = SimpleNamespace(x=["a", "A b", "a b c", "a b c x", "x y z a b", "x y z u v w"])
    table = mistakes._by_length(SimpleNamespace(train=train, test=test), np.array([0, 0, 0.5, 0.25, 1, 1]))
    assert table.rows == (
        ("words", "1 to 2", "2", "0.0%"),
        ("words", "3 to 3", "1", "50.0%"),
        ("words", "4 to 4", "1", "25.0%"),
        ("words", "5 to 6", "2", "100.0%"),
        ("share of words not in the training texts", "0 to 0", "3", "16.7%"),
        ("share of words not in the training texts", "0.25 to 0.25", "1", "25.0%"),
        ("share of words not in the training texts", "0.6 to 1", "2", "100.0%"),
    )


@pytest.mark.parametrize(("text", "shown"), [
    ("a \n b", "a b"), ("w" * 160, "w" * 160), ("ab " * 53 + "c", "ab " * 53 + "c"),
    ("ab " * 53 + "cd", "ab " * 52 + "ab …"), ("ab " * 60, "ab " * 52 + "ab …"),
])  # fmt: skip
def test_a_long_text_is_cut_between_words(text, shown):
    data = SimpleNamespace(test=SimpleNamespace(x=["other", text]))
    assert mistakes._quote(data, 1) == shown


def test_a_thumbnail_holds_its_picture_and_all_its_lines():
    panel = charts.thumbnail(np.zeros((2, 2, 1), np.uint8), ("row 3", "true", "→ taken"))
    lines = [float(y) for y in re.findall(r'<text x="4" y="([0-9.]+)"', panel.body)]
    (x, y, width, height) = (
        float(re.search(rf' {key}="([0-9.]+)"', panel.body)[1]) for key in ("x", "y", "width", "height")
    )
    assert x + width < panel.width
    assert y + height < lines[0] - 12  # a letter
    assert np.diff(lines).tolist() == [16, 16]
    assert 4 < panel.height - lines[-1] <= 16


def test_a_comparison_without_options_takes_the_test_rows():
    import argparse

    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    args = parser.parse_args(["m.keras"])
    assert (args.split, args.rows, args.batch_size, args.layer_rows) == ("test", None, 32, 32)
    assert [parser.parse_args(["m", "--split", s]).split for s in ("test", "valid", "train")] == [
        "test", "valid", "train"]  # fmt: skip
    with pytest.raises(SystemExit):
        parser.parse_args(["m", "--split", "other"])
