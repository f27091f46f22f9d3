"""Where errors come from: the first departure of an output from the right ones, oracles, and the loss-optimal T(H)."""
