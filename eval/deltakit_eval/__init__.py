"""Evaluation through lm-eval: our decoder as its model, our task files, several models over one base in one call."""
