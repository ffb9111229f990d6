"""One particle's track from the two openings that it left: its direction and its etch ratios.

Displacement, radii, ellipses and depths of an entry and an exit pit are what ``cone.opening`` makes
of a straight track through a foil of known thickness. Least squares finds the direction, which the
two openings share, and the etch ratio at either surface; the bulk removed at either may differ a
little from the foil's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from etchscope.foil.types import Bools, Floats
from etchscope.physics.cone import opening

__all__ = ["FREE", "Measured", "Track", "fit_tracks"]

FREE = ("log_over_entry", "log_over_exit", "slope_x", "slope_y", "bulk_entry", "bulk_exit")
"""What is fitted: ln(V − 1) at the entry and at the exit pit, the tangents of the zenith angle
along x and y (y up, on the way from entry to exit), and ln of the bulk removed over the foil's."""
_START = 1.0
"""Damping to begin with, in units of each parameter's own curvature."""
_ROUNDS, _STEP = 40, 1e-5
"""Of the fit; step of the numerical derivatives."""
_LIMITS = (np.log(0.02), np.log(50.0))
"""Of ln(V − 1)."""
_STEEPEST, _MOST = 1e-4, 4.0
"""Tangent of the zenith angle: 0 has no azimuth; largest."""
_ANY_OVER = (0.0, 1.5)
"""Median and spread of ln(V − 1) of any pit, which keeps a size that says nothing from running
away."""


@dataclass(frozen=True)
class Measured:
    """What was measured of n pairs, micrometres, y up; each (n, column) with its errors.

    Attributes
    ----------
    shift, shift_err : (n, 2) from the entry to the exit pit along x and y.
    log_radius, log_radius_err : (n, 2) of the entry and of the exit pit; the logarithm of half the
        geometric mean of the full axes.
    ellipse, ellipse_err : (n, 2, 2) pit × ellipticity times cos and sin of twice the long axis'
        angle, ccw from +x; the error, (n, 2), is of either.
    log_depth, log_depth_err : (n, 2), nan where no depth is known.
    """

    shift: Floats
    shift_err: Floats
    log_radius: Floats
    log_radius_err: Floats
    ellipse: Floats
    ellipse_err: Floats
    log_depth: Floats
    log_depth_err: Floats

    @property
    def observed(self) -> Floats:
        """All that was measured, (n, 10)."""
        flat = (self.shift, self.log_radius, self.ellipse.reshape(-1, 4), self.log_depth)
        return np.column_stack(flat)

    @property
    def errors(self) -> Floats:
        """One standard deviation of ``observed``, (n, 10)."""
        ellipse = np.repeat(self.ellipse_err, 2, axis=1)
        return np.column_stack([self.shift_err, self.log_radius_err, ellipse, self.log_depth_err])


@dataclass(frozen=True)
class Track:
    """Fitted tracks of n pairs.

    Attributes
    ----------
    free : (n, 6) of ``FREE``.
    covariance : (n, 6, 6).
    expected : (n, 10) what such a track's ``Measured.observed`` are.
    chi2, degrees : (n,) of the fit, and how many more values than parameters there were.
    is_found : (n,) false where no track of an etch ratio within the limits makes such openings.
    """

    free: Floats
    covariance: Floats
    expected: Floats
    chi2: Floats
    degrees: Floats
    is_found: Bools


def _expected(free: Floats, thickness_um: float, removed_um: float) -> Floats:
    """Return what tracks make, (n, 10), in the order of ``Measured.observed``."""
    over, slope, bulk = free[:, 0:2], free[:, 2:4], free[:, 4:6]
    n = len(free)
    v = 1 + np.exp(over).T.ravel()
    tangent = np.maximum(np.hypot(slope[:, 0], slope[:, 1]), _STEEPEST)
    unit = slope / tangent[:, None]
    dip = np.tile(np.arctan2(1.0, tangent), 2)
    removed = removed_um * np.exp(bulk).T.ravel()
    # Where no pit opens, the limit of a vanishing one keeps the fit on its way.
    v = np.maximum(v, 1.001 / np.sin(dip))
    pit = opening(v, dip, removed, np.full(2 * n, np.inf))
    shift = thickness_um * slope - (pit.shift_um[:n] + pit.shift_um[n:])[:, None] * unit
    radius = 0.5 * np.log(pit.major_um * pit.minor_um) - np.log(2)
    e = 1 - pit.minor_um / pit.major_um
    twice = np.column_stack([unit[:, 0] ** 2 - unit[:, 1] ** 2, 2 * unit[:, 0] * unit[:, 1]])
    ellipse = [e[:n, None] * twice, e[n:, None] * twice]
    pairs = [np.column_stack([one[:n], one[n:]]) for one in (radius, np.log(pit.depth_um))]
    return np.column_stack([shift, pairs[0], *ellipse, pairs[1]])


