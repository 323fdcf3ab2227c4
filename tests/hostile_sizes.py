"""Small files that ask for much work: long, deep, many, huge, repeated. Each must cost no more than its size allows.

`SIZES` has an entry for each file: how to build its bytes, and which errors are right ((): it loads).
"""

import io
import struct
import zipfile

import h5py
import numpy as np

from params.errors import CorruptFile, LimitExceeded, ModelFileError, UnsupportedLayer, WeightsMismatch
from params.file.checksum import checksum
from tests.hostile import (
    Attack,
    dense_config,
    dense_entry,
    dense_vars,
    dense_vars_with,
    dense_weights,
    entry,
    h5,
    honest_members,
    input_entry,
    keras_zip,
    legacy,
    member,
    sequential_config,
    text,
    zip_by_hand,
)

SIZES: dict[str, Attack] = {}
DEFLATED = zipfile.ZIP_DEFLATED
ANY = (ModelFileError,)
EITHER = (ModelFileError, type(None))
"""Refused or loaded: only the cost matters."""
NO_WEIGHTS = h5(lambda file: file.create_group("layers"))
BROKEN = (CorruptFile, LimitExceeded)


def row(name, build, *errors):
    assert name not in SIZES, name
    SIZES[name] = Attack(build, errors)


def packed(config, weights=NO_WEIGHTS, members=()):
    """A deflated `.keras`."""
    return keras_zip(config, weights, members=members, method=DEFLATED)


# --- JSON -----------------------------------------------------------------------------------------------------

TEXTS = {
    "escaped_quotes": '{"a": "' + '\\"' * 60_000,
    "escaped_quotes_closed": '{"a": "' + '\\"' * 60_000 + '"}',
    "backslashes": '{"a": "' + "\\\\" * 60_000,
    "quotes": '"' * 100_000,
    "quotes_in_list": "[" + '"",' * 60_000,
    "open_brackets": "[" * 100_000,
    "close_brackets": "]" * 100_000,
    "pairs_of_brackets": "[]" * 100_000,
    "braces": "{" * 100_000,
    "colons": '{"a"' + ":" * 100_000 + "}",
    "commas": "[" + "," * 100_000 + "]",
    "spaces": " " * 900_000,
    "minus_signs": "[" + "-" * 100_000 + "]",
    "exponents": "[1e" + "9" * 100_000 + "]",
    "digits": "[" + "9" * 100_000 + "]",
    "decimals": "[0." + "9" * 100_000 + "]",
    "unicode_escapes": '{"a": "' + "\\u0041" * 50_000 + '"}',
    "surrogates": '{"a": "' + "\\ud83d\\ude00" * 20_000 + '"}',
    "nan_far_in": "[" + "[1]," * 50_000 + "NaN]",
    "one_long_key": '{"' + "k" * 500_000 + '": 1}',
    "same_key": "{" + '"k": 1,' * 50_000 + '"k": 1}',
    "many_keys": "{" + ",".join(f'"k{n}": 1' for n in range(50_000)) + "}",
}
for name, value in TEXTS.items():
    row(f"json_{name}", lambda value=value: keras_zip(value), *BROKEN)
    row(f"json_{name}_deflated", lambda value=value: packed(value), *BROKEN)
for name, value in TEXTS.items():
    row(f"json_metadata_{name}", lambda value=value: keras_zip(metadata=value), *EITHER)
    row(f"json_legacy_{name}", lambda value=value: legacy(value), *BROKEN)


def spread(values, key):
    """A valid config with many values in a place that no loader reads, or that every walk visits."""
    config = dense_config()
    if key == "compile_config":
        config[key] = values
    elif key == "build_config":
        config["config"]["layers"][1][key] = {"input_shape": [None, 3], "more": values}
    elif key == "initializer":
        config["config"]["layers"][1]["config"]["kernel_initializer"] = {"class_name": "Zeros", "config": values}
    else:
        config["config"]["layers"][1]["config"][key] = values
    return config


