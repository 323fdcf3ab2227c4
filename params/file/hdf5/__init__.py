"""A reader of HDF5 files that trusts nothing in them: `open_file` walks the whole structure before any use.

It is pure Python because the HDF5 C library crashes the process on crafted files, and our own because what has
to be refused (links, external bytes, shared or cyclic structure, amplified work) can only be seen while parsing.
It reads what h5py writes by default and under `libver` "v108" and "latest": superblocks 0 to 3, object headers 1
and 2, symbol-table, compact and dense groups and attributes, contiguous, compact and chunked arrays, deflate,
shuffle and fletcher32. Source: HDF5 File Format Specification 3.0.
"""

from params.file.hdf5.file import Dataset, Group, open_file

__all__ = ["Dataset", "Group", "open_file"]
