"""Pictures of models: the layout, what is written at boxes and lines, files with refused layers, notebooks."""

import itertools
import json
import random
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import fnet
from fnet import bind, graph, sequential
from fnet.cli import main
from fnet.pictures import layout
from fnet.pictures.layout import POINT, Edge, arrange
from fnet.pictures.maps import feature_maps
from params.errors import LimitExceeded
from params.explaining.pictured import picture
from tests.golden.archives import config_in, golden
from tests.hostile_sizes import all_readers_of_all, packed

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg, kind=None):
    return [e.text for e in ElementTree.fromstring(svg).iter(f"{SVG}text") if kind in (None, e.get("class"))]


def boxes(svg, kind):
    return [e for e in ElementTree.fromstring(svg).iter(f"{SVG}rect") if e.get("class") == kind]


def numbers(element, *names):
    return [float(element.get(name)) for name in names]


# --- the layout ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_no_two_boxes_overlap_no_line_crosses_one_and_all_lead_down(seed):
    draw = random.Random(seed)
    names = [f"n{i}" for i in range(draw.randint(1, 30))]
    sizes = {name: (draw.randint(20, 200), draw.randint(20, 60)) for name in names}
    pairs = {tuple(sorted(draw.sample(range(len(names)), 2))) for _ in range(40)} if len(names) > 1 else set()
    edges = [Edge(names[a], names[b]) for a, b in sorted(pairs)]
    drawn = arrange(sizes, edges)
    sides = {n: (x - sizes[n][0] / 2, x + sizes[n][0] / 2, y, y + sizes[n][1]) for n, (x, y) in drawn.places.items()}
    for left, right, top, bottom in sides.values():
        assert 0 <= left < right <= drawn.width + 1e-6
        assert 0 <= top < bottom <= drawn.height
    for (l1, r1, t1, b1), (l2, r2, t2, b2) in itertools.combinations(sides.values(), 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
    for edge, line in drawn.lines.items():
        assert line[0][:2] == (drawn.places[edge.source][0], sides[edge.source][3])
        assert line[-1][:2] == drawn.places[edge.target]
        assert all(y1 <= next_y for (_, _, y1), (_, next_y, _) in itertools.pairwise(line))
        for (x, y0, y1), (name, (left, right, top, bottom)) in itertools.product(line[1:-1], sides.items()):
            assert not (left - POINT / 2 < x < right + POINT / 2 and y0 < bottom and top < y1), name


def test_boxes_are_near_each_other():
    drawn = arrange(dict.fromkeys("abc", (80, 30)), [Edge("a", "b"), Edge("a", "c")])
    assert sorted(drawn.places.values()) == [(52, 99), (104, 23), (156, 99)]
    assert (drawn.width, drawn.height) == (208, 152)


@pytest.mark.parametrize(("wanted", "half", "places"), [
    ([0, 100], [10, 10], [0, 100]),
    ([0, 5, 100], [10, 10, 10], [-7.5, 12.5, 100]),
    ([90, 0, 0], [10, 20, 10], [0, 30, 60]),
    ([0, 0], [10, POINT], [0, 10 + POINT]),  # lines give way to boxes
    ([0, 0], [POINT, 10], [-10 - POINT, 0]),
])  # fmt: skip
def test_boxes_lie_where_they_are_wanted_or_as_near_as_others_let_them(wanted, half, places):
    got = layout._placed(range(len(half)), wanted, dict(enumerate(half)))
    assert list(got.values()) == pytest.approx(places, abs=1e-6)


@pytest.mark.parametrize(("values", "median"), [
    ([(4, 8)], 4), ([(9, 1), (1, 1)], 5), ([(9, 2), (1, 1)], 9), ([(9, 1), (1, 3), (2, 1)], 1),
    ([(3, 1), (1, 1), (2, 2), (7, 1)], 2),
])  # fmt: skip
def test_the_median_is_weighted(values, median):
    assert layout._median(values) == median


def test_a_chain_with_long_ways_around_it_is_straight():
    names = [str(i) for i in range(40)]
    sizes = {name: (60 + 37 * (i % 5), 30) for i, name in enumerate(names)}
    along = [Edge(a, b) for a, b in itertools.pairwise(names)]
    around = [Edge(str(i), str(i + 5)) for i in range(0, 35, 5)]
    drawn = arrange(sizes, [*along, *around])
    assert len({round(x, 3) for x, _ in drawn.places.values()}) == 1
    for edge in around:
        assert len({round(x, 3) for x, *_ in drawn.lines[edge][1:-1]}) == 1


def test_lines_of_a_square_do_not_cross():
    drawn = arrange(dict.fromkeys("abcd", (50, 20)), [Edge("a", "d"), Edge("b", "c")])
    x = {name: place[0] for name, place in drawn.places.items()}
    assert (x["a"] < x["b"]) == (x["d"] < x["c"])


def test_pairs_of_lines_that_cross_are_counted():
    drawn = random.Random(0)
    lines = [(drawn.randrange(9), drawn.randrange(9)) for _ in range(40)]
    below = {}
    for upper, lower in lines:
        below.setdefault(upper, []).append((lower, 1))
    crossing = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(lines, 2))
    assert layout._crossings([range(9), range(9)], below) == crossing > 100


