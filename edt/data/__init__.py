"""`edt data`: what a model would read of a task, whether files can be used, and subsets to share or to train on."""