def _first(measured: Measured, thickness_um: float, removed_um: float) -> Floats:
    """Return where the fit begins, (n, 6): a straight way, and the etch ratio of a steep track.

    Of a track along the normal (r / h)² = (V − 1) / (V + 1).
    """
    q = np.minimum(np.exp(2 * measured.log_radius) / removed_um**2, 0.8)
    slope = measured.shift / (thickness_um - removed_um)
    tangent = np.hypot(*slope.T)
    slope = slope * (np.clip(tangent, _STEEPEST, 1.5) / np.maximum(tangent, _STEEPEST))[:, None]
    over = np.log(2 * q / (1 - q))
    least = np.log(1.1 * np.sqrt(1 + (slope**2).sum(1, keepdims=True)) - 1)
    return np.column_stack([np.maximum(over, least), slope, np.zeros_like(over)])


def fit_tracks(
    measured: Measured, *, thickness_um: float, removed_um: float, removed_spread: float
) -> Track:
    """Return the tracks that fit pairs of openings best (Levenberg & Marquardt, all pairs at once).

    Parameters
    ----------
    thickness_um : of the foil before etching.
    removed_um : bulk removed on each side.
    removed_spread : one standard deviation of its logarithm: from pit to pit, and of its own.

    Returns
    -------
    Track; the error of a pair at the limits of V − 1 is that of any pit.
    """
    n = len(measured.log_radius)
    free = _first(measured, thickness_um, removed_um)
    known = np.isfinite(measured.observed)
    value = np.where(known, measured.observed, 0.0)
    weight = np.where(known, 1 / np.maximum(measured.errors, 1e-6), 0.0)
    middle = np.array([_ANY_OVER[0]] * 2 + [0.0] * 4)
    tight = np.array([1 / _ANY_OVER[1]] * 2 + [0.0] * 2 + [1 / removed_spread] * 2)

    def residuals(at: Floats) -> Floats:
        expected = _expected(at, thickness_um, removed_um)
        return np.column_stack([(expected - value) * weight, (at - middle) * tight])

    now = residuals(free)
    cost, damping = (now**2).sum(1), np.full(n, _START)
    for _ in range(_ROUNDS):
        slope = _jacobian(residuals, free, now)
        curve = np.einsum("nij,nik->njk", slope, slope)
        scale = np.einsum("njj->nj", curve) + 1e-9
        damped = curve + (damping[:, None] * scale)[:, :, None] * np.eye(len(FREE))
        step = np.linalg.solve(damped, np.einsum("nij,ni->nj", slope, now)[:, :, None])[:, :, 0]
        tried = _within(free - step)
        then = residuals(tried)
        better = (then**2).sum(1) <= cost
        free, now = np.where(better[:, None], tried, free), np.where(better[:, None], then, now)
        gain = cost - (now**2).sum(1)
        cost = cost - gain
        damping = np.where(better, damping / 5, damping * 4).clip(1e-9, 1e9)
        if (gain[better] < 1e-6).all():
            break
    slope = _jacobian(residuals, free, now)
    covariance = np.linalg.pinv(np.einsum("nij,nik->njk", slope, slope))
    at_limit = (np.abs(free[:, :2, None] - np.array(_LIMITS)) < 1e-6).any((1, 2))
    return Track(
        free,
        covariance,
        _expected(free, thickness_um, removed_um),
        (now[:, : value.shape[1]] ** 2).sum(1),
        np.asarray(known.sum(1) - 4.0),
        np.isfinite(cost) & ~at_limit,
    )


def _within(free: Floats) -> Floats:
    """Return parameters within their limits."""
    out = free.copy()
    out[:, :2] = out[:, :2].clip(*_LIMITS)
    tangent = np.hypot(out[:, 2], out[:, 3])
    out[:, 2:4] *= (np.minimum(tangent, _MOST) / np.maximum(tangent, 1e-12))[:, None]
    out[:, 4:] = out[:, 4:].clip(-1, 1)
    return out


def _jacobian(residuals: Callable[[Floats], Floats], free: Floats, now: Floats) -> Floats:
    """Return the derivative of each residual, (n, residual, parameter)."""
    columns = []
    for k in range(len(FREE)):
        moved = free.copy()
        moved[:, k] += _STEP
        columns.append((residuals(moved) - now) / _STEP)
    return np.stack(columns, axis=2)
