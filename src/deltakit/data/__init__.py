"""Records: canonical training examples, readers of their schemas, local files, the toy world."""
