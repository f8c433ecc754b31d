"""deltakit: the difference between a fine-tune and its base is an expression of terms and a file of its own."""

