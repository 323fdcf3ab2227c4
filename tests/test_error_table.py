"""Errors of layers, operations and models that no other test meets: type and message, of shape rules and of calls."""

import io

import numpy as np
import pytest

import fnet
from fnet import InvalidInput, Spec, at, bind
from fnet import operations as o
from fnet import tf_functions as tf
from fnet.core import infer
from fnet.core.layer import brief, steps_like
from fnet.core.room import of
from fnet.core.rules import call_of, own_layers, rules_of
from fnet.errors import OutOfMemory, no_answer
from fnet.masks import Masked
from params import Limits
from params.errors import quoted
from params.explaining.record import named
from params.file.keras_objects import shown
from params.output_sizes import require_room
from params.store.keras_config import ExportError, literal
from train_keras.errors import rows

TEN = "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
X, Y, SEQUENCE, IMAGE = Spec((None, 3)), Spec((4, 5)), Spec((2, 5, 3)), Spec((2, 5, 6, 3))

FEWER = Spec((2, 4, 3))
HEADS, GROUPED = {"num_heads": 2, "key_dim": 2}, {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1}
REVERSED = {"input_dim": 5, "output_dim": 3, "reverse": True}
ADAPTIVE = (fnet.adaptive_average_pooling2d, fnet.adaptive_max_pooling2d)
POOLS = [
    *((f, {"output_size": 2}) for f in ADAPTIVE),
    (fnet.global_average_pooling2d, {}),
    (fnet.global_max_pooling2d, {}),
]

