"""Models drawn at random from the rows of the sweep: layers with several options each, one after the other, with masks,
states, flags in calls, shared, wrapped, nested and repeated layers, merges, operators, several inputs, and policies.

A step that this Keras cannot make is drawn again, so the same draws serve every version.
"""

import numpy as np
from recording import KERAS_2, keras
from sweep_rows import BATCH, ROWS, layer_class, made

L = keras.layers
LARGEST = 1500
"""The most numbers of one row in a tensor; beyond, no step follows."""
TRIES = 12
MERGES = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate")
QUIET = ("Activity", "Alpha", "Dropout", "Gaussian", "Random", "Spatial", "Identity")
"""Layers that mostly do nothing at inference: drawn less often."""
RECURRENT = ("SimpleRNN", "LSTM", "GRU")
POLICIES = ("float32",) * 12 + ("mixed_float16", "mixed_bfloat16", "float64", "float16")


def flat(tensors):
    if isinstance(tensors, dict):
        tensors = [tensors[key] for key in sorted(tensors)]
    return [one for tensor in tensors for one in flat(tensor)] if isinstance(tensors, (list, tuple)) else [tensors]


def size(x):
    """How many numbers one row has, without axes of unknown size."""
    return int(np.prod([n or 1 for n in x.shape[1:]]))


