"""`edt train`: fine-tune a model on a task's train split with transformers' Trainer and peft.

`spec` holds the options, `examples` the tokens with their loss mask, `plan` what is said before it starts, `trainer`
the training, `checkpoints` what an interrupted one continues from, `result` the folder, and `run` puts them together.
"""

__all__ = ["export", "run", "spec"]
