"""Attention of decoding, compiled: in Triton for CUDA devices, by numba for float32 on the CPU. Imported only where one
is about to run."""