RULES = [
    (o.concatenate, {"axis": 1}, (Spec((2, 3)), Spec((4, 3))), "differ outside of axis 1"),
    (o.array_split, {"indices_or_sections": 0}, Y, "cannot split into 0 parts"),
    (o.array_split, {"indices_or_sections": (1 << 16) + 1}, Y, "cannot split into 65537 parts"),
    (o.rearrange, {"pattern": "a b c -> c b a", "axes_lengths": {}}, Y, "has 3 axes, the tensor 2"),
    (
        o.rearrange,
        {"pattern": "(a b c) d -> a b c d", "axes_lengths": {"a": 2}},
        Y,
        "sizes of b, c .* give all but one",
    ),
    *(
        (f, {}, spec, "square matrices are needed in the last two axes")
        for f in (o.inv, o.det, o.cholesky, o.cholesky_inverse, o.eigh, o.eig)
        for spec in (Spec((2, 3)), Spec((3,)))
    ),
    (o.solve, {}, (Spec((2, 3)), Spec((3,))), "square matrices are needed in the last two axes"),
    (o.norm, {"axis": (0, 1, 2), "ord": 1}, Spec((2, 3, 4)), "norm takes one or two axes"),
    (o.einsum, {"subscripts": "ab,bc->ac"}, (Y,), "names 2 operands, got 1"),
    (o.einsum, {"subscripts": "ab->a"}, (Spec((2, 3, 4)),), r"\(2, 3, 4\) where a b are expected"),
    (o.map_coordinates, {"order": 1}, (Spec((2, 3)), Spec((3, 5))), "coordinates of 3 axes; the input has 2"),
    (o.tensordot, {"axes": 1}, (Y, Y), "axes 1 and 0 differ in size"),
    (o.add, {}, (Y, Spec((3, 5))), "do not broadcast: sizes must be equal or 1"),
    (fnet.reshape, {"target_shape": (-1, -1)}, X, r"only one size of a shape may be -1, got \(-1, -1\)"),
    (o.reshape, {"newshape": (-1, -1)}, Y, "only one size of a shape may be -1"),
    (o.reshape, {"newshape": (3, 7)}, Y, r"cannot reshape \(4, 5\), 20 numbers, to \(3, 7\)"),
    *((o.reshape, {"newshape": (-1, size)}, Y, r"cannot reshape \(4, 5\), 20 numbers, to") for size in (0, 3)),
    (o.squeeze, {"axis": 1}, Y, "only axes of size 1 can be squeezed"),
    (o.view_as_complex, {}, Spec((2, 3)), "takes a last axis of 2, the real and the imaginary part"),
    (o.cross, {}, (Spec((2, 4)), Spec((2, 4))), r"cross takes vectors of 2 or 3 numbers; got \(4, 4\)"),
    (o.diag, {}, Spec((2, 3, 4)), "diag takes a vector or a matrix"),
    (o.repeat, {"repeats": (1, 2, 3), "axis": 1}, Y, "3 repeats for 5 entries"),
    (o.trapezoid, {"positions": (0.0, 1.0, 2.0)}, Y, "trapezoid of 5 numbers at 3 positions"),
    (o.space_to_depth, {"block_size": 3}, IMAGE, "blocks of 3 by 3 do not divide"),
    (o.depth_to_space, {"block_size": 2}, IMAGE, "blocks of 2 by 2 do not divide"),
    (fnet.softmax, {"axis": ()}, Y, "a softmax over no axis"),
    (o.broadcast_to, {"shape": (5,)}, Y, "does not broadcast to"),
    (o.top_k, {"k": 6}, Y, "top_k of 6 from an axis of size 5"),
    (o.sum, {"axis": 2}, Y, "axis 2 does not exist in 2 dimensions"),
    (o.sum, {"axis": -3}, Y, "axis -3 does not exist in 2 dimensions"),
    (
        o.crop_images,
        {"top_cropping": 6, "left_cropping": 0, "right_cropping": 0, "target_height": 1},
        IMAGE,
        "negative",
    ),
    (
        o.pad_images,
        {"top_padding": -1, "target_height": 9, "left_padding": 0, "right_padding": 0},
        Spec((2, None, 6, 3)),
        "margins of an image must not be negative; got -1 before and 0 after",
    ),
    (fnet.lstm, {"units": 2}, X, r"takes sequences \(batch, time, ...\); got shape \(None, 3\)"),
    (fnet.conv2d, {"filters": 2, "kernel_size": 1}, Spec((None, 5, 3)), r"takes 4 axes .* add the batch axis"),
    (fnet.conv2d, {"filters": 2, "kernel_size": 1}, Spec((None, 5)), "takes 4 axes"),
    (fnet.max_pooling1d, {"data_format": "channels_first"}, Y, "batch, channels, .spatial"),
    (fnet.prelu, {"shared_axes": (3,)}, Y, r"shared_axes \(3,\) are not axes of"),
    (fnet.prelu, {"shared_axes": -1}, Y, "shared_axes -1 are not axes of"),
    (fnet.adaptive_average_pooling2d, {"output_size": None}, IMAGE, "needs output_size=, one int or 2 of them"),
    (fnet.stft_spectrogram, {"frame_length": 8, "frame_step": 9}, Spec((2, 40, 1)), "frames of 8: a step of 9"),
    (
        fnet.stft_spectrogram,
        {"frame_length": 8, "fft_length": 7},
        Spec((2, 40, 1)),
        "frames of 8: .* an fft_length of 7",
    ),
    (fnet.stft_spectrogram, {"frame_length": 8}, Spec((2, 40)), r"takes \(batch, time, channels\)"),
    (
        fnet.conv2d_transpose,
        {"filters": 1, "kernel_size": 1, "strides": 2, "output_padding": 2},
        IMAGE,
        "must be smaller than strides",
    ),
    (fnet.attention, {"use_causal_mask": True}, (Y, Y), r"attention takes \(batch, steps, features\); got"),
    (
        fnet.multi_head_attention,
        {"num_heads": 1, "key_dim": 2},
        {"query": Y, "value": Y},
        r"takes \(batch, steps, features\)",
    ),
    (
        fnet.hashing,
        {"num_bins": 3, "dtype": "string"},
        Spec((2, 3), "string"),
        "bins are numbers, not of the dtype 'string'",
    ),
    (
        fnet.locally_connected1d,
        {"filters": 1, "kernel_size": 2, "implementation": 1, "padding": "same"},
        SEQUENCE,
        "implementation=1 has padding='valid' only",
    ),
    (
        fnet.string_lookup,
        {"invert": True},
        Spec((2,), "string"),
        "with invert=True string_lookup takes ids, not strings",
    ),
    (fnet.add, {}, (X, Y), "do not broadcast: sizes must be equal or 1"),
    (fnet.permute, {"dims": (1, 1)}, SEQUENCE, r"each of the axes 1 to 2 once; got dims=\(1, 1\)"),
    (fnet.cropping2d, {"cropping": 2}, Spec((None, 4, 9, 1)), "takes 4 off axis 1, which has size 4"),
    (fnet.dot, {"axes": 1}, (X, Y), "dot takes axes of one size"),
    (
        fnet.multi_head_attention,
        {"num_heads": 1, "key_dim": 2},
        (SEQUENCE, SEQUENCE, Spec((2, 4, 3))),
        "value and key of equal sizes but the last",
    ),
    (fnet.add, {}, SEQUENCE, "a merge layer takes a tuple or list of arrays; got Spec"),
    (fnet.add, {}, (), "a merge layer takes a tuple or list of arrays; got 0 of them"),
    (fnet.subtract, {}, (Y, Y, Y), "subtract takes a tuple or list of 2 arrays; got 3 of them"),
    (fnet.concatenate, {"axis": 1}, (SEQUENCE, Spec((2, 5, 4))), "takes arrays of equal shape except along axis 1"),
    (fnet.repeat_vector, {"n": 2}, SEQUENCE, r"repeat_vector takes \(batch, features\); got"),
    (fnet.random_fourier_features, {"output_dim": 2}, SEQUENCE, r"takes \(batch, in\); got"),
    (
        fnet.bidirectional,
        {"layer": bind(fnet.dense, units=2), "backward_layer": bind(fnet.gru, units=2)},
        SEQUENCE,
        "bidirectional takes recurrent layers, not",
    ),
    (
        fnet.bidirectional,
        {"layer": bind(fnet.gru, units=2), "backward_layer": bind(fnet.gru, units=2)},
        SEQUENCE,
        "needs layers of opposite go_backwards; both are",
    ),
    (
        fnet.bidirectional,
        {
            "layer": bind(fnet.gru, units=2),
            "backward_layer": bind(fnet.gru, units=2, go_backwards=True, return_state=True),
        },
        SEQUENCE,
        "differ in return_state",
    ),
    (
        fnet.bidirectional,
        {
            "layer": bind(fnet.gru, units=2),
            "backward_layer": bind(fnet.gru, units=2, go_backwards=True, return_sequences=True),
        },
        SEQUENCE,
        "differ in return_sequences",
    ),
    (fnet.bidirectional, {"layer": bind(fnet.gru, units=2), "merge_mode": "max"}, SEQUENCE, "merge_mode"),
    (fnet.normalization, {"mean": 1.0}, Y, "takes both mean and variance as options, or neither"),
    (
        fnet.normalization,
        {"mean": (1.0, 2.0, 3.0), "variance": 1.0},
        Spec((4, 1)),
        r"mean of the shape \(3,\) does not broadcast",
    ),
    (fnet.normalization, {"mean": 1.0, "variance": "ab"}, Y, "variance = 'ab': it must be numbers that broadcast"),
    (fnet.normalization, {"mean": ((1.0, 2.0),), "variance": 1.0}, Spec((4, 2)), r"numbers that broadcast over \(2,\)"),
    (o.conv, {"strides": 1}, (Spec((2, 5)), Spec((2, 3))), r"expected 3 or 4 or 5 axes, got the shape \(2, 5\)"),
    (
        o.pad_images,
        {"top_padding": 3, "target_height": 6, "left_padding": 0, "right_padding": 0},
        IMAGE,
        "must not be negative; got 3 before and -2 after",
    ),
    (o.pad, {"pad_width": ((1, 2.0),)}, Y, "is not a whole number"),
    (o.top_k, {"k": 4, "sorted": False}, Y, "in the order of a heap of TensorFlow"),
    (o.scatter_update, {}, (Y, Spec((1, 1), "int32"), Spec((3, 5))), r"updates of the shape \(3, 5\) for indices of"),
    (o.conv, {"strides": 1}, (IMAGE, Spec((3, 3, 2, 2))), r"takes a kernel of \(3, 3, 3, 2\); got \(3, 3, 2, 2\)"),
    (o.slice, {"shape": (1, 1)}, (Y, Spec((3,), "int32")), r"shapes \(3,\), \(2,\) differ"),
    (o.slice_update, {}, (Y, (0,), Spec((1, 1))), "1 start indices, 2 axes of updates for"),
    (o.take, {"axis": None}, (Y, 20), "index 20 of 20 entries"),
    (o.take, {"axis": 0}, (Y, 4), "index 4 of 4 entries"),
    (o.take, {"axis": 1}, (Y, -6), "index -6 of 5 entries"),
    (o.tensordot, {"axes": 3}, (Y, Y), "tensordot over 3 axes of 2 and 2"),
    (o.tensordot, {"axes": -1}, (Y, Y), "tensordot over -1 axes of 2 and 2"),
    (o.tensordot, {"axes": ((0, 1), 0)}, (Y, Y), r"pairs of axes; got \(0, 1\) and \(0,\)"),
    (o.pad, {"pad_width": ((1, 1), (1, 1), (1, 1))}, Y, r"for 2 axes; give \(\(before, after\), ...\)"),
    (o.pad, {"pad_width": ((1, -1),)}, Y, "for 2 axes; give"),
    (o.pad, {"pad_width": ((1, 1, 1),)}, Y, "for 2 axes; give"),
    (o.resize, {"size": (2, 2), "interpolation": "magic"}, IMAGE, "magic"),
    (fnet.resizing, {"height": 2, "width": 2, "interpolation": "magic"}, IMAGE, "magic"),
    (o.sum, {"axis": (0, -2)}, Y, r"the axes \(0, -2\) name one of 2 dimensions twice"),
    (
        fnet.stft_spectrogram,
        {"frame_length": 8, "window": (1.0,) * 7},
        Spec((2, 40, 1)),
        "a window of 8 numbers for a transform of 8",
    ),
    (
        o.stft,
        {"sequence_length": 8, "sequence_stride": 2, "fft_length": 7},
        Spec((2, 40)),
        "a window of 8 numbers for a transform of 7",
    ),
    (fnet.einsum_dense, {"equation": "ab,bc->bc", "output_shape": 7}, SEQUENCE, "."),
    (fnet.einsum_dense, {"equation": "abc,cd->abd", "output_shape": (4, 2)}, SEQUENCE, "axis 'b' has the size 5"),
    (fnet.einsum_dense, {"equation": "abc,cd->abd", "output_shape": 2}, SEQUENCE, r"the axes 'bd'; got \(2,\)"),
    (
        fnet.group_query_attention,
        {"head_dim": 2, "num_query_heads": 3, "num_key_value_heads": 2},
        (SEQUENCE, SEQUENCE),
        "num_query_heads 3 must be a multiple of 2",
    ),
    *(
        (fnet.group_query_attention, GROUPED, {"query": q, "value": v, "key": v}, r"takes \(batch, steps, features\)")
        for q, v in ((IMAGE, IMAGE), (IMAGE, SEQUENCE), (SEQUENCE, IMAGE))
    ),
    *(
        (attention, options, {"query": SEQUENCE, "value": FEWER, mask: Spec(shape, "bool")}, "do not broadcast")
        for attention, options in ((fnet.multi_head_attention, HEADS), (fnet.group_query_attention, GROUPED))
        for mask, shape in (
            ("query_mask", (2, 4)),
            ("value_mask", (2, 5)),
            ("key_mask", (2, 5)),
            ("attention_mask", (2, 4, 4)),
            ("attention_mask", (2, 5, 5)),
            ("attention_mask", (2, 3, 5, 4)),
        )
    ),
    (fnet.stacked_rnn_cells, {"cells": ()}, (Y, ()), "a stack of no cells"),
    *(
        (cell, {"units": 2}, (SEQUENCE, ()), r"takes \(batch, features\) at each time step")
        for cell in (fnet.simple_rnn_cell, fnet.lstm_cell, fnet.gru_cell)
    ),
    (fnet.resizing, {"height": 2, "width": 2}, Y, "images have 3 axes, or 4 with that of the batch; got 2"),
    (o.resize, {"size": (2, 2)}, Y, "images have 3 axes, or 4"),
    *((f, {}, Y, "images have 3 axes, or 4") for f in (o.gaussian_blur, o.rgb_to_grayscale)),
    (o.affine_transform, {}, (Y, Spec((8,))), "images have 3 axes, or 4"),
    (o.perspective_transform, {}, (Y, Spec((4, 2)), Spec((4, 2))), "images have 3 axes, or 4"),
    (o.resize, {"size": (2, 2, 2)}, IMAGE, "the option 'size' = .* is of the wrong type"),
    (o.gaussian_blur, {"kernel_size": (3,)}, IMAGE, "the option 'kernel_size' = .* is of the wrong type"),
    (o.rot90, {"axes": (0, 1, 2)}, IMAGE, "the option 'axes' = .* is of the wrong type"),
    (o.histogram, {"range": (0.0,)}, SEQUENCE, "the option 'range' = .* is of the wrong type"),
    (fnet.reshape, {"target_shape": (-2,)}, SEQUENCE, r"reshape to \(-2,\): a size is at least 0"),
    (fnet.zero_padding2d, {"padding": -1}, IMAGE, "cropped or padded is at least 0; got -1"),
    (fnet.conv2d, {"filters": 1, "kernel_size": (1, 2, 3)}, IMAGE, "kernel_size must be one int >= 1, or 2 of them"),
    (fnet.conv2d, {"filters": 1, "kernel_size": 0}, IMAGE, "kernel_size must be one int >= 1, or 2 of them"),
    (fnet.up_sampling2d, {"size": (2, 2, 2)}, IMAGE, "size must be one int >= 1, or 2 of them"),
    (fnet.conv2d, {"filters": 1, "kernel_size": 1, "padding": "causal"}, IMAGE, "one of 'valid', 'same'; got 'causal'"),
    *(
        (fnet.locally_connected1d, {"filters": 1, "kernel_size": 2}, Spec(shape), "so its sizes must be known; got")
        for shape in ((None, None, 3), (2, 5, None))
    ),
    (fnet.conv1d_transpose, {"filters": 1, "kernel_size": 2}, Spec((2, 0, 3)), "empty spatial axis cannot be enlarged"),
    (
        fnet.conv1d_transpose,
        {"filters": 1, "kernel_size": 2, "padding": "same", "output_padding": 0, "strides": 3},
        Spec((2, 1, 3)),
        "leave nothing",
    ),
    (o.segment_sum, {"num_segments": 2}, (Y, Spec((3,), "int32")), "one id for each row; got ids"),
    *((o.quantile, {}, (Y, q), "a quantile is between 0 and 1") for q in (-1, 101)),
    (fnet.lstm, {"units": 2}, {"sequences": (SEQUENCE, SEQUENCE)}, "takes sequences"),
    (fnet.hashed_crossing, {"num_bins": 3}, (Spec((2,), "int32"),), "takes two or more columns of one shape"),
    (fnet.hashed_crossing, {"num_bins": 3}, (Spec((2,)), Spec((3,))), "takes two or more columns of one shape"),
    (
        fnet.lstm,
        {"units": 2},
        {"sequences": SEQUENCE, "initial_state": (Spec((2, 2)), Spec((2, 3)))},
        r"has states of \(2, 2\); got one of \(2, 3\)",
    ),
    *((fnet.group_normalization, {"groups": 2}, Spec((4, n)), "channels that 2 groups divide") for n in (5, None)),
    (o.unstack, {"num": 3}, Y, "unstack into 3 tensors along an axis of size 4"),
    (
        o.scale_and_translate,
        {"spatial_dims": (1, 2), "method": "magic"},
        (IMAGE, (2, 9, 8, 3), Spec((2,)), Spec((2,))),
        "method must be one of linear",
    ),
    (fnet.reversible_embedding, REVERSED, Y, r"to reverse have 3 numbers each; got float32\[4, 5\]"),
    (tf.gather, {"axis": 0, "batch_dims": 1}, (Y, Spec((4,), "int32")), "batch_dims=1: .* axis 0 share at most 0 axes"),
    (tf.gather, {"axis": 1, "batch_dims": -2}, (Y, Spec((4,), "int32")), "batch_dims=-2: .* share at most 1 axes"),
    (tf.gather, {"axis": 2, "batch_dims": 2}, (SEQUENCE, Spec((2,), "int32")), "batch_dims=2: .* share at most 1 axes"),
    (tf.gather, {"axis": None, "batch_dims": 2}, (Y, Spec(Y.shape, "int32")), "axis 2 does not exist in 2 dimensions"),
    (tf.roll, {}, (Y, (1, 2), 1), r"one number is needed for each axis; got \(1, 2\), 1"),
    (tf.as_string, {}, {1}, r"^\{1\} is not a tensor"),
    (fnet.contrast_limited_adaptive_histogram_equalization, {}, Spec((8, 8, 3), "string"), "strings"),
    (o.arange, {}, (Y,), "arange takes numbers; got"),
    (o.vander, {}, Y, r"vander takes a vector; got float32\[4, 5\]"),
    (o.ctc_decode, {"strategy": "greedy"}, (SEQUENCE, Spec((3,), "int32")), r"lengths of the shape \(batch,\); got"),
    (
        o.ctc_decode,
        {"strategy": "beam_search", "beam_width": 2, "top_paths": 3},
        (SEQUENCE, Spec((2,), "int32")),
        "keeps beam_width=2 labellings, too few for top_paths=3",
    ),
    *((o.slice_update, {}, (Y, (0, n), Spec((1, 1))), "start indices are numbers; got") for n in ((1, 2), None)),
    (o.slice_update, {}, (Y, (0, 0), Spec((5, 1))), r"updates of the shape \(5, 1\) are not inside"),
    *((o.take, {"axis": 0}, (Y, n), "indices are whole numbers, not float") for n in (1.0, Spec((2,)))),
    (o.get_item, {"key": None}, (Spec((1 << 14, 1 << 14)), [Spec((3,), "int32")]), "an index into so large a tensor"),
    (o.view, {"dtype": "float64"}, Spec((2, 3)), "cannot be read as float64: a row of it has 12 bytes"),
    (o.unstack, {}, Spec((None, 3)), "along an axis of unknown size: .* give num="),
    (o.unstack, {}, Spec(((1 << 16) + 1, 3)), "unstack into 65537 tensors"),
    (fnet.attention, {}, (SEQUENCE, Spec((3, 5, 3))), "do not broadcast"),
    (
        fnet.hashing,
        {"num_bins": 3, "mask_value": "a"},
        Spec((2,), "int32"),
        "the text 'a' as its mask_value, and takes",
    ),
    (fnet.add, {}, {"a": Y}, "a tuple or list of arrays; got dict"),
    (fnet.time_distributed, {"layer": fnet.relu}, Y, r"\(batch, time, ...\) with something in each step; got"),
    (fnet.text_vectorization, {}, Spec((2, 3), "string"), r"splits texts \(batch,\) or \(batch, 1\); got shape"),
    (fnet.mel_spectrogram, {}, Spec((2, 1024)), "signals of more than 1024 steps; got 1024"),
    (fnet.stft_spectrogram, {"frame_length": 8}, Spec((2, 7, 1)), "7 steps are less than one frame of 8"),
    *((tf.norm, {"ord": n}, Y, f"the norm {n!r}: a number is expected, or 'euclidean'") for n in ("nuc", None)),
    (tf.gather, {}, (Y, Spec((4,))), "^indices are integers, not float32"),
    *((tf.reshape, {}, (Y, (n, 8)), f"^sizes are integers, not {n!r}") for n in (2.5, "a")),
    (tf.reshape, {}, ({"a": Y}, (2, 10)), "^no tensors: .*'a': float32"),
    (
        tf.max_pool_with_argmax,
        {"ksize": 2, "strides": 2, "padding": "SAME", "data_format": "NCHW"},
        IMAGE,
        "max_pool_with_argmax with data_format='NCHW'",
    ),
    (tf.numbers, {}, (Y,), "range takes numbers, not"),
    (o.concatenate, {"axis": 1}, (Y, SEQUENCE), r"\(4, 5\), \(2, 5, 3\) have different numbers of axes"),
    (o.slice, {"shape": (1, 1)}, (SEQUENCE, Spec((2,), "int32")), "2 start indices and a block of 2 axes for float32"),
    (fnet.string_lookup, {"invert": True, "oov_token": None}, Spec((2,), "int64"), "unknown ids need an oov_token"),
    (fnet.rnn, {"cell": bind(fnet.dense, units=2)}, SEQUENCE, "a cell gives .output, states.; this one gives float32"),
    *(
        (f, options, Spec((2, 0, 4, 1)), r"2d has nothing to pool: the spatial axes are \(0, 4\)")
        for f, options in POOLS
    ),
    (fnet.global_max_pooling1d, {}, Spec((2, 0, 4)), r"1d has nothing to pool: the spatial axes are \(0,\)"),
    *((f, {"filters": 2}, IMAGE, "needs kernel_size=, as in") for f in (fnet.conv2d, fnet.conv2d_transpose)),
    *((o.corrcoef, {}, Spec((3, 4), kind), f"corrcoef of {kind}, whose mean") for kind in ("int64", "uint64")),
    *((o.argpartition, {"kth": 4, "axis": axis}, Y, r"kth=4 reaches beyond \(4, 5\)") for axis in (1, -1)),
    (o.argpartition, {"kth": 0, "axis": -1}, SEQUENCE, r"kth=0 reaches beyond \(2, 5, 3\)"),
    (tf.lower, {}, Y, "strings are expected; got float32"),
    (tf.resize, {}, (IMAGE, (2, 2, 2)), "two numbers are expected"),
]
TAKEN = [
    (fnet.reversible_embedding, REVERSED, Spec((2, None)), (2, 5)),
    (fnet.reversible_embedding, {**REVERSED, "reverse": False}, Y, (4, 5, 3)),
    *((o.argpartition, {"kth": kth, "axis": axis}, Y, (4, 5)) for kth, axis in ((3, 1), (3, -1), (4, 0), (9, 0))),
    (o.argpartition, {"kth": 30, "axis": None}, Y, (20,)),
    (tf.gather, {"axis": 1, "batch_dims": 1}, (SEQUENCE, Spec((2,), "int32")), (2, 3)),
    (tf.gather, {"axis": 2, "batch_dims": -1}, (SEQUENCE, Spec((2,), "int32")), (2, 5, 2)),
    *((o.top_k, {"k": k, "sorted": False}, Y, (4, k)) for k in (1, 5)),
    (
        o.ctc_decode,
        {"strategy": "beam_search", "beam_width": 2, "top_paths": 2},
        (SEQUENCE, Spec((2,), "int32")),
        (2, 2, 5),
    ),
]
"""What is just on the other side of a refusal, and the shape of its first output."""
CALLS = [
    (fnet.add, {}, np.ones((2, 3)), "add takes a tuple or list of arrays; got ndarray"),
    (fnet.subtract, {}, (np.ones(2),) * 3, "subtract takes a tuple or list of 2 arrays; got 3 of them"),
    (fnet.dot, {"axes": 1}, (np.ones((2, 3)),), "dot takes a tuple or list of 2 arrays; got 1 of them"),
    (fnet.dot, {"axes": 0}, (np.ones((2, 2)),) * 2, "no product over the batch axis; got axes=0"),
    (fnet.reshape, {"target_shape": (4,)}, np.ones((2, 3)), r"cannot reshape \(3,\), 3 numbers, to \(4,\)"),
    (fnet.reshape, {"target_shape": (-1, 2)}, np.ones((2, 3)), r"cannot reshape \(3,\), 3 numbers, to \(-1, 2\)"),
    (fnet.repeat_vector, {"n": 2}, np.ones((2, 3, 4)), r"takes \(batch, features\); got"),
    (
        fnet.resizing,
        {"height": 3, "width": 3, "interpolation": "magic"},
        np.ones((1, 2, 2, 1)),
        "no interpolation 'magic'",
    ),
    (fnet.cropping1d, {"cropping": 2}, np.ones((1, 4, 1)), "takes 4 off axis 1, which has size 4"),
    (fnet.zero_padding2d, {"padding": (1, 2, 3)}, np.ones((1, 2, 2, 1)), "a number or 2 entries, one for each axis"),
    (
        fnet.cropping2d,
        {"cropping": ((1,), (2,))},
        np.ones((1, 2, 2, 1)),
        r"a number or two, before and after; got \(1,\)",
    ),
    (o.gaussian_blur, {"sigma": (1.0,)}, np.ones((1, 2, 2, 1)), r"'sigma' = \(1.0,\) is .* it must be 2 values"),
    (o.gaussian_blur, {"kernel_size": 3}, np.ones((1, 2, 2, 1)), "'kernel_size' = 3 is .* it must be 2 values"),
    (
        o.resize,
        {"size": (3, 3, 3)},
        np.ones((1, 2, 2, 1)),
        r"'size' = \(3, 3, 3\) is .* it must be 2 values, at least 1",
    ),
    (o.unfold, {"kernel_size": (2,)}, np.ones((1, 2, 2, 1)), r"one int >= 0, or 2 of them \(one an axis\); got \(2,\)"),
    (fnet.softmax, {}, Masked(np.ones((2, 3, 5)), np.ones((2, 3), bool)), r"a mask of shape \(2, 3\) for \(2, 3, 5\)"),
    (fnet.attention, {"score_mode": "sum"}, (np.ones((1, 2, 3)),) * 2, "score_mode is 'dot' or 'concat'; got 'sum'"),
    (
        fnet.multi_head_attention,
        {},
        {"query": np.ones((1, 2, 3)), "value": np.ones((1, 2, 3)), "key": np.ones((1, 4, 3)), "training": True},
        "takes .query, value. or",
    ),
    (fnet.input_layer, {"shape": (None, 3)}, None, "None for an input that is not optional"),
    (
        fnet.input_layer,
        {"shape": (None, 3)},
        np.ones((2, 3, 4)),
        r"an input of shape \(2, 3, 4\); expected \(None, 3\)",
    ),
    (fnet.lstm, {"units": 2}, np.ones((3, 4)), "batch, time"),
    (
        fnet.bidirectional,
        {"layer": bind(fnet.lstm, units=2), "merge_mode": "max"},
        np.ones((2, 3, 4)),
        "merge_mode 'max'; use",
    ),
    (fnet.lstm, {"units": 2}, np.ones((3, 0, 4)), r"needs at least one time step; got shape \(3, 0, 4\)"),
    (fnet.time_distributed, {"layer": fnet.relu}, np.ones((2, 0, 3)), r"at least one time step; got shape \(2, 0, 3\)"),
    (
        fnet.mel_spectrogram,
        {"window": "blackman"},
        np.zeros((1, 2000)),
        "window 'blackman': hann and hamming are known",
    ),
    (o.arange, {}, (0, 3, 0), "numbers from 0 to 3 in steps of 0 never end"),
    (
        o.slice,
        {"shape": (2, 2)},
        (np.ones((3, 3)), np.array([2, 0])),
        r"of \(2, 2\) at \(2, 0\) is not inside \(3, 3\)",
    ),
    (fnet.string_lookup, {}, np.ones((2, 3)), r"takes strings; got float64\[2, 3\]"),
    (fnet.string_lookup, {}, np.array(["a", None], object), "item 1 is None of type NoneType; replace missing texts"),
    (fnet.string_lookup, {}, np.array(["a", "\ud800"], object), "item 1 is not valid Unicode"),
    (fnet.string_lookup, {}, [["a", "b"], ["c"]], r"item 0 is \['a', 'b'\] of type list"),
    (
        fnet.string_lookup,
        {},
        [np.array([["a", "b"]]), np.array([["c"]])],
        "strings come as an array or a list, all rows of one length",
    ),
    (fnet.string_lookup, {"num_oov_indices": 0}, np.array(["a", "c"]), "in its vocabulary; item 1 is b'c'"),
    (fnet.category_encoding, {"num_tokens": 3, "output_mode": "hot"}, np.array([[1]]), "output_mode 'hot'"),
    (fnet.category_encoding, {"num_tokens": 3}, {"inputs": [[1]], "count_weights": [[1.0]]}, "count weights go with"),
    (
        o.sparse_categorical_crossentropy,
        {"axis": 0},
        (np.zeros(2), np.ones((2, 3))),
        "needs the classes in the last axis",
    ),
    (o.ctc_decode, {"strategy": "best"}, (np.ones((1, 3, 4), "float32"), np.array([3])), "strategy must be"),
    (
        fnet.resizing,
        {"height": 2, "width": 2, "fill_mode": "reflect", "pad_to_aspect_ratio": True},
        np.ones((1, 4, 4, 1), "f4"),
        "fill_mode 'reflect': only 'constant' is known",
    ),
    (fnet.hashed_crossing, {"num_bins": 3}, (np.array([1]),), "takes two or more columns of one shape"),
    (
        fnet.hashed_crossing,
        {"num_bins": 3},
        (np.array([1]), np.array([1, 2])),
        r"columns of one shape; got shapes \[\(1,\), \(2,\)\]",
    ),
    (
        fnet.hashed_crossing,
        {"num_bins": 3},
        (np.array([1]), np.array([1.5])),
        r"takes strings or integers; got float64\[1\]",
    ),
    *(
        (o.add, {}, (np.ones(2), x), rf"add {how} .*: \[*None.* is not a tensor$")
        for x, how in ((None, "does not take"), ([None, 1], "cannot compute"), ([[None]], "does not take"))
    ),
    (tf.multiply, {}, (np.ones(2, "f4"), [None, 1]), r"multiply cannot compute .*: \[None, 1\] is not a tensor$"),
    (o.inv, {}, np.eye(2, dtype="int32"), "a matrix of floats is expected, not of int32; cast it first"),
    (fnet.integer_lookup, {}, np.array([[1j]]), r"integer_lookup takes integers; got complex128\[1, 1\]"),
    (fnet.max_pooling2d, {"data_format": "first"}, np.ones((1, 2, 2, 1)), "data_format.*'channels_last'.*'first'"),
    (tf.ensure_shape, {"shape": (2, 4)}, np.ones((2, 3)), r"shapes \(2, 3\), \(2, 4\) differ"),
    (fnet.lstm_cell, {"units": 1}, (np.ones((1, 3)),) * 3, r"takes \(inputs, states\), .*; got 3 values"),
    *(
        (tf.to_number, {"out_type": "int32"}, np.array([text]), f"spell numbers of int32: .*{why}")
        for text, why in (("1_0", "'_' in a number"), ("x", "invalid literal"), ("99999999999", "out of bounds"))
    ),
]


