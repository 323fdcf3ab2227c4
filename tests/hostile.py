"""Model files as attackers and accidents make them: each must be refused with the right type of error.

`ATTACKS` has an entry for each file: how to build its bytes, and which errors are right. The sources are the
advisories named next to the entries. No file needs Keras to build; a payload that ran would create the file MARKER.
"""

import base64
import io
import json
import marshal
import pickle
import struct
import tempfile
import traceback
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from params import load_keras
from params.errors import CorruptFile, LimitExceeded, ModelFileError, UnsafeFile, UnsupportedLayer, WeightsMismatch
from tests.golden.archives import members as members_of

MARKER = Path(tempfile.gettempdir()) / "fnet-hostile-marker"
PAYLOAD = f"open({str(MARKER)!r}, 'w')"
METADATA = json.dumps({"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"})


# --- honest parts ---------------------------------------------------------------------------------------------


def entry(class_name, name, module="keras.layers", registered=None, **config):
    """One layer of a config."""
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "registered_name": registered,
    }


def input_entry(*shape, dtype="float32"):
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, *shape], "dtype": dtype, "sparse": False, "name": "input_layer"},
        "registered_name": None,
    }


def dense_entry(units=2, name="dense", **config):
    return entry("Dense", name, units=units, **{"activation": "linear", "use_bias": True, **config})


def sequential_config(*layers):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "sequential", "trainable": True, "dtype": "float32", "layers": list(layers)},
        "registered_name": "Sequential",
        "build_config": {"input_shape": [None, 3]},
    }


def dense_config(*more, **options):
    return sequential_config(input_entry(3), dense_entry(**options), *more)


KERNEL = np.arange(6, dtype="float32").reshape(3, 2)
BIAS = np.ones(2, "float32")


def h5(write, **options):
    """The bytes of an HDF5 file that `write(file)` fills."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        write(file)
    return buffer.getvalue()


def dense_vars(file, kernel=KERNEL, bias=BIAS, path="layers/dense", name="dense"):
    """Write the group of a Dense layer, like Keras 3."""
    group = file.create_group(f"{path}/vars")
    group.attrs["name"] = name
    for number, array in enumerate((kernel, bias)):
        if array is not None:
            group.create_dataset(str(number), data=array)


def dense_weights(**options):
    return h5(lambda file: dense_vars(file, **options))


def text(value):
    return value if isinstance(value, str | bytes) else json.dumps(value)


def zip_of(*members, method=zipfile.ZIP_STORED):
    """A zip with only these members, always the same bytes: a `ZipInfo` has a fixed date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def changed_zip(data, **changed):
    """A `.keras` with other text or bytes in place of its config=, metadata= or weights=."""
    files = {"config": "config.json", "metadata": "metadata.json", "weights": "model.weights.h5"}
    return zip_of(*{**members_of(data), **{files[key]: text(value) for key, value in changed.items()}}.items())


def keras_zip(config=None, weights=None, metadata=METADATA, members=(), method=zipfile.ZIP_STORED):
    """The bytes of a `.keras` file."""
    return zip_of(
        ("metadata.json", text(metadata)),
        ("config.json", text(dense_config() if config is None else config)),
        ("model.weights.h5", dense_weights() if weights is None else weights),
        *members,
        method=method,
    )


def legacy(config=None, layers=(("dense", ("dense/kernel:0", KERNEL), ("dense/bias:0", BIAS)),), change=None):
    """The bytes of a legacy `.h5`."""

    def write(file):
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = text(legacy_config() if config is None else config)
        holder = file.create_group("model_weights")
        holder.attrs["layer_names"] = [name for name, *_ in layers]
        for name, *arrays in layers:
            group = holder.create_group(name)
            group.attrs["weight_names"] = [weight for weight, _ in arrays]
            for weight, array in arrays:
                group.create_dataset(weight, data=array)
        if change:
            change(file)

    return h5(write)


def of_keras_2(class_name, options, arrays=(), shape=(3,), dtype="float32"):
    """(model, params) of a file of Keras 2 with one layer. shape, dtype: of its input."""
    place = {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, *shape], "dtype": dtype}}
    layer = {"class_name": class_name, "config": {"name": "n", "trainable": True, "dtype": "float32", **options}}
    whole = {"class_name": "Sequential", "config": {"name": "s", "layers": [place, layer]}}
    return load_keras(legacy(whole, [("n", *((f"n/{name}:0", value) for name, value in arrays))]))


def legacy_config(**options):
    layers = [
        {"class_name": "Dense", "config": {
            "name": "dense", "trainable": True, "batch_input_shape": [None, 3], "dtype": "float32", "units": 2,
            "activation": "linear", "use_bias": True, **options,
        }},
    ]  # fmt: skip
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}


