"""Write the tables and figures of the study; each module is one experiment, over outputs that are decoded once."""
