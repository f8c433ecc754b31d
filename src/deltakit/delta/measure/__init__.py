"""What is measured of a delta: statistics, spectra, decompositions."""