def test_lines_that_pass_too_much_are_not_drawn(tmp_path):
    """A file of 16 kB whose layers add all before them took minutes."""
    data = packed(all_readers_of_all(150))
    fnet.save(tmp_path / "stored", *fnet.load_keras(data))
    with pytest.raises(fnet.InvalidInput, match=r"a picture of 1.. steps whose lines pass .* is too large; `depth`"):
        fnet.plot(fnet.load_keras(data)[0])
    for file in (data, tmp_path / "stored"):
        with pytest.raises(LimitExceeded, match=r"cannot be drawn: a picture of 1.. steps"):
            picture(file)


def test_a_long_chain_is_drawn():
    steps = range(200)  # whose ranks add up to more than the lines of a picture may pass
    assert (
        len(arrange(dict.fromkeys(steps, (50, 20)), list(itertools.starmap(Edge, itertools.pairwise(steps)))).places)
        == 200
    )


def test_an_input_is_right_above_what_reads_it():
    drawn = arrange(dict.fromkeys("abcx", (50, 20)), [Edge("a", "b"), Edge("b", "c"), Edge("x", "c")])
    assert drawn.places["x"][1] == drawn.places["b"][1]


# --- models -------------------------------------------------------------------------------------------------


def images(**more):
    steps = {"x": bind(fnet.input_layer, shape=(None, 8, 8, 3)), "c": bind(fnet.conv2d, filters=4, kernel_size=3)}
    return sequential(**steps, f=fnet.flatten, **more)


def test_boxes_say_what_runs_and_lines_what_flows():
    model = images(d=bind(fnet.dense, units=2, activation="softmax"))
    svg = fnet.plot(model)
    assert texts(svg, "title") == ["x", "c", "f", "d", "output"]
    assert texts(svg, "soft") == ["input_layer", "conv2d 4 3", "112 params", "flatten", "dense 2 softmax", "290 params"]
    assert texts(svg, "shape") == ["8×8×3", "6×6×4", "144", "2"]
    tops = [float(e.get("y")) for e in ElementTree.fromstring(svg).iter(f"{SVG}text") if e.get("class") == "title"]
    assert tops == sorted(tops)
    rects = [
        numbers(e, "x", "y", "width", "height")
        for e in ElementTree.fromstring(svg).iter(f"{SVG}rect")
        if e.get("class")
    ]
    shapes = [numbers(e, "x", "y") for e in ElementTree.fromstring(svg).iter(f"{SVG}text") if e.get("class") == "shape"]
    expected = [(x + width / 2 + 6, y + height + 13) for x, y, width, height in rects[:-1]]  # right below its box
    np.testing.assert_allclose(shapes, expected, atol=0.2)
    assert svg == fnet.plot(model, fnet.init(model, 0))
    assert svg._repr_svg_() == svg
    svg = fnet.plot(sequential(x=bind(fnet.input_layer, shape=(None, 5, 4)), l=bind(fnet.lstm, units=2, unroll=True)))
    assert "lstm 2 unroll" in texts(svg, "soft")


def test_a_model_that_does_not_say_what_it_takes_has_shapes_where_they_are_given():
    model = sequential(d=bind(fnet.dense, units=2))
    assert texts(fnet.plot(model), "shape") == []
    assert texts(fnet.plot(model, None, (None, 7)), "shape") == ["2"]
    assert "16 params" in texts(fnet.plot(model, None, (None, 7)))
    assert "params" not in fnet.plot(model)
    assert "16 params" in texts(fnet.plot(model, {"d": {"kernel": np.zeros((7, 2)), "bias": np.zeros(2)}}))
    assert texts(fnet.plot(bind(fnet.dense, units=2)), "title") == ["dense", "output"]


def twins():
    inner = images()
    return graph(
        {
            "a": bind(fnet.input_layer, shape=(None, 8, 8, 3)),
            "b": bind(fnet.input_layer, shape=(None, 8, 8, 3)),
            "left": (inner, "a", "tower"),
            "right": (inner, "b", "tower"),
            "d": (fnet.subtract, ["left", "right"]),
        },
        inputs=["a", "b"],
        outputs={"difference": "d", "first": "left"},
    )