# --- attacks --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attack:
    """One hostile file. errors: the right types for it."""

    build: Callable[[], bytes]
    errors: tuple[type[ModelFileError], ...]


ATTACKS: dict[str, Attack] = {}


def attack(*errors, name=None):
    """Add a builder to ATTACKS."""

    def add(build):
        ATTACKS[name or build.__name__] = Attack(build, errors)
        return build

    return add


def add(name, build, *errors):
    ATTACKS[name] = Attack(build, errors)


CODE_ERRORS = (UnsafeFile, UnsupportedLayer)


def code(source=PAYLOAD):
    """A Keras 3 Lambda function: marshalled code."""
    return base64.b64encode(marshal.dumps(compile(f"lambda x: {source}", "<x>", "eval"))).decode()


def lambda_value():
    return {"class_name": "__lambda__", "config": {"code": code(), "defaults": None, "closure": None}}


def lambda_entry(**changes):
    return entry("Lambda", "lambda", function=lambda_value(), arguments={}) | changes


def with_config(config, **options):
    return lambda: keras_zip(config() if callable(config) else config, **options)


# CVE-2021-37678: YAML
add("yaml_payload", with_config(f"!!python/object/apply:os.system ['touch {MARKER}']\n"), CorruptFile)
add("yaml_model_config", lambda: legacy(f"!!python/object/apply:os.system ['touch {MARKER}']\n"), CorruptFile)

# CVE-2024-3660, CVE-2026-12481: Lambda, in every position
add("lambda_layer", with_config(lambda: dense_config(lambda_entry())), *CODE_ERRORS)
add("lambda_no_module", with_config(lambda: dense_config(lambda_entry(module=None))), *CODE_ERRORS)
add("lambda_activation", with_config(lambda: dense_config(activation=lambda_value())), *CODE_ERRORS)
add("lambda_activation_list", with_config(lambda: dense_config(activation=[code(), None, None])), *CODE_ERRORS)
add("lambda_activation_layer", with_config(lambda: dense_config(activation=lambda_entry())), *CODE_ERRORS)
add(
    "lambda_in_wrapper",
    with_config(lambda: sequential_config(input_entry(4, 3), entry("TimeDistributed", "td", layer=lambda_entry()))),
    *CODE_ERRORS,
)
add("lambda_in_model", with_config(lambda: dense_config(sequential_config(lambda_entry()))), *CODE_ERRORS)
add(
    "lambda_named_function",
    with_config(lambda: dense_config(entry("Lambda", "l", function="system", module_="os"))),
    *CODE_ERRORS,
)
# CVE-2025-9905: the same in a legacy file
add(
    "lambda_h5",
    lambda: legacy(
        {
            "class_name": "Sequential",
            "config": {
                "name": "s",
                "layers": [
                    {
                        "class_name": "Lambda",
                        "config": {
                            "name": "l",
                            "batch_input_shape": [None, 3],
                            "function": [code(), None, None],
                            "function_type": "lambda",
                        },
                    }
                ],
            },
        }
    ),
    *CODE_ERRORS,
)

# CVE-2025-1550, -8747, -9906, -49655, CVE-2026-1462: modules, functions and classes named by the file
for title, module, class_name, config in [
    ("os_system", "os", "system", {"command": f"touch {MARKER}"}),
    ("import_side_effect", "antigravity", "Dense", {}),
    ("builtin_eval", "builtins", "eval", {"source": PAYLOAD}),
    ("get_file", "keras.utils", "get_file", {"fname": "x", "origin": "file:///etc/passwd"}),
    ("unsafe_switch", "keras.config", "enable_unsafe_deserialization", {}),
    ("torch_wrapper", "keras.layers", "TorchModuleWrapper", {"module": "AAAA"}),
    ("saved_model", "keras.layers", "TFSMLayer", {"filepath": "/nowhere", "call_endpoint": "serve"}),
    ("jax_layer", "keras.layers", "JaxLayer", {"call_fn": "os.system"}),
    ("dunder", "keras.layers", "__class__", {}),
    ("dotted", "keras.layers", "layers.Dense", {}),
]:
    add(
        f"class_{title}",
        with_config(dense_config(entry(class_name, "evil", module) | {"config": {"name": "evil", **config}})),
        *CODE_ERRORS,
    )
    add(
        f"root_{title}",
        with_config({"module": module, "class_name": class_name, "config": config, "registered_name": None}),
        ModelFileError,
    )
