"""A search by itself: its trials on disk, and what it calls best, with made-up measurements."""

import math
import random
import sqlite3
import struct
from contextlib import closing
from dataclasses import replace
from itertools import count, pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError, DamagedFileError, StoreError
from edt.scoring.dev import TrialMetrics
from edt.scoring.objective import Objective
from edt.store import database
from edt.store.database import checked_database
from edt.store.lock import held
from edt.strategies import EDT, Fixed
from edt.tuning.progress import exhausted_message
from edt.tuning.results import TrialResult, best, best_so_far, front
from edt.tuning.run import search
from edt.tuning.space import SearchSpace
from edt.tuning.spec import DEFAULT_TRIALS, SearchSpec
from edt.tuning.trials import PendingTrial, Trials

T0 = {"low": 0.05, "high": 3.0}
THETA = {"low": 0.05, "high": 5.0, "log": True}
PLANE = SearchSpace.from_config(EDT, {"t0": T0, "theta": THETA, "top_p": None})


def bowl(setting):
    """Lowest, 10, at T0 = 1 and θ = 0.5; quality and Self-BLEU both rise as T0 falls."""
    eda = 10 + 20 * (setting.t0 - 1) ** 2 + 5 * math.log10(setting.theta / 0.5) ** 2
    share = 100 / (1 + setting.t0)
    return {
        "task": TrialMetrics(
            quality=share / 2, self_bleu=share / 3, eda=eda, quality_share=share, self_bleu_share=share
        )
    }


class Evaluator:
    """TrialMetrics by `bowl`, remembers the passes, and dies in one of them where told."""

    def __init__(self, dies_in=None):
        self.passes, self.dies_in = [], dies_in

    def __call__(self, settings):
        if len(self.passes) == self.dies_in:
            raise KeyboardInterrupt
        self.passes.append([setting.strategy_id for setting in settings])
        return {setting.strategy_id: bowl(setting) for setting in settings}


def run(folder, evaluate=None, space=PLANE, known=None, **spec):
    with Trials(folder / "trials.sqlite3", "name", space, SearchSpec(**spec)) as trials:
        return search(trials, evaluate or Evaluator(), known or {}, lambda tried: None)


def settings(tried):
    return [one.strategy_id for one in tried]


# What is best


def tried_of(points):
    found = []
    for number, (quality, self_bleu) in enumerate(points):
        measures = TrialMetrics(quality=0, self_bleu=0, eda=number, quality_share=quality, self_bleu_share=self_bleu)
        found.append(TrialResult(number=number, strategy_id=str(number), params={}, by_task={"task": measures}))
    return found


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20))
def test_the_front_is_what_nothing_beats(points):
    def beaten(one):
        return any(a >= one[0] and b <= one[1] and (a, b) != one for a, b in points)

    assert {int(one.strategy_id) for one in front(tried_of(points))} == {
        number for number, one in enumerate(points) if not beaten(one)
    }


def test_best_and_best_so_far():
    means = [[3.0, 5.0], [1.0, 3.0], [2.0, 2.0], [0.0, 1.0]]
    tried = []
    for number, edas in enumerate(means):
        by_task = {
            str(place): TrialMetrics(quality=0, self_bleu=0, eda=eda, quality_share=0, self_bleu_share=0)
            for place, eda in enumerate(edas)
        }
        tried.append(TrialResult(number=number, strategy_id=str(number), params={}, by_task=by_task))
    assert [one.eda for one in tried] == [4, 2, 2, 0.5]
    assert best(tried[:3]).number == 1
    assert best_so_far(tried) == [4, 2, 2, 0.5]


# The search


def test_a_search_decodes_whole_batches_and_each_setting_once(tmp_path):
    evaluate = Evaluator()
    tried = run(tmp_path, evaluate, trials=10, batch=4)
    assert [len(names) for names in evaluate.passes] == [4, 4, 2]
    assert [one.number for one in tried] == list(range(10))
    assert sorted(settings(tried)) == sorted(name for names in evaluate.passes for name in names)
    assert all(one.by_task == bowl(PLANE.setting(one.params)) for one in tried)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