@pytest.mark.parametrize(("layer", "options", "x", "message"), RULES, ids=lambda v: getattr(v, "__name__", None))
def test_shape_rules_refuse(layer, options, x, message):
    with pytest.raises((ValueError, InvalidInput, NotImplementedError), match=message):
        fnet.infer(bind(layer, **options), x)


@pytest.mark.parametrize(("layer", "options", "x", "shape"), TAKEN, ids=lambda v: getattr(v, "__name__", None))
def test_shape_rules_take_what_is_just_possible(layer, options, x, shape):
    outputs, _ = fnet.infer(bind(layer, **options), x)
    assert fnet.tree.leaves(outputs)[0].shape == shape


@pytest.mark.parametrize(("layer", "options", "x", "message"), CALLS, ids=lambda v: getattr(v, "__name__", None))
def test_calls_refuse(layer, options, x, message):
    params = (
        fnet.vocabulary_params(bind(layer), ["a", "b"] if layer is fnet.string_lookup else [1, 2])
        if "lookup" in layer.__name__
        else {}
    )
    with pytest.raises((ValueError, InvalidInput), match=message):
        layer(params, x, **options)


@pytest.mark.parametrize(
    ("layer", "count", "word"), [(fnet.lstm, 1, "few"), (fnet.lstm, 3, "many"), (fnet.gru, 2, "many")]
)
def test_as_many_states_are_taken_as_the_cell_has(layer, count, word):
    step = bind(layer, units=1)
    with pytest.raises(InvalidInput, match=f"one array for each or two .lstm.; got too {word}$"):
        step(fnet.init(step, 0, (None, 2, 3)), (np.ones((1, 2, 3)), *[np.ones((1, 1))] * count))


