"""Commands that must fail, for the tests of what they say."""

from edt.cli import main


def refused(capsys, *words):
    """Run a command that must fail: exit 2 and one sentence on stderr, nothing on stdout."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert "Traceback" not in said.err
    return said.err