add(
    "function_object",
    with_config(
        dense_config(
            activation={
                "module": "builtins",
                "class_name": "function",
                "config": "system",
                "registered_name": "function",
            }
        )
    ),
    *CODE_ERRORS,
)
add("activation_name", with_config(dense_config(activation="os.system")), *CODE_ERRORS)
add("activation_private", with_config(dense_config(activation="__class__")), *CODE_ERRORS)
add(
    "module_spoof",
    with_config(sequential_config(input_entry(3), dense_entry() | {"module": "evil.package"})),
    *CODE_ERRORS,
)
add(
    "registered_name_spoof",
    with_config(sequential_config(input_entry(3), dense_entry() | {"registered_name": "evil>Dense"})),
    *CODE_ERRORS,
)
add(
    "module_of_a_class",
    with_config(sequential_config(input_entry(3), dense_entry() | {"module": "keras.layers.ReLU"})),
    *CODE_ERRORS,
)
add(
    "model_named_false",
    with_config({**dense_config(), "config": {**dense_config()["config"], "name": False}}),
    CorruptFile,
)
add("rnn_of_no_cells", with_config(sequential_config(input_entry(5, 4), entry("RNN", "r", cell=[]))), ModelFileError)


class Touch:
    def __reduce__(self):
        return open, (str(MARKER), "w")


@attack(UnsafeFile)
def npz_pickle():
    buffer = io.BytesIO()
    np.savez(buffer, evil=np.array([Touch()], dtype=object))
    return zip_of(("config.json", json.dumps(dense_config())), ("model.weights.npz", buffer.getvalue()))


add("pickle_as_weights", lambda: keras_zip(weights=pickle.dumps(Touch())), CorruptFile)
add("pickle_alone", lambda: pickle.dumps(Touch()), UnsafeFile)


# CVE-2025-12058: a vocabulary that is a path
def lookup(vocabulary):
    return sequential_config(input_entry(1, dtype="string"), entry("StringLookup", "s", vocabulary=vocabulary))


add("vocabulary_path", with_config(lookup("/etc/passwd")), ModelFileError)
add("vocabulary_url", with_config(lookup("http://localhost/v.txt")), ModelFileError)
add("vocabulary_missing", with_config(lookup(None)), ModelFileError)


add(
    "vocabulary_copies_differ",
    lambda: keras_zip(
        members=[("assets/layers/t/vocabulary.txt", "a\nb"), ("assets/layers/t/_lookup_layer/vocabulary.txt", "b\na")]
    ),
    CorruptFile,
)


# CVE-2026-1669 and its class: bytes and objects from elsewhere
def weights_attack(name, write, *errors, **options):
    add(name, lambda: keras_zip(weights=h5(write, **options)), *errors)
    add(f"{name}_alone", lambda: h5(write, **options), *errors)


def external_storage(file):
    group = file.create_group("layers/dense/vars")
    group.create_dataset("0", (3, 2), "f4", external=[("/etc/passwd", 0, 24)])
    group.create_dataset("1", data=BIAS)


def link_to(link, place="layers/dense"):
    def write(file):
        dense_vars(file, path="hidden/dense")
        file.require_group(place.rpartition("/")[0] or "/")
        file[place] = link

    return write


def virtual_dataset(file):
    dense_vars(file, kernel=None)
    layout = h5py.VirtualLayout(shape=(3, 2), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(3, 2))
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def hard_link_twice(file):
    dense_vars(file)
    file["layers/dense_1"] = file["layers/dense"]


def hard_link_cycle(file):
    dense_vars(file)
    file["layers/dense/layers"] = file["layers"]


def named_type(file):
    file["type"] = np.dtype("f4")
    group = file.create_group("layers/dense/vars")
    group.create_dataset("0", data=KERNEL, dtype=file["type"])


weights_attack("external_storage", external_storage, UnsafeFile)
weights_attack("external_link", link_to(h5py.ExternalLink("other.h5", "/x")), UnsafeFile)
weights_attack("soft_link", link_to(h5py.SoftLink("/hidden/dense")), UnsafeFile)
weights_attack("soft_link_new_format", link_to(h5py.SoftLink("/hidden/dense")), UnsafeFile, libver="latest")
weights_attack("external_link_new_format", link_to(h5py.ExternalLink("o", "/x")), UnsafeFile, libver="latest")
weights_attack("soft_link_to_array", link_to(h5py.SoftLink("/hidden/dense/vars/0"), "layers/vars/0"), UnsafeFile)
weights_attack("soft_link_in_optimizer", link_to(h5py.SoftLink("/hidden"), "optimizer/x"), UnsafeFile)
weights_attack("virtual_dataset", virtual_dataset, UnsafeFile)
weights_attack("hard_link_twice", hard_link_twice, CorruptFile)
weights_attack("hard_link_cycle", hard_link_cycle, CorruptFile)
weights_attack("named_type", named_type, CorruptFile)
add(
    "legacy_soft_link",
    lambda: legacy(change=lambda f: f.__setitem__("model_weights/x", h5py.SoftLink("/"))),
    UnsafeFile,
)