MANY = {
    "ones": [1] * 400_000,
    "floats": [1.5] * 200_000,
    "lists": [[]] * 200_000,
    "objects": [{}] * 200_000,
    "texts": ["word"] * 200_000,
    "small_objects": [{"class_name": "A", "config": {}}] * 50_000,
}
for kind, values in MANY.items():
    for key in ("compile_config", "build_config", "initializer", "units", "unknown"):
        row(
            f"json_{kind}_in_{key}",
            lambda values=values, key=key: packed(spread(values, key), dense_weights()),
            *(() if key in ("compile_config", "build_config", "initializer") else ANY),
        )
row("json_too_many_values", lambda: packed(spread([1] * 2_000_000, "compile_config")), LimitExceeded)


def deep(levels, make):
    value = 1
    for _ in range(levels):
        value = make(value)
    return value


for levels in (10, 60, 64, 300):
    row(f"json_{levels}_lists_deep", lambda n=levels: packed(spread(deep(n, lambda v: [v]), "unknown")), *ANY)

# --- models ---------------------------------------------------------------------------------------------------


def call(*sources, **kwargs):
    args = [tensor(source) for source in sources]
    return {"args": args if len(args) < 2 else [args], "kwargs": kwargs}


def tensor(source, number=0, index=0):
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32",
                                                         "keras_history": [source, number, index]}}  # fmt: skip


def functional(layers, outputs, inputs="a"):
    """A Functional model of input `a` (4,) and {name: (entry, its calls)}."""
    listed = [input_entry(4) | {"name": "a", "inbound_nodes": []}]
    listed[0]["config"]["name"] = "a"
    for name, (layer, calls) in layers.items():
        listed.append({**layer, "name": name, "inbound_nodes": calls})
    config = {
        "name": "f", "trainable": True, "layers": listed, "input_layers": [[inputs, 0, 0]],
        "output_layers": [[outputs, 0, 0]],
    }  # fmt: skip
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config,
            "registered_name": "Functional"}  # fmt: skip


def relu(name):
    return entry("ReLU", name)


def chain(count, reverse=False, close=False):
    layers = {f"r{n}": (relu(f"r{n}"), [call(f"r{n - 1}" if n else "a")]) for n in range(count)}
    if close:
        layers["r0"] = (relu("r0"), [call(f"r{count - 1}")])
    if reverse:
        layers = dict(reversed(layers.items()))
    return functional(layers, f"r{count - 1}")


def shuffled(count):
    names = np.random.default_rng(0).permutation(count)
    layers = chain(count)["config"]["layers"]
    model = chain(count)
    model["config"]["layers"] = [layers[0], *(layers[1 + n] for n in names)]
    return model


def called_often(count, constants=False):
    calls = [{"args": [tensor("a" if n == 0 else "r", max(n - 1, 0))], "kwargs": {}} for n in range(count)]
    model = functional({"r": (relu("r"), calls)}, "r")
    model["config"]["output_layers"] = [["r", count - 1, 0]]
    return model


def wide(count):
    layers = {f"r{n}": (relu(f"r{n}"), [call("a")]) for n in range(count)}
    layers["add"] = (entry("Add", "add"), [call(*layers)])
    return functional(layers, "add")


def all_readers_of_all(count):
    """Each layer adds all layers before it: a reference for each pair."""
    layers = {}
    for n in range(count):
        layers[f"r{n}"] = (entry("Add", f"r{n}"), [call("a", "a", *layers)])
    return functional(layers, f"r{count - 1}")


def doubled(times):
    """Each layer joins the one before to itself: sizes of hundreds of digits."""
    layers = {f"r{n}": (entry("Concatenate", f"r{n}"), [call(*[f"r{n - 1}" if n else "a"] * 2)]) for n in range(times)}
    return functional(layers, f"r{times - 1}")


