"""Fitting codes to numbers: grids, bands, and factors fitted to each other."""