class Drawing:
    """A growing model: its inputs with their values, and what was drawn, in words."""

    def __init__(self, rng, feed, batch=None, depth=0):
        self.rng, self.feed, self.batch, self.depth = rng, feed, batch, depth
        self.inputs, self.values, self.words, self.extras, self.adapts = [], [], [], [], False
        self.known = [name for name in ROWS if ROWS[name] and isinstance(layer_class(name), type)]

    def chance(self, share):
        return self.rng.random() < share

    # --- inputs ---

    def input(self, value):
        kind = "string" if value.dtype.kind == "U" else value.dtype.name
        x = L.Input(value.shape[1:], dtype=kind, **({"batch_size": self.batch} if self.batch else {}))
        self.inputs.append(x)
        self.values.append(value)
        return x

    def start(self):
        """The result of `begin`, drawn until this Keras can make it."""
        counts = [len(part) for part in (self.inputs, self.values, self.words, self.extras)]
        while True:
            try:
                return self.begin()
            except Exception:  # whatever this Keras says to what it cannot make
                for part, count in zip((self.inputs, self.values, self.words, self.extras), counts):
                    del part[count:]

    def begin(self):
        """A first tensor: the input or the output of a drawn layer, or a sequence that may have a mask."""
        kind = self.rng.choice(("row", "row", "ids", "gaps", "floats"))
        if kind == "ids":
            self.words.append("ids")
            x = self.input(self.rng.choice((IDS, IDS[:, :5])))
            return L.Embedding(10, self.rng.choice((3, 4)), mask_zero=self.chance(0.7))(x)
        if kind == "gaps":
            self.words.append("gaps")
            return L.Masking()(self.input(GAPS))
        while True:
            name = self.rng.choice(self.known)
            row = self.rng.choice(ROWS[name])
            if row.batch is None or row.batch == self.batch:
                break
        if kind == "floats":
            return self.input(self.feed(row)[0])
        values = self.feed(row)
        layer = self.make(name, row)
        if row.feed.startswith("adapt") or (row.feed == "texts" and "vocabulary" not in row.always):
            layer.adapt(values[0])
        self.adapts = self.adapts or not row.redraws
        return self.keep(self.called(layer, row, [self.input(value) for value in values]))

    # --- layers ---

    def make(self, name, row):
        """A layer of the row with several of its options."""
        keys = [key for key, choices in row.options.items() if choices]
        keys = self.rng.sample(keys, self.rng.randint(0, min(len(keys), 5)))
        options = {key: self.rng.choice(row.options[key]) for key in keys}
        if self.chance(0.03):
            options["dtype"] = self.rng.choice(POLICIES)
        layer = layer_class(name)(**{key: made(value) for key, value in dict(row.always, **options).items()})
        self.words.append(f"{name}({', '.join(f'{key}={made(value)!r:.40}' for key, value in options.items())})")
        return layer

    def called(self, layer, row, tensors):
        live = not KERAS_2 or "Norm" in type(layer).__name__  # in Keras 2 dropout then draws numbers
        flags = {"training": live and self.chance(0.5)} if self.chance(0.1) else {}
        if row.call:
            return row.call(layer)(tensors)
        return layer(tensors if len(tensors) > 1 else tensors[0], **flags)

    def keep(self, results):
        """One of the results; the others become outputs."""
        first, *others = flat(results)
        self.extras += others
        return first

    def fitting(self, rank):
        """(name, row) of a layer for tensors of this rank, batch counted."""
        while True:
            name = self.rng.choice(self.known)
            row = self.rng.choice(ROWS[name])
            if name.startswith(QUIET) and self.chance(0.8):
                continue
            fits = len(row.shapes) == 1 and len(row.shapes[0]) == rank - 1 and row.feed in ("float", "image", "gaps")
            if fits and row.batch in (None, self.batch):
                return name, row

    # --- steps: tensor -> tensor ---

    def layer(self, x):
        if str(getattr(x.dtype, "name", x.dtype)).startswith(("int", "bool", "uint")):
            return L.Embedding(40, 3, mask_zero=self.chance(0.5))(x)
        name, row = self.fitting(len(x.shape))
        return self.keep(self.called(self.make(name, row), row, [x]))

    def repeated(self, x):
        """One layer on several tensors, or on its own output."""
        name, row = self.fitting(len(x.shape))
        layer = self.make(name, row)
        first = self.keep(self.called(layer, row, [x]))
        if tuple(first.shape) == tuple(x.shape) and self.chance(0.5):
            self.words.append("again")
            return self.keep(self.called(layer, row, [first]))
        self.words.append("shared")
        second = self.keep(self.called(layer, row, [L.Activation("tanh")(x)]))
        return self.merge(first, second)

    def merge(self, *tensors):
        name = self.rng.choice(MERGES)
        options = {"axis": self.rng.choice((-1, 1))} if name == "Concatenate" else {}
        tensors = tensors[:2] if name == "Subtract" else tensors
        self.words.append(f"{name}{options}")
        return getattr(L, name)(**options)(list(tensors))

    def branched(self, x):
        """The output of a step, merged with its input or with another step on that."""
        first = self.step(x)
        second = x if self.chance(0.5) else self.step(x)
        if tuple(first.shape) != tuple(second.shape):
            first, second = L.Flatten()(first), L.Flatten()(second)
            return L.Concatenate()([first, second])
        return self.merge(first, second, *([first] if self.chance(0.2) else []))

    def recurrent(self, name, **more):
        options = {"return_sequences": self.chance(0.6), "return_state": self.chance(0.3)}
        rows = [row for row in ROWS[name] if row.batch is None]
        keys = [key for key in rows[0].options if key not in ("return_sequences", "return_state", "time_major")]
        for key in self.rng.sample(keys, self.rng.randint(0, 5)):
            options[key] = made(self.rng.choice(rows[0].options[key]))
        options.update(more)
        layer = layer_class(name)(3, **options)
        self.words.append(f"{name}({', '.join(f'{key}={value!r:.40}' for key, value in options.items())})")
        return layer

    def with_states(self, x):
        """A recurrent layer with initial states, or an explicit mask, or both."""
        name = self.rng.choice(RECURRENT)
        options = {}
        if self.chance(0.7):
            states = [L.Dense(3)(L.GlobalMaxPooling1D()(x)) for _ in range(2 if name == "LSTM" else 1)]
            options["initial_state"] = states if name == "LSTM" or self.chance(0.5) else states[0]
        if not options or self.chance(0.4):
            options["mask"] = x[:, :, 0] > -0.3
        self.words.append("called with " + " and ".join(options))
        return self.keep(self.recurrent(name)(x, **options))

    def both_ways(self, x):
        options = {"merge_mode": self.rng.choice(("concat", "sum", "mul", "ave", None))}
        layer = self.recurrent(self.rng.choice(RECURRENT), go_backwards=False)
        if self.chance(0.2):
            options["backward_layer"] = type(layer).from_config(
                dict(layer.get_config(), go_backwards=True, name="backwards", activation="relu")
            )
        self.words.append(f"both ways {options}")
        return self.keep(L.Bidirectional(layer, **options)(x))

    def encoder_decoder(self, x):
        name = self.rng.choice(RECURRENT)
        _, *states = self.recurrent(name, return_state=True)(x)
        target = x if self.chance(0.5) else L.Dense(4)(x)
        self.words.append("states to")
        return self.keep(self.recurrent(name)(target, initial_state=states))

    def attention(self, x):
        other = L.Activation("tanh")(x) if self.chance(0.3) else self.step(x) if self.chance(0.5) else x
        if len(other.shape) != 3:
            other = x
        name = self.rng.choice(("MultiHeadAttention", "MultiHeadAttention", "Attention", "AdditiveAttention"))
        row = ROWS[name][0]
        layer = self.make(name, row)
        flags = {"use_causal_mask": True} if self.chance(0.2) else {}
        if name == "MultiHeadAttention":
            if self.chance(0.2):
                flags["attention_mask"] = np.tril(np.ones((1, x.shape[1], other.shape[1]), bool))
            return layer(*self.rng.choice(((x, other), (x, other, x), (other, x))), **flags)
        return layer([x, other], **flags)

    def distributed(self, x):
        name, row = self.fitting(len(x.shape) - 1)
        self.words.append("distributed")
        return self.keep(L.TimeDistributed(self.make(name, row))(x))

    def nested(self, x):
        """A model, called once to three times, a Sequential half the time it can be."""
        inner = Drawing(self.rng, self.feed, self.batch, self.depth + 1)
        begin = L.Input(x.shape[1:], dtype=x.dtype, **({"batch_size": self.batch} if self.batch else {}))
        end = inner.grow(begin, self.rng.randint(1, 3))
        model = keras.Model(begin, [end, *inner.extras] if inner.extras else end)
        self.words.append("nested[" + " > ".join(inner.words) + "]")
        if self.chance(0.2) and len(x.shape) > 2 and not inner.extras:
            self.words.append("distributed")
            return L.TimeDistributed(keras.Sequential([L.Dense(3), L.BatchNormalization()]))(x)
        results = [self.keep(model(x))]
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            self.words.append("called again")
            results.append(self.keep(model(L.Activation("tanh")(x))))
        return self.merge(*results) if len(results) > 1 else results[0]

    def stacked(self, x):
        """A Sequential inside the model."""
        layers = []
        for _ in range(self.rng.randint(1, 3)):
            name, row = self.fitting(len(x.shape))
            if row.call is None:
                layers.append(self.make(name, row))
        self.words.append(f"the last {len(layers)} in a Sequential")
        model = keras.Sequential(layers)
        y = model(x)
        return self.merge(y, model(L.Activation("tanh")(x))) if self.chance(0.3) else y

    def operators(self, x):
        name = self.rng.choice(sorted(OPERATORS))
        self.words.append(name)
        return OPERATORS[name](x)

    # --- growing ---

    def step(self, x):
        """The tensor after a step that this Keras can make and whose result is not too large."""
        steps = [self.layer] * 6 + [self.repeated, self.branched, self.operators, self.stacked]
        if self.depth < 2:
            steps.append(self.nested)
        if len(x.shape) == 3:
            steps += [self.with_states, self.both_ways, self.attention, self.encoder_decoder, self.layer]
        if len(x.shape) > 2:
            steps.append(self.distributed)
        for _ in range(TRIES):
            words, extras = len(self.words), len(self.extras)
            try:
                y = self.rng.choice(steps)(x)
                if hasattr(y, "shape") and None not in tuple(y.shape[1:]) and 0 < size(y) <= LARGEST:
                    return y
            except Exception:  # whatever this Keras says to what it cannot make
                pass
            del self.words[words:], self.extras[extras:]
        return x

    def grow(self, x, steps):
        for _ in range(steps):
            x = self.step(x)
        return x