def grids(times):
    """Each layer gives grids of the one before, twelve times: sizes of 12 ** `times` digits."""
    layers = dict[str, tuple[dict, list]]()
    for n in range(times):
        grid = {**entry("Meshgrid", "", "keras.src.ops.numpy"), "config": {"name": f"r{n}"}}
        layers[f"r{n}"] = (grid, [{"args": [tensor(f"r{n - 1}" if n else "a")] * 12, "kwargs": {}}])
    return functional(layers, f"r{times - 1}")


def dangling(**at):
    model = chain(3)
    model["config"]["layers"][2]["inbound_nodes"][0]["args"] = [tensor(**at)]
    return model


def stack(count, reverse=False, module="keras.layers"):
    layers = [entry("ReLU", f"r{n}", module) for n in range(count)]
    return sequential_config(input_entry(4), *layers)


def nested(levels, inner, make):
    layer = inner
    for n in range(levels):
        layer = make(layer, n)
    return sequential_config(input_entry(5, 4), layer)


def bidirectional(layer, n, both=False):
    return entry("Bidirectional", f"b{n}", layer=layer, **({"backward_layer": layer} if both else {}))


LSTM = entry("LSTM", "lstm", units=1)
WRAPPERS = {
    "bidirectional": bidirectional,
    "bidirectional_both": lambda layer, n: bidirectional(layer, n, True) if n < 6 else bidirectional(layer, n),
    "time_distributed": lambda layer, n: entry("TimeDistributed", f"t{n}", layer=layer),
    "spectral_normalization": lambda layer, n: entry("SpectralNormalization", f"s{n}", layer=layer),
    "sequential": lambda layer, n: sequential_config(layer) | {
        "config": {"name": f"s{n}", "layers": [layer]}, "build_config": {}},
    "rnn": lambda layer, n: entry("RNN", f"r{n}", cell=layer),
    "stacked": lambda layer, n: entry("StackedRNNCells", f"c{n}", cells=[layer]),
    "pipeline": lambda layer, n: entry("Pipeline", f"p{n}", layers=[layer]),
    "activation": lambda layer, n: entry("Activation", f"a{n}", activation=layer),
}  # fmt: skip
for name, wrap in WRAPPERS.items():
    for levels in (3, 8, 12, 20, 60):
        inner = dense_entry() if name in ("time_distributed", "spectral_normalization", "sequential") else LSTM
        row(f"deep_{name}_{levels}", lambda n=levels, wrap=wrap, inner=inner: packed(nested(n, inner, wrap)), *ANY)


def laughs(levels, times):
    """A model that calls the model in it several times, and so on for `levels` levels."""
    model = functional({"r": (relu("r"), [call("a")])}, "r")
    for n in range(levels):
        inner = {**model, "config": {**model["config"], "name": f"m{n}"}}
        calls = [call("a"), *({"args": [tensor(f"m{n}", k)], "kwargs": {}} for k in range(times - 1))]
        model = functional({f"m{n}": (inner, calls)}, f"m{n}")
        model["config"]["output_layers"] = [[f"m{n}", times - 1, 0]]
    return model


row("laughs_4096", lambda: packed(laughs(6, 4)))
row("laughs_a_million", lambda: packed(laughs(10, 4)), LimitExceeded)
row("laughs_in_wrappers", lambda: packed(nested(
    1, laughs(10, 4), lambda layer, n: entry("TimeDistributed", "t", layer=layer))), LimitExceeded)  # fmt: skip
