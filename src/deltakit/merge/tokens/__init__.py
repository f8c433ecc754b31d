"""Tokenizers and vocabularies of a merge: which tokens the result has, and which row each of them gets.

Interface: `align(sources, choice, base=LABEL or None, donor=LABEL, chat_template=None) -> Aligned`, where `sources` are
the opened models by label and `donor` is the model whose config.json the result takes.
"""

from deltakit.merge.tokens.align import align
from deltakit.merge.tokens.aligned import Aligned
from deltakit.merge.tokens.choice import TokenizerChoice, tokenizer_choice
from deltakit.merge.tokens.heads import settle_heads
from deltakit.merge.tokens.report import REPORT_NAME

__all__ = ["REPORT_NAME", "Aligned", "TokenizerChoice", "align", "settle_heads", "tokenizer_choice"]
