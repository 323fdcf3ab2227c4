"""Backends: selection at import, the same names on both, the same random bits."""

import itertools
import os
import subprocess
import sys

import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import fnet
from fnet import backend, random
from fnet.backend import contraction, jax_backend, jax_conv, numpy_backend, ops, xp


def start(code: str, value: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "FNET_BACKEND": value}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_backends_export_the_same_names():
    assert sorted(numpy_backend.__all__) == sorted(jax_backend.__all__)


@pytest.mark.parametrize("of", [numpy_backend, jax_backend], ids=["numpy", "jax"])
def test_the_place_of_a_number_among_bounds_and_numbers_around_it(of):
    bounds = np.array([-1.0, 0.0, 2.0], "float32")
    x = np.array([[-2, -1, -0.0], [1, 2, np.nan]], "float32")
    np.testing.assert_array_equal(of.place_of(x, bounds), [[0, 1, 2], [2, 3, 3]])
    np.testing.assert_array_equal(of.pad(np.array([[7]]), ((1, 0), (0, 2)), 5), [[5, 5, 5], [7, 5, 5]])


@pytest.mark.parametrize("of", [numpy_backend, jax_backend], ids=["numpy", "jax"])
@pytest.mark.parametrize("rows", [1, 3])
def test_sums_of_one_row_are_those_of_many(of, rows):
    x = np.random.default_rng(0).standard_normal((rows, 2, 5, 7)).astype("float32")
    np.testing.assert_allclose(of.total(x, 2), x.sum(2, keepdims=True), atol=1e-5)
    e, total = of.exponentials(x.copy(), -1, own=True)
    np.testing.assert_allclose(total, np.asarray(e).sum(-1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("sizes", ["b, 4, 5, 7", "1, 4, b, b"])
def test_sums_of_sizes_that_an_export_leaves_open(sizes):
    x = jax.ShapeDtypeStruct(jax.export.symbolic_shape(sizes), "float32")
    jax.export.export(jax.jit(lambda x: (jax_backend.total(x, 2), jax_backend.exponentials(x, -1, own=True))))(x)


def planes(f, *shapes):
    """A convolution by XLA and as a sum of planes, on the same random numbers."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype("float32") for shape in shapes]
    results = []
    for axes in (3, 2):
        with jax_conv.anywhere(axes):
            results.append(np.asarray(f(*arrays)))
    return results


def test_a_convolution_of_three_axes_is_a_sum_of_planes():
    options = {"strides": (2, 1, 2), "padding": ((1, 1), (0, 2), (1, 0)), "dilation": (1, 2, 1)}
    whole, parts = planes(lambda x, k: jax_conv.conv(x, k, **options), (2, 5, 6, 7, 3), (3, 2, 2, 3, 4))
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    options = {"strides": (2, 3, 1), "dilation": (1, 1, 1), "crop": (1, 0, 0), "sizes": (6, 8, 5)}
    whole, parts = planes(lambda x, k: jax_conv.conv_transpose(x, k, **options), (2, 3, 2, 4, 3), (3, 2, 2, 4, 3))
    np.testing.assert_allclose(parts, whole, atol=1e-5)


@pytest.mark.parametrize(("shape", "is_sum"), [((2, 9, 8, 3), False), ((2, 96, 70, 3), True)])
def test_a_convolution_of_few_channels_is_a_product_or_for_large_pictures_a_sum(shape, is_sum):
    rng = np.random.default_rng(0)
    x, kernel = (rng.standard_normal(s).astype("float32") for s in (shape, (3, 2, 3, 24)))
    options = {"strides": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2)}
    program = jax.jit(lambda x: jax_conv.conv(x, kernel, kernel[0, 0, 0], clamp=(0, 6), **options))
    assert ("dot_general" not in program.lower(x).as_text()) == is_sum
    y = numpy_backend.conv(x, kernel, kernel[0, 0, 0], clamp=(0, 6), **options)
    np.testing.assert_allclose(program(x), y, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("size", "channels", "groups"), [(64, 4, 1), (64, 4, 4), (5, 256, 1)])
def test_sums_of_products_of_half_floats_are_rounded_once(dtype, size, channels, groups):
    rng = np.random.default_rng(0)
    shapes = (1, size, size, channels), (3, 3, channels // groups, 24)
    x, kernel = (np.asarray(jnp.asarray(rng.standard_normal(s), dtype).astype("float32")) for s in shapes)
    options = {"strides": (1, 1), "padding": ((1, 1),) * 2, "dilation": (1, 1), "groups": groups}
    y = jax_conv.conv(jnp.asarray(x, dtype), jnp.asarray(kernel, dtype), **options)
    rounded = jnp.asarray(numpy_backend.conv(x, kernel, **options), dtype).astype("float32")
    np.testing.assert_allclose(y.astype("float32"), rounded, rtol=float(jnp.finfo(dtype).eps), atol=1e-5)


def test_a_convolution_of_few_channels_has_any_number_of_rows():
    (rows,) = jax.export.symbolic_shape("rows")
    kernel = np.ones((3, 3, 1, 8), "float32")
    options = {"strides": (1, 1), "padding": ((0, 0),) * 2, "dilation": (1, 1)}
    program = jax.export.export(jax.jit(lambda x: jax_conv.conv(x, kernel, **options)))
    exported = program(jax.ShapeDtypeStruct((rows, 28, 28, 1), "float32"))
    assert exported.out_avals[0].shape == (rows, 26, 26, 8)


def test_environment_variable_selects_the_backend():
    done = start("import fnet; print(fnet.backend.name())", "jax")
    assert done.stdout.strip() == "jax"


def test_unknown_backend_names_the_legal_ones():
    done = start("import fnet", "torch")
    assert done.returncode != 0
    assert "FNET_BACKEND='torch' is unknown; use one of numpy, jax" in done.stderr


def test_missing_jax_names_the_extra():
    done = start("import sys; sys.modules['jax'] = None; import fnet", "jax")
    assert "pip install 'fnet-layers[jax]'" in done.stderr


def test_namespaces_keep_their_identity():
    before = id(xp), id(ops)
    with backend.using("jax"):
        assert xp.tanh is not np.tanh
        assert (id(xp), id(ops)) == before
    assert xp.tanh is np.tanh


def test_random_bits_are_the_same_on_both_backends():
    drawn = []
    for name in backend.BACKENDS:
        with backend.using(name):
            key = random.fold_in(random.key(2**40 + 7), 3)
            drawn.append([np.asarray(random.bits(key, (5, 3))), np.asarray(random.uniform(key, (1000,)))])
    chex.assert_trees_all_equal(*drawn)


def test_threefry_gives_the_published_vector():
    # Random123's known-answer test for threefry2x32, 20 rounds, counter and key zero.
    words = random._threefry(np.zeros(2, "uint32"), np.zeros(1, "uint32"), np.zeros(1, "uint32"))
    assert [hex(int(w[0])) for w in words] == ["0x6b200159", "0x99ba4efe"]


def test_random_numbers_have_the_right_moments(each_backend):
    uniform, normal = (np.asarray(f(random.key(0), (40000,))) for f in (random.uniform, random.normal))
    # Means and variances of drawn numbers.
    np.testing.assert_allclose([uniform.mean(), uniform.var()], [0.5, 1 / 12], atol=0.01)
    np.testing.assert_allclose([normal.mean(), normal.var()], [0, 1], atol=0.02)
    assert uniform.dtype == normal.dtype == np.float32


@pytest.mark.parametrize("value", [1.0, 1.00390625, 3.1415927, -2.7e-30, np.inf, np.nan, 3.4e38])
def test_bfloat16_rounding_is_the_same_on_both(value):
    import ml_dtypes

    x = np.float32([value, -value])
    wanted = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    for name in backend.BACKENDS:
        with backend.using(name):
            np.testing.assert_array_equal(np.asarray(ops.round_bfloat16(x)), wanted)


def test_same_key_makes_the_same_parameters_on_both_backends():
    model = fnet.sequential(fnet.bind(fnet.dense, units=4), fnet.bind(fnet.dense, units=2))
    made = []
    for name in backend.BACKENDS:
        with backend.using(name):
            made.append(fnet.init(model, 11, (None, 3)))
    chex.assert_trees_all_equal(made[0], made[1])


def test_tanh_is_exact_to_a_unit_or_two_in_the_last_place(each_backend):
    x = np.concatenate([np.linspace(-12, 12, 20001), np.geomspace(1e-30, 1, 2001)]).astype("float32")
    expected = np.tanh(x.astype("float64"))
    found = np.asarray(ops.tanh(xp.asarray(x)))
    assert found.dtype == np.float32
    units = np.abs(found - expected) / np.spacing(np.abs(expected).astype("float32"))
    assert units.max() < 2
    assert np.isnan(ops.tanh(xp.asarray(np.float32([np.nan])))[0])
    ends = np.asarray(ops.tanh(xp.asarray(np.float32([np.inf, -np.inf, -0.0]))))
    np.testing.assert_array_equal(ends, [1, -1, 0])
    np.testing.assert_array_equal(ops.tanh(np.float32([3e38, -3e38])), [1, -1])  # NumPy's arrays, without a warning


@pytest.mark.parametrize(("shape", "axes"), [((4, 5000), (1,)), ((3, 200, 7), (1,)), ((3, 200, 7), (1, 2))])
@pytest.mark.parametrize("mean", [1e4, 3e5])
def test_numbers_are_centred_exactly_also_where_their_mean_is_far_larger_than_their_spread(
    shape, axes, mean, each_backend
):
    """Keras is a thousand times worse here, so the yardstick would not see that the second mean is lost."""
    x = (np.random.default_rng(0).standard_normal(shape) + mean).astype("float32")
    exact = x.astype("float64") - x.astype("float64").mean(axis=axes, keepdims=True)
    centred, variance = ops.center(xp.asarray(x), axes)
    np.testing.assert_allclose(np.asarray(centred), exact, rtol=0, atol=1.5e-7)
    np.testing.assert_allclose(np.asarray(variance), (exact**2).mean(axis=axes, keepdims=True), rtol=1e-6)


def test_the_slope_of_tanh_on_jax():
    import jax

    x = np.float32([-20, -1, -0.3, 0, 0.3, 0.7, 20])
    slope = jax.vmap(jax.grad(jax_backend.tanh))(x)
    np.testing.assert_allclose(slope, 1 - np.tanh(x.astype("float64")) ** 2, atol=3e-7)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_numpy_backend_leaves_the_process_as_it_was():
    """Freed memory goes back to the system: the allocator belongs to the host. Small objects that stay come after the
    arrays: they would keep these in memory if arrays were in the heap, as where glibc's threshold has been raised."""
    code = """
import fnet, numpy as np
def held():
    return next(int(line.split()[1]) >> 10 for line in open("/proc/self/status") if line.startswith("VmRSS"))
before = held()
arrays = [np.ones(5 << 20, "float32") for _ in range(30)]
stays = [bytes(600) for _ in range(2000)]
del arrays
print(held() - before)
"""
    assert int(start(code, "numpy").stdout) < 100


@pytest.mark.parametrize("name", backend.BACKENDS)
def test_a_prediction_changes_no_setting_of_the_process(name):
    code = """
import gc, locale, os, random, signal, sys, warnings
import numpy as np
if os.environ["FNET_BACKEND"] == "jax":
    import jax
def settings():
    return {
        "garbage": (gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()), "directory": os.getcwd(),
        "signals": list(map(signal.getsignal, signal.valid_signals())), "environment": dict(os.environ),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval()), "hooks": (sys.excepthook, sys.gettrace()),
        "warnings": list(warnings.filters), "numpy": (np.geterr(), np.get_printoptions()), "path": list(sys.path),
        "random": (random.getstate(), np.random.get_state()[1].tolist()), "locale": locale.setlocale(locale.LC_ALL),
    }
before = settings()
import fnet
step = fnet.sequential([("hidden", fnet.bind(fnet.dense, units=3)), ("drop", fnet.bind(fnet.dropout, rate=0.5))])
fnet.predict(step, fnet.init(step, 0, (None, 2)), np.ones((5, 2), "float32"), batch_size=2)
print([key for key, value in settings().items() if value != before[key]])
"""
    done = start(code, name)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(("kind", "of_kernel", "made"), [
    ("float32", "float32", "float32"), ("float16", "float32", "float32"), ("float32", "float16", "float32"),
    ("int32", "float32", "float32"),
])  # fmt: skip
def test_convolutions_compute_in_the_wider_float_and_integers_in_that_of_the_kernel(
    kind, of_kernel, made, each_backend
):
    rng = np.random.default_rng(0)
    x, kernel = rng.integers(-9, 9, (2, 5, 3)).astype(kind), rng.standard_normal((2, 3, 4)).astype(of_kernel)
    y = np.asarray(ops.conv(x, kernel, strides=(1,), padding=((0, 0),), dilation=(1,)))
    exact = sum(x[:, i : i + 4].astype("float64") @ kernel[i].astype("float64") for i in range(2))
    assert y.dtype == made
    np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint16"])
def test_floats_beyond_a_small_integer_type_wrap_around(dtype, each_backend):
    x = np.float32([-1.5, 300, -40000, 70000, 1e6])
    given = ops.cast(x, dtype)
    np.testing.assert_array_equal(np.asarray(given), x.astype("int32").astype(dtype))


@pytest.mark.parametrize(("x", "pieces"), [
    (np.arange(numpy_backend.BLOCK), 1), (np.arange(numpy_backend.BLOCK + 1), 2), (np.float32(3), 1),
    (np.arange(4.0 * numpy_backend.BLOCK).reshape(2, -1), 4),
    (np.arange(4.0 * numpy_backend.BLOCK).reshape(2, -1).T, 1),
], ids=lambda value: np.shape(value))  # fmt: skip
def test_a_formula_runs_in_pieces_where_that_is_faster(x, pieces):
    seen = []
    y = numpy_backend.elementwise(lambda piece: seen.append(piece) or piece * 2, x)
    np.testing.assert_array_equal(y, x * 2)
    assert (y.dtype, y.shape, len(seen)) == (x.dtype, x.shape, pieces)


@pytest.fixture
def unpacked(monkeypatch):
    """As on processors for which OpenBLAS need not pack small products."""
    monkeypatch.setattr(contraction, "_never_packs_small_products", lambda: True)
    contraction._piece.cache_clear()
    yield
    contraction._piece.cache_clear()


@pytest.mark.parametrize(
    ("rows", "depth", "columns"),
    [*itertools.product([0, 1, 5, 32, 100], [784], [64, 200, 256]), (4099, 16, 17), (1024, 16, 64), (9000, 0, 4)],
)
def test_products_in_pieces_are_the_products(unpacked, rows, depth, columns):
    rng = np.random.default_rng(0)
    x, kernel = (rng.standard_normal(shape).astype("float32") for shape in ((rows, depth), (depth, columns)))
    exact = x.astype("float64") @ kernel.astype("float64")
    fortran, spread = np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2]
    for a, b in ((x, kernel), (fortran(x), fortran(kernel)), (spread(x), spread(kernel)), (spread(x), kernel)):
        y, place = contraction.matmul(a, b), np.empty((rows, columns), "float32")
        assert y.dtype == np.float32
        assert contraction.matmul(a, b, place) is place
        for product in (y, place):  # of one row NumPy may compute the second in another order
            np.testing.assert_allclose(product, exact, atol=2e-5 * max(1, np.abs(exact).max(initial=0)))
    images = contraction.matmul(x.reshape(1, rows, 1, depth), kernel)
    np.testing.assert_allclose(images[0, :, 0], exact, atol=2e-5 * max(1, np.abs(exact).max(initial=0)))


def test_pieces_are_as_many_columns_of_few_rows_and_rows_of_small_kernels_as_are_not_packed(unpacked):
    given = [((32, 784), (784, n)) for n in (256, 200, 192)] + [((9, 160), (160, 960)), ((4099, 16), (16, 17))]
    given += [((13312, 27), (27, 32)), ((8, 512, 64), (64, 128)), ((8, 512, 128), (128, 128)), ((900, 16), (16, 64))]
    given += [((4096, 448), (448, 16)), ((4096, 449), (449, 16))]  # more terms in a row are less exact
    pieces = [(0, 32), (0, 0), (0, 32), (0, 64), (512, 0), (512, 0), (112, 0), (0, 0), (0, 0), (128, 0), (0, 0)]
    assert [contraction._piece(*shapes) for shapes in given] == pieces


@pytest.mark.parametrize(
    ("blas", "simd", "never"),
    [("scipy-openblas", "AVX512_ICL", True), ("scipy-openblas", "X86_V3", False), ("mkl", "X86_V4", False)],
)
def test_openblas_with_avx512_is_recognized_by_what_numpy_says_of_itself(monkeypatch, blas, simd, never):
    assert "found" in np.show_config(mode="dicts")["SIMD Extensions"]
    about = {"SIMD Extensions": {"found": ["X86_V2", simd]}, "Build Dependencies": {"blas": {"name": blas}}}
    monkeypatch.setattr(np, "show_config", lambda mode: about)
    assert contraction._never_packs_small_products.__wrapped__() is never


EQUATIONS = [
    ("ab,bc->ac", (2, 3), (3, 4)),
    ("aab,bc->ac", (2, 2, 3), (3, 4)),
    ("ab,bcc->ac", (2, 3), (3, 4, 4)),
    ("...ab,bc->...ac", (5, 6, 2, 3), (3, 4)),
    ("ab,...bc->...ac", (2, 3), (5, 1, 3, 4)),
    ("...ab,...bc->...ac", (6, 2, 3), (5, 6, 3, 4)),
    ("...a,...a->...", (6, 3), (5, 6, 3)),
    ("...ab,...b->...a", (2, 3), (3,)),
    ("abc,cd->abd", (2, 3, 4), (4, 5)),
    ("ab,cd->abcd", (2, 3), (4, 5)),
    ("ab,ab->", (2, 3), (2, 3)),
    ("ab,bc->ca", (2, 3), (3, 4)),
]


@pytest.mark.parametrize(("equation", "a", "b"), EQUATIONS, ids=[e[0] for e in EQUATIONS])
def test_products_are_those_of_numpys_einsum(equation, a, b):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(a), rng.standard_normal(b)
    np.testing.assert_allclose(contraction.einsum(equation, a, b), np.einsum(equation, a, b), rtol=1e-12, atol=1e-12)


def test_every_product_of_up_to_three_axes_is_that_of_numpys_einsum():
    """Axes of one operand alone, of both, of the result or not, in any order."""
    rng = np.random.default_rng(0)
    terms = ["".join(term) for count in range(4) for term in itertools.permutations("abc", count)]
    arrays = {term: rng.standard_normal(["abc".index(letter) + 2 for letter in term]) for term in terms}
    for a, b in itertools.product(terms, repeat=2):
        out = next(term for term in rng.permutation(terms) if set(term) <= set(a + b))
        equation = f"{a},{b}->{out}"
        ours, theirs = (f(equation, arrays[a], arrays[b]) for f in (contraction.einsum, np.einsum))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12, err_msg=equation)