row("chain_of_2000", lambda: packed(chain(2000)))
row("chain_of_2000_reversed", lambda: packed(chain(2000, reverse=True)))
row("chain_of_2000_shuffled", lambda: packed(shuffled(2000)))
row("chain_of_5500", lambda: packed(chain(5500)))
row("chain_of_5500_reversed", lambda: packed(chain(5500, reverse=True)))
row("cycle_of_5000", lambda: packed(chain(5000, close=True)), CorruptFile)
row("cycle_of_5000_reversed", lambda: packed(chain(5000, True, True)), CorruptFile)
row("reads_itself", lambda: packed(chain(1, close=True)), CorruptFile)
row("called_2000_times", lambda: packed(called_often(2000)))
row("called_10000_times", lambda: packed(called_often(10_000)))
row("sum_of_5000", lambda: packed(wide(5000)))
row("sums_of_all_before", lambda: packed(all_readers_of_all(150)))
row("sizes_doubled_1500_times", lambda: packed(doubled(1500)), LimitExceeded)
row("sizes_of_grids", lambda: packed(grids(12)), LimitExceeded)
row("sequential_of_2000", lambda: packed(stack(2000)))
row("sequential_of_5900", lambda: packed(stack(5900)))
row("sequential_of_11000", lambda: packed(stack(11_000)), LimitExceeded)
row(
    "sequential_of_2900_wrappers",
    lambda: packed(
        sequential_config(input_entry(5, 4), *[entry("TimeDistributed", f"t{n}", layer=relu("r")) for n in range(2900)])
    ),
)
row(
    "sequential_of_5000_wrappers",
    lambda: packed(
        sequential_config(input_entry(5, 4), *[entry("TimeDistributed", f"t{n}", layer=relu("r")) for n in range(5000)])
    ),
    LimitExceeded,
)
row("sequential_of_40000", lambda: packed(stack(40_000)), LimitExceeded)
row("20000_cells", lambda: packed(sequential_config(
    input_entry(5, 4), entry("RNN", "r", cell=[entry("LSTMCell", "c", units=1)] * 20_000))), LimitExceeded)  # fmt: skip
row("sequential_of_one_name", lambda: packed(sequential_config(*[relu("r")] * 5900)), CorruptFile)
row("dangling_layer", lambda: packed(dangling(source="ghost")), CorruptFile)
row("dangling_call", lambda: packed(dangling(source="r0", number=7)), CorruptFile)
row("dangling_call_huge", lambda: packed(dangling(source="r0", number=10**9)), CorruptFile)
row("dangling_output", lambda: packed(dangling(source="r0", index=5)), CorruptFile)
row("dangling_output_huge", lambda: packed(dangling(source="r0", index=10**9)), CorruptFile)


def many_outputs(count, readers):
    return functional(
        {
            "split": (
                {**entry("Split", "split", "keras.src.ops.numpy"), "config": {
                    "name": "split", "indices_or_sections": [min(n, 4) for n in range(count)], "axis": 1}},
                [call("a")],
            ),
            **{f"r{n}": (relu(f"r{n}"), [{"args": [tensor("split", 0, n % count)], "kwargs": {}}])
               for n in range(readers)},
        },
        "r0",
    )  # fmt: skip


row("outputs_2000_read_2000_times", lambda: packed(many_outputs(2000, 2000)))


def outputs_of_calls(outputs, calls):
    """A model of one layer that lists its output many times, called many times."""
    inner = functional({"r": (relu("r"), [call("a")])}, "r")
    inner["config"].update(name="m", output_layers=[["r", 0, 0]] * outputs)
    model = functional({"m": (inner, [call("a")] * calls)}, "m")
    model["config"]["output_layers"] = [["m", 1, 0]]
    return model


def cells_of_calls(cells, calls):
    """A recurrent layer of many cells, called many times."""
    cell = [entry("SimpleRNNCell", f"c{n}", units=4) for n in range(cells)]
    return functional({"r": (entry("RNN", "r", cell=cell), [call("a")] * calls)}, "r")


