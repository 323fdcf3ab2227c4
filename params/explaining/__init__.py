"""What is in a model file, before its weights are read."""
