"""examples/serve: a model behind a real uvicorn, asked with httpx; and the function for Lambda."""

import base64
import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fnet

ROOT = Path(__file__).parent.parent
SERVE = ROOT / "examples" / "serve"
MODELS = ROOT / "examples" / "models"


@pytest.fixture(scope="module")
def serve():
    """start(model, **environment) -> client of a service, ended after the tests of this file."""
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    running, clients = [], []

    def start(model, **environment):
        import socket

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "MODEL": str(MODELS / model), **environment}
        options = ["--app-dir", str(SERVE), "--port", str(port), "--log-level", "warning"]
        running.append(subprocess.Popen([sys.executable, "-m", "uvicorn", "app:app", *options], env=env))
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        clients.append(client)
        for _ in range(600):
            try:
                client.get("/health").raise_for_status()
                return client
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("the service does not start")

    yield start
    for client in clients:
        client.close()
    for process in running:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def texts(serve):
    return serve("nusax-lstm.safetensors", MAX_ROWS="50", MAX_BYTES="100000")


@pytest.mark.slow
def test_texts_come_as_json_and_as_lines(texts):
    rows = ["pelayanannya ramah sekali", "kamarnya kotor"]
    expected = fnet.predict(*fnet.load(MODELS / "nusax-lstm.safetensors"), rows)
    as_json = texts.post("/predict", json={"rows": rows})
    assert as_json.status_code == 200
    assert as_json.json()["labels"] == ["positive", "negative"]
    np.testing.assert_allclose(as_json.json()["outputs"], expected, atol=1e-6)
    lines = texts.post("/predict", content="\n".join(rows), headers={"Content-Type": "text/plain; charset=utf-8"})
    assert lines.json() == as_json.json()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"{", "application/json", 400, "not JSON of the form"),
        (b"[1]", "application/json", 400, "not JSON of the form"),
        (b'{"rows": []}', "application/json", 422, "rows are a list of at least one text"),
        (b'{"rows": ["good", null]}', "application/json", 422, "row 1"),
        (b'{"rows": [1, 2]}', "application/json", 422, "1"),
        (json.dumps({"rows": ["a"] * 51}).encode(), "application/json", 413, "51 rows; 50 are the most"),
        (b"x" * 100_001, "text/plain", 413, "more than 100000 bytes"),
        (b"\xff", "text/plain", 400, "not UTF-8"),
        (b"x", "image/png", 415, "use application/json or text/plain"),
        (b"x", "", 415, "use application/json or text/plain"),
    ],
)
def test_what_a_client_does_wrong_is_a_4xx_that_says_what(texts, content, kind, status, said):
    answer = texts.post("/predict", content=content, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.slow
def test_requests_at_the_same_time_go_together_and_fail_alone(texts):
    import httpx

    before = counted(texts)
    bodies = [{"rows": ["ramah"]}, {"rows": [None]}] * 30
    address = f"{texts.base_url}/predict".replace("//predict", "/predict")
    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda body: httpx.post(address, json=body, timeout=60), bodies))
    assert [answer.status_code for answer in answers] == [200, 422] * 30
    assert {json.dumps(answer.json()) for answer in answers[::2]} == {
        answers[0].text.replace(",", ", ").replace(":", ": ")
    }
    after = counted(texts)
    assert after['fnet_requests_total{status="200"}'] - before.get('fnet_requests_total{status="200"}', 0) == 30
    assert after["fnet_rows_total"] - before["fnet_rows_total"] == 30
    assert after["fnet_rows_waiting"] == 0


def counted(client):
    return {
        key: float(value) for key, value in (line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines())
    }


@pytest.mark.slow
def test_images_are_resized_and_too_much_at_once_is_refused(serve):
    from PIL import Image

    client = serve("cifar10-cnn.safetensors", MAX_WAITING="2")
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 50, 3), 90, "uint8")).save(buffer, "png")
    answer = client.post("/predict", content=buffer.getvalue(), headers={"Content-Type": "image/png"})
    expected = fnet.predict(*fnet.load(MODELS / "cifar10-cnn.safetensors"), np.full((1, 32, 32, 3), 90, "float32"))
    np.testing.assert_allclose(answer.json()["outputs"], expected, atol=1e-5)
    broken = client.post("/predict", content=buffer.getvalue()[:60], headers={"Content-Type": "image/png"})
    assert (broken.status_code, broken.json()["detail"]) == (422, "not an image that can be read")
    for size in (9_000, 30_000):
        header = b"IHDR" + struct.pack(">II", size, size) + buffer.getvalue()[24:29]
        data = buffer.getvalue()[:12] + header + struct.pack(">I", zlib.crc32(header)) + buffer.getvalue()[33:]
        huge = client.post("/predict", content=data, headers={"Content-Type": "image/png"})
        assert huge.status_code == 413
    shape = client.post("/predict", json={"rows": [[1, 2]]})
    assert shape.status_code == 422
    busy = client.post("/predict", json={"rows": np.zeros((3, 32, 32, 3)).tolist()})
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")


