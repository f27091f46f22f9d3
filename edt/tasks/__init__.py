"""The tasks: examples with references, and the prompts made of them."""
