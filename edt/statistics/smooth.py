"""Smooth noisy values over a few positions by a natural cubic spline: a linear operation, the same in every resample.

Shapes: N positions, G positions at which the spline is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edt.statistics.arrays import Floats

_PENALTIES = np.concatenate([[0.0], np.logspace(-6, 4, 81)])
"""Penalties that are tried, in units in which the positions span 1; 0 is the interpolating spline."""
_LACK_OF_FIT = 3.0
"""Standard errors of a residual from which on it is the curve's bias, and not noise."""
_ROUNDING = 1e-9
"""Residuals below this part of the largest value are those of the computer."""


@dataclass(frozen=True, kw_only=True)
class Smoother:
    """The smoothing spline of one penalty: `values_N @ at_NG` is the curve at G positions.

    reduced: whether the curve of least estimated risk missed a value, so that it was smoothed less.
    """

    at_NG: Floats
    penalty: float
    reduced: bool = False

    def __call__(self, values: Floats) -> Floats:
        """Return the curves of values [..., N] at the positions, [..., G]."""
        return values @ self.at_NG


def smoother(x_N: Floats, x_G: Floats, values_N: Floats, covariance_NN: Floats) -> Smoother:
    """Return the penalised natural cubic spline (Reinsch 1967; Green & Silverman 1994, ch. 2) for these values.

    It minimises Σ (y − f)² + λ ∫ f''². λ minimises the estimated risk ‖y − Hy‖² + 2 tr(HΣ) (Mallows 1973), with Σ the
    covariance of the values over resamples: neighbouring settings share their noise, which cross-validation would take
    for shape. So values without noise are interpolated. That risk is of all positions together, and may be least where
    one value is missed; the bias there is in no interval. So λ is lowered until no residual exceeds three of its
    standard errors over resamples, down to interpolation. Beyond the outermost positions the spline is a straight line.
    Positions must be ascending and distinct, three or more.
    """
    # In units of the span, so that one list of penalties serves every axis.
    span = x_N[-1] - x_N[0]
    unit_N, unit_G = (x_N - x_N[0]) / span, (x_G - x_N[0]) / span
    # ∫ f''² of a natural spline is a quadratic form in its values: no integral is computed.
    q_NM, r_MM = _second_differences(unit_N)
    roughness_NN = q_NM @ np.linalg.solve(r_MM, q_NM.T)
    identity = np.eye(len(x_N))

    # 1. Choose the penalty once, on the values themselves: chosen in each resample, it would add its own noise.
    def risk(penalty: float) -> float:
        hat_NN = np.linalg.inv(identity + penalty * roughness_NN)
        return float(((values_N - hat_NN @ values_N) ** 2).sum() + 2 * np.trace(hat_NN @ covariance_NN))

    # The smallest of equals: without a reason to smooth, the curve passes through its points.
    least = min(_PENALTIES.tolist(), key=risk)

    # 2. Lower it until the curve passes through every value but for noise; at 0 it passes through all of them.
    def fits(penalty: float) -> bool:
        residual_NN = identity - np.linalg.inv(identity + penalty * roughness_NN)
        residual_N = np.abs(residual_NN @ values_N)
        error_N = np.sqrt(np.clip(np.diag(residual_NN @ covariance_NN @ residual_NN.T), 0.0, None))
        return bool((residual_N <= _LACK_OF_FIT * error_N + _ROUNDING * np.abs(values_N).max()).all())

    penalty = next(penalty for penalty in _PENALTIES[::-1].tolist() if penalty <= least and fits(penalty))
    hat_NN = np.linalg.inv(identity + penalty * roughness_NN)

    # 3. Read the spline through the fitted values at each position; that is linear in them, too.
    gamma_MN: Floats = np.asarray(np.linalg.solve(r_MM, q_NM.T), dtype=np.float64)
    read_GN = _spline_matrix(unit_N, unit_G, gamma_MN)
    return Smoother(at_NG=(read_GN @ hat_NN).T, penalty=penalty, reduced=penalty < least)


def _second_differences(x_N: Floats) -> tuple[Floats, Floats]:
    """Return Green & Silverman's Q, [N, M], and R, [M, M], with M = N − 2 inner positions."""
    # Of unequally spaced positions, as settings of a search are.
    h = np.diff(x_N)
    inner = len(x_N) - 2
    q_NM, r_MM = np.zeros((len(x_N), inner)), np.zeros((inner, inner))
    for m in range(inner):
        q_NM[m : m + 3, m] = 1 / h[m], -1 / h[m] - 1 / h[m + 1], 1 / h[m + 1]
        r_MM[m, m] = (h[m] + h[m + 1]) / 3
        if m + 1 < inner:
            r_MM[m, m + 1] = r_MM[m + 1, m] = h[m + 1] / 6
    return q_NM, r_MM


def _spline_matrix(x_N: Floats, x_G: Floats, gamma_MN: Floats) -> Floats:
    """Return the matrix that reads a natural cubic spline with the values at x_N at x_G, [G, N]."""
    n = len(x_N)
    # The second derivatives at all knots, 0 at both ends, as a linear function of the values.
    second_NN = np.vstack([np.zeros(n), gamma_MN, np.zeros(n)])
    h = np.diff(x_N)
    # Positions beyond the ends are read at the ends, and continued straight below.
    inside_G = np.clip(x_G, x_N[0], x_N[-1])
    left_G = np.clip(np.searchsorted(x_N, inside_G, side="right") - 1, 0, n - 2)
    h_G = h[left_G][:, None]
    up_G, down_G = (inside_G - x_N[left_G])[:, None], (x_N[left_G + 1] - inside_G)[:, None]

    # Green & Silverman 1994, equation 2.22.
    values_NN = np.eye(n)
    lower, upper = values_NN[left_G], values_NN[left_G + 1]
    bend = (1 + up_G / h_G) * second_NN[left_G + 1] + (1 + down_G / h_G) * second_NN[left_G]
    read_GN = (up_G * upper + down_G * lower) / h_G - up_G * down_G / 6 * bend

    # Straight beyond the ends, where a natural spline has no curvature.
    first = (values_NN[1] - values_NN[0]) / h[0] - h[0] / 6 * second_NN[1]
    last = (values_NN[-1] - values_NN[-2]) / h[-1] + h[-1] / 6 * second_NN[-2]
    below_G, above_G = np.minimum(x_G - x_N[0], 0.0)[:, None], np.maximum(x_G - x_N[-1], 0.0)[:, None]
    result: Floats = read_GN + below_G * first + above_G * last
    return result
