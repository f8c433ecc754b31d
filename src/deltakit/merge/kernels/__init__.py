"""Fused kernels on the CPU (numba): what the numpy form of a merge computes, in one pass and bit for bit.

Nothing outside of this room imports numba, and this room is imported only where a kernel is about to run.
"""
