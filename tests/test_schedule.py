"""Batches in parts and threads: the same values, the host's settings untouched, its limits honoured."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fnet
from fnet import bind, conv2d, dense, embedding, flatten, layer, lstm, max_pooling2d, sequential, tree
from fnet.backend import ops
from fnet.core import room
from fnet.inference import processors, schedule
from fnet.inference.optimized import optimized
from fnet.inference.prepared import _prepared, prepared
from fnet.rewrites.places import read_only
from tests import parity

CNN = sequential(
    conv=bind(conv2d, filters=16, kernel_size=3, activation="relu"), pool=max_pooling2d, flat=flatten,
    scores=bind(dense, units=3),
)  # fmt: skip


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of two rows or so of `CNN`."""
    _prepared.clear()  # it remembers parts
    monkeypatch.setattr(schedule, "PART", {"numpy": 30_000, "jax": 200_000})
    yield
    _prepared.clear()


def blas_threads():
    get, _ = processors._blas()
    return get()


def test_work_is_counted_from_the_shapes():
    work = schedule.row_work(CNN, fnet.Spec((None, 18, 18, 3)))
    assert (work.row, work.loops) == (16 * 16 * 9 * 3 * 16 + 8 * 8 * 16 * 3, False)
    needed = room.of(CNN, fnet.Spec((None, 18, 18, 3)))
    assert work.memory == needed.memory > 3 * 16 * 16 * 16 * 4
    assert work.step == needed.work / 4
    lookup = bind(embedding, input_dim=1000, output_dim=100)
    assert schedule.row_work(lookup, fnet.Spec((None, 7), "int32")).row == 0
    step = 4 * 5 * (3 + 5)
    work = schedule.row_work(bind(lstm, units=5), fnet.Spec((None, 7, 3)))
    assert work[:3] == (7 * step, step, True)
    for sequences in (False, True):  # a step of it is a convolution, of all places
        images = bind(fnet.conv_lstm2d, filters=2, kernel_size=3, padding="same", return_sequences=sequences)
        assert schedule.row_work(images, fnet.Spec((None, 5, 8, 8, 1))).row == 5 * 64 * 9 * (1 + 2) * 8


@pytest.mark.parametrize(("rows", "much", "sizes"), [(1, 1000, [1]), (7, 0, [7]), (5, 1, [1, 1, 1, 2])])
def test_parts_are_even_and_depend_on_rows_and_work_alone(each_backend, rows, much, sizes):
    parts = schedule.parts(rows, schedule.Work(row=much * 320e6, step=much * 12e6))
    assert [part.stop - part.start for part in parts] == sizes
    assert [parts[0].start, parts[-1].stop] == [0, rows]


def test_a_schedule_is_remembered_for_the_kind_of_a_batch_and_its_workers():
    known, x = prepared(CNN, CNN), np.zeros((4, 18, 18, 3), "float32")
    known.schedules.clear()
    for _ in range(2):
        for batch, workers in ((x, 1), (x, 2), (x.astype("uint8"), 1), (x[:2], 1)):
            known.schedule_of(batch, len(batch), workers)
    assert len(known.schedules) == 4


def test_one_blas_thread_is_for_little_work_or_one_worker():
    little, much = schedule.Work(1.0, 1.0), schedule.Work(1e9, 1e9)
    given = ((little, None), (much, None), (much, 1))
    assert [schedule.schedule(1, work, workers).small for work, workers in given] == [True, False, True]


def test_winograd_products_count_once_for_a_tile():
    """More BLAS threads only make them wait for each other: they are small ones."""
    layer = bind(fnet.winograd_conv2d, filters=16, padding="same", tile=4)
    work = schedule.row_work(sequential(conv=layer), fnet.Spec((None, 64, 64, 16)))
    assert work.parallel == 16 * 16 * 36 * 16 * 16
    assert schedule.schedule(8, work, None).small == (fnet.backend.name() == "numpy")


def test_what_runs_on_no_cpu_stays_in_one_piece(monkeypatch):
    work = schedule.Work(1e9, 1e9, step=1e7)
    assert len(schedule.schedule(8, work, None).slices) > 1
    monkeypatch.setattr(ops, "on_cpu", lambda: False)
    assert schedule.schedule(8, work, None).slices == [slice(0, 8)]


def test_more_layers_make_no_more_parts_on_numpy():
    """Threads wait for each other between layers, so each has to have enough to do."""
    for rows in (4, 100, 1000, 10_000):
        chains = (sequential(**{f"conv{i}": bind(conv2d, filters=4, kernel_size=1) for i in range(n)}) for n in (2, 40))
        few, many = (schedule.row_work(chain, fnet.Spec((None, 18, 18, 4))) for chain in chains)
        assert len(schedule.parts(rows, few)) == len(schedule.parts(rows, many)) == {10_000: 16, 1000: 2}.get(rows, 1)