@attack(UnsafeFile)
def legacy_model_weights_link():
    def write(file):
        file.attrs["model_config"] = json.dumps(legacy_config())
        file["model_weights"] = h5py.ExternalLink("/etc/other.h5", "/")

    return h5(write)


def unknown_filter(file):
    dense_vars(file, kernel=None)
    pipeline = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    pipeline.set_chunk((3, 2))
    pipeline.set_filter(40000, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((3, 2))
    h5py.h5d.create(file["layers/dense/vars"].id, b"0", h5py.h5t.IEEE_F32LE, space, pipeline)


weights_attack("filter_plugin", unknown_filter, UnsafeFile)
weights_attack("filter_lzf", lambda f: dense_vars_with(f, compression="lzf"), UnsafeFile)


def dense_vars_with(file, shape=(3, 2), data=KERNEL, dtype="f4", bias=BIAS, **options):
    """Write the group of a Dense layer whose kernel is created with `options`."""
    dense_vars(file, kernel=None, bias=bias)
    made = file["layers/dense/vars"].create_dataset("0", shape, dtype, **options)
    if data is not None:
        made[...] = data


# memory and time
weights_attack("shape_bomb_4EiB", lambda f: dense_vars_with(f, (1 << 30, 1 << 30), None), WeightsMismatch)
weights_attack("shape_bomb_3GiB", lambda f: dense_vars_with(f, (3 << 28, 1), None), WeightsMismatch)
weights_attack(
    "shape_bomb_chunked", lambda f: dense_vars_with(f, (1 << 40, 1 << 20), None, chunks=(64, 64)), LimitExceeded
)
weights_attack(
    "chunk_bomb",
    lambda f: dense_vars_with(f, data=None, chunks=(1 << 14, 1 << 14), maxshape=(None, None), compression="gzip"),
    LimitExceeded,
)
weights_attack("never_written", lambda f: dense_vars_with(f, data=None), WeightsMismatch)
weights_attack("deep_groups", lambda f: f.create_group("/".join("g" * 500)), LimitExceeded)
add("rank_32", lambda: keras_zip(weights=h5(lambda f: dense_vars_with(f, (1,) * 32, np.float32(1)))), WeightsMismatch)


@attack(WeightsMismatch)
def chunks_never_written():
    def write(file):
        dense_vars_with(file, (4, 2), None, chunks=(2, 2))
        file["layers/dense/vars/0"][:2] = 1

    config = sequential_config(input_entry(4), dense_entry())
    return keras_zip(config, h5(write))


def patched(old, new, **options):
    """Weights with a gzip chunk in which the bytes `old` are replaced by `new`, which may be shorter."""
    data = bytearray(h5(lambda f: dense_vars_with(f, chunks=(3, 2), **options)))
    at = data.index(old)
    data[at : at + len(old)] = new.ljust(len(old), b"\0")
    return keras_zip(weights=bytes(data))


GZIPPED = zlib.compress(KERNEL.tobytes(), 9)
add(
    "gzip_chunk_damaged",
    lambda: patched(GZIPPED, b"\xff" * len(GZIPPED), compression="gzip", compression_opts=9),
    CorruptFile,
)
add(
    "gzip_chunk_bomb",
    lambda: patched(GZIPPED, zlib.compress(bytes(3000), 9)[: len(GZIPPED)], compression="gzip", compression_opts=9),
    LimitExceeded,
)
add(
    "gzip_chunk_short",
    lambda: patched(GZIPPED, zlib.compress(bytes(8)), compression="gzip", compression_opts=9),
    CorruptFile,
)
add("gzip_chunk_endless", lambda: patched(GZIPPED, GZIPPED[:5], compression="gzip", compression_opts=9), CorruptFile)


@attack(CorruptFile)
def gzip_chunk_padded():
    """A chunk behind many blocks that hold nothing: a thousand of such took seconds, deflated once more."""

    def write(file):
        dense_vars_with(file, data=None, chunks=(3, 2), compression="gzip")
        file["layers/dense/vars/0"].id.write_direct_chunk((0, 0), GZIPPED[:2] + b"\0\0\0\xff\xff" * 20 + GZIPPED[2:])

    return keras_zip(weights=h5(write))


add("fletcher32_wrong", lambda: patched(KERNEL.tobytes(), (KERNEL + 1).tobytes(), fletcher32=True), CorruptFile)


@attack(LimitExceeded)
def zip_bomb_config():
    return keras_zip(b" " * (17 << 20) + text(dense_config()).encode(), method=zipfile.ZIP_DEFLATED)


@attack(LimitExceeded)
def zip_bomb_weights():
    """Five gigabytes of zeros, declared and deflated in pieces."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    bomb = member("model.weights.h5", deflated, size=5 << 30, method=8)
    return zip_by_hand([member("config.json", b"{}"), bomb])


@attack(LimitExceeded)
def zip_bomb_within_the_total():
    """An eighth of a gigabyte of zeros as weights."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 7)) + packer.flush()
    bomb = member("model.weights.h5", deflated, size=1 << 27, method=8)
    return zip_by_hand([member("config.json", text(dense_config()).encode()), bomb])


weights_attack(
    "packed_array_bomb",
    lambda f: dense_vars_with(f, (1 << 28, 1), None, chunks=(1 << 18, 1), compression="gzip"),
    LimitExceeded,
)


@attack(CorruptFile, WeightsMismatch)
def zip_size_lie():
    """A member that unpacks to more than it declares."""
    whole = dense_weights()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = packer.compress(whole + bytes(1 << 20)) + packer.flush()
    lie = member("model.weights.h5", deflated, size=len(whole), method=8, crc=zlib.crc32(whole))
    return zip_by_hand([member("config.json", text(dense_config()).encode()), lie])


@attack(LimitExceeded)
def zip_bomb_vocabulary():
    return keras_zip(
        members=[(f"assets/{n}/vocabulary.txt", bytes(33 << 20)) for n in "ab"], method=zipfile.ZIP_DEFLATED
    )


add(
    "zip_members_beyond_total",
    lambda: zip_by_hand(
        [member("config.json", b"{}"), *(member(f"m{i}", b"\3\0", size=3 << 30, method=8) for i in range(2))]
    ),
    LimitExceeded,
)


# the zip itself
def member(
    name,
    data,
    *,
    version=20,
    size=None,
    method=0,
    flags=0,
    crc=None,
    offset=None,
    attributes=0,
    local=None,
    stored=None,
):
    """A member for `zip_by_hand`; every field may be wrong."""
    return {
        "name": name if isinstance(name, bytes) else name.encode(), "data": data, "method": method, "flags": flags,
        "version": version,
        "size": len(data) if size is None else size, "crc": zlib.crc32(data) if crc is None else crc,
        "offset": offset, "attributes": attributes, "local": local, "stored": len(data) if stored is None else stored,
    }  # fmt: skip


def zip_by_hand(members, entries=None, tail=b""):
    """A zip with exactly the fields of `members`. entries: members that are only in the list of entries."""
    body, listed = b"", b""
    for m in [*members, *(entries or [])]:
        offset = len(body) if m["offset"] is None else m["offset"]
        extra = b""
        size, stored = m["size"], m["stored"]
        if size >= 1 << 32:
            extra = struct.pack("<HHQ", 1, 8, size)
            size = 0xFFFFFFFF
        fields = (m["version"], m["flags"], m["method"], 0, 0x21, m["crc"], stored, size)
        local = m["local"] if m["local"] is not None else m["name"]
        if m in members:
            body += struct.pack("<4sHHHHHIIIHH", b"PK\3\4", *fields, len(local), 0) + local + m["data"]
        listed += (
            struct.pack(
                "<4sHHHHHHIIIHHHHHII",
                b"PK\1\2",
                20,
                *fields,
                len(m["name"]),
                len(extra),
                0,
                0,
                0,
                m["attributes"],
                offset,
            )
            + m["name"]
            + extra
        )
    count = len(members) + len(entries or [])
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(listed), len(body), len(tail))
    return body + listed + end + tail


