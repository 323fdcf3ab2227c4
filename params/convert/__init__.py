"""From a Keras config to an fnet model."""
