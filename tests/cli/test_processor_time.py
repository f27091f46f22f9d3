"""A command leaves the cores to others where it has nothing to compute."""

import os
import re
import subprocess
import sys

import pytest

# The command ends before torch is imported, and the library of threads then prints by which settings it works.
PROGRAM = """
import sys
from edt.cli import entry_point
sys.argv = ["edt", "--version"]
try:
    entry_point()
except SystemExit:
    assert "torch" not in sys.modules
import torch
"""


@pytest.mark.parametrize(("typed", "expected"), [(None, "PASSIVE"), ("active", "ACTIVE")])
def test_idle_threads_of_openmp_sleep_unless_the_user_says_otherwise(typed, expected):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "TRUE"} | ({} if typed is None else {"OMP_WAIT_POLICY": typed})
    shown = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
    assert shown.returncode == 0, shown.stderr
    assert re.findall(r"OMP_WAIT_POLICY\W+(\w+)", shown.stderr) == [expected]
