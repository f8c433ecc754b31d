"""What methods compute with: precision, pulls of ranges and of whole tensors, factors, calibration, the lazy result."""