def losses_of_a_model(deep, losses):
    """Losses that all look for what the sigmoid at the end of one model was given, each through casts."""
    inner = chain(deep)
    inner["config"]["layers"][-1].update(entry("Activation", f"r{deep - 1}", activation="sigmoid"))
    inner["config"]["name"] = "m"
    cast = {**entry("Cast", "", "keras.src.ops.core"), "config": {"dtype": "float32"}}
    loss = entry("BinaryCrossentropy", "", "keras.src.ops.nn")
    layers = {"m": (inner, [call("a")])}
    for n in range(losses):
        layers[f"c{n}"] = ({**cast, "config": {"name": f"c{n}", "dtype": "float32"}}, [call(f"c{n - 1}" if n else "m")])
        said = {**loss, "config": {"name": f"l{n}", "from_logits": False}}
        layers[f"l{n}"] = (said, [{"args": [tensor("a"), tensor(f"c{n}")], "kwargs": {}}])
    return functional(layers, f"l{losses - 1}")


def masks_of_inputs(inputs, readers):
    """A sum of many inputs, masked, which a chain of layers reads: each depends on all inputs."""
    layers = {"mask": (entry("Masking", "mask", mask_value=0.0), [call("a")])}
    listed = [input_entry(4) | {"name": f"a{n}", "inbound_nodes": []} for n in range(inputs)]
    for n, item in enumerate(listed):
        item["config"]["name"] = f"a{n}"
    layers["r"] = (entry("Add", "r"), [call("mask", *[f"a{n}" for n in range(inputs)])])
    layers |= {f"r{n}": (relu(f"r{n}"), [call(f"r{n - 1}" if n else "r")]) for n in range(readers)}
    model = functional(layers, f"r{readers - 1}")
    model["config"]["layers"] += listed
    model["config"]["input_layers"] = [[name, 0, 0] for name in ("a", *[f"a{n}" for n in range(inputs)])]
    return model


row("outputs_20000_of_3000_calls", lambda: packed(outputs_of_calls(20_000, 3000)), LimitExceeded)
row("cells_1000_of_1000_calls", lambda: packed(cells_of_calls(1000, 1000)), LimitExceeded)
row("losses_of_a_deep_model", lambda: packed(losses_of_a_model(2500, 800)))
row(
    "masks_of_3000_inputs",
    lambda: keras_zip(masks_of_inputs(3000, 2500), NO_WEIGHTS, {"keras_version": "3.3.3"}, method=DEFLATED),
)


def legacy_stack(count):
    layers = [
        {"class_name": "Dense", "config": {"name": f"d{n}", "units": 1, "trainable": True, "dtype": "float32",
                                           **({"batch_input_shape": [None, 1]} if n == 0 else {})}}
        for n in range(count)
    ]  # fmt: skip
    arrays = [(f"d{n}", (f"d{n}/kernel:0", np.ones((1, 1), "f4")), (f"d{n}/bias:0", np.ones(1, "f4")))
              for n in range(count)]  # fmt: skip
    return legacy({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}, arrays)


row("legacy_of_500_layers", lambda: legacy_stack(500))


def shared(count):
    """One shared layer in `count` nested models."""
    inner = dense_entry(3) | {"shared_object_id": 1}
    models = [
        {**sequential_config(input_entry(3), inner), "config": {"name": f"m{n}", "layers": [input_entry(3), inner]}}
        for n in range(count)
    ]
    return sequential_config(input_entry(3), *models)


row("shared_by_500_models", lambda: packed(shared(500)), *ANY)

# --- vocabularies ---------------------------------------------------------------------------------------------


def lookup_model(class_name="StringLookup", **options):
    dtype = "int64" if class_name == "IntegerLookup" else "string"
    return sequential_config(input_entry(1, dtype=dtype), entry(class_name, "look", **options))


def vocabulary_file(data, class_name="StringLookup", **options):
    folder = {"StringLookup": "string_lookup", "IntegerLookup": "integer_lookup"}.get(class_name, "text_vectorization")
    return packed(lookup_model(class_name, **options), members=[(f"assets/layers/{folder}/vocabulary.txt", data)])


