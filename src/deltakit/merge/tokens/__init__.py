"""Tokenizers and vocabularies of a merge: which tokens the result has, and which row each of them gets.

Interface: `align(sources, choice, base=LABEL or None, donor=LABEL, chat_template=None) -> Aligned`, where `sources` are
the opened models by label and `donor` is the model whose config.json the result takes.
"""