@pytest.mark.parametrize("offsets", [[0, 2], [0, 4], [1, 3], [0, 2, 1, 3], [[0, 3]], []])
def test_offsets_that_do_not_cut_a_packed_table(offsets):
    with pytest.raises(ValueError, match="whose offsets do not cut its 3 bytes into strings"):
        fnet.unpack_strings({"bytes": np.zeros(3, np.uint8), "offsets": np.array(offsets)})


def test_a_packed_table_is_a_value():
    assert [array.flags.writeable for array in fnet.pack_strings(["a"]).values()] == [False, False]


def test_what_is_no_string_is_not_packed():
    with pytest.raises(TypeError, match="1 is a int, not a string"):
        fnet.pack_strings(["a", 1])


@pytest.mark.parametrize(
    ("number", "fits"), [(-(1 << 31), True), ((1 << 31) - 1, True), (-(1 << 31) - 1, False), (1 << 31, False)]
)
def test_whole_numbers_of_an_operation_are_int32(number, fits):
    if fits:
        assert o.add({}, ([number], np.zeros(1, "int32"))).tolist() == [number]
    else:
        with pytest.raises(InvalidInput, match="beyond int32"):
            o.add({}, ([number], np.zeros(1, "int32")))


def test_whole_numbers_beyond_64_bits_are_floats_next_to_floats():
    assert tf.multiply({}, (np.float32([2, 0]), [1 << 70, 1])).tolist() == [2.0**71, 0]


