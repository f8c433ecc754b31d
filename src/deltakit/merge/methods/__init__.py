"""The named methods, one file each: the paper's composition, and mergekit's where they differ."""