for name, data in {
    "newlines": b"\n" * 8_000_000,
    "windows_newlines": b"\r\n" * 4_000_000,
    "special_then_newlines": b"[UNK]" + b"\n" * 8_000_000,
    "one_word_often": b"[UNK]\n" + b"word\n" * 1_000_000,
    "two_words_often": b"[UNK]\n" + b"a\nb\n" * 1_000_000,
    "one_long_word": b"[UNK]\n" + b"w" * 8_000_000,
    "period": b"[UNK]\n" + b"\n".join(b"%d" % n for n in range(5000)) * 100,
    "zeros": bytes(8_000_000),
}.items():
    row(f"vocabulary_{name}", lambda data=data: vocabulary_file(data), *(() if name == "one_long_word" else ANY))
    row(f"vocabulary_text_{name}", lambda data=data: vocabulary_file(data, "TextVectorization"), *ANY)
    row(f"vocabulary_integer_{name}", lambda data=data: vocabulary_file(data, "IntegerLookup"), *ANY)
row("vocabulary_of_100000", lambda: vocabulary_file("\n".join(["[UNK]", *(f"w{n}" for n in range(100_000))])))
for value in (10**5, 10**7, 10**9, 2**62):
    row(f"num_oov_indices_{value}", lambda value=value: packed(lookup_model(num_oov_indices=value, vocabulary=["a"])),
        *(() if value == 10**5 else ANY))  # fmt: skip
    row(f"max_tokens_{value}", lambda value=value: packed(lookup_model(max_tokens=value, vocabulary=["a"])))
    row(
        f"max_tokens_padded_{value}",
        lambda value=value: packed(lookup_model(
            max_tokens=value, vocabulary=["a"], output_mode="tf_idf", idf_weights=[1.0], pad_to_max_tokens=True)),
        *(() if value < 10**9 else ANY),
    )  # fmt: skip
    row(f"vocabulary_of_the_number_{value}", lambda value=value: packed(lookup_model(vocabulary=[value])), *ANY)
row(
    "discretization_of_200000",
    lambda: packed(sequential_config(input_entry(1), entry("Discretization", "d", bin_boundaries=[*range(200_000)]))),
)
row(
    "discretization_of_floats",
    lambda: packed(sequential_config(input_entry(1), entry("Discretization", "d", bin_boundaries=[0.5] * 200_000))),
    *EITHER,
)

# --- containers -----------------------------------------------------------------------------------------------


def many_members(count, name="m{}"):
    return [member(name.format(n), b"") for n in range(count)]


row("zip_5000_members", lambda: zip_by_hand([*honest_members(), *many_members(5000)]))
row("zip_30000_members", lambda: big_zip(30_000), LimitExceeded)
row("zip_5000_vocabularies", lambda: zip_by_hand(
    [*honest_members(), *many_members(5000, "assets/m{}/vocabulary.txt")]))  # fmt: skip
row("zip_long_names", lambda: zip_by_hand([*honest_members(), *many_members(14, "n" * 60_000 + "{}")]))


def big_zip(count):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", text(dense_config()))
        for n in range(count):
            archive.writestr(zipfile.ZipInfo(f"{n}"), b"")
    return buffer.getvalue()


def chunked(count, chunk=(1 << 18,)):
    """Biases of one number, each in a compressed chunk of a megabyte."""

    def write(file):
        for n in range(count):
            vars_ = file.create_group("layers/" + (f"dense_{n}" if n else "dense") + "/vars")
            vars_.create_dataset("0", data=np.ones((1, 1), "f4"))
            vars_.create_dataset("1", data=np.ones(1, "f4"), chunks=chunk, maxshape=(None,), compression="gzip")

    layers = [dense_entry(1, f"d{n}") for n in range(count)]
    return packed(sequential_config(input_entry(1), *layers), h5(write))


row("h5_50_large_chunks", lambda: chunked(50))
row("h5_500_large_chunks", lambda: chunked(500), LimitExceeded)
row("h5_large_chunk_unpacked", lambda: chunked(1, (1 << 22,)), LimitExceeded)