def test_tokens_in_one_hot_need_rows_of_one_length():
    step = bind(fnet.text_vectorization, output_mode="one_hot")
    params = fnet.vocabulary_params(step, ["a", "b"])
    with pytest.raises(InvalidInput, match="texts with one number of tokens"):
        step(params, np.array(["a b", "a"]))


def test_idf_weights_are_asked_for():
    step = bind(fnet.string_lookup, output_mode="tf_idf")
    params = {k: v for k, v in fnet.vocabulary_params(step, ["a"], [0.5]).items() if k != "idf_weights"}
    with pytest.raises(InvalidInput, match=r"needs params\['idf_weights'\]"):
        step(params, np.array([["a"]]))


def test_compositions_of_what_is_no_step():
    with pytest.raises(TypeError, match=r"a step is \(name, callable\)"):
        fnet.sequential([("a", 3)])
    with pytest.raises(TypeError, match="node 'a' is not"):
        fnet.graph({"a": (3, "x")}, inputs="x", outputs="a")
    with pytest.raises(ValueError, match="mask rule 'hide'"):
        fnet.layer(shape=lambda x: (x, {}), mask="hide")
    with pytest.raises(TypeError, match=r"shape= is a function from the Spec.*got 'same'"):
        fnet.layer(shape="same")
    with pytest.raises(AttributeError, match="module 'fnet' has no attribute 'densest'"):
        _ = fnet.densest
    with pytest.raises(AttributeError, match=r"load_keras\(path\) reads a file of Keras"):
        _ = fnet.load_model


