"""No configuration gives a traceback, a hang, or a message without its key: a sample of cases here, all in the long run."""

import logging
import random
import time

import pytest

from tests.faults.config_fuzz import Planned, TooLong, attempt, bases, bound, cases, complaint, composed, execute
from tests.faults.place import Place

SAMPLE = 400
"""Cases in each run of the suite, drawn anew for each number of the seed."""
SEED = 18


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """The configuration of each base, in a place where commands end before they decode."""
    with pytest.MonkeyPatch.context() as patch:
        place = Place(tmp_path_factory.mktemp("fuzz"))
        place.stub(patch)
        made = {base: composed(base, place) for base in bases()}
        # Once as they are, so that no case pays for imports and for loading the model: each is accepted.
        for base, config in made.items():
            try:
                execute(bases()[base][0], config)
            except Planned:
                continue
        logging.disable(logging.CRITICAL)
        yield made
        logging.disable(logging.NOTSET)


def distinct(every):
    """One case of each key and kind of value: commands share most of their groups."""
    return list({(case.key, case.kind): case for case in every}.values())


def complaints(some, configs):
    return [f"{case}: {said}" for case in some if (said := complaint(case, attempt(case, configs)))]


def test_a_sample_of_wrong_values_is_refused_in_one_sentence(configs, capsys):
    some = random.Random(SEED).sample(distinct(cases(configs)), SAMPLE)
    assert not complaints(some, configs)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("base", bases())
def test_every_wrong_value_is_refused_in_one_sentence(base, configs, capsys):
    assert not complaints([case for case in distinct(cases(configs)) if case.base == base], configs)


def test_a_case_is_bound_by_its_own_time_and_not_by_that_of_other_programs():
    """Waiting is allowed for ten times as long: on busy cores a command waits for its turn."""
    with bound(0.1):
        time.sleep(0.3)
    with pytest.raises(TooLong), bound(0.1):
        _work_for_ever()
    with pytest.raises(TooLong), bound(0.1):
        time.sleep(30)


def _work_for_ever():
    while True:
        pass
