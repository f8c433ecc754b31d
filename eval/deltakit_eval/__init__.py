"""lm-eval for deltakit: the model class, the task files, the comparison."""