def with_renorm():
    model = fnet.sequential(bind(fnet.batch_normalization, renorm=True))
    return fnet.with_statistics(model, fnet.init(model, 0, (None, 3)), np.ones((2, 3), "float32"))


class Lines(io.BytesIO):
    """A stream of texts that does not say so."""

    def read(self, size=-1):
        return super().read(size).decode() or "PK"


NAMED = fnet.graph({"y": (fnet.add, ["b", "a"])}, inputs={"b": "b", "a": "a"}, outputs="y")
MISUSES = [
    (lambda: fnet.compile({}, 3), InvalidInput, r"takes \(model, params\): a model and a dict of arrays; got a dict"),
    (lambda: fnet.predict(fnet.relu, 3, np.ones(3)), InvalidInput, r"predict takes \(model, params, x\): .* and a int"),
    (lambda: NAMED({}, [np.ones(2)] * 2), InvalidInput, "names and no order: give a dict with 'b', 'a'"),
    (lambda: fnet.sequential([("a", fnet.relu, 3)]), TypeError, r"pairs of a name and a layer; got \('a'"),
    (lambda: fnet.sequential(["ab"]), TypeError, "pairs of a name and a layer; got 'ab'"),
    (lambda: fnet.load_keras('{"class_name": "Sequential"}'), TypeError, r"text of a config, .* as text\.encode\(\)"),
    (lambda: fnet.load_keras(3), TypeError, "a path, bytes or a binary file object, not int"),
    (lambda: fnet.load_keras(io.StringIO("x")), TypeError, r"""binary mode, open\(path, "rb"\)"""),
    (lambda: literal(object()), ExportError, "a object has no form in a config: <object"),
    (lambda: fnet.vocabulary_params(fnet.dense, ["a"]), TypeError, "takes a lookup layer or text_vectorization; got"),
    (lambda: fnet.merge(fnet.dense, {}), InvalidInput, "merge takes what partition gave: two dicts of arrays"),
    (lambda: fnet.merge({"a": {"w": 1}}, {"a": 2}), InvalidInput, "'a/w' is in an array of the other part"),
    (lambda: fnet.merge({"a": 2}, {"a": {"w": 1}}), InvalidInput, "'a/w' is in an array of the other part"),
    (
        lambda: fnet.graph(inputs="x", y=(fnet.identity, fnet.at("x", 5)), outputs="y")({}, (1, 2)),
        InvalidInput,
        r"there is no at\('x', 5\): 'x' gives \(1, 2\)",
    ),
    (
        lambda: fnet.graph(inputs="x", y=(fnet.add, ("x", 2.0)), outputs="y")({}, np.ones((1, 2))),
        InvalidInput,
        r"a merge layer takes arrays, and 2\.0 is none; fnet\.operations\.add\(\.\.\.\) takes numbers",
    ),
    (
        lambda: fnet.classes(fnet.sequential(fnet.dense), (np.ones((2, 3)), np.ones((2, 1)))),
        InvalidInput,
        r"scores \(rows, k\) from predict; got \(float64",
    ),
    *((lambda w=w: fnet.vocabulary_params(bind(fnet.string_lookup, output_mode="tf_idf"), ["a"], w), ValueError,
       f"finite numbers, one for each of the 1 tokens{end}") for w, end in (([np.nan], ""), ([1.0, 2.0], "$"))),
    (lambda: own_layers({1: fnet.dense}), TypeError, r"custom\[1\]: the keys are names"),
    *((lambda c=c: own_layers(c), TypeError, "custom is {name: layer}, such as .*; got ")
      for c in ([fnet.relu], (), fnet.relu)),
    (lambda: fnet.init(fnet.sequential(bind(fnet.input_layer, shape=3)), 0), ValueError,
     "^input_layer: the option 'shape' = 3 is of the wrong type"),
    (lambda: own_layers({"lambda_1": 3}), TypeError, r"custom\['lambda_1'\] is 3; give a function declared with"),
    (lambda: call_of(fnet.relu), TypeError, "is not an operation"),
    (lambda: fnet.predict(fnet.relu, {}, np.ma.array([[1j]], mask=[[True]])), InvalidInput,
     r"a masked array of complex128 with masked cells; fill them: x.filled\(...\)"),
    (lambda: fnet.load_keras(Lines()), TypeError, "opened in binary mode; reading it gave str"),
    (lambda: bind(tf.one_hot, depth=3), TypeError, "has no option 'depth'; it takes axis, dtype$"),
    (with_renorm, ValueError, "renorm and virtual batches are not trained here"),
    (lambda: infer.trace(bind(fnet.reshape, target_shape=(1,) * 64), Spec((None, 1))), OutOfMemory,
     "would have 65 axes of the sizes"),
    (lambda: infer.trace(bind(fnet.zero_padding1d, padding=1 << 62), Spec((None, 1, 1))), OutOfMemory,
     r"would have 3 axes of the sizes \(None, 9223372036854775809, 1\)"),
]  # fmt: skip


