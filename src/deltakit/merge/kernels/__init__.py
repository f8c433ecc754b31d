"""Fused kernels on the CPU (numba): what the numpy form of a merge computes, in one pass and bit for bit.

Imported only where a kernel is about to run, as the kernels of the codings below (deltakit.delta.coding.kernels) are.
"""
