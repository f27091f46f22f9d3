"""Faults of run and model folders that a person who did not write the code came upon."""

from tests.faults.table import held

held(
    "Damaged files",
    "a bit of a search's database is flipped after `edt tune` was killed",
    "The command that resumes the search names the damaged file, and that it can be removed.",
    by="tests/tuning/test_trials.py::test_a_flipped_bit_in_the_trials_of_a_killed_search_is_found",
)