@pytest.mark.parametrize(("misuse", "error", "message"), MISUSES, ids=[message for *_, message in MISUSES])
def test_what_is_given_in_place_of_something_else_is_refused(misuse, error, message):
    with pytest.raises(error, match=message):
        misuse()
    assert require_room(infer.trace(bind(fnet.reshape, target_shape=(1,) * 63), Spec((None, 1))), Limits()) is None


@pytest.mark.parametrize(("said", "fits", "whole", "longer", "cut"), [
    (quoted, "x" * 78, repr("x" * 78), "x" * 79, "'" + "x" * 76 + "..."),
    (brief, "x" * 98, repr("x" * 98), "x" * 99, "'" + "x" * 99),
    (shown, "x" * 60, "x" * 60, "x" * 61, "'" + "x" * 56 + "..."),
    (named, "abcde", "a, b, c, d, e", "abcdef", "a, b, c, d, e and 1 more"),
    (rows, range(5), "rows 0, 1, 2, 3, 4", range(6), "rows 0, 1, 2, 3, 4, ... (6 in all)"),
    (lambda names: no_answer(names, 99, ""), range(10), "no answer for 10 of 99 rows, which are marked: " + TEN,
     range(11), f"no answer for 11 of 99 rows, which are marked: {TEN}, ..."),
    (lambda names: steps_like("ab", names), [f"x{n}" for n in range(10, 22)],
     "the steps are " + ", ".join(f"x{n}" for n in range(10, 22)),
     ["abxx", "abxxx", *"cdefghijklm"], "of 13 steps the nearest are abxx, abxxx"),
])  # fmt: skip
def test_what_is_long_is_cut_and_what_fits_is_whole(said, fits, whole, longer, cut):
    assert (said(fits), said(longer)) == (whole, cut)


