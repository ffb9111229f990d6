"""The track of a particle from its entry and exit pit: its direction and its etch ratios.

``cone.compute_opening`` predicts displacement, radii, ellipses and depths of the two openings for a
straight track through a foil of known thickness. Least squares finds the direction, which the two
openings share, and the etch ratio at each surface. The bulk removed at a pit may differ a little
from that of the foil.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from etchscope.foil.types import Bools, Floats
from etchscope.physics.cone import compute_opening

__all__ = ["FREE", "Measured", "Track", "fit_tracks"]

FREE = ("log_over_entry", "log_over_exit", "slope_x", "slope_y", "bulk_entry", "bulk_exit")
"""The fitted parameters: ln(V − 1) at the entry and at the exit pit; the tangents of the zenith
angle along x and y (y up, from entry to exit); and, at either pit, ln of the removed bulk over that
of the foil."""
_START = 1.0
"""Damping at the start of the fit, in units of each parameter's own curvature."""
_ROUNDS, _STEP = 40, 1e-5
"""Iterations of the fit; step of the numerical derivatives."""
_LIMITS = (np.log(0.02), np.log(50.0))
"""Limits of ln(V − 1)."""
_STEEPEST, _MOST = 1e-4, 4.0
"""Least and largest tangent of the zenith angle; 0 has no azimuth."""
_ANY_OVER = (0.0, 1.5)
"""Mean and spread of the prior of ln(V − 1). It bounds the fit where the sizes do not."""


@dataclass(frozen=True)
class Measured:
    """Measurements of n pairs with their errors, all float64; lengths in micrometres, y up.

    Attributes
    ----------
    shift, shift_err : (n, 2) displacement from the entry to the exit pit along x and y.
    log_radius, log_radius_err : (n, 2) logarithm of half the geometric mean of the full axes, of
        the entry and of the exit pit.
    ellipse : (n, 2, 2) for either pit, ellipticity times cos and sin of twice the angle of the long
        axis, ccw from +x.
    ellipse_err : (n, 2) for either pit, error of both components.
    log_depth, log_depth_err : (n, 2) logarithm of the depth, nan where it is not known.
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
        """All measurements, (n, 10): shift, log_radius, ellipse of entry and of exit, log_depth."""
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
    free : (n, 6) fitted parameters, in the order of ``FREE``.
    covariance : (n, 6, 6) covariance of the parameters.
    expected : (n, 10) expected values of ``Measured.observed`` for the track.
    chi2, degrees : (n,) χ² of the fit, and its degrees of freedom.
    is_found : (n,) false where no track with an etch ratio within the limits fits the openings.
    """

    free: Floats
    covariance: Floats
    expected: Floats
    chi2: Floats
    degrees: Floats
    is_found: Bools


def _expected(free: Floats, thickness_um: float, removed_um: float) -> Floats:
    """Return the expected values of ``Measured.observed`` for n tracks, (n, 10)."""
    over, slope, bulk = free[:, 0:2], free[:, 2:4], free[:, 4:6]
    n = len(free)
    v = 1 + np.exp(over).T.ravel()
    tangent = np.maximum(np.hypot(slope[:, 0], slope[:, 1]), _STEEPEST)
    unit = slope / tangent[:, None]
    dip = np.tile(np.arctan2(1.0, tangent), 2)
    removed = removed_um * np.exp(bulk).T.ravel()
    # Where no pit opens, V is raised to that of a vanishing opening, so that the fit goes on.
    v = np.maximum(v, 1.001 / np.sin(dip))
    pit = compute_opening(v, dip, removed, np.full(2 * n, np.inf))
    shift = thickness_um * slope - (pit.shift_um[:n] + pit.shift_um[n:])[:, None] * unit
    radius = 0.5 * np.log(pit.major_um * pit.minor_um) - np.log(2)
    e = 1 - pit.minor_um / pit.major_um
    twice = np.column_stack([unit[:, 0] ** 2 - unit[:, 1] ** 2, 2 * unit[:, 0] * unit[:, 1]])
    ellipse = [e[:n, None] * twice, e[n:, None] * twice]
    pairs = [np.column_stack([one[:n], one[n:]]) for one in (radius, np.log(pit.depth_um))]
    return np.column_stack([shift, pairs[0], *ellipse, pairs[1]])


def _first(measured: Measured, thickness_um: float, removed_um: float) -> Floats:
    """Return the start of the fit, (n, 6): a straight line, and the etch ratio of a steep track.

    A track along the normal has (r / h)² = (V − 1) / (V + 1).
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
    """Return the tracks that fit n pairs of openings best (Levenberg–Marquardt).

    Parameters
    ----------
    measured : the n pairs.
    thickness_um : thickness of the foil before etching.
    removed_um : bulk removed on each side.
    removed_spread : one standard deviation of the logarithm of the removed bulk at a pit.

    Returns
    -------
    Tracks of n pairs; the covariance at the limits of V − 1 is that of the prior.
    """
    n = len(measured.log_radius)
    free = _first(measured, thickness_um, removed_um)
    known = np.isfinite(measured.observed)
    value = np.where(known, measured.observed, 0.0)
    weight = np.where(known, 1 / np.maximum(measured.errors, 1e-6), 0.0)
    middle = np.array([_ANY_OVER[0]] * 2 + [0.0] * 4)
    tight = np.array([1 / _ANY_OVER[1]] * 2 + [0.0] * 2 + [1 / removed_spread] * 2)

    def residuals(at: Floats) -> Floats:
        """Return deviations of measurements and of priors in units of their errors, (n, 16)."""
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
    """Return the parameters, (n, 6), moved into their limits."""
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