def test_nested_models_are_open_or_closed():
    svg = fnet.plot(twins())
    assert len(boxes(svg, "inner")) == 2
    lines = [e.get("class") for e in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    assert lines.count("line") == 10  # two in each tower, two into each and out of each, one to each output
    assert {"left", "right (weights of left)", "c", "output difference", "output first"} <= set(texts(svg, "title"))
    assert texts(svg).count("112 params") == 1
    assert not [text for text in texts(svg) if text.startswith("weights of")]  # the tower says whose they are
    svg = fnet.plot(twins(), depth=0)
    assert set(texts(svg, "title")) == {"a", "b", "left", "right", "d", "output difference", "output first"}
    assert texts(svg).count("sequential of 3 steps") == 2
    assert texts(svg).count("112 params") == 1
    assert texts(svg).count("weights of left") == 1


def test_masks_are_lines_of_their_own_and_elements_have_their_shapes():
    model = graph(
        {
            "x": bind(fnet.input_layer, shape=(None, 5, 3)),
            "m": (bind(fnet.operations.any, axis=-1), "x"),
            "r": (bind(fnet.lstm, units=2, return_state=True), fnet.masked_by("x", "m")),
            "d": (bind(fnet.dense, units=1), fnet.at("r", 1)),
        },
        inputs="x",
        outputs="d",
    )
    svg = fnet.plot(model)
    lines = [e.get("class") for e in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    assert lines.count("line mask") == 1
    assert texts(svg, "shape") == ["5×3", "5 bool", "2", "1"]


def test_words_of_users_are_escaped():
    model = sequential({"<b>&": bind(fnet.input_layer, shape=(None, 2))})
    assert texts(fnet.plot(model), "title") == ["<b>&", "output"]


def test_wrappers_name_what_they_wrap():
    model = sequential(
        x=bind(fnet.input_layer, shape=(None, 5, 3)),
        b=bind(
            fnet.bidirectional,
            layer=bind(fnet.lstm, units=4),
            backward_layer=bind(fnet.lstm, units=4, go_backwards=True),
        ),
    )
    assert "bidirectional lstm 4" in texts(fnet.plot(model))


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (bind(fnet.conv2d, filters=4, kernel_size=(3, 5), strides=2), "conv2d 4 3×5 /2"),
        (
            bind(fnet.conv2d, filters=4, kernel_size=1, dilation_rate=(2, 3), padding="same"),
            "conv2d 4 1 dilated 2×3 same",
        ),
        (bind(fnet.conv2d, filters=4, kernel_size=3, strides=(1, 1), dilation_rate=(1, 1)), "conv2d 4 3"),
        (bind(fnet.max_pooling2d, pool_size=1), "max_pooling2d 1"),
        (bind(fnet.up_sampling2d, size=3, interpolation="bilinear"), "up_sampling2d ×3 interpolation=bilinear"),
        (bind(fnet.reshape, target_shape=(2, -1, 3)), "reshape 2×-1×3"),
        (bind(fnet.leaky_relu, negative_slope=0.123456), "leaky_relu negative_slope=0.1235"),
        (bind(fnet.batch_normalization, axis=1, epsilon=0.01), "batch_normalization"),
        (bind(fnet.lstm, units=2, return_sequences=True), "lstm 2 return_sequences"),
        (bind(fnet.dropout, rate=0.5), "dropout 0.5"),
    ],
)
def test_options_are_told_in_few_words(step, words):
    assert texts(fnet.plot(sequential(s=step)), "soft") == [words]


def test_what_is_refused_is_red():
    config = config_in(golden("cnn.keras"))
    refused = next(item for item in config["config"]["layers"] if item["class_name"] == "BatchNormalization")
    refused["class_name"] = "Fancy"
    svg = picture(json.dumps(config).encode())
    assert len(boxes(svg, "refused")) == 1
    assert "refused: Fancy" in texts(svg)
    assert len(boxes(svg, "box")) == len(config["config"]["layers"]) - 1


def test_files_of_all_kinds_give_the_picture_of_their_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, params = fnet.load_keras(golden("cnn.keras"))
    expected = fnet.plot(model, params)
    Path("m.keras").write_bytes(golden("cnn.keras"))
    fnet.save("m.safetensors", model, params)
    assert main(["plot", "m.keras"]) == 0
    assert Path("m.svg").read_text("utf-8") == expected
    assert main(["plot", "m.safetensors", "--output", "-"]) == 0
    assert capsys.readouterr().out == expected
    assert main(["plot", "m.keras", "--output", "m.png"]) == 2


@pytest.mark.parametrize("name", ["rnn", "words", "twins", "many", "thrice", "numbers", "merges", "flags"])
def test_golden_files_are_drawn(name):
    svg = picture(golden(f"{name}.keras"))
    model, _ = fnet.load_keras(golden(f"{name}.keras"))
    assert set(model.names) <= {title.partition(" (")[0] for title in texts(svg, "title")}


