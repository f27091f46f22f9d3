"""Read the rows of data sets: local files, the hub, pinned downloads, and the subsets drawn from them."""
