"""Params to and from other libraries, as dicts of NumPy arrays: PyTorch's state dicts, flax.nnx, Equinox.

None of them is imported. The keys are the names of arrays in these libraries.
"""

from params.bridges.crossing import from_equinox, from_flax, from_torch, to_equinox, to_flax, to_torch

__all__ = ["from_equinox", "from_flax", "from_torch", "to_equinox", "to_flax", "to_torch"]
