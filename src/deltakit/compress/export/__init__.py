"""A delta in the formats of other tools: a PEFT LoRA, lm-eval's delta weights, a Hugging Face folder."""
