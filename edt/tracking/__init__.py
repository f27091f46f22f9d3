"""Export runs to Weights & Biases."""
