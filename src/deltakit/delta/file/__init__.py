"""Delta files: written, read, verified, and what is done with a whole one."""
