"""Compute signals, truncation cutoffs, noise and draws on logits: pure functions of tensors."""
