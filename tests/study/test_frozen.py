"""The frozen protocol: what differs is named, and another protocol does not take the place of the first."""

import json
from dataclasses import replace

import pytest

from edt.errors import ConfigError
from edt.metrics.rouge import RougeL
from edt.metrics.suite import MetricsSpec
from edt.study.frozen import (
    FrozenChoices,
    basis_of,
    changes,
    changes_text,
    protocol_digest,
    read_protocol,
    write_protocol,
)
from tests.support.documents import ROOT
from tests.support.small_runs import run_of


def test_each_changed_key_is_named_with_both_values():
    before = {"search": {"trials": 32, "seed": 0}, "margins": {"eda": 1.0, "old": 2}, "objectives": None, "at": [1, 2]}
    now = {"search": {"trials": 5, "seed": 0}, "margins": {"eda": 1.0, "new": 3}, "objectives": ["eda"], "at": (1, 2)}
    assert changes(before, now) == [
        "search.trials: 32 → 5",
        "margins.old: 2 → not there",
        "margins.new: not there → 3",
        'objectives: null → ["eda"]',
    ]
    assert changes(before, before) == []


def test_many_and_long_changes_are_cut():
    before, now = {f"k{n}": 0 for n in range(9)}, {f"k{n}": "x" * 500 for n in range(9)}
    text = changes_text(before, now)
    assert "k5: 0 →" in text
    assert "k6" not in text
    assert text.endswith("; and 3 more")
    assert len(text) < 600


def test_another_protocol_is_written_next_to_the_first(tmp_path):
    first, second = {"seed": 0}, {"seed": 1}
    assert write_protocol(tmp_path, first, {}, exploratory=False).name == "protocol.json"
    kept = (tmp_path / "protocol.json").read_bytes()
    # twice, since a study is often repeated
    for _ in range(2):
        write_protocol(tmp_path, second, {}, exploratory=True)
    assert (tmp_path / "protocol.json").read_bytes() == kept
    assert read_protocol(tmp_path)["protocol"] == first
    other = json.loads((tmp_path / f"protocol-{protocol_digest(second)}.json").read_text())
    assert (other["protocol"], other["exploratory"]) == (second, True)
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_another_protocol_does_not_replace_the_first_unless_it_is_exploratory(tmp_path):
    """Also where no test row was read under it: the file is the record of what was fixed beforehand."""
    first = {"seed": 0, "margins": {"eda": 1.0}}
    write_protocol(tmp_path, first, {}, exploratory=False)
    kept = (tmp_path / "protocol.json").read_bytes()
    write_protocol(tmp_path, first, {}, exploratory=False)
    with pytest.raises(
        ConfigError, match=r"protocol\.json is of a study with another protocol \(margins\.eda: 1\.0 → 2"
    ) as e:
        write_protocol(tmp_path, {**first, "margins": {"eda": 2.0}}, {}, exploratory=False)
    assert all(remedy in str(e.value) for remedy in ("another paths.results", "exploratory=true", "options of before"))
    assert (tmp_path / "protocol.json").read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == ["protocol.json"]


PROTOCOL = {
    "families": {"fixed": {"axes": {"t0": 1}}, "edt": {"axes": {"t0": 1, "theta": 2}}},
    "baseline": ["fixed(t0=0)"],
    "search": {"trials": 32},
    "margins": {"eda": 1.0},
    "comparisons": [{"family": "edt", "baseline": "fixed", "nested": True}],
    "curves": {"range": [50.0, 95.0], "grids": {"fixed": {"t0": [0.5, 1.0]}, "edt": {"t0": [1.0, 2.0]}}},
    "samples": 8,
    "group_size": None,
    "seed": 0,
    "limits": ["None"],
}
OTHERS = {
    "samples": ({"samples": 4}, "samples: 8 → 4"),
    "K": ({"group_size": 4}, "group_size: null → 4"),
    "margins": ({"margins": {"eda": 0.5}}, "margins.eda: 1.0 → 0.5"),
    "a further margin": ({"margins": {"eda": 1.0, "best_of": 1.0}}, "margins.best_of: not there → 1.0"),
    "a new comparison": ({"comparisons": [{"family": "fixed", "baseline": "edt", "nested": False}]}, "comparisons: "),
    "space": ({"families": {"edt": {"axes": {"t0": 1, "theta": 3}}}}, "families.edt.axes.theta: 2 → 3"),
    "range": ({"curves": {**PROTOCOL["curves"], "range": [40.0, 95.0]}}, "curves.range: [50.0, 95.0] → [40.0"),
    "grid": ({"curves": {**PROTOCOL["curves"], "grids": {"edt": {"t0": [1.0, 3.0]}}}}, "curves.grids.edt.t0: [1.0, 2.0]"),
}  # fmt: skip
SAME = {
    "rows and noise": {"seed": 3, "limits": ["200"]},
    "what has no part in it": {"search": {"trials": 2}, "baseline": []},
    "less": {
        "families": {"edt": PROTOCOL["families"]["edt"]}, "comparisons": [],
        "curves": {"range": [50.0, 95.0], "grids": {}},
    },
}  # fmt: skip


