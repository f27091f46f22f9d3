"""`python -m edt` is the command `edt`."""

from edt.cli import entry_point

# Guarded: the processes that score are spawned, and each imports this module again, as `__mp_main__`.
if __name__ == "__main__":
    entry_point()
