"""Commands that are killed, stopped, run at once, or find no room; and the check of a machine."""

from edt.store.lock import held as locked
from tests.faults.table import fault, held

KILLED, AT_ONCE, DISKS, SELF_TEST = "Killed and interrupted", "Concurrent commands", "Disks and memory", "Self-test"
SIGNALS = "tests/cli/test_stop_signals.py"

held(
    KILLED,
    "SIGKILL of `edt run` at any write of a file",
    "The same command continues; all files are byte for byte those of an undisturbed run.",
    by="tests/generation/test_generate.py::test_crash_and_resume_are_byte_identical",
)
held(
    KILLED,
    "SIGKILL of `edt tune` and `edt study` before every write, and 100 times at random moments",
    "The same command ends with the same trials, outputs, choice and pages as an undisturbed one.",
    by="tests/test_killed_commands.py::test_a_command_killed_at_random_moments_ends_as_if_it_had_not_been",
)
held(
    KILLED,
    "`edt tune` is killed at any statement of its database",
    "The same command ends with the same trials, by their numbers and values.",
    by="tests/tuning/test_trials.py::test_a_search_killed_at_any_statement_ends_as_if_it_had_not_been",
)
held(
    KILLED,
    "SIGINT, SIGTERM or SIGHUP",
    "`stopped by SIGTERM`, what is kept, and the status that a shell expects: 130, 143, 129.",
    by=f"{SIGNALS}::test_every_command_ends_with_a_message_and_the_shells_status",
)
held(
    KILLED,
    "SIGTERM while a run decodes, then the same command",
    "The lock is free, finished parts are kept, and the outputs are those of an undisturbed run.",
    by=f"{SIGNALS}::test_what_is_decoded_is_kept_and_the_same_command_continues",
)
held(
    KILLED,
    "a second signal",
    "The process ends at once.",
    by=f"{SIGNALS}::test_a_second_signal_ends_the_process_at_once",
)
held(
    KILLED,
    "a worker process is killed, as by the system when memory is short",
    "One sentence with the signal, what is kept, and the setting that takes fewer processes.",
    by="tests/test_worker_processes.py::test_a_process_that_ends_without_a_result_is_an_error_in_words",
)
held(
    KILLED,
    "the command is killed, and its workers are not",
    "They end by themselves.",
    by="tests/test_worker_processes.py::test_no_process_outlives_the_command",
)
held(
    KILLED,
    "an unfinished run, then `edt report`",
    "It is left out, with its rows of those planned and the command that finishes it.",
    by="tests/cli/test_unfinished_runs.py::test_an_interrupted_run_is_left_out_with_the_command_that_finishes_it",
)
held(
    KILLED,
    "`edt fetch` is killed",
    "There is no model under the name, and the same command continues.",
    by="tests/models/test_fetch.py::test_a_killed_fetch_leaves_no_model_and_the_next_one_continues",
)


@fault(AT_ONCE, "two commands write one run")
def _(place):
    with locked(place.scored(), "run folder"):
        return place.again("sampling.samples=3")


held(
    AT_ONCE,
    "two `edt score` and two `edt report` of one run at once",
    "All four succeed, with the tables of a single one.",
    by="tests/store/test_at_once.py::test_two_scorings_and_two_reports_at_once_all_succeed",
)
held(
    AT_ONCE,
    "two processes write one file, and a third reads it",
    "The reader sees one of the two whole.",
    by="tests/store/test_atomic.py::test_two_processes_write_one_file_and_no_reader_sees_a_half",
)
held(
    AT_ONCE,
    "two `edt tune` of one search",
    "The second names the folder that is in use and ends.",
    by="tests/tuning/test_trials.py::test_only_one_process_holds_a_search",
)
held(
    AT_ONCE,
    "two `edt fetch` of one model",
    "The second is refused or waits; neither damages the other's files.",
    by="tests/models/test_fetch.py::test_two_processes_do_not_fetch_into_each_other",
)

held(
    DISKS,
    "the disk is full",
    "The file and the disk are named; every part that was finished is kept, and the same command continues.",
    by="tests/generation/test_generate.py::test_a_full_disk_is_reported_and_loses_nothing",
)
held(
    DISKS,
    "`edt report` and `edt score` on a read-only mount",
    "The folder is named. `edt report out=FOLDER` writes elsewhere; for `edt score`, copy the run.",
    by="tests/store/test_at_once.py::test_on_a_read_only_mount_the_remedy_works",
)
held(
    DISKS,
    "a folder that may not be written",
    "The folder is named, with the setting that chooses another.",
    by="tests/store/test_atomic.py::test_a_folder_that_cannot_be_written_is_named_with_its_remedy",
)
held(
    DISKS,
    "a write fails in the middle",
    "The file of before stays as it was, and no other file is left.",
    by="tests/store/test_atomic.py::test_a_failing_write_leaves_the_file_of_before_and_nothing_else",
)
held(
    DISKS,
    "memory is short for a batch",
    "The batch is halved, with a line; batches grow again once the shortage has passed, and no token differs.",
    by="tests/generation/test_generate.py::test_batches_grow_again_when_a_shortage_has_passed",
)
held(
    DISKS,
    "memory is short for a single row",
    "An error with what takes less memory.",
    by="tests/generation/test_generate.py::test_a_row_that_exhausts_memory_is_an_error",
)
held(
    DISKS,
    "more resamples than memory holds",
    "An error with the number that fits, before anything is decoded.",
    by="tests/scoring/test_resamples_bound.py::test_too_many_resamples_are_refused_before_anything_is_decoded",
)

held(
    SELF_TEST,
    "a temperature that is 2 % off, a dropped truncation, biased noise, tokens in each other's place",
    "`edt selftest` fails with status 1 and names the check, what it found and what it means.",
    by="tests/selftest/test_selftest.py::test_the_command_fails_and_says_what_it_means",
)
held(
    SELF_TEST,
    "noise of another generator than Philox 4×32-10",
    "`edt selftest` fails: the noise differs from its published known answers.",
    by="tests/selftest/test_selftest.py::test_noise_of_another_generator",
)
held(
    SELF_TEST,
    "an engine that gives rows the tokens of their neighbors",
    "`edt selftest` fails: the engine and the reference differ.",
    by="tests/selftest/test_selftest.py::test_rows_that_get_the_tokens_of_their_neighbors",
)