# --- what flows ---------------------------------------------------------------------------------------------


def pixels(data):
    from PIL import Image

    return np.asarray(Image.open(BytesIO(data)))


def test_maps_are_white_at_zero_blue_above_and_red_below():
    image = pixels(feature_maps(np.array([[[0.0], [2.0]], [[-2.0], [np.nan]]])))
    assert image.shape == (2 * 200 + 4, 2 * 200 + 4, 3)
    corners = [image[10, 10], image[10, 300], image[300, 10], image[300, 300]]
    assert [tuple(map(int, c)) for c in corners] == [(255, 255, 255), (12, 74, 140), (178, 34, 34), (150, 150, 150)]
    half = pixels(feature_maps(np.array([1.0, 2.0])))  # two numbers in a line
    assert tuple(map(int, half[10, 10])) == (134, 164, 198)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((8, 8, 5), (278, 416)),
        ((50, 3), (28, 404)),
        ((100,), (8, 404)),
        ((9, 9, 100), (562, 562)),
        ((999,), (5, 1003)),
    ],
)
def test_every_channel_has_a_map(shape, size):
    assert pixels(feature_maps(np.ones(shape, "float32"))).shape[:2] == size


@pytest.mark.parametrize("values", [np.zeros((1, 2, 3, 4)), np.array(["a"]), np.zeros((0, 3)), np.float32(1)])
def test_what_has_no_picture_is_refused(values):
    with pytest.raises(fnet.InvalidInput, match="one to three axes"):
        feature_maps(values)


@pytest.fixture
def shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = images(d=bind(fnet.dense, units=2, activation="softmax"))
    fnet.save("m.safetensors", model, fnet.init(model, 0), scale=0.5)
    np.save("x.npy", np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32"))
    return model, fnet.init(model, 0), np.load("x.npy") * np.float32(0.5)


def test_activations_are_shown_in_numbers(shown, capsys):
    assert main(["activations", "m.safetensors", "x.npy", "--rows", "2", "--json"]) == 0
    table = {row["step"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(table) == ["x", "c", "f", "d"]
    expected = fnet.activations(*shown[:2], shown[2][:2])["c"]
    assert table["c"] == {
        "step": "c", "shape": [2, 6, 6, 4], "dtype": "float32", "zeros": 0.0, "NaN": 0,
        "least": pytest.approx(expected.min()), "mean": pytest.approx(expected.mean(), abs=1e-6),
        "largest": pytest.approx(expected.max()),
    }  # fmt: skip
    assert main(["activations", "m.safetensors", "x.npy", "--at", "d"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["step", "shape", "dtype", "least", "mean", "largest", "zeros", "NaN"]
    assert line.split()[:3] == ["d", "[1,2]", "float32"]


def test_activations_count_zeros_and_what_is_no_number(shown, capsys):
    steps = {"x": bind(fnet.input_layer, shape=(None, 5)), "r": fnet.relu, "l": fnet.operations.log}
    fnet.save("r.safetensors", sequential(**steps), {})
    np.save("r.npy", np.array([[1.0, 1, 4, 0, -1]], "float32"))
    assert main(["activations", "r.safetensors", "r.npy", "--at", "r", "--at", "l", "--json"]) == 0
    relu, log = json.loads(capsys.readouterr().out)
    assert relu == {
        "step": "r", "shape": [1, 5], "dtype": "float32", "least": 0, "mean": 1.2, "largest": 4, "zeros": 0.4, "NaN": 0,
    }  # fmt: skip
    assert log == {
        "step": "l", "shape": [1, 5], "dtype": "float32", "zeros": 0.4, "NaN": 2,
        "least": 0, "mean": pytest.approx(np.log(4) / 3), "largest": pytest.approx(np.log(4)),
    }  # fmt: skip


def test_activations_are_drawn(shown, capsys):
    assert main(["activations", "m.safetensors", "x.npy", "--at", "c", "--output", "c.png"]) == 0
    assert Path("c.png").read_bytes() == feature_maps(fnet.activations(*shown)["c"][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either input files or --text"),
        (["x.npy", "--at", "e"], "no step e; the steps are x, c, f, d"),
        (["x.npy", "--rows", "0"], "--rows is at least 1"),
        (["x.npy", "--output", "a.png"], "give --at NAME once"),
        (["x.npy", "--at", "c", "--output", "a.jpg"], "a name that ends in .png"),
    ],
)
def test_activations_say_what_they_need(shown, caplog, arguments, message):
    assert main(["activations", "m.safetensors", *arguments]) == 2
    assert message in caplog.text
