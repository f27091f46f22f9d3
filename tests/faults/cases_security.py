"""What comes from elsewhere and would run, write or show more than it may."""

from tests.faults.table import fault, held

SECTION = "Security"
MODELS = "tests/models/test_untrusted_models.py"
NAMES = "tests/test_names_of_files.py"
TEXTS = "tests/test_terminal_text.py"
SECRETS = "tests/test_secrets.py"

COMMANDS = {
    "a class of another package: `task._target_=os.system`": ("run", "task=mini_xlsum", "task._target_=os.system"),
    "a function of another package that a trusted module imports: `strategy._target_=edt.cli.app.os.system`": (
        "run",
        "strategy=edt",
        "strategy._target_=edt.cli.app.os.system",
    ),
    "a callable for a family of a study: `families.fixed._target_=os.system`": (
        "study",
        "preset=smoke",
        "families.fixed._target_=os.system",
    ),
    "an override that trusts a package: `+trusted_packages=[os]`": ("run", "+trusted_packages=[os]"),
    "a launcher, a callback or a search path of Hydra: `hydra.searchpath=[pkg://evil]`": (
        "run",
        "hydra.searchpath=[pkg://evil]",
    ),
    "a control sequence in an option: `strategy=ESC[31m`": ("run", "strategy=\x1b[31mred"),
}

for what, words in COMMANDS.items():

    @fault(SECTION, what)
    def _(place, words=words):
        return place.edt(*words)


@fault(SECTION, "a control sequence in the name of a column")
def _(place):
    row = {"\x1b]0;title\x07question": "a", "reference": "b"}
    return place.edt_run(f"task.path={place.rows(row, name='rows.jsonl')}")


@fault(SECTION, "an adapter with a pickle next to its safetensors")
def _(place):
    folder = place.folder / "adapter"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"):
        (folder / name).write_text("{}")
    return place.edt_run("+model.adapter=adapter")


@fault(SECTION, "a password in the address of data: `task.path=https://user:PASSWORD@host/x.jsonl`")
def _(place):
    return place.edt_run("task.path=https://user:PASSWORD@host/x.jsonl")


ROWS = (
    ("a module of a configuration, in all of 23 places that name one", "Nothing is imported.",
     "tests/cli/test_trust.py::test_nothing_is_imported_that_the_user_has_not_named"),
    ("a configuration file with settings of Hydra that name classes or packages", "Nothing is imported.",
     "tests/cli/test_trust.py::test_hydra_itself_imports_nothing_for_a_configuration"),
    ("a link in the place of a file that a command writes, whatever its name",
     "The link is replaced; the file that it points to stays as it was.",
     "tests/store/test_atomic.py::test_no_link_is_followed_whatever_its_name"),
    ("a model's name that leads elsewhere: `model.path=..`", "All files are written inside `paths.runs` and `paths.results`.",
     f"{NAMES}::test_a_model_of_the_folder_above_writes_into_its_own_folders"),
    ("a run folder whose split, task or model is called `../../up`", "Its figures are written into their own folder.",
     f"{NAMES}::test_a_hostile_run_draws_its_figures_into_the_folder_of_figures"),
    ("an archive whose members have names such as `../x`", "They are written nowhere else than into the cache.",
     f"{NAMES}::test_an_archive_cannot_choose_where_its_members_go"),
    ("control sequences in prompts, outputs, ids and names", "Signs stand in their place, in tables, traces, logs and errors.",
     f"{TEXTS}::test_a_console_prints_no_control_character_of_a_text"),
    ("a formula in a table or an export: `=HYPERLINK(…)`", "An apostrophe stands before it in CSV.",
     f"{TEXTS}::test_exported_samples_hold_no_formula_unless_they_are_to_stay"),
    ("HTML and scripts in prompts, outputs and names",
     "They are shown as text; each page allows its own scripts alone (content security policy).",
     "tests/report/test_every_page.py::test_a_page_has_a_policy_and_nothing_of_others_in_its_markup"),
    ("keys, tokens and passwords in the environment, in URLs and in words of a command",
     "`***` stands in their place, in manifests, logs, pages and traces.",
     f"{SECRETS}::test_no_file_of_a_run_its_report_or_its_trace_holds_a_secret"),
    ("the same in what is sent to W&B", "Neither secrets nor the names of home, user and host are sent.",
     "tests/tracking/test_export.py::test_nothing_written_tells_the_home_the_user_the_host_or_a_key"),
    ("an adapter with pickled files", "It is refused before peft sees it, with what to copy instead.",
     f"{MODELS}::test_an_adapter_with_a_pickle_is_refused_before_peft_sees_it"),
    ("an adapter whose settings make peft import or unpickle", "It is refused; merge the adapter where it was trained.",
     f"{MODELS}::test_an_adapter_that_makes_peft_import_or_unpickle_is_refused"),
    ("weights that are a pickle under another name", "They are refused, and nothing runs.",
     f"{MODELS}::test_weights_that_are_a_pickle_in_disguise_are_not_read"),
    ("Python files in a model folder", "None is run.", f"{MODELS}::test_code_of_a_model_does_not_run"),
    ("a chat template that reaches for Python's objects", "It runs in a sandbox, and is refused.",
     f"{MODELS}::test_a_chat_template_runs_in_a_sandbox"),
    ("a chat template that never ends", "It is stopped after some seconds, with the model's name.",
     f"{MODELS}::test_an_endless_chat_template_ends"),
    ("a chat template that writes gigabytes", "It is refused, with the model's name.",
     f"{MODELS}::test_a_chat_template_that_writes_gigabytes_is_stopped"),
)  # fmt: skip

for what, shown, by in ROWS:
    held(SECTION, what, shown, by=by)
