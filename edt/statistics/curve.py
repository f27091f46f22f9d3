"""Draw a smooth curve through the settings of a front, for many resamples at once.

Shapes: N settings, B resamples, G positions on the Self-BLEU axis, P pieces between settings (P = N − 1).
"""

from __future__ import annotations

import numpy as np

from edt.statistics.arrays import Floats


def curve_at(self_bleu_G: Floats, quality_BN: Floats, self_bleu_BN: Floats) -> Floats:
    """Return the quality at each Self-BLEU on a curve through each resample's settings, [B, G].

    The curve is Fritsch & Carlson's monotone cubic as in scipy's PchipInterpolator (which draws one curve at a time),
    usual for Bjøntegaard differences of rate-distortion curves. A straight line is below a front that bends, the more
    the further apart its settings are, and so favors the family with the finer grid. Beyond the outermost settings
    the curve is constant.
    """
    # 1. Sort each resample's settings by Self-BLEU; the order differs between resamples.
    order_BN = np.lexsort((-quality_BN, self_bleu_BN))
    x_BN = np.take_along_axis(self_bleu_BN, order_BN, axis=1)
    y_BN = np.take_along_axis(quality_BN, order_BN, axis=1)

    # 2. Of settings with equal Self-BLEU the best one counts. Its quality is copied to the others, so that their pieces
    #    have width 0 and rise 0.
    for n in range(1, x_BN.shape[1]):
        y_BN[:, n] = np.where(x_BN[:, n] == x_BN[:, n - 1], y_BN[:, n - 1], y_BN[:, n])
    if x_BN.shape[1] == 1:
        return np.broadcast_to(y_BN, (len(y_BN), len(self_bleu_G))).copy()

    # 3. Find the piece of each position: count the inner settings at or below it.
    at_BG = np.clip(self_bleu_G, x_BN[:, :1], x_BN[:, -1:])
    piece_BG = np.clip((at_BG[:, :, None] >= x_BN[:, None, 1:-1]).sum(axis=2), 0, x_BN.shape[1] - 2)
    width_BP = np.diff(x_BN, axis=1)
    slope_BN = _pchip_slopes(width_BP, np.diff(y_BN, axis=1))

    # One lookup for all resamples at once: each has its own pieces.
    def of_piece(values: Floats) -> Floats:
        return np.take_along_axis(values, piece_BG, axis=1)

    # 4. Evaluate the cubic Hermite polynomial of the piece at t in [0, 1]. A piece of width 0 is level, so any width
    #    that is not 0 gives its quality.
    width_BG = np.where(of_piece(width_BP) > 0.0, of_piece(width_BP), 1.0)
    t_BG = (at_BG - of_piece(x_BN)) / width_BG
    start_BG, end_BG = of_piece(y_BN), of_piece(y_BN[:, 1:])
    rise_BG = width_BG * ((1 - t_BG) * of_piece(slope_BN) - t_BG * of_piece(slope_BN[:, 1:]))
    quality_BG: Floats = start_BG + (end_BG - start_BG) * t_BG**2 * (3 - 2 * t_BG) + rise_BG * t_BG * (1 - t_BG)
    return quality_BG


def _pchip_slopes(width_BP: Floats, rise_BP: Floats) -> Floats:
    """Return the slopes at the P + 1 knots of P pieces.

    Inside: weighted harmonic means of the slopes of both pieces, and 0 where these differ in sign, so that the curve
    does not overshoot (Fritsch & Butland 1984). At both ends see _end_slope.
    """
    is_wide_BP = width_BP > 0.0
    chord_BP = np.where(is_wide_BP, rise_BP / np.where(is_wide_BP, width_BP, 1.0), 0.0)
    if chord_BP.shape[1] == 1:  # two settings: a straight line
        return np.repeat(chord_BP, 2, axis=1)

    left, right = chord_BP[:, :-1], chord_BP[:, 1:]

    # Widths of the pieces to the left and right of each inner knot.
    h_left, h_right = width_BP[:, :-1], width_BP[:, 1:]
    is_level = left * right <= 0.0
    # np.where computes both branches, so the values that it drops must not divide by 0
    safe_left, safe_right = np.where(is_level, 1.0, left), np.where(is_level, 1.0, right)
    w_left, w_right = (np.where(is_level, 1.0, w) for w in (2 * h_right + h_left, h_right + 2 * h_left))
    inner = np.where(is_level, 0.0, (w_left + w_right) / (w_left / safe_left + w_right / safe_right))

    first = _end_slope(h_left[:, 0], h_right[:, 0], left[:, 0], right[:, 0])
    last = _end_slope(h_right[:, -1], h_left[:, -1], right[:, -1], left[:, -1])
    slopes: Floats = np.column_stack([first, inner, last])
    return slopes


def _end_slope(width: Floats, next_width: Floats, chord: Floats, next_chord: Floats) -> Floats:
    """Return the one-sided three-point slope at an end, from its piece and the next one (Moler 2004).

    It is 0 where it would have the other sign than its piece, and at most 3 chords where the curve turns.
    """
    both = np.where(width + next_width > 0.0, width + next_width, 1.0)
    slope = ((2 * width + next_width) * chord - width * next_chord) / both
    slope = np.where(np.sign(slope) != np.sign(chord), 0.0, slope)
    is_turn = (np.sign(chord) != np.sign(next_chord)) & (np.abs(slope) > 3 * np.abs(chord))
    limited: Floats = np.where(is_turn, 3 * chord, slope)
    return limited
