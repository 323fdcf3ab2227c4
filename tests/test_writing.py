"""Files appear complete or not at all, keep what they were, and leave nothing behind."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import bind, cli, sequential, writing
from params import load, save
from tests.hostile import keras_zip

POSIX = pytest.mark.skipif(os.name != "posix", reason="owners, modes and links of POSIX")
MODEL = sequential(x=bind(fnet.input_layer, shape=(None, 3)), dense=bind(fnet.dense, units=2))
PARAMS = fnet.init(MODEL, 0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("length", [1, 100, 250, 255])
def test_names_of_any_length(tmp_path, length):
    path = tmp_path / ("n" * length)
    writing.write(path, b"data")
    writing.write(path, b"again")
    assert path.read_bytes() == b"again"
    assert names(tmp_path) == [path.name]


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_the_mode_of_what_was_there_stays(tmp_path, mode, monkeypatch):
    path, check, seen = tmp_path / "file", writing._check, []
    path.write_bytes(b"old")
    path.chmod(mode)
    monkeypatch.setattr(writing, "_check", lambda new, data: (seen.append(new.stat().st_mode & 0o77), check(new, data)))
    writing.write(path, b"new")
    assert seen == [0], "others could read a private file while it was written"
    assert path.stat().st_mode & 0o777 == mode
    assert path.read_bytes() == b"new"


@POSIX
def test_a_new_file_has_the_mode_of_any_new_file(tmp_path):
    writing.write(tmp_path / "ours", b"")
    (tmp_path / "pythons").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "pythons").stat().st_mode


@POSIX
@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="only root gives files away")
def test_the_owner_of_what_was_there_stays(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    writing.write(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@POSIX
def test_where_the_owner_cannot_be_kept_the_file_is_overwritten(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    number = path.stat().st_ino
    own = os.fstat

    def other(descriptor):
        found = list(own(descriptor))
        found[4] += 1
        return os.stat_result(found)

    def refuse(*_):
        raise PermissionError(errno.EPERM, "not the owner")

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", other)
    writing.write(path, b"new")
    assert (path.read_bytes(), path.stat().st_ino) == (b"new", number)


@POSIX
def test_what_is_opened_is_closed(tmp_path, monkeypatch):
    opened, opens, closes = set(), os.open, os.close
    monkeypatch.setattr(os, "open", lambda *args, **options: opened.add(n := opens(*args, **options)) or n)
    monkeypatch.setattr(os, "close", lambda n: opened.discard(n) or closes(n))
    path = tmp_path / "a"
    for before in (lambda: None, lambda: None, lambda: os.link(path, tmp_path / "b"), lambda: left_over(tmp_path)):
        before()
        writing.write(path, b"1")
        assert not opened


def left_over(folder):
    """The files that a killed process left."""
    (folder / f"{writing.PREFIX}{'0' * 16}{writing.SUFFIX}").write_bytes(b"1")


@POSIX
def test_all_names_of_a_file_show_the_new_one(tmp_path):
    path, again = tmp_path / "file", tmp_path / "again"
    path.write_bytes(b"old and longer")
    again.hardlink_to(path)
    writing.write(path, b"new")
    assert again.read_bytes() == b"new"
    assert names(tmp_path) == ["again", "file"]


@POSIX
def test_a_file_of_several_names_comes_back_when_the_disk_is_full(tmp_path, monkeypatch):
    path, again = tmp_path / "file", tmp_path / "again"
    path.write_bytes(b"old")
    again.hardlink_to(path)
    real, count = os.write, [0]

    def full(number, data):
        count[0] += 1
        if count[0] == 2:  # the first fills the file in the making
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(number, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="file"):
        writing.write(path, b"new")
    assert again.read_bytes() == b"old"


@POSIX
def test_links_are_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    link, real = tmp_path / "link", tmp_path / "folder" / "real"
    link.symlink_to(real)
    for data in (b"first", b"second"):
        writing.write(link, data)
        assert link.is_symlink()
        assert real.read_bytes() == data
    assert names(tmp_path / "folder") == ["real"]


@POSIX
def test_only_regular_files_are_written_over(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "folder", Path(os.devnull)):
        before = path.stat()
        with pytest.raises(IsADirectoryError if path.is_dir() else OSError, match=path.name):
            writing.write(path, b"data")
        assert (path.stat().st_mode, path.stat().st_ino) == (before.st_mode, before.st_ino)
    assert names(tmp_path) == ["folder", "pipe"]


@POSIX
def test_a_file_that_may_not_be_written_is_not(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o444)
    is_root = os.getuid() == 0  # who may write everywhere, and asks as somebody else here
    if is_root:
        os.setreuid(65534, 0)
    try:
        with pytest.raises(PermissionError, match="file"):
            writing.write(path, b"new")
    finally:
        if is_root:
            os.setreuid(0, 0)
    assert path.read_bytes() == b"old"


@POSIX
def test_the_move_is_flushed_as_well_as_the_bytes(tmp_path, monkeypatch):
    path, flushed, flush = tmp_path / "file", [], os.fsync

    def seen(number):
        flushed.append((stat.S_ISDIR(os.fstat(number).st_mode), path.exists()))
        flush(number)

    monkeypatch.setattr(os, "fsync", seen)
    writing.write(path, b"data")
    assert flushed == [(False, False), (True, True)]


@pytest.mark.parametrize("kept", [lambda data: data[:-1], lambda data: data[:-1] + b"?", lambda data: data + b"?"])
def test_a_disk_that_keeps_other_bytes_is_an_error(kept, tmp_path, monkeypatch):
    path, put = tmp_path / "file", os.write
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "write", lambda number, data: put(number, kept(bytes(data))) and len(data))
    with pytest.raises(OSError, match=r"does not read back.*file"):
        writing.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_errors_name_the_file_that_was_asked_for(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="nowhere/file"):
        writing.write(tmp_path / "nowhere" / "file", b"data")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        writing.write(tmp_path / "file", b"data")
    assert caught.value.filename == str(tmp_path / "file")
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from fnet import writing
real = os.write
def write(number, data):
    real(number, data[: len(data) // 2 or 1])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = write
writing.write(sys.argv[1], b"half of this")
"""


