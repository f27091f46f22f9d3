"""Load language models: weights, tokenizer, identity, and the second model of KL-guided temperature."""
