"""Read the rows of data sets: local files, the hub, pinned downloads, and the subsets drawn from them.

`dataset_task` holds the base class of tasks on files and the protocol of a source; `hub` and `pinned_files` are
sources; `local` finds the files of a path, `files` and `aligned` read them, `columns` checks their rows, and `subsets`
draws the rows of a split.
"""
