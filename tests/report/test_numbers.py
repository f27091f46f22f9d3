"""Numbers as text: one minus sign everywhere, and no sign where a number is shown as 0."""

import pytest

from edt.report.numbers import interval_text, number_text, signed_text


@pytest.mark.parametrize(
    ("value", "digits", "plain", "signed"),
    [
        (-0.041, 1, "0.0", "0.0"), (0.041, 1, "0.0", "0.0"), (-0.051, 1, "−0.1", "−0.1"), (0.06, 1, "0.1", "+0.1"),
        (-0.0, 2, "0.00", "0.00"), (-12.25, 0, "−12", "−12"), (3.0, 0, "3", "+3"),
    ],
)  # fmt: skip
def test_the_sign_is_that_of_what_is_shown(value, digits, plain, signed):
    assert (number_text(value, digits), signed_text(value, digits)) == (plain, signed)


def test_bounds_are_written_as_their_value_is_and_a_missing_one_leaves_out_both():
    assert interval_text(-1.26, -2, 0.01, digits=1, signed=True) == "−1.3 [−2.0, 0.0]"
    assert interval_text(2, 1, 3, digits=0) == "2 [1, 3]"
    assert interval_text(2, 1, None, digits=0) == "2"
    assert interval_text(None, 1, 2, digits=0) == "–"
