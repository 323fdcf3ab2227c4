"""Cases of fnet.layers.einsum_layers."""

import fnet
from tests.cases import Case

EQUATIONS = [
    ((2, 3, 4), "abc,cd->abd", (None, 5), "d"),
    ((2, 3, 4), "abc,cd->abd", (3, 5), "b"),
    ((2, 3, 4), "abc,cde->abde", (None, 5, 2), "de"),
    ((2, 3, 4), "abc,cde->abde", (None, 5, 2), "ed"),
    ((2, 3, 4), "abc,cde->abde", (None, 5, 2), "d"),
    ((2, 3, 4, 5), "abcd,cde->abe", (None, 6), "e"),
    ((2, 3, 4), "abc,dc->adb", (5, 3), "db"),
    ((2, 4), "ab,bc->ac", 3, "c"),
    ((2, 4), "ab,bc->ac", 3, None),
    ((2, 3, 4), "...x,xy->...y", 5, "y"),
    ((2, 3, 6, 4), "...x,xy->...y", 5, "y"),
    ((2, 4), "...x,xy->...y", 5, None),
    ((2, 3, 4, 5), "ab...,bc->ac...", 6, "c"),
    ((2, 3, 4), "abc,bcd->ad", 5, "d"),
    ((2, 3, 4), "abc,bd->abcd", (3, 4, 2), "bd"),
]


def _fourier(keras):
    """Keras 3 has no such layer."""

    class Fourier(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(1,))
            self.kernel, self.offset = (self.add_weight(shape=s, trainable=False) for s in ((shape[-1], 4), (4,)))

        def call(self, x):
            return keras.ops.cos(x @ self.kernel / self.scale + self.offset)

    return Fourier()


CASES = [
    Case(fnet.random_fourier_features, (3, 5), {"output_dim": 4}, _fourier),
    *(
        Case(
            fnet.einsum_dense,
            shape,
            {"equation": equation, "output_shape": made, "bias_axes": bias},
            twin="EinsumDense",
            label=f"einsum_dense({equation},{bias})-{shape}",
        )
        for shape, equation, made, bias in EQUATIONS
    ),
    Case(
        fnet.einsum_dense,
        (2, 3, 4),
        {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d", "activation": "gelu"},
        twin="EinsumDense",
        mask=True,
    ),
    *(
        Case(fnet.reversible_embedding, (3, 6), options, twin="ReversibleEmbedding", dtype="int32")
        for options in (
            {"input_dim": 10, "output_dim": 4},
            {"input_dim": 10, "output_dim": 4, "tie_weights": False, "mask_zero": True},
        )
    ),
    *(
        Case(
            fnet.reversible_embedding,
            (3, 6, 4),
            {"input_dim": 10, "output_dim": 4, **options, "reverse": True},
            twin="ReversibleEmbedding",
            twin_options={"input_dim": 10, "output_dim": 4, **options},
            call={"reverse": True},
            mask=True,
            idle="loses its mask",
        )
        for options in (
            {},
            {"tie_weights": False},
            {"logit_soft_cap": 0.7},
            {"reverse_dtype": "float16"},
            {"tie_weights": False, "logit_soft_cap": 2.0, "mask_zero": True},
        )
    ),
]