@pytest.mark.parametrize("objective", ["eda", "multi"])
def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path, sampler, objective):
    spec = {"sampler": sampler, "objective": objective, "trials": 16, "batch": 4}
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole", **spec)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Evaluator(dies_in=2), **spec)
    resumed = Evaluator()
    assert run(tmp_path, resumed, **spec) == whole
    assert [len(names) for names in resumed.passes] == [4, 4]


STRIDE = 13
"""Statements between two kills: a search of a few trials has some 200, and tests.support.killed_commands tries all."""

REPEATING = {"t0": [0.5, 0.9], "theta": [0.1, 1.0]}


class Killed(BaseException):
    """What SIGKILL would be: no handler of an error in the code catches it."""


def killed_before(statement, work):
    """Do some work, but for the SQL statements and commits from number `statement` on; return whether it was killed."""
    from sqlalchemy import Engine, event

    numbers = count()

    def dies(*arguments):
        if next(numbers) >= statement:
            raise Killed

    listeners = [("before_cursor_execute", dies), ("commit", dies)]
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    try:
        work()
    except Killed:
        return True
    finally:
        for name, listener in listeners:
            event.remove(Engine, name, listener)
    return False


@pytest.mark.parametrize(
    ("node", "spec", "first"),
    [
        # from the first statement, which makes the tables
        (REPEATING, {"sampler": "tpe", "trials": 2, "batch": 2}, 0),
        # a search that ends by repeats, of which each moves the number that seeds the next suggestion
        (REPEATING, {"sampler": "random", "trials": 4, "batch": 3}, 90),
        ({"t0": T0, "theta": {**THETA, "points": 2}}, {"sampler": "tpe", "trials": 3, "batch": 2}, 90),
    ],
)
def test_a_search_killed_at_any_statement_ends_as_if_it_had_not_been(tmp_path, node, spec, first):
    space = SearchSpace.from_config(EDT, node)
    (tmp_path / "whole").mkdir()
    whole, stored = run(tmp_path / "whole", space=space, **spec), trials_on_disk(tmp_path / "whole")

    for number in count(first, STRIDE):
        folder = tmp_path / str(number)
        folder.mkdir()
        if not killed_before(number, lambda folder=folder: run(folder, space=space, **spec)):
            break
        assert run(folder, space=space, **spec) == whole
        # those given up too: their numbers seed what follows
        assert trials_on_disk(folder) == stored
    assert number > first + 2 * STRIDE


def trials_on_disk(folder):
    import optuna

    (name,) = optuna.get_all_study_names(f"sqlite:///{folder}/trials.sqlite3")
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/trials.sqlite3")
    return [(trial.number, trial.state, trial.params, trial.values) for trial in study.trials]


@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_what_only_version_0_1_left_half_written_is_given_up(tmp_path, sampler):
    """It asked the database for a trial, which then had its values one by one, and enqueued the points of a grid."""
    import optuna

    url, space = f"sqlite:///{tmp_path / 'trials.sqlite3'}", SearchSpace.from_config(EDT, {"t0": T0, "theta": THETA})
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    run(tmp_path, space=space, sampler=sampler, trials=2, batch=2)
    old = optuna.load_study(study_name="name", storage=url)
    known = old.trials[0].params
    old.ask().suggest_float("t0", **{"low": T0["low"], "high": T0["high"]})  # number 2, without a θ
    old.enqueue_trial(known)
    old.ask({"t0": old.trials[0].distributions["t0"], "theta": old.trials[0].distributions["theta"]})  # a repeat
    old.enqueue_trial({"t0": 1.0, "theta": 1.0})  # not begun

    tried = run(tmp_path, space=space, sampler=sampler, trials=6, batch=2)
    assert len(tried) == len(set(settings(tried))) == 6
    assert [state.name for _, state, *_ in trials_on_disk(tmp_path)] == ["COMPLETE"] * 2 + ["FAIL"] * 3 + [
        "COMPLETE"
    ] * 4