def test_streams_ask_for_the_number_of_sequences():
    step = bind(fnet.gru, units=2, return_sequences=True)
    model = fnet.sequential(bind(fnet.input_layer, shape=(None, 4, 3)), step)
    with pytest.raises(ValueError, match=r"how many sequences\? give batch_size="):
        fnet.initial_state(model)


@pytest.mark.parametrize(
    ("activation", "middle"),
    [
        *((name, 0.5) for name in ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "sparse_sigmoid")),
        *((name, 0.0) for name in ("linear", "tanh", "relu")),
        ("log_sigmoid", float(np.log(0.5))),
    ],
)
def test_a_single_unit_is_cut_in_the_middle_of_its_activation(activation, middle):
    scores = np.float32([[middle - 1e-6], [middle + 1e-6], [middle]])
    for step in (bind(fnet.dense, units=1, activation=activation), bind(fnet.activation, activation=activation)):
        for model in (fnet.sequential(step), fnet.graph({"y": (step, "x")}, inputs="x", outputs="y")):
            assert fnet.classes(model, scores).tolist() == [0, 1, 0]
    with pytest.raises(InvalidInput, match="row 1 has NaN scores, so no class"):
        fnet.classes(fnet.sequential(step), np.float32([[0.1], [np.nan]]))


def test_what_moves_selects_or_averages_scores_comes_after_their_activation():
    """Thus the models that end in a cast for mixed precision, in a pooling or in the mean of an ensemble."""
    unit = bind(fnet.dense, units=1, activation="sigmoid")
    logit = bind(fnet.dense, units=1)

    def joined(how, *steps):
        nodes = {f"m{i}": (step, "x") for i, step in enumerate(steps)}
        return fnet.graph({**nodes, "y": (how, tuple(nodes))}, inputs="x", outputs="y")

    deep = {"y0": (unit, "x")}
    for i in range(40):  # 2**40 ways lead from the end to the beginning
        deep |= {f"a{i}": (fnet.flatten, f"y{i}"), f"y{i + 1}": (fnet.layers.average, (f"a{i}", f"y{i}"))}
    pair = fnet.graph({"p": (unit, "x"), "q": (logit, "x")}, inputs="x", outputs={"b": "q", "a": "p"})
    outer = fnet.graph({"pair": (pair, "x"), "z": (logit, "x")}, inputs="x", outputs=("z", "pair"))
    probabilities = [
        fnet.sequential(unit, bind(fnet.activation, activation="linear", dtype="float32")),
        fnet.sequential(fnet.sequential(unit), fnet.sequential(fnet.flatten), fnet.dropout),
        fnet.sequential(bind(fnet.layers.time_distributed, layer=unit), fnet.layers.global_average_pooling1d),
        fnet.sequential(bind(fnet.dense, units=1, activation=bind(fnet.activation, activation="sigmoid"))),
        joined(fnet.layers.average, unit, fnet.sequential(logit, bind(fnet.activation, activation="sigmoid"))),
        joined(fnet.layers.maximum, unit, unit),
        fnet.sequential(joined(fnet.operations.stack, unit, unit), bind(fnet.operations.median, axis=0)),
        fnet.sequential(unit, bind(fnet.operations.clip, x_min=1e-7, x_max=1 - 1e-7)),
        fnet.graph(deep, inputs="x", outputs="y40"),
        fnet.graph({"inner": (pair, "x")}, inputs="x", outputs=at("inner", "a")),
        fnet.graph(
            {"inner": (outer, "x"), "y": (fnet.flatten, at("inner", 1, "a"))}, inputs="x", outputs=("y", "inner")
        ),
    ]
    logits = [
        fnet.sequential(logit, fnet.flatten),
        fnet.sequential(unit, logit, fnet.batch_normalization),
        joined(fnet.layers.average, unit, logit),
        joined(fnet.layers.add, unit, unit),
        fnet.sequential(fnet.flatten),
        fnet.graph({"inner": (pair, "x")}, inputs="x", outputs=at("inner", "b")),
        fnet.graph({"inner": (outer, "x")}, inputs="x", outputs=at("inner", 1, "b")),
    ]
    scores = np.float32([[-0.1], [0.1], [0.6]])
    assert [fnet.classes(model, scores).tolist() for model in probabilities] == [[0, 0, 1]] * len(probabilities)
    assert [fnet.classes(model, scores).tolist() for model in logits] == [[0, 1, 1]] * len(logits)


def test_the_room_of_a_signal_of_any_length_is_that_of_one_step():
    step = bind(fnet.mel_spectrogram, fft_length=8, sequence_stride=2, num_mel_bins=3)
    framed = 4 * 8  # one frame of float32
    assert rules_of(step).room(Spec((None, None)), sequence_stride=2, fft_length=8) == (5 * framed, 12 * framed)
    assert of(step, Spec((None, None))).memory >= 5 * framed