@pytest.mark.parametrize(("dotted", "ranks", "spelt"), [
    ("...ab,bc->...ac", (4, 2), "xyab,bc->xyac"), ("ab...,b->a...", (4, 1), "abxy,b->axy"),
    ("...a,...a->...", (3, 2), "xya,ya->xy"), ("...,a->a...", (2, 1), "xy,a->axy"),
])  # fmt: skip
def test_an_ellipsis_is_multiplied_as_the_letters_that_it_stands_for(dotted, ranks, spelt):
    assert contraction.product_of(dotted, *ranks) == contraction.product_of(spelt, *ranks) is not None


@pytest.mark.parametrize(("equation", "ranks"), [
    ("ab,bc", (2, 2)), ("ab->b", (2, 0)), ("aa,ab->ab", (2, 2)), ("ab,bc->aa", (2, 2)), ("ab,bc->ad", (2, 2)),
    ("...a,ab->b", (3, 2)), ("ab,bc->ac", (3, 2)), ("ab,bc->ac", (2, 3)),
])  # fmt: skip
def test_what_is_no_product_of_matrices_is_none(equation, ranks):
    assert contraction.product_of(equation, *ranks) is None


@pytest.mark.parametrize(("equation", "a", "b"), [
    ("ab,bc->ac", (1, 2, 3), (3, 4)), ("ab,bc->ac", (2, 3), (1, 3, 4)), ("abc,cd->abd", (2, 3), (3, 4)),
    ("ab,bc->aac", (2, 3), (3, 4)), ("ab,bc->ad", (2, 3), (3, 4)),
])  # fmt: skip
def test_products_that_numpy_does_not_know_are_refused(equation, a, b):
    with pytest.raises(ValueError, match=r"(?i)operand|subscript|output|dimensions|einstein|sums axes"):
        contraction.einsum(equation, np.ones(a), np.ones(b))


def test_einsum_on_jax_asks_the_arrays_for_their_shapes(monkeypatch):
    monkeypatch.setattr(jnp, "shape", lambda x: jnp.asarray(x.shape))  # as a converter to ONNX does
    a, b = np.ones((2, 3), "float32"), np.ones((3, 4), "float32")
    with backend.using("jax"):
        np.testing.assert_array_equal(ops.einsum("ab,bc->ac", a, b), a @ b)
