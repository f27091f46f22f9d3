"""No word of a command line gives a traceback or a hang: a sample here, many more in the long run."""

import random

import pytest

from edt.cli import main
from tests.faults.config_fuzz import SECONDS, Planned, TooLong, bound
from tests.faults.place import Place
from tests.faults.word_fuzz import words

SEED = 18


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = Place(tmp_path)
    made.stub(monkeypatch)
    return made


def complaint(command, said):
    """What is wrong with how a command with these words ended; empty where nothing is."""
    said.readouterr()
    try:
        with bound(SECONDS):
            status = main([*command, *([] if command[0] in ("list", "fetch") else ["--cfg", "job"])])
    except Planned:
        return ""
    except TooLong:
        return f"no end within {SECONDS} s"
    except SystemExit as error:
        return f"it exits by itself: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.200}"
    lines = said.readouterr().err.strip().splitlines()
    if status == 0:
        return ""
    # One line for each point of a sweep.
    if not lines or not lines[-1].startswith(f"edt {command[0]}: ") or "Traceback" in lines[0]:
        return f"exit {status} without a message: {lines[-1:]!r:.200}"
    return ""


def complaints(some, capsys):
    said = {" ".join(map(ascii, words))[:200]: complaint(words, capsys) for words in some}
    return {words: text for words, text in said.items() if text}


def test_a_sample_of_words_is_refused_in_one_sentence(place, capsys):
    assert not complaints(random.Random(SEED).sample(words(), 60), capsys)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(16))
def test_many_words_are_refused_in_one_sentence(part, place, capsys):
    """4,000 words, in parts that can be run alone."""
    assert not complaints(random.Random(SEED + 1).sample(words(), 4000)[part::16], capsys)
