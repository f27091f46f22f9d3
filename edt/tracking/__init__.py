"""Export runs to Weights & Biases. The run folder is the truth; an export is a copy that can be repeated.

`export` is the entry: it reads run folders and scores. `spec` holds the options, `wandb_export` what is shown of a
setting, `attachments` the attached files, and `wandb_mode` and `wandb_runs` call wandb.
"""

__all__ = ["export", "spec"]
