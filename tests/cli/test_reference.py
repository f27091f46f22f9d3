"""The reference that the documentation is generated from: complete, and described."""

from dataclasses import dataclass

from edt.cli import COMMANDS
from edt.cli.composition import config_folder
from edt.cli.reference import commands, field_docs, groups, keys


def test_every_command_is_in_the_reference():
    assert [command.name for command in commands()] == list(COMMANDS)
    assert all(command.examples and command.purpose in command.help for command in commands())


def test_every_option_has_a_description():
    for group, options in groups().items():
        undescribed = [name for name, text in options.items() if not text]
        assert not undescribed, f"{group}: {undescribed}"


def test_keys_have_type_default_and_description():
    by_key = {(key.group, key.option, key.key): key for key in keys()}
    samples = by_key["sampling", "default", "sampling.samples"]
    assert (samples.type, samples.default) == ("a whole number", "4")
    assert "outputs per example" in samples.description.lower()
    resamples = by_key["metrics", "default", "metrics.bootstrap.resamples"]
    assert (resamples.type, resamples.default) == ("a whole number", "1000")
    assert by_key["", "trace", "top"].default == "8"
    assert by_key["strategy", "edt", "strategy.entropy_of"].description.startswith("raw:")
    classes = ("sampling", "metrics", "search", "tracking", "strategy", "model", "engine", "browser")
    assert by_key["strategy", "edt", "strategy.theta"].default == "0.5"
    assert by_key["search", "study", "search.trials"].default == "32"
    models = [path.stem for path in (config_folder() / "model").glob("*.yaml")]
    derived = (*models, "compare_three", "edt_grid", "kld_grid", "fixed_grid", "fixed_sweep", "wide_grid")
    undescribed = [
        key.key for key in by_key.values() if key.group in classes and key.option not in derived and not key.description
    ]
    assert not undescribed


def test_fields_are_documented_below_them_or_in_the_class_docstring():
    @dataclass
    class Spec:
        """Something. first: one. second: two, and more."""

        first: int
        second: int
        third: int = 3
        """Three."""

    assert field_docs(Spec) == {"first": "one", "second": "two, and more", "third": "Three."}