def honest_members():
    return [
        member("metadata.json", METADATA.encode()),
        member("config.json", text(dense_config()).encode()),
        member("model.weights.h5", dense_weights()),
    ]


def with_member(name, **fields):
    return lambda: zip_by_hand([*honest_members(), member(name, b"x", **fields)])


for title, name in {
    "parent": "../evil", "absolute": "/etc/evil", "inner_parent": "assets/../../evil", "backslash": "assets\\..\\evil",
    "drive": "C:evil", "nul": "config.json\0.txt", "empty_part": "assets//x", "dot": "./config.json", "empty": "",
}.items():  # fmt: skip
    add(f"zip_name_{title}", with_member(name), UnsafeFile)
add("zip_symlink", with_member("assets/vocabulary.txt", attributes=0o120777 << 16), UnsafeFile)
add("zip_encrypted", with_member("x", flags=1), UnsafeFile)
add("zip_strongly_encrypted", with_member("x", flags=0x41), UnsafeFile)
add("zip_patch", with_member("x", flags=0x20), UnsafeFile)
add("zip_of_a_later_version", with_member("x", version=64), UnsafeFile)
add("zip_duplicate", with_member("config.json"), UnsafeFile)
for title, method in {"bzip2": 12, "lzma": 14, "deflate64": 9, "zstandard": 93}.items():
    add(f"zip_{title}", with_member("x", method=method), UnsafeFile, CorruptFile)
