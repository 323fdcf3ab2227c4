"""The conversion tables: an entry for each Keras class, operation and function."""