@pytest.mark.parametrize(
    ("work", "rows"),
    [
        (schedule.Work(step=400.0, memory=1088), 30_816),
        (schedule.Work(step=4000.0, memory=1088), 5984),
        (schedule.Work(step=1e6, memory=1088), 32),
        (schedule.Work(step=400.0, memory=200_000), 160),
        (schedule.Work(step=400.0, memory=0), 60_000),
        (schedule.Work(step=1e6, loops=True, memory=1088), 30_816),
        (schedule.Work(), 32),
    ],
)
def test_batches_of_little_work_go_at_once(work, rows):
    assert schedule.rows_at_once(32, work) == rows


@pytest.mark.parametrize("invalid", ["raise", "mark"])
def test_batches_at_once_give_what_they_give_alone(each_backend, invalid):
    model = sequential(hidden=bind(dense, units=8, activation="relu"), scores=bind(dense, units=3))
    params, sizes = fnet.init(model, 0, (None, 5)), []
    x = np.random.default_rng(0).standard_normal((71, 5)).astype("float32")
    y = fnet.predict(model, params, x, batch_size=4)
    parity.assert_close(y, np.concatenate([fnet.predict(model, params, x[i : i + 4]) for i in range(0, 71, 4)]))
    told = fnet.predict(model, params, x, batch_size=4, progress=lambda done, rows: sizes.append(done))
    assert sizes == [*range(4, 71, 4), 71]
    parity.assert_close(told, y)
    x[50, 2] = np.nan
    if invalid == "raise":
        with pytest.raises(fnet.InvalidInput, match="row 50 has NaN at"):
            fnet.predict(model, params, x, batch_size=4)
    else:
        with pytest.warns(fnet.InvalidRows, match="1 of 71 rows, which are marked: 50"):
            marked = fnet.predict(model, params, x, batch_size=4, invalid=invalid)
        assert np.isnan(marked[50]).all()
        parity.assert_close(np.delete(marked, 50, 0), np.delete(y, 50, 0))


def test_rows_that_go_through_a_loop_stay_together_up_to_some(each_backend):
    on_numpy = {1: 1, 127: 1, 128: 2, 300: 4}
    on_jax = {1: 1, 2: 2, 8: 2, 63: 2, 64: 4, 300: 16}
    for rows, number in (on_numpy if fnet.backend.name() == "numpy" else on_jax).items():
        assert len(schedule.parts(rows, schedule.Work(1e12, 1e9, loops=True))) == number
    for rows, work in ((32, schedule.Work(7e5, 1e5, loops=True)), (512, schedule.Work(7e3, 1e3, loops=True))):
        assert len(schedule.parts(rows, work)) == 1  # too little for a thread: in all, or in a step


def test_parts_of_unlike_lengths_go_in_two(each_backend, monkeypatch):
    halved, in_two = [], schedule._in_two
    monkeypatch.setattr(schedule, "_in_two", lambda slices: halved.append(slices) or in_two(slices))
    monkeypatch.setattr(schedule, "LOOP_PART", 1000)
    _prepared.clear()
    model = sequential(words=bind(embedding, input_dim=30, output_dim=4, mask_zero=True), memory=bind(lstm, units=3))
    params = tree.map(read_only, fnet.init(model, 0, fnet.Spec((None, 64), "int32")))
    x = np.random.default_rng(0).integers(1, 30, (35, 64)) * (np.arange(64) < np.arange(35, 0, -1)[:, None] ** 2 / 16)
    y = fnet.predict(model, params, x, batch_size=35)
    planned = any(s.halves for s in prepared(model, optimized(model, params).model).schedules.values())
    assert planned == bool(halved) == (fnet.backend.name() == "jax")
    parity.assert_close(y, model(params, x))
    _prepared.clear()


def test_values_are_the_same_for_any_number_of_workers_and_in_every_call(each_backend, small_parts):
    params = fnet.init(CNN, 0, (None, 18, 18, 3))
    x = np.random.default_rng(0).standard_normal((33, 18, 18, 3)).astype("float32")
    y = fnet.predict(CNN, params, x, batch_size=33)
    for workers in (None, 1, 2, 5):
        np.testing.assert_array_equal(fnet.predict(CNN, params, x, batch_size=33, workers=workers), y)
    parity.assert_close(y, CNN(params, x))


