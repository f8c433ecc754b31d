"""The decoder over slots (continuous batching): rows are refilled as they end, prompts are packed, prefixes shared."""
