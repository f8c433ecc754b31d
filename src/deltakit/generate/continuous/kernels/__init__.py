"""Attention of decoding in Triton, for CUDA devices. Imported only where one is about to run."""
