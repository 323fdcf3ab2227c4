"""Trains a model composed by hand, with params from `fnet.init`, with optax on JAX.

pip install '.[jax]' optax scikit-learn, then python examples/train_with_optax.py
"""

import os
import sys

os.environ.setdefault("FNET_BACKEND", "jax")

try:
    import jax
    import jax.numpy as jnp
    import optax
    from sklearn.datasets import load_digits
except ModuleNotFoundError as error:
    sys.exit(f"{error}: pip install '.[jax]' optax scikit-learn")

import fnet

images, labels = load_digits(return_X_y=True)
x, y = jnp.asarray(images, "float32") / 16, jnp.asarray(labels)

model = fnet.sequential(
    image=fnet.bind(fnet.input_layer, shape=(None, 64)),
    hidden=fnet.bind(fnet.dense, units=64, activation="relu"),
    scores=fnet.bind(fnet.dense, units=10),
)
weights, rest = fnet.partition(model, fnet.init(model, 0))
optimizer = optax.adam(1e-2)
state = optimizer.init(weights)


@jax.jit
def step(weights, state):
    def loss(weights):
        scores = model(fnet.merge(weights, rest), x[:1500])
        return optax.softmax_cross_entropy_with_integer_labels(scores, y[:1500]).mean()

    updates, state = optimizer.update(jax.grad(loss)(weights), state)
    return optax.apply_updates(weights, updates), state


for _ in range(100):
    weights, state = step(weights, state)
held_out = fnet.classes(model, fnet.predict(model, fnet.merge(weights, rest), x[1500:]))
print(f"accuracy on {len(held_out)} held-out digits: {(held_out == y[1500:]).mean():.3f}")
