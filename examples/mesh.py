"""A model over a mesh of devices, by JAX's own sharding: rows spread, then a kernel spread.

On one machine, eight devices can be simulated:
XLA_FLAGS=--xla_force_host_platform_device_count=8 FNET_BACKEND=jax python examples/mesh.py
"""

import sys
from pathlib import Path

import numpy as np

try:
    import jax
    from jax.sharding import NamedSharding, PartitionSpec
except ModuleNotFoundError as error:
    sys.exit(f"{error}: pip install '.[jax]'")

import fnet
from fnet import bind, dense, input_layer, sequential

MODEL = Path(__file__).parent / "models" / "cifar10-cnn.safetensors"
devices = jax.devices()
mesh = jax.sharding.Mesh(np.array(devices), ("device",))
everywhere, spread = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("device"))

# Rows: each device has all params and some of the rows; nothing is sent between devices.
model, params = fnet.load(MODEL)
run = fnet.jit(model)
x = np.random.default_rng(0).uniform(0, 255, (8 * len(devices), 32, 32, 3)).astype("float32")
y = run(jax.device_put(params, everywhere), jax.device_put(x, spread))
shards = y.addressable_shards
print(f"rows over {len(devices)} devices: {len(shards)} shards of {shards[0].data.shape}")
print(f"largest difference to one device: {float(np.abs(np.asarray(y) - np.asarray(run(params, x))).max()):.2g}")

# A kernel that does not fit one device: its columns are spread, and so is the output; XLA sends what is needed.
layers = {"a": bind(dense, units=128, activation="relu"), "b": bind(dense, units=4)}
wide = sequential(x=bind(input_layer, shape=(None, 256)), **layers)
weights = fnet.init(wide, 0)
columns = NamedSharding(mesh, PartitionSpec(None, "device"))
placed = jax.device_put(weights, everywhere)
placed["a"] = jax.device_put(weights["a"], {"kernel": columns, "bias": spread})
rows = np.random.default_rng(1).normal(size=(16, 256)).astype("float32")
run = fnet.jit(wide)
y = run(placed, rows)
shards = placed["a"]["kernel"].addressable_shards
print(f"a kernel over {len(devices)} devices: {len(shards)} shards of {shards[0].data.shape}")
print(f"largest difference to one device: {float(np.abs(np.asarray(y) - np.asarray(run(weights, rows))).max()):.2g}")
