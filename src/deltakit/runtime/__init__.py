"""A TensorMap as a running transformers model: skeleton, loading, in-place swaps, tokenizer."""

from deltakit.runtime.load import load_model, stored_dtype
from deltakit.runtime.swap import swappable, write_weights
from deltakit.runtime.threads import threads_for
from deltakit.runtime.tokenizer import load_tokenizer
from deltakit.runtime.witness import Witness

__all__ = ["load_model", "load_tokenizer", "stored_dtype", "swappable", "threads_for", "Witness", "write_weights"]
