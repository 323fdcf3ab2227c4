"""What is in a model file: containers, HDF5, JSON, all within limits. Nothing is converted here."""
