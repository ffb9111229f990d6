"""Tables of the openings that particles leave, by etch ratio and displacement."""

from dataclasses import dataclass

import numpy as np

from etchscope.foil.types import Floats
from etchscope.physics.cone import compute_opening

__all__ = ["LOG_RATIOS", "Tracks", "tabulate_tracks"]

LOG_RATIOS = np.linspace(np.log(0.1), np.log(8.0), 28)
"""Values of ln(V − 1) over which the likelihood of a particle is summed."""
_USUAL_RATIO, _SPREAD_OF_RATIOS = 1.0, 0.8
"""Median of V − 1 of the particles to be found, and spread of its logarithm."""
_UNEVEN = 0.25
"""Spread of ln(V − 1) from one opening of a particle to the other."""
_BARELY = 1.02
"""Least V sin(dip) of an opening in the tables; at 1 the opening vanishes."""


@dataclass(frozen=True)
class Tracks:
    """The openings that particles leave, by etch ratio (node) and displacement (distance).

    All arrays are float64. A distance is a whole number of pixels.

    Attributes
    ----------
    log_radius, ellipticity : (node, distance) natural logarithm of the radius in pixels, and
        ellipticity, of either opening.
    log_density : (node, distance) logarithm of the probability density of the displacement per
        square pixel; −∞ where no particle has it.
    slope : (node, distance) tangent of the zenith angle.
    beam : (4,) share of the particles that arrive in a beam, the tangents of its zenith angle along
        x and y (y up), and their spread; the other particles come from everywhere.
    isotropic : one over the density of an isotropic flux at the normal, in the plane of tan θ.
    prior : (node,) prior probability, with the sum 1.
    uneven : (node, node) probability that an opening has the etch ratio of the other node.
    """

    log_radius: Floats
    ellipticity: Floats
    log_density: Floats
    slope: Floats
    beam: Floats
    isotropic: float
    prior: Floats
    uneven: Floats

    @property
    def tables(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The tables, each (node, distance), for compiled loops."""
        return self.log_radius, self.ellipticity, self.log_density, self.slope

    @property
    def reach_px(self) -> int:
        """Largest displacement in pixels."""
        return int(self.log_radius.shape[1]) - 2


def tabulate_tracks(
    thickness_px: Floats, removed_px: float, reach_px: float, max_zenith_deg: float
) -> Tracks:
    """Return the openings of particles that come from everywhere up to a zenith angle.

    The density of an isotropic flux through a surface, in the plane of tan θ, is proportional to
    cos⁴θ.

    Parameters
    ----------
    thickness_px : (k,) possible thicknesses of the foil in pixels, all equally probable.
    removed_px : bulk removed on each side in pixels.
    reach_px : largest displacement in pixels.
    max_zenith_deg : largest zenith angle.
    """
    zenith = np.deg2rad(np.linspace(0, max_zenith_deg, 181))
    distance = np.arange(int(np.ceil(reach_px)) + 2, dtype=np.float64)
    norm = np.log(np.pi * np.sin(np.deg2rad(max_zenith_deg)) ** 2)
    ratio = 1 + np.exp(LOG_RATIOS)
    tables = [
        _track(v, float(thick), removed_px, zenith, distance, norm)
        for thick in np.atleast_1d(thickness_px)
        for v in ratio.tolist()
    ]
    log_radius, ellipticity, log_density, slopes = (
        np.stack(column) for column in zip(*tables, strict=True)
    )
    weight = np.exp(-0.5 * ((LOG_RATIOS - np.log(_USUAL_RATIO)) / _SPREAD_OF_RATIOS) ** 2)
    prior = np.tile(weight, len(tables) // len(ratio))
    uneven = np.exp(-0.5 * ((LOG_RATIOS[:, None] - LOG_RATIOS) / _UNEVEN) ** 2)
    uneven /= uneven.sum(1, keepdims=True)
    each = np.asarray(np.kron(np.eye(len(tables) // len(ratio)), uneven), np.float64)
    return Tracks(
        log_radius,
        ellipticity,
        log_density,
        slopes,
        np.array([0.0, 0.0, 0.0, 1.0]),
        float(np.exp(norm)),
        prior / prior.sum(),
        each,
    )


def _track(
    v: float, thickness_px: float, removed_px: float, zenith: Floats, distance: Floats, norm: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return log radius, ellipticity, log density and slope of one etch ratio, (distance,) each.

    Parameters
    ----------
    v : etch ratio.
    zenith : (n,) zenith angles in radians, ascending from 0.
    distance : (distance,) displacements in pixels.
    norm : logarithm of ``Tracks.isotropic``.
    """
    none = np.zeros(len(distance))
    density = np.full(len(distance), -np.inf)
    seen = zenith[v * np.cos(zenith) > _BARELY]
    n = len(seen)
    if n < 3:
        return none, none, density, none
    one = compute_opening(
        np.full(n, v), np.pi / 2 - seen, np.full(n, removed_px), np.full(n, np.inf)
    )
    apart = thickness_px * np.tan(seen) - 2 * one.shift_um
    apart = np.maximum.accumulate(np.maximum(apart, 0) + 1e-9 * np.arange(n))
    there = distance <= apart[-1]
    log_radius, ellipticity, slope = (
        np.interp(distance, apart, column)
        for column in (
            0.5 * np.log(one.major_um * one.minor_um) - np.log(2),
            1 - one.minor_um / one.major_um,
            np.tan(seen),
        )
    )
    # From the plane of tan θ to that of displacements.
    along = np.gradient(slope, distance)
    across = np.where(distance > 0, slope / np.maximum(distance, 1), along)
    area = np.maximum(along * across, 1e-12)
    density[there] = (-2 * np.log1p(slope**2) - norm + np.log(area))[there]
    return log_radius, ellipticity, density, slope
