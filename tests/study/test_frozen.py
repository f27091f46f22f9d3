"""The frozen protocol: what differs is named, and another protocol does not take the place of the first."""

import json

from edt.study.frozen import changes, changes_text, protocol_digest, read_protocol, write_protocol


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
