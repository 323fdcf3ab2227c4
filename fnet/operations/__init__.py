"""Keras operations on tensors (`keras.ops`) as layers: nodes of functional graphs."""