add(
    "zip_bad_crc",
    lambda: zip_by_hand([*honest_members()[:2], member("model.weights.h5", dense_weights(), crc=1)]),
    CorruptFile,
)
add("zip_local_name_differs", with_member("x", local=b"y"), CorruptFile)
add("zip_truncated", lambda: keras_zip()[:-30], CorruptFile)
add("zip_cut_in_half", lambda: keras_zip()[: len(keras_zip()) // 2], CorruptFile)
add("zip_without_config", lambda: zip_of(("model.weights.h5", dense_weights())), CorruptFile)
add("zip_without_weights", lambda: zip_of(("config.json", text(dense_config()))), CorruptFile)
add("zip_empty", lambda: zip_of(), CorruptFile)
add("zip_name_not_utf8", with_member(b"\xff\xfe", flags=0x800), CorruptFile)
add("zip_beyond_the_end", with_member("x", stored=1 << 30, size=1 << 30), CorruptFile, UnsafeFile)
add(
    "zip_list_too_long",
    lambda: b"PK\3\4" + bytes(17 << 20) + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 17 << 20, 4, 0),
    LimitExceeded,
)
add(
    "zip_list_before_the_begin",
    lambda: b"PK\3\4" + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 1 << 20, 4, 0),
    CorruptFile,
)
add(
    "deflated_damage",
    lambda: zip_by_hand([*honest_members()[:2], member("model.weights.h5", b"\xff" * 100, size=4000, method=8)]),
    CorruptFile,
)


add("zip_end_in_the_comment", lambda: zip_by_hand(honest_members(), tail=b"PK\5\6"), CorruptFile)
add("zip_many_members", lambda: zip_of(*((str(n), b"") for n in range(20_000))), LimitExceeded)


@attack(CorruptFile)
def zip_member_into_the_list():
    """Weights whose last four bytes are the first of the list of entries, with a matching checksum."""
    *others, weights = honest_members()
    size, crc = len(weights["data"]) + 4, zlib.crc32(weights["data"] + b"PK\1\2")
    return zip_by_hand([*others, weights | {"size": size, "stored": size, "crc": crc}])


def wide_zip(wide=b"PK\6\6", place=0, disk=0, disks=1):
    """A zip with an end of 64 bits. place: how far it is from where the file says."""
    data = zip_by_hand(honest_members())
    end = data.rindex(b"PK\5\6")
    length, first = struct.unpack_from("<2L", data, end + 12)
    record = struct.pack("<4sQ2H2L4Q", wide, 44, 45, 45, 0, 0, 3, 3, length, first)
    return data[:end] + record + struct.pack("<4sLQL", b"PK\6\7", disk, end + place, disks) + data[end:]


for title, lies in {
    "elsewhere": {"place": -1}, "missing": {"wide": b"PK\6\0"}, "other_disk": {"disk": 1}, "two_disks": {"disks": 2},
}.items():  # fmt: skip
    add(f"zip_wide_end_{title}", lambda lies=lies: wide_zip(**lies), CorruptFile)


@attack(UnsafeFile, CorruptFile)
def zip_overlap():
    """CVE-2024-0450: fifty entries, one body."""
    members = honest_members()
    first = member("assets/0", bytes(1 << 20))
    offset = sum(30 + len(m["name"]) + len(m["data"]) for m in members)
    return zip_by_hand(
        [*members, first], [first | {"name": f"assets/{i}".encode(), "offset": offset} for i in range(1, 9)]
    )


