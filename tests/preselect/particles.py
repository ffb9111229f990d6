"""Openings of particles and of unrelated pits, drawn by the cone's equations, pixels."""

import numpy as np

from etchscope.physics.cone import compute_opening
from etchscope.preselect.openings import Shapes
from etchscope.preselect.track_model import tabulate_tracks

THICKNESS, REMOVED = 77.5, 9.0
ERRORS = (0.06, 0.04, 0.1, 0.15)
"""Of log radius, ellipse, place and log depth."""
TRACKS = tabulate_tracks(np.array([THICKNESS]), REMOVED, 134.0, 60.0)
SIDE = 1500.0


def _shapes(rng, x, y, v, zenith, azimuth):
    n = len(x)
    one = compute_opening(v, np.pi / 2 - zenith, np.full(n, REMOVED), np.full(n, np.inf))
    e = 1 - one.minor_um / one.major_um
    return Shapes(
        x.copy(),
        y.copy(),
        0.5 * np.log(one.major_um * one.minor_um) - np.log(2) + rng.normal(0, ERRORS[0], n),
        e * np.cos(2 * azimuth) + rng.normal(0, ERRORS[1], n),
        e * np.sin(2 * azimuth) + rng.normal(0, ERRORS[1], n),
        np.log(one.depth_um) + rng.normal(0, ERRORS[3], n),
        *(np.full(n, error) for error in ERRORS),
        np.ones(n),
    ), one.shift_um


def joined(*parts):
    return Shapes(
        *(np.concatenate(c) for c in zip(*(vars(p).values() for p in parts), strict=True))
    )


def particles(rng, x, y, zenith, azimuth, v=2.0):
    """Return entry and exit openings of particles that enter at x, y, in this order."""
    ratio = 1 + (v - 1) * np.exp(rng.normal(0, 0.1, len(x)))
    entry, first = _shapes(rng, x, y, ratio, zenith, azimuth)
    exit_, second = _shapes(rng, x, y, ratio, zenith, azimuth)
    apart = THICKNESS * np.tan(zenith) - first - second
    exit_.x[:] = x + apart * np.cos(azimuth)
    exit_.y[:] = y - apart * np.sin(azimuth)
    return joined(entry, exit_)


def unrelated(rng, count, side):
    """Return single pits of an isotropic background."""
    zenith = np.arccos(np.sqrt(rng.uniform(np.cos(np.deg2rad(50)) ** 2, 1, count)))
    v = 1.05 / np.cos(zenith) + rng.exponential(1.2, count)
    x, y = rng.uniform(0, side, (2, count))
    return _shapes(rng, x, y, v, zenith, rng.uniform(0, 2 * np.pi, count))[0]


def foil(seed, signal, background, *, zenith_deg=3.0, spread_deg=1.5):
    """Return shapes, entry rows, exit rows, and how many of the first are particles."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIDE, (2, signal))
    u, v = rng.normal(0, np.tan(np.deg2rad(spread_deg)), (2, signal))
    u = u + np.tan(np.deg2rad(zenith_deg))
    hips = particles(rng, x, y, np.arctan(np.hypot(u, v)), np.arctan2(v, u))
    shapes = joined(hips, unrelated(rng, background, SIDE), unrelated(rng, background, SIDE))
    n = 2 * signal
    entries = np.r_[np.arange(signal), n + np.arange(background)]
    exits = np.r_[signal + np.arange(signal), n + background + np.arange(background)]
    return shapes, entries, exits


def as_finder_states(rng, e, angle, *, spread, noise):
    """Means and standard deviations of ellipses that a normal prior and noise leave possible."""
    measured_share = spread**2 / (spread**2 + noise**2)
    seen = [e * f(2 * np.deg2rad(angle)) + rng.normal(0, noise, len(e)) for f in (np.cos, np.sin)]
    mean = measured_share * np.array(seen)
    return measured_share, {
        "ellipticity": np.hypot(*mean),
        "angle_deg": np.rad2deg(np.arctan2(mean[1], mean[0])) / 2 % 180,
        "ellipticity_err": np.sqrt(measured_share) * noise,
    }