@pytest.mark.parametrize("case", [*OTHERS, *SAME])
def test_choices_are_confirmed_by_the_rules_that_they_were_frozen_with(case, tmp_path):
    frozen = FrozenChoices(folder=tmp_path, digest="d", tasks={}, protocol=PROTOCOL)
    if case in SAME:
        frozen.check({**PROTOCOL, **SAME[case], "confirms": "d"})
        return
    changed, shown = OTHERS[case]
    with pytest.raises(ConfigError, match="were frozen with other options than those of this study") as error:
        frozen.check({**PROTOCOL, **changed})
    assert f"({shown}" in str(error.value)
    assert "give those of before" in str(error.value)


def _basis(manifest, **options):
    return basis_of(manifest, MetricsSpec(**options), 2)


def test_choices_are_confirmed_on_the_model_and_by_the_metrics_that_they_were_made_with(ask, tmp_path, caplog):
    manifest = run_of(ask()).manifest
    known = json.loads(json.dumps(_basis(manifest)))
    frozen = FrozenChoices(folder=tmp_path, digest="d", tasks={"rows": {"basis": known}}, protocol=PROTOCOL)

    def given(**identity):
        return _basis(replace(manifest, identity={**manifest.identity, **identity}))

    model = manifest.identity["model"]
    for basis, shown in (
        (given(model={**model, "weights": "other"}), "model.weights: "),
        (given(limits={**manifest.identity["limits"], "max_new_tokens": 1}), "sampling.max_new_tokens: "),
        (_basis(manifest, rouge_l=RougeL(stem=True)), "metrics.rouge_l.stem: false → true"),
        (_basis(manifest, group_size=1), "metrics.further: [] → "),
        (_basis(replace(manifest, quality="chrf")), "quality: "),
    ):
        with pytest.raises(ConfigError, match="choices of rows were made with another model, other limits or") as error:
            frozen.check_basis("rows", basis, "m")
        assert f"({shown}" in str(error.value)
    # Rows and noise are what a confirmation changes; another machine may decode it.
    # What decoding said before is cleared.
    caplog.clear()
    frozen.check_basis("rows", given(prompts="other", seed=7), "m")
    assert not caplog.text
    frozen.check_basis("rows", given(model={**model, "device": "cuda"}), "m")
    assert 'were made on another machine (device: "cpu" → "cuda")' in caplog.text


def test_of_a_protocol_without_its_basis_the_manifest_says_the_model(ask, tmp_path, caplog):
    """As in results/mini, whose protocol was frozen before `basis` was part of it."""
    basis = {"quality": "rouge_l"}
    frozen = FrozenChoices.read(ROOT / "results" / "mini")
    frozen = replace(frozen, tasks={name: {**task, "basis": None} for name, task in frozen.tasks.items()})
    frozen.check_basis("mini_xlsum", basis, "edt:mini")
    with pytest.raises(ConfigError, match=r'\(model: "edt:mini" → "gpt2"; quality: "rouge_l" → "chrf"\)'):
        frozen.check_basis("mini_xlsum", {"quality": "chrf"}, "gpt2")
    unfinished = replace(frozen, folder=tmp_path)
    unfinished.check_basis("mini_xlsum", basis, "gpt2")
    assert "does not say which model mini_xlsum's choices are of" in caplog.text