# JSON
add("json_nested", with_config("[" * 100_000 + "]" * 100_000), LimitExceeded)
add("json_nested_objects", with_config('{"a":' * 100_000 + "1" + "}" * 100_000), LimitExceeded)
add("json_huge_integer", with_config('{"a": ' + "9" * 10_000 + "}"), CorruptFile)
add("json_large_integer", with_config('{"a": 99999999999999999999}'), CorruptFile)
add("json_huge_float", with_config('{"a": 1e999}'), CorruptFile)
add("json_nan", with_config('{"a": NaN}'), CorruptFile)
add("json_infinity", with_config('{"a": -Infinity}'), CorruptFile)
add("json_duplicate_keys", with_config('{"a": 1, "a": 2}'), CorruptFile)
add("json_utf16", with_config("{".encode("utf-16") + b"\x00\xd8"), CorruptFile)  # half of a pair
add("json_not_utf8", with_config(b'{"a": "\xff"}'), CorruptFile)
add("json_bom", with_config(b"\xef\xbb\xbf{}"), CorruptFile)
add("json_surrogate", with_config('{"a": "\\ud800"}'), CorruptFile)
add("json_surrogate_key", with_config('{"\\uDFFF": 1}'), CorruptFile)
add("json_open_text", with_config('{"a": "' + "\\" * 99_999), CorruptFile)
add("json_list", with_config("[]"), CorruptFile)
add("json_null", with_config("null"), CorruptFile)
add("json_number", with_config("3"), CorruptFile)
add("json_empty", with_config(""), CorruptFile)
add("json_metadata", lambda: keras_zip(metadata="[]"), CorruptFile)
add("json_version", lambda: keras_zip(metadata='{"keras_version": 3}'), CorruptFile)
add("json_version_long", lambda: keras_zip(metadata=json.dumps({"keras_version": "3" * 1000})), CorruptFile)
for title, value in {
    "empty": {},
    "no_class": {"config": {}},
    "text": "Sequential",
    "no_config": {"class_name": "Sequential"},
    "config_list": {"class_name": "Sequential", "config": []},
    "layers_text": {"class_name": "Sequential", "config": {"layers": "x"}},
    "layer_null": {"class_name": "Sequential", "config": {"name": "s", "layers": [None]}},
    "class_list": {"class_name": ["Sequential"], "config": {}},
}.items():
    add(f"config_{title}", with_config(json.dumps(value)), ModelFileError)

# sizes from the config
for title, units in {
    "huge": 1 << 40,
    "negative": -1,
    "zero": 0,
    "text": "2",
    "float": 2.5,
    "list": [2],
    "bool": True,
}.items():
    add(f"units_{title}", with_config(dense_config(units=units)), ModelFileError)

# wrong answers from a valid-looking file


def changed(**options):
    return lambda: keras_zip(weights=dense_weights(**options))


add("nan", changed(kernel=KERNEL * np.float32("nan")), WeightsMismatch)
add("infinity", changed(bias=np.array([1, np.inf], "f4")), WeightsMismatch)
add("float64_beyond_float32", changed(kernel=np.full((3, 2), 1e300)), WeightsMismatch)
add("complex", changed(kernel=KERNEL.astype("complex64")), WeightsMismatch)
add("integer", changed(kernel=KERNEL.astype("int32")), WeightsMismatch)
add("bool", changed(kernel=KERNEL.astype(bool)), WeightsMismatch)
add("text_array", changed(kernel=np.full((3, 2), b"abcd")), WeightsMismatch)
add("long_text_array", changed(kernel=np.array([["a", "b"]] * 3, dtype=h5py.string_dtype())), WeightsMismatch)
add("transposed", changed(kernel=KERNEL.T), WeightsMismatch)
add("scalar", changed(kernel=np.float32(1)), WeightsMismatch)
add("empty_array", changed(kernel=np.zeros((0, 2), "f4")), WeightsMismatch)
add("null_array", changed(kernel=h5py.Empty("f4")), WeightsMismatch)
add("missing_bias", changed(bias=None), WeightsMismatch)
add("missing_kernel", changed(kernel=None), WeightsMismatch)
add("no_groups", lambda: keras_zip(weights=h5(lambda f: None)), WeightsMismatch)
add("other_layer", changed(path="layers/dense_9"), WeightsMismatch)
add(
    "outside_vars",
    lambda: keras_zip(weights=h5(lambda f: (dense_vars(f), f.create_dataset("x", data=BIAS)))),
    CorruptFile,
)
add(
    "extra_layer",
    lambda: keras_zip(weights=h5(lambda f: (dense_vars(f), dense_vars(f, path="layers/dense_1")))),
    WeightsMismatch,
)
add(
    "extra_array",
    lambda: keras_zip(weights=h5(lambda f: (dense_vars(f), f["layers/dense/vars"].create_dataset("2", data=BIAS)))),
    WeightsMismatch,
)


@attack(WeightsMismatch)
def exchanged_layers():
    """Two layers of the same shape with swapped weights: only the attribute `name` shows it."""
    config = sequential_config(input_entry(2), dense_entry(name="first"), dense_entry(name="second"))
    square = np.eye(2, dtype="f4")

    def write(file):
        dense_vars(file, square, path="layers/dense", name="second")
        dense_vars(file, square * 2, path="layers/dense_1", name="first")

    return keras_zip(config, h5(write))


@attack(WeightsMismatch)
def negative_variance():
    config = sequential_config(input_entry(3), entry("BatchNormalization", "batch_normalization", axis=-1))

    def write(file):
        group = file.create_group("layers/batch_normalization/vars")
        for number, value in enumerate((1, 0, 0, -1)):
            group.create_dataset(str(number), data=np.full(3, value, "f4"))

    return keras_zip(config, h5(write))


