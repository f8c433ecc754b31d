"""Reducers: what makes one delta (or one model) of several, one file each."""