@POSIX
def test_what_a_killed_process_left_is_cleaned_up(tmp_path):
    path = tmp_path / "file"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, cwd=Path(__file__).parent.parent)
    assert len(names(tmp_path)) == 1
    writing.write(path, b"data")
    assert names(tmp_path) == ["file"]


@POSIX
def test_what_another_process_is_making_is_left_alone(tmp_path):
    with writing._temporary(tmp_path, 0o600) as (number, temporary):
        os.write(number, b"half")
        writing.write(tmp_path / "file", b"data")
        assert temporary.read_bytes() == b"half"
    foreign = tmp_path / ".fnet-notes.tmp"
    foreign.write_bytes(b"a user's own")
    empty = tmp_path / f"{writing.PREFIX}{'0' * 16}{writing.SUFFIX}"
    empty.touch()  # made just now, and not locked yet
    writing.write(tmp_path / "file", b"data")
    assert foreign.exists()
    assert empty.exists()
    os.utime(empty, (time.time() - 3600,) * 2)
    writing.write(tmp_path / "file", b"data")
    assert not empty.exists()


def test_the_same_model_gives_the_same_bytes(tmp_path):
    rebuilt = {name: dict(reversed(list(entry.items()))) for name, entry in reversed(list(PARAMS.items()))}
    for name, weights in (("a", PARAMS), ("b", PARAMS), ("c", rebuilt)):
        save(tmp_path / name, MODEL, weights, labels=["x", "y"], scale=0.5)
    script = "import sys, params; params.save(sys.argv[2], *params.load(sys.argv[1]), labels=['x', 'y'], scale=0.5)"
    command = [sys.executable, "-c", script, str(tmp_path / "a"), str(tmp_path / "d")]
    subprocess.run(command, check=True, cwd=Path(__file__).parent.parent, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1


def test_what_is_saved_is_what_the_library_reads(tmp_path):
    import safetensors.numpy

    leaves = {
        "é": np.arange(3, dtype="i1"),
        "wide": np.ones((2, 0), "f8"),
        "half": np.ones(3, "f2"),
        "b": np.array(True),
    }
    save(tmp_path / "m", bind(fnet.dense, units=1), leaves)
    found = safetensors.numpy.load_file(tmp_path / "m")
    assert {name: (a.dtype, a.shape, a.tolist()) for name, a in found.items()} == {
        name: (a.dtype, a.shape, a.tolist()) for name, a in leaves.items()
    }


# --- the command line -----------------------------------------------------------------------------------------


def run(*arguments, **options):
    command = [sys.executable, "-m", "fnet", *map(str, arguments)]
    root = Path(__file__).parent.parent
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=root, **options)


