"""Store the keys and values of prompts and branches, and find out whether a model can share them."""