def test_a_pending_trial_of_version_0_1_is_measured(tmp_path):
    import optuna

    run(tmp_path, trials=2, batch=2)
    old = optuna.load_study(study_name="name", storage=f"sqlite:///{tmp_path / 'trials.sqlite3'}")
    pending = old.ask(old.trials[0].distributions)
    assert PLANE.setting(pending.params).strategy_id in settings(run(tmp_path, trials=4, batch=2))


def test_a_batch_is_of_pending_trials_and_asked_again_is_the_same(tmp_path):
    spec = SearchSpec(trials=8, batch=4)
    with Trials(tmp_path / "trials.sqlite3", "name", PLANE, spec) as trials:
        batch = trials.next_batch()
        assert [type(pending) for pending in batch] == [PendingTrial] * 4
        assert trials.next_batch() == batch
        assert trials.completed() == []
        trials.complete(batch[0], bowl(batch[0].setting))
        assert [trial.number for trial in trials.completed()] == [0]
        assert [pending.number for pending in trials.next_batch()] == [1, 2, 3]


def test_the_same_command_again_measures_nothing(tmp_path):
    first = run(tmp_path, trials=9, batch=4)
    again = Evaluator()
    assert run(tmp_path, again, trials=9, batch=4) == first
    assert again.passes == []


def test_more_trials_go_on_from_those_there(tmp_path):
    first = run(tmp_path, trials=8, batch=4)
    more = Evaluator()
    assert run(tmp_path, more, trials=16, batch=4)[:8] == first
    assert [len(names) for names in more.passes] == [4, 4]


def test_a_suggestion_that_is_known_is_told_without_a_pass(tmp_path):
    space = SearchSpace.from_config(EDT, {"t0": [0.5, 1.0], "theta": 0.5})
    known = {"edt(t0=0.5,theta=0.5)": bowl(EDT(t0=0.5, theta=0.5))}
    evaluate = Evaluator()
    tried = run(tmp_path, evaluate, space, known, sampler="random", trials=12, batch=3)
    assert evaluate.passes == [["edt(t0=1,theta=0.5)"]]
    assert sorted(settings(tried)) == ["edt(t0=0.5,theta=0.5)", "edt(t0=1,theta=0.5)"]


SMALL = {
    "choices": {"t0": [0.5, 0.9], "theta": [0.1, 1.0]},
    "whole numbers": {"t0": 1.0, "theta": 0.5, "top_k": {"low": 3, "high": 6}},
    # 0.9999, 1, 1.001 and 1.002: four digits each
    "a narrow range": {"t0": {"low": 0.9999, "high": 1.002}, "theta": 0.5},
    "a choice and a range": {"t0": [0.5, 0.9], "theta": 0.5, "top_k": {"low": 3, "high": 4}},
}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("node", SMALL.values(), ids=SMALL)
def test_a_repeated_setting_is_no_trial_and_an_exhausted_space_ends_the_search(tmp_path, node, sampler):
    space, evaluate = SearchSpace.from_config(EDT, node), Evaluator()
    tried = run(tmp_path, evaluate, space, sampler=sampler, trials=10, batch=3)
    assert len(tried) == len(set(settings(tried))) == 4
    assert [len(names) for names in evaluate.passes] == [3, 1]
    # asked for more, it stays at its end
    again = Evaluator()
    assert run(tmp_path, again, space, sampler=sampler, trials=20, batch=3) == tried
    assert again.passes == []


def test_a_search_of_a_small_space_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path):
    space = SearchSpace.from_config(EDT, {"t0": [0.5, 0.7, 0.9], "theta": [0.1, 1.0]})
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole", space=space, trials=9, batch=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Evaluator(dies_in=1), space, trials=9, batch=2)
    assert run(tmp_path, space=space, trials=9, batch=2) == whole
    assert len(whole) == 6


