"""Training: supervised fine-tuning (full and LoRA) on transformers.Trainer."""
