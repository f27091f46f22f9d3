"""Entropy along the steps: shares and means are of outputs that come to an end."""

from types import SimpleNamespace

from edt.study.experiments.confidence import _mean_entropy, _sureness_table


def output(entropy, temperature, finish_reason="eos"):
    return SimpleNamespace(
        trace_entropy=entropy,
        trace_temperature=temperature,
        finish_reason=finish_reason,
        strategy_id="edt(t0=1,theta=0.5)",
    )


ENDED = [output([0.05, 1.0, 0.01], [0.2, 0.9, 0.1]), output([0.09, 2.0], [0.3, 1.1])]
ENDLESS = output([7.8] * 48, [1.0] * 48, "length")


def test_an_output_without_an_end_is_counted_and_its_steps_are_not():
    table = _sureness_table({("a", "edt"): [*ENDED, ENDLESS]})
    # by hand: 5 steps, 3 below 0.1 nats; means (0.05 + 1 + 0.01 + 0.09 + 2)/5, (0.2 + 0.1 + 0.3)/3, (0.9 + 1.1)/2
    assert table.rows == [["a", "edt: edt(t0=1,theta=0.5)", "5", "60", "0.63", "0.09", "0.20", "1.00", "33"]]
    assert _mean_entropy([*ENDED, ENDLESS]) == _mean_entropy(ENDED)
    assert len(_mean_entropy(ENDED)) == 3


def test_where_no_output_ends_there_are_no_figures():
    assert _sureness_table({("a", "edt"): [ENDLESS]}).rows[0][2:] == ["0", "–", "–", "–", "–", "–", "100"]
    assert _mean_entropy([ENDLESS]) == []
