"""Writes `teachable-machine.zip` next to itself: a `keras_model.h5` as Teachable Machine exports it, an image, and the
outputs of Keras in float32 and in float64. Written by TensorFlow 2.4.4.

The architecture is that of the service (MobileNetV2 of width 0.35 in one Sequential, a head in another, both in a
third); the weights are drawn, each of the same size and either sign, so that the file compresses well.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from recording import RNG, keras, np

L = keras.layers


def drawn(weight):
    """Signs of the size that keeps activations alive; statistics and scales of batch normalization from few values."""
    name, shape = weight.name.split("/")[-1].split(":")[0], tuple(weight.shape)
    if "kernel" in name:
        fan_in = int(np.prod(shape[:2] if name == "depthwise_kernel" else shape[:-1]))
        size = 0.15 if "Dense2" in weight.name else 1.0  # so that no class wins by far
        return RNG.choice([-size, size], shape) * np.sqrt(2.0 / fan_in)
    return RNG.choice({"gamma": [0.75, 1.25], "moving_variance": [0.5, 2.0]}.get(name, [-0.125, 0.25]), shape)


def machine():
    base = keras.applications.MobileNetV2((224, 224, 3), alpha=0.35, include_top=False, weights=None)
    features = keras.Sequential(
        [base, L.GlobalAveragePooling2D(name="global_average_pooling2d_GlobalAveragePooling2D1")]
    )
    head = keras.Sequential(
        [
            L.Dense(100, activation="relu", input_shape=(1280,), name="dense_Dense1"),
            L.Dense(3, activation="softmax", use_bias=False, name="dense_Dense2"),
        ]
    )
    model = keras.Sequential([features, head])
    model.build((None, 224, 224, 3))
    return model


def main():
    model = machine()
    model.set_weights([drawn(weight) for weight in model.weights])
    image = RNG.randint(0, 256, (1, 28, 28, 3)).repeat(8, 1).repeat(8, 2).astype("uint8")
    y = model.predict(image / np.float32(127.5) - 1)
    target = str(HERE / "teachable-machine.zip")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        model.save(str(Path(folder) / "keras_model.h5"))
        keras.backend.set_floatx("float64")
        reference = machine()
        reference.set_weights(model.get_weights())
        exact = reference.predict(image / np.float32(127.5) - 1.0)
        np.savez_compressed(str(Path(folder) / "recorded.npz"), image=image, y=y, exact=exact)
        for name in ("keras_model.h5", "recorded.npz"):
            archive.write(str(Path(folder) / name), name)


if __name__ == "__main__":
    main()
