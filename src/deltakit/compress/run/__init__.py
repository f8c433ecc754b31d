"""Compressing what is named, into one archive."""
