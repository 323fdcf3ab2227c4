"""Which pixels decide? The gradient of the winning score with respect to the image. Needs JAX and Pillow.

FNET_BACKEND=jax python examples/saliency.py photo.png saliency.png
"""

import sys
from pathlib import Path

import numpy as np

try:
    import jax
    from PIL import Image
except ModuleNotFoundError as error:
    sys.exit(f"{error}: pip install '.[jax,images]'")

import fnet
from fnet.pictures.maps import feature_maps

MODEL = Path(__file__).parent / "models" / "cifar10-cnn.safetensors"

if fnet.backend.name() != "jax":
    sys.exit("gradients are JAX's: run this with FNET_BACKEND=jax")
if len(sys.argv) != 3:
    sys.exit(__doc__)
model, params = fnet.load(MODEL)
labels = fnet.load_info(MODEL)["labels"]
pixels = np.asarray(Image.open(sys.argv[1]).convert("RGB").resize((32, 32)), "float32")[None]
label = int(fnet.classes(model, fnet.jit(model)(params, pixels))[0])
slopes = jax.jit(jax.grad(lambda x: jax.numpy.log(model(params, x))[0, label]))(pixels)[0]
influence = np.abs(slopes).max(axis=-1)  # (32, 32): of the channel that matters most
Path(sys.argv[2]).write_bytes(feature_maps(influence[..., None]))
row, column = np.unravel_index(influence.argmax(), influence.shape)
print(f"{labels[label]}: the pixel that matters most is at row {row}, column {column}; wrote {sys.argv[2]}")