# the HDF5 file itself
add("h5_truncated", lambda: keras_zip(weights=dense_weights()[:-40]), CorruptFile)
add("h5_only_signature", lambda: b"\x89HDF\r\n\x1a\n", CorruptFile)
add("h5_zeros", lambda: keras_zip(weights=bytes(5000)), CorruptFile)
add("h5_shifted", lambda: h5(dense_vars, userblock_size=512), CorruptFile)
add(
    "h5_name_number",
    lambda: keras_zip(weights=h5(lambda f: (dense_vars(f), f["layers/dense/vars"].attrs.__setitem__("name", 3)))),
    CorruptFile,
)
add(
    "h5_name_list",
    lambda: keras_zip(
        weights=h5(lambda f: (dense_vars(f), f["layers/dense/vars"].attrs.__setitem__("name", ["a", "b"])))
    ),
    CorruptFile,
)
add(
    "h5_name_not_utf8",
    lambda: keras_zip(
        weights=h5(lambda f: (dense_vars(f), f["layers/dense/vars"].attrs.__setitem__("name", b"\xff\xfe")))
    ),
    CorruptFile,
)

# legacy files
add("legacy_config_list", lambda: legacy("[]"), CorruptFile)
add(
    "legacy_no_layer_names",
    lambda: legacy(change=lambda f: f["model_weights"].attrs.__delitem__("layer_names")),
    CorruptFile,
)
add("legacy_no_weights", lambda: legacy(change=lambda f: f.__delitem__("model_weights")), CorruptFile)
add(
    "legacy_layer_twice",
    lambda: legacy(change=lambda f: f["model_weights"].attrs.__setitem__("layer_names", ["dense", "dense"])),
    CorruptFile,
)
add(
    "legacy_layer_missing",
    lambda: legacy(change=lambda f: f["model_weights"].attrs.__setitem__("layer_names", ["dense", "no/such"])),
    WeightsMismatch,
)
add(
    "legacy_weight_missing",
    lambda: legacy(
        change=lambda f: f["model_weights/dense"].attrs.__setitem__("weight_names", ["dense/kernel:0", "dense/no:0"])
    ),
    WeightsMismatch,
)
add(
    "legacy_weight_deep",
    lambda: legacy(change=lambda f: f["model_weights/dense"].attrs.__setitem__("weight_names", ["../../x/y"])),
    WeightsMismatch,
)
add(
    "legacy_weight_twice",
    lambda: legacy(
        change=lambda f: f["model_weights/dense"].attrs.__setitem__(
            "weight_names", ["dense/kernel:0", "dense/kernel:0"]
        )
    ),
    WeightsMismatch,
)
add(
    "legacy_extra_array",
    lambda: legacy(change=lambda f: f["model_weights"].create_dataset("x", data=BIAS)),
    WeightsMismatch,
)
add(
    "legacy_nan",
    lambda: legacy(layers=[("dense", ("dense/kernel:0", KERNEL * np.float32("nan")), ("dense/bias:0", BIAS))]),
    WeightsMismatch,
)
add(
    "legacy_names_numbers",
    lambda: legacy(change=lambda f: f["model_weights"].attrs.__setitem__("layer_names", [1, 2])),
    CorruptFile,
)
add(
    "legacy_first_layer_null",
    lambda: legacy({"class_name": "Sequential", "config": {"layers": [None, *legacy_config()["config"]["layers"]]}}),
    ModelFileError,
)
add("legacy_no_config", lambda: legacy(change=lambda f: f.attrs.__delitem__("model_config")), UnsupportedLayer)

# not a model at all
for title, data in {
    "nothing": b"", "text": b"hello", "html": b"<!doctype html>", "lfs_pointer": b"version https://git-lfs.github.com",
    "json": b'{"class_name": "Sequential"}', "png": b"\x89PNG\r\n\x1a\n", "zeros": bytes(100), "npy": b"\x93NUMPY",
    "gzip": b"\x1f\x8b\x08\0",
}.items():  # fmt: skip
    add(f"not_a_model_{title}", lambda data=data: data, CorruptFile)


# --- what our own mistakes look like --------------------------------------------------------------------------

MISTAKES = (TypeError, AttributeError, NameError, AssertionError, RuntimeError, StopIteration)


def mistake(error: BaseException | None) -> str:
    """The cause of a typed error that is a bug: an exception that our code did not raise on purpose."""
    while error is not None:
        if isinstance(error, MISTAKES) and error.__traceback__ is not None:
            last = traceback.extract_tb(error.__traceback__)[-1]
            if not (last.line or "").startswith("raise"):
                return f"{last.filename}:{last.lineno}: {type(error).__name__}: {error}"
        error = error.__cause__
    return ""
