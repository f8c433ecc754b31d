"""Deltas: lazy sums of structured terms, stored as one file."""
