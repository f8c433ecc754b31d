"""Compiled loops (numba) behind the codings: what their numpy forms compute, in one pass and bit for bit.

Imported only where a kernel is about to run: small ranges stay with numpy and compile nothing.
"""
