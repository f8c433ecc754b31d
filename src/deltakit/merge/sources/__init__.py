"""What goes into a merge: opened models, and everything that is checked of them before weights are read."""
