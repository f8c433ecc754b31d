"""Compiled loops (numba) behind the products of packed terms. Imported only where one is about to run."""