def test_convert_does_not_overwrite_its_source(tmp_path, capsys, caplog):
    source = tmp_path / "m.safetensors"
    source.write_bytes(keras_zip())
    again = tmp_path / "again.safetensors"
    again.symlink_to(source)
    for target in (source, again, tmp_path / "." / "m.safetensors"):
        assert cli.main(["convert", str(source), str(target)]) == 2
        assert "which is read" in caplog.text
        caplog.clear()
    assert source.read_bytes() == keras_zip()


def test_predict_does_not_overwrite_what_it_reads(tmp_path, caplog):
    save(tmp_path / "m.safetensors", MODEL, PARAMS)
    np.save(tmp_path / "x.npy", np.ones((2, 3), "f4"))
    for target in ("x.npy", "m.safetensors"):
        before = (tmp_path / target).read_bytes()
        command = ["predict", tmp_path / "m.safetensors", tmp_path / "x.npy", "--output", tmp_path / target]
        assert cli.main(list(map(str, command))) == 2
        assert (tmp_path / target).read_bytes() == before
    assert cli.main([*map(str, command[:-1]), str(tmp_path / "y.npy")]) == 0
    assert np.load(tmp_path / "y.npy").shape == (2, 2)
    assert names(tmp_path) == ["m.safetensors", "x.npy", "y.npy"]


@POSIX
def test_a_closed_standard_output_is_said(tmp_path):
    save(tmp_path / "m.safetensors", MODEL, PARAMS)
    closed = ["sh", "-c", f"{sys.executable} -m fnet summary {tmp_path}/m.safetensors >&-"]
    found = subprocess.run(closed, check=False, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert found.returncode == 1
    assert "standard output is closed" in found.stderr
    assert "Traceback" not in found.stderr


@POSIX
def test_a_reader_that_has_enough_is_no_error(tmp_path):
    """As `head` closes its end of the pipe: no message, and none by Python as it ends."""
    save(tmp_path / "m.safetensors", MODEL, PARAMS)
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as pipe:
        command = [sys.executable, "-m", "fnet", "summary", str(tmp_path / "m.safetensors")]
        where = {"env": os.environ | {"PYTHONUNBUFFERED": ""}, "cwd": Path(__file__).parent.parent}
        found = subprocess.run(command, check=False, stdout=pipe, stderr=subprocess.PIPE, text=True, **where)
    assert (found.returncode, found.stderr) == (1, "")


def test_a_saved_file_loads_after_all_this(tmp_path):
    save(tmp_path / "m", MODEL, PARAMS)
    assert load(tmp_path / "m")[0] == MODEL


@POSIX
@pytest.mark.parametrize(
    "then",
    ["", "import fnet.cli as c; c.parser = lambda: interrupt('fnet.backend'); c.main()"],
    ids=["imports", "arguments"],
)
@pytest.mark.parametrize("name", ["-m", "/usr/bin/fnet", "somebody-elses.py"])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_the_command_starts_is_no_traceback(name, then):
    """It comes while `fnet` imports its first module, or before it reads its arguments; in a process that is not the
    command all stays as it is."""
    script = f"""
import os, signal, sys
def interrupt(name, *_):
    if name == "fnet.backend":
        os.kill(os.getpid(), signal.SIGINT)
class Interrupt:
    find_spec = staticmethod(interrupt)
if not {then!r}:
    sys.meta_path.insert(0, Interrupt())
sys.argv[:], sys.orig_argv[:] = [{name!r}], ["python", "-m", "fnet"]
import fnet
{then}
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert found.returncode == -2
    assert ("KeyboardInterrupt" in found.stderr) is name.startswith("somebody")


def test_a_command_that_has_started_is_interrupted_with_status_130(monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fnet.cli.summary.run", interrupted)
    assert cli.main(["summary", str(tmp_path)]) == 130