def function_for_lambda(monkeypatch, path):
    monkeypatch.setenv("MODEL", str(path))
    spec = importlib.util.spec_from_file_location("lambda_function", SERVE / "lambda_function.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_function_for_lambda_scales_as_the_file_says(monkeypatch, tmp_path):
    model = fnet.sequential(x=fnet.bind(fnet.input_layer, shape=(None, 2)), y=fnet.identity)
    fnet.save(tmp_path / "m.safetensors", model, {}, scale=0.5)
    done = function_for_lambda(monkeypatch, tmp_path / "m.safetensors").handler({"body": '{"rows": [[2, 4]]}'}, None)
    assert json.loads(done["body"])["outputs"] == [[1, 2]]


def test_rows_of_several_inputs_are_dicts(monkeypatch, tmp_path):
    x = fnet.bind(fnet.input_layer, shape=(None, 1))
    model = fnet.graph({"a": x, "b": x, "y": (fnet.subtract, ["a", "b"])}, inputs=["a", "b"], outputs={"d": "y"})
    fnet.save(tmp_path / "m.safetensors", model, {})
    handler = function_for_lambda(monkeypatch, tmp_path / "m.safetensors").handler
    assert json.loads(handler({"body": '{"rows": [{"b": 2, "a": 5}]}'}, None)["body"]) == {"outputs": {"d": [[3.0]]}}
    assert "row 0 has NaN" in handler({"body": '{"rows": [{"b": 2, "a": null}, {"b": 1, "a": 1}]}'}, None)["body"]


def test_numbers_that_json_lacks_are_null(monkeypatch, tmp_path):
    model = fnet.sequential(x=fnet.bind(fnet.input_layer, shape=(None, 2)), y=fnet.operations.log)
    fnet.save(tmp_path / "m.safetensors", model, {}, labels=["a", "b"])
    handler = function_for_lambda(monkeypatch, tmp_path / "m.safetensors").handler
    done = handler({"body": '{"rows": [[1, 0], [-1, 1]]}'}, None)["body"]
    assert json.loads(done) == {"outputs": [[0.0, None], [None, 0.0]], "labels": ["a", None]}


@pytest.mark.slow
def test_the_service_has_null_for_numbers_that_json_lacks(monkeypatch):
    monkeypatch.syspath_prepend(SERVE)
    app = importlib.import_module("app")
    scores = np.float32([[np.inf, 0.5], [np.nan, 0]])
    expected = {"outputs": [[None, 0.5], [None, 0.0]], "labels": ["a", None]}
    assert app.answer(fnet.sequential(fnet.softmax), scores, ["a", "b"]) == expected


@pytest.mark.slow
def test_rows_are_taken_as_they_were_sent(monkeypatch):
    monkeypatch.syspath_prepend(SERVE)
    app = importlib.import_module("app")
    lines = app.rows_of("text/plain", "a\u2028b\x0bc\r\n\nd\n".encode(), fnet.Spec((None,), "string"))
    assert lines.tolist() == ["a\u2028b\x0bc", "", "d"]
    for dtype, right, wrong in (
        ("int32", [[5], [7.0]], [[5.7]]),
        ("bool", [True, False], ["false"]),
        ("uint8", [3], [-1]),
    ):
        spec = fnet.Spec((None, 1), dtype)
        body = json.dumps({"rows": right}).encode()
        np.testing.assert_array_equal(app.rows_of("application/json", body, spec), np.array(right, dtype))
        with pytest.raises(app.HTTPException, match="rows are a list of at least one"):
            app.rows_of("application/json", json.dumps({"rows": wrong}).encode(), spec)


@pytest.mark.slow
def test_the_service_takes_rows_of_several_inputs(monkeypatch):
    monkeypatch.syspath_prepend(SERVE)
    rows = importlib.import_module("app").rows_of("application/json", b'{"rows": [{"b": 2}, {"b": 1}]}', {"b": 1})
    assert rows.tolist() == [{"b": 2}, {"b": 1}]


def test_the_function_for_lambda_answers(monkeypatch):
    module = function_for_lambda(monkeypatch, MODELS / "nusax-lstm.safetensors")
    done = module.handler({"body": json.dumps({"rows": ["ramah", "kotor"]})}, None)
    assert done["statusCode"] == 200
    assert json.loads(done["body"])["labels"] == ["positive", "negative"]
    encoded = base64.b64encode(b'{"rows": ["ramah", "kotor"]}').decode()
    assert module.handler({"body": encoded, "isBase64Encoded": True}, None) == done
    assert module.handler({"body": "no base64", "isBase64Encoded": True}, None)["statusCode"] == 400
    for body in ("{", '{"x": 1}', "[1]", "[" * 100_000, None):
        refused = {"statusCode": 400, "body": '{"detail": "not JSON of the form {\\"rows\\": [...]}"}'}
        assert module.handler({"body": body}, None) == refused
    assert module.handler({"body": '{"rows": [null]}'}, None)["statusCode"] == 422


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "which model? MODEL=examples/models/nusax-lstm.safetensors uvicorn ..."),
        ({"MODEL": "no.keras"}, "MODEL=no.keras cannot be served: [Errno 2] No such file or directory: 'no.keras'"),
        ({"MODEL": "app.py"}, "MODEL=app.py cannot be served: 'app.py': "),
        ({"MODEL": "x", "MAX_ROWS": "many"}, "MODEL=x cannot be served: invalid literal for int()"),
    ],
)
def test_a_service_that_cannot_start_says_why_in_one_line(monkeypatch, environment, said):
    pytest.importorskip("fastapi")
    monkeypatch.syspath_prepend(SERVE)
    monkeypatch.chdir(SERVE)
    monkeypatch.delenv("MODEL", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        importlib.import_module("app").app  # noqa: B018 - what uvicorn does
    assert str(end.value).startswith(said)
