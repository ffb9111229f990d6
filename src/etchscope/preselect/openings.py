"""The shapes of openings: places, radii, ellipses and depths with their errors, in pixels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.foil.types import Floats, Ints

__all__ = ["Shapes", "estimate_removed_bulk"]

_ERRORS = ("radius_px_err", "ellipticity_err", "x_px_err", "depth_um_err")
_USUAL_ERRORS = (0.12, 0.05, 1.0, 0.35)
"""Errors of log radius, ellipse, place and log depth for finders that state none."""
_LEAST_SHARE = 0.1
"""Least value of ``Shapes.measured_share``; with less, the ellipticity has no information."""
_ROUND = 0.1
"""Ellipticity below which an opening is used to estimate the bulk that was removed."""


@dataclass(frozen=True)
class Shapes:
    """The shapes of n openings in one frame, each (n,) float64; an unknown value is nan.

    Attributes
    ----------
    x, y : centre in pixels, y down.
    log_radius, log_depth : natural logarithms of radius and depth in pixels.
    e_cos, e_sin : ellipticity times cos and sin of twice the angle of the long axis, ccw from +x,
        y up.
    s_radius, s_depth : one standard deviation of ``log_radius`` and of ``log_depth``.
    s_ellipse : one standard deviation of ``e_cos`` and of ``e_sin``.
    s_place : one standard deviation of ``x`` and of ``y``.
    measured_share : share of the true ellipticity that is measured on average, at most 1.
    """

    x: Floats
    y: Floats
    log_radius: Floats
    e_cos: Floats
    e_sin: Floats
    log_depth: Floats
    s_radius: Floats
    s_ellipse: Floats
    s_place: Floats
    s_depth: Floats
    measured_share: Floats

    @classmethod
    def of(cls, pits: pd.DataFrame, place_px: Floats, pixel_size_um: float | None) -> "Shapes":
        """Return the shapes of the rows of a pit table; missing errors are ``_USUAL_ERRORS``.

        Parameters
        ----------
        pits : n rows of a pit table.
        place_px : (n, 2) centres in pixels in one frame, y down.
        pixel_size_um : size of a pixel; None where it is unknown, and then no depth is known.
        """
        columns = ("radius_px", "ellipticity", "angle_deg", *_ERRORS)
        none = np.full(len(pits), np.nan)
        radius, e, angle, s_radius, s_ellipse, s_place, s_depth = (
            pits[c].to_numpy(np.float64) if c in pits else none for c in columns
        )
        is_known = "depth_um" in pits and pixel_size_um is not None
        depth = pits["depth_um"].to_numpy(np.float64) if is_known else none
        radius = np.maximum(radius, 0.1)
        twice = 2 * np.deg2rad(np.nan_to_num(angle))
        with np.errstate(divide="ignore", invalid="ignore"):
            log_depth = np.log(depth / (pixel_size_um or 1.0))
            errors = s_radius / radius, s_ellipse, s_place, s_depth / depth
        measured_share = _measured_share(pits)
        # The stated values are conditional means, which scatter less than true values around them.
        errors = errors[0], s_ellipse * np.sqrt(measured_share), *errors[2:]
        s_radius, s_ellipse, s_place, s_depth = (
            np.where(s > 0, s, usual) for s, usual in zip(errors, _USUAL_ERRORS, strict=True)
        )
        e = np.nan_to_num(e)
        return cls(
            place_px[:, 0].copy(),
            place_px[:, 1].copy(),
            np.log(radius),
            e * np.cos(twice),
            e * np.sin(twice),
            log_depth,
            s_radius,
            s_ellipse,
            s_place,
            s_depth,
            measured_share,
        )

    def take(self, rows: Ints) -> "Shapes":
        """Return some of the openings, in the order of ``rows``, (k,) int64."""
        return Shapes(**{name: values[rows] for name, values in vars(self).items()})

    @property
    def ellipticity(self) -> Floats:
        """1 − minor / major axis, (n,)."""
        return np.hypot(self.e_cos, self.e_sin)

    @property
    def table(self) -> Floats:
        """The attributes as the columns of one array, (n, 11) float64, for compiled loops."""
        return np.ascontiguousarray(np.column_stack(list(vars(self).values())), np.float64)


def _measured_share(pits: pd.DataFrame) -> Floats:
    """Return the share of the true ellipticity that a finder states on average, (n,), at most 1.

    A finder that was trained for the least error states the mean of the ellipticities that are
    possible for a picture, and their standard deviation; the less it sees, the rounder are its
    openings. By the law of total variance the variance of all openings is the variance of these
    means plus the mean stated variance. The share is the first term over the sum. On 48 random
    foils it was 0.12 to 0.67, where the true share was 0.02 to 0.55.
    """
    out = np.ones(len(pits))
    if "surface" not in pits or "ellipticity_err" not in pits:
        return out
    stated = pits["ellipticity_err"].to_numpy(np.float64) ** 2
    spread = np.nan_to_num(pits["ellipticity"].to_numpy(np.float64)) ** 2 / 2
    surface = pits["surface"].to_numpy()
    for one in pd.unique(surface):
        own = (surface == one) & (stated > 0)
        if own.any():
            of_means, of_each = spread[own].mean(), stated[own].mean()
            out[own] = max(of_means / (of_means + of_each), _LEAST_SHARE)
    return out


def estimate_removed_bulk(shapes: Shapes, rows: Ints) -> float:
    """Return the bulk removed from a surface, in pixels, from radius and depth of round openings.

    A track along the normal has r² = h² d / (d + 2 h), which follows from the formulas of
    ``compute_opening``; hence h = (r² + r √(r² + d²)) / d. The result is the median over openings.
    Where no depth is known it is twice the median radius, which corresponds to V = 5 / 3; without
    an opening it is 10.

    Parameters
    ----------
    shapes : all openings.
    rows : (m,) int64 rows of the openings on the surface.
    """
    some = rows[shapes.ellipticity[rows] < _ROUND]
    some = some if len(some) else rows
    r, d = np.exp(shapes.log_radius[some]), np.exp(shapes.log_depth[some])
    known = np.isfinite(d)
    if not known.any():
        return float(2 * np.median(r)) if len(r) else 10.0
    r, d = r[known], d[known]
    return float(np.median((r**2 + r * np.hypot(r, d)) / d))
