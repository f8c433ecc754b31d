"""Compiled loops (numba) behind the fits: what their numpy forms compute, bit for bit."""