def test_rows_that_reach_each_other_stay_together(small_parts):
    @layer(shape=lambda x: (x, {}))
    def centred(params, x):
        return x - x.mean(axis=0)

    model = sequential({**dict(CNN.steps), "centred": centred})
    params = fnet.init(model, 0, (None, 18, 18, 3))
    x = np.random.default_rng(0).standard_normal((16, 18, 18, 3)).astype("float32")
    with processors.one_blas_thread:  # as `predict`; on some processors another number gives other last bits
        expected = model(params, x)
    np.testing.assert_array_equal(fnet.predict(model, params, x), expected)


def test_blas_has_one_thread_inside_and_its_own_outside_whoever_leaves_first():
    before, allowed = blas_threads(), processors.count()
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with processors.one_blas_thread:
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=stay)
    with processors.one_blas_thread:
        thread.start()
        inside.wait(60)
    assert (blas_threads(), processors.count()) == (1, allowed)
    leave.set()
    thread.join()
    assert blas_threads() == before
    with pytest.raises(ZeroDivisionError), processors.one_blas_thread:
        1 / 0  # noqa: B018
    assert blas_threads() == before


def test_many_threads_may_call_predict_at_once(small_parts):
    before = blas_threads()
    params = fnet.init(CNN, 0, (None, 18, 18, 3))
    xs = [np.random.default_rng(i).standard_normal((8, 18, 18, 3)).astype("float32") for i in range(8)]
    alone = [fnet.predict(CNN, params, x) for x in xs]
    with ThreadPoolExecutor(8) as pool:
        for y, expected in zip(pool.map(lambda x: fnet.predict(CNN, params, x), xs), alone, strict=True):
            np.testing.assert_array_equal(y, expected)
    assert blas_threads() == before


def test_an_error_in_a_thread_is_that_of_the_call():
    def fails(item):
        raise KeyError(item)

    with pytest.raises(KeyError):
        schedule.in_threads(fails, list(range(5)), 3)
    assert schedule.in_threads(lambda i: i * i, list(range(5)), 3) == [0, 1, 4, 9, 16]


def test_an_item_that_fails_in_a_thread_is_not_run_again():
    ran, both_have_one = [], threading.Barrier(2, timeout=30)

    def fails(item):
        ran.append(item)
        both_have_one.wait()
        if threading.current_thread() is not threading.main_thread():
            raise KeyError(item)

    with pytest.raises(KeyError):
        schedule.in_threads(fails, [0, 1], 2)
    assert sorted(ran) == [0, 1]


def test_a_call_inside_of_a_thread_needs_no_free_thread():
    def inner(i):
        return sum(schedule.in_threads(lambda j: i * j, list(range(4)), 4))

    assert schedule.in_threads(inner, list(range(200)), 70) == [6 * i for i in range(200)]


QUOTAS = {
    "cgroup 2": ("0::/a/b\n", {"a/cpu.max": "250000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
    "cgroup 1": ("3:cpu,cpuacct:/a\n0::/\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "100000\n",
                                              "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 1),
    "colons": ("0::/a/x:cri-containerd:1\n", {"a/x:cri-containerd:1/cpu.max": "150000 100000\n"}, 2),
    "no limit": ("3:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 1 << 20),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTAS)
def test_quotas_of_containers_are_read(name, tmp_path, monkeypatch):
    groups, files, expected = QUOTAS[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    read = processors._read
    monkeypatch.setattr(processors, "_CGROUPS", str(tmp_path))
    monkeypatch.setattr(processors, "_read", lambda path: groups if path == "/proc/self/cgroup" else read(path))
    assert processors._quota() == expected


def test_processors_are_those_that_the_process_may_use(monkeypatch):
    counted = processors.allowed.__wrapped__
    monkeypatch.setattr(processors, "_quota", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 3, 5}, raising=False)
    assert counted() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    for known, expected in ((2, 2), (9, 4), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert counted() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore")  # of threads that a fork may miss
def test_a_fork_inside_of_one_blas_thread_is_outside_of_it():
    with processors.one_blas_thread:
        child = os.fork()
        if child == 0:
            os._exit(processors._inside)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("variable", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_thread_variables_are_honoured(variable):
    code = "from fnet.inference import processors; print(processors.count())"
    env = {**os.environ, variable: "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_workers_is_a_whole_number():
    with pytest.raises(fnet.InvalidInput, match="workers is the number of threads, at least 1; got 0"):
        fnet.predict(CNN, {}, np.ones((1, 18, 18, 3)), workers=0)


def test_where_no_thread_can_be_started_the_calling_one_does_the_work(monkeypatch):
    def no(self):
        raise RuntimeError("can't start new thread")

    schedule._pool.cache_clear()
    monkeypatch.setattr(threading.Thread, "start", no)
    assert schedule.in_threads(lambda n: n + 1, [1, 2, 3], 3) == [2, 3, 4]
    assert schedule.started(lambda: 5)() == 5
    schedule._pool.cache_clear()
