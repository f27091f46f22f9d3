"""A damaged data file is refused in one sentence that names the file, or read: never a traceback, never a hang."""

import pytest

from edt.errors import EdtError
from edt.tasks.base import Template
from edt.tasks.jsonl import JsonLines
from tests.faults.config_fuzz import SECONDS, TooLong, bound
from tests.faults.data_fuzz import case


def complaint(folder, seed):
    """What is wrong with how reading a file ends: empty where nothing is, None where it was refused as it should be."""
    name, content = case(seed)
    path = folder / name
    path.write_bytes(content)
    task = JsonLines(path=str(path), template=Template(head="", source="{question}", tail=""))
    try:
        with bound(SECONDS):
            for split in ("dev", "test"):
                for example in task.load(split).examples:
                    (example.parts.head + example.parts.source + example.parts.tail).encode("utf-8")
                    "".join(example.references).encode("utf-8")
    except EdtError as error:
        said = str(error)
        if "\n" in said or len(said) > 1200:
            return f"several lines, or too many words: {said:.300}"
        if name not in said and "task 'rows'" not in said:
            return f"without the file: {said:.300}"
        return None
    except TooLong:
        return f"no end within {SECONDS} s"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.300}"
    return ""


def check(folder, seeds):
    said = {seed: complaint(folder, seed) for seed in seeds}
    assert not {seed: text for seed, text in said.items() if text}
    # Neither are all files so damaged that nothing is read, nor all as they were.
    assert 0.3 < sum(text is None for text in said.values()) / len(said) < 0.95


def test_a_sample_of_damaged_data_files(tmp_path):
    check(tmp_path, range(400))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_damaged_data_files(tmp_path):
    check(tmp_path, range(1000, 11_000))