def ops_of(name):
    """A function of keras.ops, or of TensorFlow, as in files of Keras 2."""
    if not KERAS_2:
        return getattr(keras.ops, name)
    import tensorflow as tf

    return {
        "concatenate": tf.concat,
        "mean": tf.reduce_mean,
        "max": tf.reduce_max,
        "sum": tf.reduce_sum,
        "clip": tf.clip_by_value,
        "softmax": tf.nn.softmax,
    }.get(name) or getattr(tf.nn if name in ("relu", "gelu") else tf, name)


OPERATORS = {
    "x * 2 + 1": lambda x: x * 2 + 1,
    "1 - x / 2": lambda x: 1 - x / 2,
    "-x": lambda x: -x,
    "x * x": lambda x: x * x,
    "x[:, 1:]": lambda x: x[:, 1:],
    "x[..., :2]": lambda x: x[..., :2],
    "x[:, ::2]": lambda x: x[:, ::2],
    "x[:, -1]": lambda x: x[:, -1],
    "x - mean": lambda x: x - ops_of("mean")(x, -1, keepdims=True),
    "max": lambda x: ops_of("max")(x, 1),
    "concatenate": lambda x: ops_of("concatenate")([x, x], 1),
    "stack": lambda x: ops_of("stack")([x, x * 2], 1),
    "softmax": lambda x: ops_of("softmax")(x, -1),
    "relu": lambda x: ops_of("relu")(x),
    "expand_dims": lambda x: ops_of("expand_dims")(x, -1),
    "where": lambda x: ops_of("where")(x > 0.1, x, -0.2 * x),
    "abs": lambda x: ops_of("abs")(x),
    "clip": lambda x: ops_of("clip")(x, -0.5, 0.5),
    "tanh": lambda x: ops_of("tanh")(x),
    "squeeze": lambda x: ops_of("squeeze")(ops_of("expand_dims")(x, 1), 1),
    "cast": lambda x: ops_of("cast")(ops_of("cast")(x * 3, "int32"), x.dtype),
}


def draw_model(rng, feed):
    """(model, values, what was drawn, whether its weights can be drawn anew)."""
    drawing = Drawing(rng, feed, batch=BATCH if rng.random() < 0.1 else None)
    ends = [drawing.grow(drawing.start(), rng.randint(1, 4)) for _ in range(rng.choice((1, 1, 2)))]
    if len(ends) > 1 and rng.random() < 0.5:
        ends = [drawing.grow(L.Concatenate()([L.Flatten()(end) for end in ends]), 1)]
    outputs = ends + drawing.extras
    model = keras.Model(drawing.inputs, outputs if len(outputs) > 1 else outputs[0])
    return model, drawing.values, " > ".join(drawing.words), not drawing.adapts


IDS = np.array([[1, 2, 3, 4, 5, 6], [0, 3, 9, 1, 0, 0], [2, 0, 4, 0, 7, 8], [0, 0, 0, 0, 0, 0]], "int32")
GAPS = (np.random.RandomState(7).standard_normal((BATCH, 6, 4)) * (IDS > 0)[:, :, None]).astype("float32")
