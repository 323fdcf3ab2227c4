"""Writes `masks-VERSION.zip` next to itself: small models in which masks meet every layer that reads, makes, keeps or
drops them, with the inputs x_NAME and the outputs of the Keras that wrote them, y0, y1, ...

The files here are from Keras 2.4.0 and 2.9.0 (a few cases each), 2.12.0 and 2.15.0 (`pip install tensorflow==2.15.1`
and so on), written as `.h5`, and 3.3.3, 3.6.0, 3.8.0, 3.10.0 and 3.12.4 (a few cases each) and 3.15.1 (TensorFlow as
backend), written as `.keras`. Run it with the Python where that version is installed; what a version cannot build is
named and left out.
"""

import os
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")
try:
    import keras
except ModuleNotFoundError:  # TensorFlow before 2.5
    from tensorflow import keras
import numpy as np

VERSION = keras.__version__
KERAS_2 = VERSION.startswith("2")
L, Input, Model, Sequential = keras.layers, keras.Input, keras.Model, keras.Sequential
T, W, F = 5, 3, 4  # time steps, words in each, features

RNG = np.random.default_rng(7)
IDS = np.array([[1, 2, 3, 0, 0], [0, 4, 0, 5, 1], [2, 2, 2, 2, 2], [0, 0, 0, 0, 0]], "int32")
JDS = np.array([[3, 0, 3, 1, 0], [0, 0, 2, 2, 1], [0, 1, 0, 0, 0], [5, 1, 2, 4, 1]], "int32")
SOME = np.array([[1, 2, 3, 0, 0], [0, 4, 0, 5, 1], [2, 2, 2, 2, 2], [0, 0, 0, 0, 3]], "int32")
WORDS = RNG.integers(0, 6, (4, T, W)).astype("int32")
WORDS[0, 3:] = WORDS[1, 1] = WORDS[3] = 0
FULL = np.where(WORDS.any(-1, keepdims=True), WORDS, 1)
ARRAYS = {
    "i": IDS,
    "j": JDS,
    "k": SOME,
    "w": WORDS,
    "v": FULL,
    "f": RNG.standard_normal((4, T, F)).astype("float32") * (SOME > 0)[..., None],
    "g": RNG.standard_normal((4, T, W, F)).astype("float32") * (WORDS > 0)[..., None],
    "s": RNG.standard_normal((4, F)).astype("float32"),
    "z": RNG.standard_normal((4, F)).astype("float32"),
    "m": np.array([[1, 1, 0, 0, 1], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool),
    "n": np.array([[0, 1, 1, 0, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 1, 1]], bool),
    "q": np.tril(np.ones((4, T, T), bool)) & (np.arange(T) != 2),
    "c": RNG.standard_normal((4, T, 6, 6, 2)).astype("float32") * (SOME > 0)[..., None, None, None],
    "t": RNG.standard_normal((4, T, T)).astype("float32"),
}
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def feed(name):
    value = ARRAYS[name]
    return Input(value.shape[1:], dtype=str(value.dtype), name=name)


def embed(x, masked=True, size=F):
    return L.Embedding(7, size, mask_zero=masked)(x)


def seen(x):
    """A recurrent layer on `x`, whose values depend on the mask."""
    return L.SimpleRNN(3)(x)


def initial(x, count=2):
    return [L.Dense(F)(x) for _ in range(count)]


# --- merge layers -----------------------------------------------------------------------------------


def merge(layer, several=True):
    i, j = feed("i"), feed("j")
    e, d, u = embed(i), embed(j), embed(j, masked=False)
    groups = [[e, d], [e, u], [u, e], [d, e]] + ([[e, d, u], [u, e, d], [e, d, e]] if several else [])
    return [i, j], [seen(layer()(group)) for group in groups]


@case
def add():
    return merge(L.Add)


@case
def subtract():
    return merge(L.Subtract, several=False)


@case
def average():
    return merge(L.Average)


@case
def multiply():
    return merge(L.Multiply)


@case
def maximum():
    return merge(L.Maximum)


@case
def minimum():
    return merge(L.Minimum)


@case
def merged_values():
    i, j = feed("i"), feed("j")
    e, d, u = embed(i), embed(j), embed(j, masked=False)
    kinds = [L.Add, L.Average, L.Multiply, L.Maximum, L.Minimum]
    return [i, j], [layer()(group) for layer in kinds for group in ([e, d], [e, u], [u, e, d])]


@case
def concatenate_features():
    i, j = feed("i"), feed("j")
    e, d, u = embed(i), embed(j, size=2), embed(j, masked=False, size=3)
    groups = [[e, d], [e, u], [u, e], [e, d, u], [u, d, e]]
    return [i, j], [seen(L.Concatenate()(group)) for group in groups] + [seen(L.Concatenate(axis=2)([e, d]))]


@case
def concatenate_with_an_input():
    i, f = feed("i"), feed("f")
    return [i, f], [seen(L.Concatenate()([embed(i), f])), seen(L.Concatenate()([f, embed(i)]))]


@case
def concatenate_time():
    i, j = feed("i"), feed("j")
    e, d = embed(i), embed(j)
    return [i, j], [seen(L.Concatenate(axis=1)(group)) for group in ([e, d], [d, e], [e, d, e])]


@case
def concatenate_time_with_unmasked():
    i, j = feed("i"), feed("j")
    e, u = embed(i, size=1), embed(j, masked=False, size=1)
    return [i, j], [seen(L.Concatenate(axis=1)(group)) for group in ([e, u], [u, e])]


@case
def concatenate_words():
    w, v = feed("w"), feed("v")
    e, d = embed(w), embed(v)
    outputs = [L.TimeDistributed(L.LSTM(2))(L.Concatenate(axis=axis)([e, d])) for axis in (1, 2, 3)]
    return [w, v], [seen(y) for y in outputs]


@case
def dot():
    i, j = feed("i"), feed("j")
    return [i, j], [seen(L.Dot(axes)([embed(i), embed(j)])) for axes in (2, (2, 2))]


@case
def merge_then_merge():
    i, j, f = feed("i"), feed("j"), feed("f")
    e, d = embed(i), embed(j)
    y = L.Add()([L.Add()([e, f]), d])
    return [i, j, f], [seen(y), seen(L.Concatenate()([y, e])), L.GlobalAveragePooling1D()(L.Add()([embed(i), f]))]


# --- recurrent layers -------------------------------------------------------------------------------


def recurrent(layer, states):
    i, s, z = feed("i"), feed("s"), feed("z")
    e = embed(i)
    start = [s, z][:states]
    outputs = [layer()(e), layer()(e, initial_state=start), layer(go_backwards=True)(e, initial_state=start)]
    outputs += [seen(layer(return_sequences=True)(e, initial_state=start))]
    outputs += list(layer(return_sequences=True, return_state=True)(e, initial_state=start))
    outputs += list(layer(return_state=True)(e))
    outputs += [layer(return_sequences=True, unroll=True)(e, initial_state=start)]
    return [i, s, z][: 1 + states], outputs


@case
def lstm():
    return recurrent(lambda **options: L.LSTM(F, **options), 2)


@case
def gru():
    return recurrent(lambda **options: L.GRU(F, **options), 1)


@case
def gru_v1():
    return recurrent(lambda **options: L.GRU(F, reset_after=False, **options), 1)


@case
def simple_rnn():
    return recurrent(lambda **options: L.SimpleRNN(F, **options), 1)


@case
def rnn_of_a_cell():
    return recurrent(lambda **options: L.RNN(L.LSTMCell(F), **options), 2)


@case
def rnn_of_cells():
    i = feed("i")
    e = embed(i)
    one, two, three = ([L.LSTMCell(3), L.GRUCell(2)] for _ in range(3))
    return [i], [L.RNN(one)(e), seen(L.RNN(two, return_sequences=True)(e)), L.RNN(three, return_state=True)(e)[0]]


@case
def explicit_masks():
    i, f, s, z, m = (feed(name) for name in "ifszm")
    e = embed(i)
    outputs = [L.LSTM(F)(f, mask=m), L.LSTM(F)(e, mask=m), L.LSTM(F)(e, mask=m, initial_state=[s, z])]
    outputs += [seen(L.GRU(F, return_sequences=True)(e, mask=m)), L.Bidirectional(L.GRU(3))(e, mask=m)]
    return [i, f, s, z, m], outputs


@case
def masks_given_to_a_layer_before_another():
    """Whether a mask given in a call is that of the output too: the layers after it show it."""
    f, m = feed("f"), feed("m")
    ends = [
        L.LSTM(3, return_sequences=True)(f, mask=m),
        L.Bidirectional(L.GRU(2, return_sequences=True))(f, mask=m),
        L.TimeDistributed(L.Dense(3))(f, mask=m),
        L.GRU(3, return_sequences=True)(L.Dropout(0.5)(L.SimpleRNN(3, return_sequences=True)(f, mask=m))),
    ]
    return [f, m], [L.SimpleRNN(2)(L.Dense(3)(end)) for end in ends]


@case
def masks_of_none():
    """An explicit mask=None removes the mask in Keras 2, and has no effect in Keras 3."""
    i, k = feed("i"), feed("k")
    e = embed(i)
    outputs = [L.LSTM(F)(e, mask=None), seen(L.GRU(F, return_sequences=True)(e, mask=None))]
    outputs += [seen(L.TimeDistributed(L.Dense(2))(e, mask=None)), L.Bidirectional(L.GRU(3))(e, mask=None)]
    outputs += [L.GlobalAveragePooling1D()(embed(k), mask=None), seen(L.BatchNormalization()(e, mask=None))]
    return [i, k], [*outputs, seen(recurrent_model()(embed(i), mask=None))]


@case
def states_of_an_encoder():
    i, j = feed("i"), feed("j")
    _, h, c = L.LSTM(F, return_state=True)(embed(i))
    y, h, c = L.LSTM(F, return_sequences=True, return_state=True)(embed(j), initial_state=[h, c])
    return [i, j], [seen(y), L.Dense(2)(y), h, c, L.GRU(F)(embed(i), initial_state=h)]


@case
def states_and_merges():
    i, f, s = feed("i"), feed("f"), feed("s")
    y = L.GRU(F, return_sequences=True)(L.Add()([embed(i), f]), initial_state=s)
    return [i, f, s], [seen(L.Concatenate()([y, f])), L.Dense(2)(y)]


@case
def bidirectional():
    i, s = feed("i"), feed("s")
    e = embed(i)
    outputs = [L.Bidirectional(L.LSTM(3), merge_mode=mode)(e) for mode in ("concat", "sum", "ave", "mul")]
    outputs += list(L.Bidirectional(L.GRU(3), merge_mode=None)(e))
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(e)
    outputs += [y, seen(y), *L.Bidirectional(L.LSTM(3, return_sequences=True, return_state=True))(e)]
    outputs += [L.Bidirectional(L.LSTM(F))(e, initial_state=initial(s, 4))]
    y = L.Bidirectional(L.GRU(F, return_sequences=True))(e, initial_state=initial(s, 2))
    outputs += [y, seen(y)]
    y = L.Bidirectional(L.GRU(F, return_sequences=True), merge_mode=None)(e, initial_state=initial(s, 2))
    outputs += [*y, seen(y[0]), seen(y[1])]
    back = L.SimpleRNN(3, go_backwards=True, return_sequences=True)
    outputs += [L.Bidirectional(L.GRU(3, return_sequences=True), backward_layer=back)(e)]
    return [i, s], outputs


@case
def conv_lstm():
    c = feed("c")
    m = feed("m")
    y = L.ConvLSTM2D(2, 3, return_sequences=True)(c, mask=m)
    return [c, m], [y, L.ConvLSTM2D(2, 3)(c, mask=m), L.ConvLSTM2D(1, 2)(y), L.ConvLSTM2D(2, 2)(c)]


@case
def conv_lstm_masked_by_place():
    c = feed("c")
    y = L.ConvLSTM2D(2, 3, padding="same", return_sequences=True)(L.Masking()(c))
    return [c], [y, L.ConvLSTM2D(2, 3, padding="same")(y)]


@case
def conv_lstm1d_masked_by_place():
    w = feed("w")
    y = L.ConvLSTM1D(2, 3, padding="same", return_sequences=True)(embed(w))
    return [w], [y, L.ConvLSTM1D(2, 3, padding="same")(y)]


@case
def conv_lstms_with_states():
    c, s = feed("c"), feed("s")
    outputs = []
    for layer, place in ((L.ConvLSTM1D, (72,)), (L.ConvLSTM2D, (6, 12)), (L.ConvLSTM3D, (6, 6, 2))):
        x = L.Masking()(L.Reshape((T, *place, 72 // int(np.prod(place))))(c))
        states = [L.Reshape((*place, 1))(L.Dense(72)(s)) for _ in range(2)]
        outputs.append(layer(1, 2, padding="same")(x, initial_state=states))
    return [c, s], outputs


# --- wrappers ---------------------------------------------------------------------------------------


@case
def words_then_sentences():
    w = feed("w")
    e = embed(w)
    outputs = []
    for inner in (L.LSTM(3), L.GRU(3), L.Bidirectional(L.LSTM(3)), L.RNN(L.SimpleRNNCell(3))):
        y = L.TimeDistributed(inner)(e)
        outputs += [y, seen(y), L.Bidirectional(L.GRU(2))(y), L.LSTM(2, return_sequences=True)(y)]
    return [w], outputs


@case
def words_then_words():
    w = feed("w")
    y = L.TimeDistributed(L.LSTM(3, return_sequences=True))(embed(w))
    y = L.TimeDistributed(L.Dense(3))(y)
    y = L.TimeDistributed(L.Dropout(0.5))(L.TimeDistributed(L.Activation("tanh"))(y))
    y = L.TimeDistributed(L.LayerNormalization())(y)
    z = L.TimeDistributed(L.GRU(2))(y)
    return [w], [y, z, seen(z)]


@case
def masks_made_inside():
    w, g = feed("w"), feed("g")
    y = L.TimeDistributed(L.Embedding(7, F, mask_zero=True))(w)
    a = L.TimeDistributed(L.LSTM(3))(y)
    b = L.TimeDistributed(L.LSTM(3))(L.TimeDistributed(L.Masking())(g))
    return [w, g], [a, seen(a), b, seen(b)]


@case
def sentence_model():
    w = feed("w")
    x = Input((W,), dtype="int32")
    whole = Model(x, L.LSTM(3)(embed(x)))
    x = Input((W,), dtype="int32")
    words = Model(x, L.LSTM(3, return_sequences=True)(embed(x)))
    a = L.TimeDistributed(whole)(w)
    b = L.TimeDistributed(words)(w)
    return [w], [a, seen(a), L.TimeDistributed(L.GRU(2))(b), seen(L.TimeDistributed(L.GRU(2))(b))]


@case
def sentence_model_on_embedding():
    w = feed("w")
    x = Input((W, F))
    inner = Model(x, L.LSTM(3)(L.Dense(3)(x)))
    y = L.TimeDistributed(inner)(embed(w))
    return [w], [y, seen(y)]


@case
def sentence_sequential():
    w = feed("w")
    inner = Sequential([L.InputLayer(input_shape=(W, F)) if KERAS_2 else Input((W, F)), L.Dropout(0.3), L.GRU(3)])
    y = L.TimeDistributed(inner)(embed(w))
    return [w], [y, seen(y)]


@case
def word_averages():
    v = feed("v")
    y = L.TimeDistributed(L.GlobalAveragePooling1D())(embed(v))
    return [v], [y, seen(y)]


@case
def time_distributed_dense():
    i = feed("i")
    y = L.TimeDistributed(L.Dense(3))(embed(i))
    return [i], [y, seen(y), seen(L.TimeDistributed(L.Dense(3))(L.LSTM(3, return_sequences=True)(y)))]


@case
def time_distributed_model():
    i = feed("i")
    x = Input((F,))
    inner = Model(x, L.Dense(3)(L.Dense(2, activation="relu")(x)))
    return [i], [seen(L.TimeDistributed(inner)(embed(i)))]


@case
def deeper():
    w = feed("w")
    y = L.TimeDistributed(L.TimeDistributed(L.Dense(3)))(embed(w))
    z = L.TimeDistributed(L.LSTM(2))(y)
    return [w], [z, seen(z)]


# --- layers that keep or lose masks -----------------------------------------------------------------


def through(x, made):
    return [seen(layer(x)) for layer in made]


@case
def kept():
    i = feed("i")
    made = [L.Activation("tanh"), L.ReLU(), L.LeakyReLU(), L.ELU(), L.PReLU(), L.Dropout(0.5), L.SpatialDropout1D(0.5)]
    made += [L.GaussianNoise(1.0), L.GaussianDropout(0.5), L.AlphaDropout(0.5), L.ActivityRegularization(), L.Dense(3)]
    made += [L.BatchNormalization(), L.LayerNormalization()]
    made += [getattr(L, n)() for n in ("ThresholdedReLU", "UnitNormalization") if hasattr(L, n)]
    return [i], through(embed(i), made)


@case
def kept_by_groups():
    i = feed("i")
    return [i], [seen(L.GroupNormalization(2)(embed(i)))]


@case
def lost():
    i = feed("i")
    made = [L.Reshape((T, F)), L.Reshape((F, T)), L.Permute((2, 1)), L.Cropping1D(1), L.ZeroPadding1D(1)]
    made += [L.UpSampling1D(2), L.Conv1D(3, 2), L.MaxPooling1D(2), L.AveragePooling1D(2), L.SeparableConv1D(3, 2)]
    made += [L.Conv1DTranspose(2, 2)] + [L.DepthwiseConv1D(2)] * hasattr(L, "DepthwiseConv1D")
    made += [L.EinsumDense("abc,cd->abd", (None, 3))] * hasattr(L, "EinsumDense")
    e = embed(i)
    return [i], [*through(e, made), L.Flatten()(e), L.GlobalMaxPooling1D()(e), seen(L.RepeatVector(3)(L.LSTM(2)(e)))]


@case
def lost_in_keras_2():
    i = feed("i")
    made = [L.Rescaling(2.0)] + [L.Identity()] * hasattr(L, "Identity")
    normalization = L.Normalization(mean=[0.5] * F, variance=[2.0] * F)
    return [i], through(embed(i), [*made, normalization])


@case
def spectral():
    i = feed("i")
    return [i], [seen(L.SpectralNormalization(L.Dense(3))(embed(i)))]


@case
def locally_connected():
    i = feed("i")
    return [i], [seen(L.LocallyConnected1D(3, 2)(embed(i)))]


@case
def masking():
    f = feed("f")
    m = L.Masking()(f)
    return [f], [seen(m), seen(L.Masking(0.5)(f)), seen(L.Masking()(L.Dense(3)(m))), L.GlobalAveragePooling1D()(m)]


@case
def averages():
    k = feed("k")
    e = embed(k)
    pool = L.GlobalAveragePooling1D
    return [k], [pool()(e), pool(keepdims=True)(e), pool()(L.LSTM(3, return_sequences=True)(e)), pool()(L.Dense(2)(e))]


@case
def softmax():
    t, q = feed("t"), feed("q")
    return [t, q], [L.Softmax()(t, mask=q), L.Softmax(1)(t, mask=q), L.Softmax((1, 2))(t, mask=q), L.Softmax()(t)]


@case
def softmax_of_nothing():
    t, m = feed("t"), feed("m")
    x, mask = L.Reshape((T,))(L.Cropping1D((0, T - 1))(t)), m
    return [t, m], [L.Softmax()(x, mask=mask)]


# --- attention --------------------------------------------------------------------------------------


def dense_attention(layer):
    i, j = feed("i"), feed("j")
    e, d, u = embed(i), embed(j), embed(j, masked=False)
    outputs = []
    for group in ([e, d], [e, u], [u, e], [e, d, e], [e, u, d]):
        y = layer(use_scale=True)(group)
        outputs += [y, seen(y)]
    return [i, j], outputs


@case
def attention():
    return dense_attention(L.Attention)


@case
def additive_attention():
    return dense_attention(L.AdditiveAttention)


@case
def causal_attention():
    i, k = feed("i"), feed("k")
    e, d = embed(i), embed(k)
    outputs = []
    for layer in (L.Attention, L.AdditiveAttention):
        y = layer()([e, d], use_causal_mask=True)
        outputs += [y, seen(y), L.GlobalAveragePooling1D()(layer()([d, e], use_causal_mask=True))]
    x, v = Input((T, F)), Input((T, F))
    inner = Model([x, v], L.Attention()([x, v], use_causal_mask=True))
    z = inner([d, e])
    return [i, k], [*outputs, z, seen(z), seen(L.Add()([z, d]))]


@case
def attention_after_models():
    """The masks of queries are not known before the models run."""
    i, j, f = feed("i"), feed("j"), feed("f")
    a = Input((T, F))
    y, u = Model(a, L.Dense(F)(a))(embed(i)), Sequential([Input((T,)), L.Embedding(7, F, mask_zero=True)])(j)
    outputs = []
    for layer in (L.Attention, L.AdditiveAttention):
        for group in ([y, f], [y, u], [y, y], [f, y]):
            z = layer()(group)
            outputs += [z, seen(z)]
    return [i, j, f], outputs


@case
def attention_with_explicit_masks():
    i, f, m, n = (feed(name) for name in "ifmn")
    e = embed(i)
    outputs = [L.Attention()([f, f], mask=[m, n]), L.Attention()([e, f], mask=[m, n])]
    outputs += [L.Attention()([e, e], mask=[None, n]), seen(L.Attention()([e, e], mask=[None, n]))]
    outputs += [seen(L.Attention()([f, f], mask=[m, n]))]
    return [i, f, m, n], outputs


@case
def attention_scores():
    i, j = feed("i"), feed("j")
    y, weights = L.Attention()([embed(i), embed(j)], return_attention_scores=True)
    return [i, j], [y, weights, seen(y), seen(weights)]


def heads(**options):
    return L.MultiHeadAttention(2, 3, **options)


@case
def multi_head():
    i, j = feed("i"), feed("j")
    outputs = []
    for use in (lambda e, d, u: (e, e), lambda e, d, u: (e, d), lambda e, d, u: (e, u), lambda e, d, u: (u, e)):
        y = heads()(*use(embed(i), embed(j), embed(j, masked=False)))
        outputs += [y, seen(y)]
    y = heads()(embed(i), embed(j), embed(i))
    return [i, j], [*outputs, y, seen(y)]


@case
def multi_head_scores():
    i, j = feed("i"), feed("j")
    y, scores = heads()(embed(i), embed(j), return_attention_scores=True)
    return [i, j], [y, scores, seen(y)]


@case
def multi_head_explicit():
    i, q = feed("i"), feed("q")
    e, u = embed(i), embed(i, masked=False)
    outputs = [heads()(u, u, attention_mask=q), heads()(e, e, attention_mask=q)]
    return [i, q], [*outputs, heads(dropout=0.3)(embed(i), embed(i))]


@case
def multi_head_causal():
    i = feed("i")
    e = embed(i)
    return [i], [heads()(e, e, use_causal_mask=True)]


@case
def multi_head_residual():
    k = feed("k")
    e = embed(k)
    y = L.Add()([e, heads()(e, e)])
    return [k], [seen(y), L.GlobalAveragePooling1D()(y)]


@case
def multi_head_siblings():
    k = feed("k")
    e = embed(k)
    a, b = heads()(e, e), heads()(e, e)
    return [k], [seen(a), seen(b), seen(e), a, b]


@case
def transformer():
    k = feed("k")
    x = embed(k)
    for _ in range(3):
        x = L.LayerNormalization()(L.Add()([x, L.Dropout(0.1)(heads()(x, x))]))
        x = L.LayerNormalization()(L.Add()([x, L.Dense(F)(L.Dense(6, activation="relu")(x))]))
    return [k], [L.GlobalAveragePooling1D()(x), seen(x)]


@case
def nested_transformer():
    k = feed("k")
    inside = Input((T, F))
    block = Model(inside, L.Add()([inside, heads()(inside, inside)]))
    x = embed(k)
    y = block(block(block(x)))
    return [k], [L.GlobalAveragePooling1D()(y), seen(y), seen(x)]


# --- models in models -------------------------------------------------------------------------------


def recurrent_model():
    x = Input((None, F))
    return Model(x, L.LSTM(F, return_sequences=True)(L.Dense(F)(x)))


@case
def nested_three_times():
    i, f = feed("i"), feed("f")
    inner = recurrent_model()
    return [i, f], [seen(inner(inner(inner(embed(i))))), seen(inner(f)), inner(embed(i))]


@case
def nested_of_several():
    i, j, s = feed("i"), feed("j"), feed("s")
    a, b, c = Input((T, F)), Input((T, F)), Input((F,))
    merged = L.Add()([a, b])
    inner = Model([a, b, c], [merged, L.GRU(F)(merged, initial_state=c)])
    e, d, u = embed(i), embed(j), embed(j, masked=False)
    outputs = []
    for pair in ([e, d], [e, u], [u, e]):
        y, state = inner([*pair, s])
        outputs += [seen(y), state]
    return [i, j, s], outputs


@case
def nested_sequential():
    i, k = feed("i"), feed("k")
    inner = Sequential([L.Embedding(7, F, mask_zero=True), L.Dense(3), L.LSTM(3, return_sequences=True)])
    outer = Sequential([L.Dense(3), L.Dropout(0.1), L.GRU(3, return_sequences=True)])
    return [i, k], [seen(inner(i)), seen(outer(inner(k))), seen(outer(L.Reshape((T, 3))(inner(i))))]


@case
def nested_deeply():
    i = feed("i")
    x = Input((T, F))
    one = Model(x, L.Concatenate()([x, L.Dense(2)(x)]))
    x = Input((T, F))
    two = Model(x, L.Bidirectional(L.LSTM(2, return_sequences=True))(one(x)))
    three = Sequential([two, L.Dense(3)])
    return [i], [seen(three(embed(i)))]


@case
def nested_with_explicit_mask():
    i, m = feed("i"), feed("m")
    inner = recurrent_model()
    return [i, m], [inner(embed(i, masked=False), mask=m), seen(inner(embed(i), mask=m))]


@case
def steps_in_a_row():
    i = feed("i")
    model = Sequential([Input((T,), dtype="int32"), L.Embedding(7, F, mask_zero=True), L.ReLU(), L.Rescaling(2.0)])
    model.add(L.SimpleRNN(3))
    other = Sequential([Input((T,), dtype="int32"), L.Embedding(7, F, mask_zero=True), L.ReLU(), L.GRU(3)])
    return [i], [model(i), other(i)]


@case
def grouped_heads():
    i, j = feed("i"), feed("j")
    e = embed(i)
    return [i, j], [L.GroupQueryAttention(3, 4, 2)(e, e), L.GroupQueryAttention(3, 4, 2, dropout=0.1)(e, embed(j))]


@case
def nested_with_mask_for_later():
    i, m = feed("i"), feed("m")
    e = embed(i)
    inner = recurrent_model()
    y = inner(e, mask=m)
    return [i, m], [seen(y), seen(L.Concatenate()([y, e])), seen(L.Dense(2)(L.Dense(2)(e)))]


@case
def shared():
    i, j = feed("i"), feed("j")
    table, rnn = L.Embedding(7, F, mask_zero=True), L.LSTM(F, return_sequences=True)
    dense, final = L.Dense(F), L.GRU(2)
    a, b = rnn(dense(table(i))), rnn(dense(table(j)))
    c = rnn(embed(j, masked=False))
    return [i, j], [final(a), final(b), final(c), final(L.Add()([a, b])), final(L.Add()([a, c])), final(rnn(a))]


@case
def whole_model():
    model = Sequential([L.Embedding(7, F, mask_zero=True, name="i"), L.Bidirectional(L.LSTM(3, return_sequences=True))])
    for step in (L.Dropout(0.2), L.TimeDistributed(L.Dense(3)), L.GRU(3, return_sequences=True), L.LSTM(2)):
        model.add(step)
    model.build((None, T))
    return ["i"], model


@case
def half_precision():
    k = feed("k")
    half = "mixed_float16"
    e = L.Embedding(7, F, mask_zero=True, dtype=half)(k)
    x = Input((T, F))
    inner = Model(x, L.LSTM(3)(x))
    d = L.Embedding(7, F, mask_zero=True, dtype=half)(k)
    y = L.MultiHeadAttention(2, 3, dtype=half)(d, d)
    return [k], [L.LSTM(3)(e), inner(e), y, L.Add(dtype=half)([e, e]), L.LSTM(2)(L.Add(dtype=half)([d, y]))]


@case
def casts():
    """A layer of another precision than the one that makes the mask, in a graph and inside models."""
    f, m = feed("f"), feed("m")
    half, full = "mixed_float16", "float32"
    x = L.Masking(dtype=full)(f)
    low = L.LSTM(F, return_sequences=True, dtype=half)(x)
    outputs = [low, L.LSTM(3, dtype=half)(x, mask=m), L.GRU(3, dtype=half)(L.LayerNormalization(dtype=half)(x))]
    outputs += [
        seen(y) for y in (low, L.Dense(3, dtype=half)(x), L.Add(dtype=half)([x, x]), L.Dropout(0.5, dtype=half)(x))
    ]
    outputs += [L.Bidirectional(L.GRU(3, dtype=half), dtype=half)(x), L.MultiHeadAttention(2, 3, dtype=half)(x, x)]
    a = Input((T, F))
    outputs.append(Model(a, L.LSTM(3, dtype=half)(a))(x))
    inside = Sequential([Input((T, F)), L.Masking(dtype=full)])
    for first in (L.Masking(dtype=full), inside, L.Activation("tanh", dtype=full)):  # the last has a mask from outside
        steps = [first, L.LSTM(F, return_sequences=True, dtype=half), L.GlobalAveragePooling1D(dtype=full)]
        outputs.append(Sequential([Input((T, F)), *steps])(x))
    return [f, m], outputs


@case
def bfloat16_into_models():
    i = feed("i")
    a, b = Input((T, F)), Input((T, F), dtype="bfloat16")
    narrow = L.Embedding(7, F, mask_zero=True, dtype="mixed_bfloat16")(i)
    y = Model(a, L.Dense(F)(a))(narrow)
    z, same = (Model(b, L.Dropout(0.5, dtype="bfloat16")(b))(x) for x in (embed(i), narrow))
    return [i], [y, seen(y), seen(z), seen(same)]


def write(archive, name):
    inputs, outputs = CASES[name]()
    model = outputs if isinstance(outputs, Model) else Model(inputs, outputs)
    names = inputs if isinstance(outputs, Model) else [x.name.split(":")[0] for x in inputs]
    for weight in model.weights:
        drawn = RNG.standard_normal(tuple(weight.shape)).astype("float32") * 0.5
        weight.assign(abs(drawn) + 0.5 if "variance" in weight.name else drawn)
    x = [ARRAYS[name] for name in names]
    given = x if len(x) > 1 else x[0]
    y = model(given)
    y = y if isinstance(y, list) else [y]
    ending = "h5" if KERAS_2 else "keras"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.{ending}"
        model.save(path)
        arrays = {f"x_{key}": ARRAYS[key] for key in names}
        arrays.update({f"y{n}": np.asarray(a) for n, a in enumerate(y)})
        np.savez(Path(folder) / "a.npz", **arrays)
        archive.write(path, f"{name}.{ending}")
        archive.write(Path(folder) / "a.npz", f"{name}.npz")


def main():
    """Write the cases named after the folder, or all; other cases in the archive stay."""
    folder, *names = sys.argv[1:] or [Path(__file__).parent]
    target = Path(folder) / f"masks-{VERSION}.zip"
    kept = {}
    if names and target.exists():
        with zipfile.ZipFile(target) as archive:
            kept = {n: archive.read(n) for n in archive.namelist() if n.split(".")[0] not in names}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in kept.items():
            archive.writestr(name, data)
        for name in names or CASES:
            keras.backend.clear_session()
            try:
                write(archive, name)
            except Exception as error:  # not in the archive of a version that does not know it
                print(f"{name}: {type(error).__name__}: {str(error)[:200]!r}", file=sys.stderr)
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
