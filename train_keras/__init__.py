"""Data sets, Keras model builders and training. Never imports `fnet` or `params`."""