def test_spaces_too_large_to_count_are_not_counted():
    assert PLANE.points() is None
    assert SearchSpace.from_config(EDT, {"t0": 1.0, "theta": {"low": 0, "high": 0.5}}).points() is None


@pytest.mark.parametrize(
    ("spec", "size", "message"),
    [
        ({"trials": 10}, 4, "the space has only 4 settings, so the search ends after 4 trials, not 10"),
        ({}, 4, f"the search ends after 4 trials, not {DEFAULT_TRIALS}"),
        ({"sampler": "grid", "trials": 10}, 4, "the grid has only 4 points"),
        ({"sampler": "grid"}, 4, ""),
        ({"trials": 4}, 4, ""),
        ({"trials": 10}, None, ""),
    ],
)
def test_a_space_smaller_than_the_search_is_reported(spec, size, message):
    assert message in exhausted_message(SearchSpec(**spec), size)
    assert bool(message) == bool(exhausted_message(SearchSpec(**spec), size))


def test_a_grid_tries_each_point_once_and_all_unless_told(tmp_path):
    space = SearchSpace.from_config(
        EDT, {"t0": {**T0, "points": 3}, "theta": {**THETA, "points": 2}, "top_p": [None, 0.9]}
    )
    tried = run(tmp_path, space=space, sampler="grid", batch=5)
    assert sorted(settings(tried)) == sorted(space.setting(point).strategy_id for point in space.grid())
    assert len(tried) == 12
    (tmp_path / "some").mkdir()
    some = run(tmp_path / "some", space=space, sampler="grid", batch=5, trials=7)
    assert settings(some) == settings(tried)[:7]
    assert SearchSpec(sampler="grid", trials=50).target(12) == 12
    assert SearchSpec().target(None) == DEFAULT_TRIALS


def test_seeds_and_samplers_differ(tmp_path):
    found = set()
    for name, spec in {"a": {}, "b": {"seed": 1}, "c": {"sampler": "grid"}}.items():
        (tmp_path / name).mkdir()
        found.add(tuple(settings(run(tmp_path / name, trials=4, **spec))))
    assert len(found) == 3


def test_tpe_closes_in_on_the_lowest(tmp_path):
    tried = run(tmp_path, space=SearchSpace.from_config(EDT, {"t0": T0, "theta": 0.5}), trials=30, batch=5)
    early, late = (median(one.eda - 10 for one in part) for part in (tried[:10], tried[-10:]))
    assert late < 0.5 * early
    assert best(tried).eda < 10.5


def test_a_metric_of_which_more_is_better_is_maximized(tmp_path):
    """distinct_correct is highest at T0 = 2, EDA lowest at 1."""
    best_metric = Objective(metric="distinct_correct", higher_is_better=True)

    def evaluate(settings):
        return {
            s.strategy_id: {"task": replace(bowl(s)["task"], values={"distinct_correct": 8 - (s.t0 - 2) ** 2})}
            for s in settings
        }

    space = SearchSpace.from_config(EDT, {"t0": T0, "theta": 0.5})
    spec = SearchSpec(objective="distinct_correct", trials=30, batch=5)
    with Trials(tmp_path / "trials.sqlite3", "name", space, spec, best_metric) as trials:
        tried = search(trials, evaluate, {}, lambda tried: None)
    assert best(tried, best_metric).params["t0"] == pytest.approx(2, abs=0.1)
    assert best_so_far(tried, best_metric)[-1] == max(one.value("distinct_correct") for one in tried)
    early, late = (median(one.value("distinct_correct") for one in part) for part in (tried[:15], tried[-10:]))
    assert late > early
    with pytest.raises(ConfigError, match="has no chrf on dev of task"):
        tried[0].value("chrf")