def of_zeros(rows, method=DEFLATED, **options):
    """A Dense layer whose kernel is rows of 4,096 bytes of zeros, in compressed chunks."""
    kernel = np.zeros((rows, 1024), "f4")
    options = {"compression": "gzip", "bias": np.ones(1024, "f4"), **options}
    config = sequential_config(input_entry(rows), dense_entry(1024))
    return keras_zip(config, h5(lambda f: dense_vars_with(f, kernel.shape, kernel, **options)), method=method)


row("h5_zeros_packed", lambda: of_zeros(1 << 15, zipfile.ZIP_STORED, chunks=(1 << 11, 1024)), LimitExceeded)
row("h5_zeros_packed_twice", lambda: of_zeros(50_000, chunks=(1 << 9, 512)), LimitExceeded)
row("h5_zeros_in_one_chunk", lambda: of_zeros(1 << 13, chunks=(1 << 15, 1024), maxshape=(None, 1024)), LimitExceeded)


def checked_first():
    """Zeros in one chunk of 60 MiB, whose checksum is taken before compression."""
    filters = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    filters.set_fletcher32()
    return of_zeros(15_000, chunks=(15_000, 1024), dcpl=filters)


row("h5_zeros_with_a_checksum", checked_first)


def with_groups(make):
    return keras_zip(weights=h5(lambda file: (dense_vars(file), make(file))))


def deep_groups(file, levels):
    group = file
    for _ in range(levels):
        group = group.create_group("g")


def long_paths(file, fan):
    """Nested groups with names of 4,000 letters above many groups: the path of each of those has all of these names."""
    group = file
    for _ in range(60):
        group = group.create_group("n" * 4000)
    for n in range(fan):
        group.create_group(str(n))


