"""Primitives on the merged delta, behind any method, one file each."""