def test_the_first_half_of_tpe_fills_the_space(tmp_path):
    tried = run(tmp_path, trials=16, batch=4, seed=3)
    points = [PLANE.rounded(PLANE.space_filling(3, number)) for number in range(8)]
    assert [one.params for one in tried[:8]] == points
    assert tried[8].params != PLANE.rounded(PLANE.space_filling(3, 8))


def test_tpe_of_two_objectives_reads_their_directions(tmp_path):
    """Quality is to be large and Self-BLEU small: here T0 trades nothing, and the front is a point of the lowest T0."""

    def evaluate(settings):
        found = {}
        for setting in settings:
            quality, self_bleu = 100 - 30 * setting.t0, 30 * setting.t0
            m = TrialMetrics(quality=0, self_bleu=0, eda=0, quality_share=quality, self_bleu_share=self_bleu)
            found[setting.strategy_id] = {"task": m}
        return found

    space = SearchSpace.from_config(Fixed, {"t0": {"low": 0, "high": 3}})
    tried = run(tmp_path, evaluate, space, objective="multi", trials=30, batch=5)
    late = [one.params["t0"] for one in tried[-10:]]
    assert sum(late) / len(late) < 0.6
    (one,) = front(tried)
    assert one.params["t0"] == min(other.params["t0"] for other in tried)


@pytest.mark.parametrize("damage", [b"no database at all " * 99, b"SQLite format 3\0" + b"\xff" * 5000])
def test_damaged_trials_are_named_with_the_way_out(tmp_path, damage):
    (tmp_path / "trials.sqlite3").write_bytes(damage)
    with pytest.raises(StoreError, match=r"trials\.sqlite3 cannot be read or written .*can be removed"):
        run(tmp_path, trials=2)


def test_a_folder_name_that_a_url_would_mangle(tmp_path):
    folder = tmp_path / "a b?c#d%20{e}"
    folder.mkdir()
    run(folder, trials=2)
    assert (folder / "trials.sqlite3").is_file()


def test_only_one_process_holds_a_search(tmp_path):
    with held(tmp_path, "search"), pytest.raises(StoreError, match="another process"), held(tmp_path, "search"):
        pass


def test_a_trial_costs_the_digest_the_same_however_many_there_are(tmp_path, monkeypatch):
    digest, rows, after = database._row_digest, [], []
    monkeypatch.setattr(database, "_row_digest", lambda *row: rows.append(row) or digest(*row))
    with Trials(tmp_path / "trials.sqlite3", "name", PLANE, SearchSpec(trials=60, batch=6, sampler="random")) as trials:
        search(trials, Evaluator(), {}, lambda tried: after.append(len(rows)))
    costs = [later - earlier for earlier, later in pairwise(after)]
    assert len(costs) >= 9
    assert set(costs[1:]) == {costs[0]}
    assert costs[0] < 6 * 30


def test_a_flipped_bit_in_the_trials_of_a_killed_search_is_found(tmp_path):
    path = tmp_path / "trials.sqlite3"
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Evaluator(dies_in=1), trials=8, batch=4, sampler="random")
    with checked_database(path, ""):
        pass
    beside, whole, draw = path.with_name("trials.sqlite3.sha256"), path.read_bytes(), random.Random(2)
    # The bits of stored values and measurements, which SQLite cannot check.
    with closing(sqlite3.connect(path)) as connection:
        texts = [text for (text,) in connection.execute("SELECT value_json FROM study_user_attributes")]
        values = [struct.pack(">d", value) for (value,) in connection.execute("SELECT value FROM trial_values")]
    assert len(texts) == len(values) == 4
    for stored in [*(text.encode() for text in texts), *values]:
        bit = 8 * whole.index(stored) + draw.randrange(8 * len(stored))
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        beside.unlink(missing_ok=True)
        with pytest.raises(DamagedFileError, match=r"damaged .*Remove it"), checked_database(path, "Remove it."):
            pass
