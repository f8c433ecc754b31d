"""Compositions as programs: measured and run by compiled kernels, or on another device."""
