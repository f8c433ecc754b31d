"""Answers in model outputs: found, compared, counted, with an error bar."""