def links_in_one_another(count, text=900_000):
    """A group whose links overlap in a fractal heap: the name of each is the rest of the heap."""

    def guarded(data):
        return data + struct.pack("<I", checksum(data))

    head, size, nothing = 17, 1 << 20, (1 << 64) - 1  # bytes before the links, of their block; the address of nothing
    links, ids = bytearray(b"a" * text + struct.pack("<Q", 48)), []
    for at in range(0, text - 16, text // count):
        length = struct.pack("<I", text - at - 6)
        if max(length) < 128 and b"/" not in length:
            links[at : at + 6] = b"\1\2" + length
            ids.append(struct.pack("<4xBI3s", 0, head + at, (len(links) - at).to_bytes(3, "little")))
    block = (b"FHDB" + struct.pack("<BQI", 0, 48, 0) + bytes(links)).ljust(size, b"\0")
    leaf = guarded(b"BTLF\0\5" + b"".join(ids))
    places = np.cumsum([48, 146, len(block), len(leaf), 38]).tolist()
    heap = b"FRHP" + struct.pack("<BHHBIQQ80xHQQHHQH", 0, 8, 0, 0, 1 << 26, 0, nothing,
                                 4, size, size, 32, 0, places[1], 0)  # fmt: skip
    tree = b"BTHD" + struct.pack("<BBIHHBBQHQ", 0, 5, size, 12, 0, 100, 40, places[2], len(ids), len(ids))
    root = b"OHDR\2\2" + struct.pack("<IBHBBBQQ", 22, 2, 18, 0, 0, 0, places[0], places[3])
    end = places[4] + len(root) + 4
    start = b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBB4Q", 2, 8, 8, 0, 0, nothing, end, places[4])
    return b"".join([guarded(start), guarded(heap), block, leaf, guarded(tree), guarded(root)])


row("h5_long_paths", lambda: packed(dense_config(), h5(lambda f: long_paths(f, 3000))), LimitExceeded)
row("h5_links_in_one_another", lambda: packed(dense_config(), links_in_one_another(20_000)), LimitExceeded)
row("h5_2000_groups", lambda: with_groups(lambda f: [f.create_group(f"g{n}") for n in range(2000)]), *EITHER)
row("h5_60_groups_deep", lambda: with_groups(lambda f: deep_groups(f, 60)), *EITHER)
row("h5_500_groups_deep", lambda: with_groups(lambda f: deep_groups(f, 500)), *ANY)
row("h5_2000_attributes", lambda: with_groups(lambda f: [f.attrs.create(f"a{n}", n) for n in range(2000)]), *EITHER)
row("h5_2000_arrays", lambda: with_groups(
    lambda f: [f.create_dataset(f"layers/x/vars/{n}", data=np.ones(1)) for n in range(2000)]), *ANY)  # fmt: skip
row("h5_rank_32", lambda: with_groups(lambda f: f.create_dataset("layers/x/vars/0", data=np.ones((1,) * 32))), *ANY)
row("h5_zero_sized", lambda: with_groups(
    lambda f: f.create_dataset("layers/x/vars/0", shape=(0, 1 << 40), dtype="f4")), *EITHER)  # fmt: skip
row("h5_long_attribute", lambda: keras_zip(weights=h5(
    lambda f: (dense_vars(f), f["layers/dense/vars"].attrs.__setitem__("name", "n" * 60_000)))), *EITHER)  # fmt: skip
row(
    "h5_long_list_of_layers",
    lambda: legacy(change=lambda f: f["model_weights"].attrs.__setitem__("layer_names", [f"l{n}" for n in range(900)])),
    WeightsMismatch,
)
row("h5_text_of_a_megabyte", lambda: legacy(
    change=lambda f: f.attrs.create("model_config", "[" * 900_000, dtype=h5py.string_dtype())), *BROKEN)  # fmt: skip
row("unsupported_in_the_end", lambda: packed(sequential_config(
    input_entry(4), *[relu(f"r{n}") for n in range(3000)], entry("Lambda", "l"))), UnsupportedLayer)  # fmt: skip
row("activation_long", lambda: packed(dense_config(activation="a" * 500_000)), *ANY)
row("name_long", lambda: packed(dense_config(relu("n" * 500_000))), *ANY)
row("class_name_long", lambda: packed(dense_config(entry("N" * 500_000, "n"))), *ANY)
row("dtype_long", lambda: packed(dense_config(dtype="d" * 500_000)), *ANY)
row("einsum_long", lambda: packed(sequential_config(
    input_entry(4), entry("EinsumDense", "e", equation="a" * 100_000, output_shape=[1]))), *ANY)  # fmt: skip
row("shape_long", lambda: packed(sequential_config(input_entry(*[1] * 50_000), relu("r"))), *EITHER)
row("outputs_of_many_axes", lambda: packed(sequential_config(input_entry(*[2] * 300), relu("r"))), LimitExceeded)
row("reshape_to_100_axes", lambda: packed(sequential_config(
    input_entry(1), entry("Reshape", "r", target_shape=[1] * 100))), LimitExceeded)  # fmt: skip
row("reshape_long", lambda: packed(sequential_config(
    input_entry(1), entry("Reshape", "r", target_shape=[1] * 50_000))), *EITHER)  # fmt: skip


def literal_model(value):
    add = {**entry("Add", "add", "keras.src.ops.numpy"), "config": {"name": "add"}}
    literal = {"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}}
    return functional({"add": (add, [{"args": [tensor("a"), literal], "kwargs": {}}])}, "add")


row("numpy_literal_deep", lambda: packed(literal_model(deep(30, lambda v: [v]))), *EITHER)
row("numpy_literal_of_100000", lambda: packed(literal_model([[1.5] * 4] * 25_000)), *EITHER)
row("numpy_literal_ragged", lambda: packed(literal_model([[1] * n for n in range(300)])), *ANY)
row("numpy_literal_of_texts", lambda: packed(literal_model(["1"] * 4)), *EITHER)
row("numpy_literal_of_objects", lambda: packed(literal_model([{}] * 4)), *ANY)
