"""Faults of run and model folders that a person who did not write the code came upon."""

import json
import os

from tests.faults.table import fault, held

held(
    "Damaged files",
    "a bit of a search's database is flipped after `edt tune` was killed",
    "The command that resumes the search names the damaged file, and that it can be removed.",
    by="tests/tuning/test_trials.py::test_a_flipped_bit_in_the_trials_of_a_killed_search_is_found",
)


@fault("Damaged files", "a pipe in the place of a part, then `edt score`")
def _(place):
    part = next((place.folder / place.runs()).glob("*/generations/part-*"))
    part.unlink()
    os.mkfifo(part)
    return place.edt("score", f"runs={place.runs()}")


@fault("Damaged files", "a manifest of 100,000 opening brackets, then `edt report`")
def _(place):
    manifest = next((place.folder / place.runs()).glob("*/manifest.json"))
    manifest.write_text("[" * 100_000)
    return place.edt("report", f"runs={place.runs()}")


held(
    "Damaged files",
    "a pipe in the place of `edt.log`",
    "A warning that there is no log, with the path; the command works.",
    by="tests/cli/test_command_log.py::test_a_pipe_in_the_place_of_a_log_is_not_waited_for",
)
held(
    "Damaged files",
    "the disk does not give a part while `repair=true` makes the manifest again",
    "The part is named with the reason, and stays.",
    by="tests/store/test_integrity.py::test_a_part_that_cannot_be_read_is_not_removed_by_a_repair",
)


@fault("Models", "a pipe in the place of config.json")
def _(place):
    path = place.folder / place.model() / "config.json"
    path.unlink()
    os.mkfifo(path)
    return place.edt_run()


@fault("Models", "a pipe in the place of the weights")
def _(place):
    path = place.folder / place.model() / "model.safetensors"
    path.unlink()
    os.mkfifo(path)
    return place.edt_run()


@fault("Models", "the only end token is beyond the vocabulary")
def _(place):
    folder = place.folder / place.model()
    for file in folder.glob("*config.json"):
        content = json.loads(file.read_text())
        if file.name == "tokenizer_config.json":
            content.pop("eos_token", None)
        else:
            content["eos_token_id"] = 10**9
        file.write_text(json.dumps(content))
    return place.edt_run()


@fault("Models", "one of several end tokens is beyond the vocabulary")
def _(place):
    path = place.folder / place.model() / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": 10**9}))
    return place.edt_run().only("eos_token_id .* beyond")


@fault("Configuration", "`strategy._target_` is the base class of all strategies")
def _(place):
    return place.edt_run("strategy._target_=edt.strategies.base.Strategy")


held(
    "Security",
    "a header with a token, or an address with one behind `#`, in a configuration",
    "`***` in its place in manifest, log and errors.",
    by="tests/test_secrets.py::test_what_is_spelled_like_a_secret_is_hidden",
)


held(
    "Data",
    "a reference is corrected in the data file, then `edt report` or `edt score` alone",
    "A warning that the file changed after the run took its examples, and which command takes it over.",
    by="tests/cli/test_changed_data.py::test_report_and_score_warn_of_changed_data",
)
