"""Lossy codecs for the matrices of a delta, a byte budget over all of them, and the archive they go into."""
