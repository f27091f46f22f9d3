"""`python -m edt` is the command `edt`."""

from edt.cli import entry_point

if __name__ == "__main__":
    entry_point()
