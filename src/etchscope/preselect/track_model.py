"""What the openings of a particle look like, by its etch ratio and their displacement."""

from dataclasses import dataclass

import numpy as np

from etchscope.foil.types import Floats
from etchscope.physics.cone import compute_opening

__all__ = ["LOG_RATIOS", "Tracks", "tabulate_tracks"]

LOG_RATIOS = np.linspace(np.log(0.1), np.log(8.0), 28)
"""Logarithms of V − 1 over which a particle's etch ratio is summed."""
_USUAL_RATIO, _SPREAD_OF_RATIOS = 1.0, 0.8
"""V − 1 of the particles that are sought: median, and spread of its logarithm."""
_UNEVEN = 0.25
"""Spread of the logarithm of V − 1 from one opening of a particle to the other."""
_BARELY = 1.02
"""V sin(dip) from which an opening is reckoned with: nearer to 1 it vanishes."""


@dataclass(frozen=True)
class Tracks:
    """What particles of some etch ratios look like, by the displacement of their openings.

    Attributes
    ----------
    log_radius, ellipticity : (node, distance) of either opening; a distance is a whole number of
        pixels.
    log_density : (node, distance) of the displacement, per square pixel; −∞ where there is none.
    slope : (node, distance) tangent of the zenith angle.
    beam : (4,) share of the particles that arrive in a beam, the tangents of its zenith angle along
        x and y (y up), and their spread; the others come from everywhere.
    isotropic : one over the density of an isotropic flux at the normal, in the plane of tan θ.
    prior : (node,) sums to 1.
    uneven : (node, node) chance that an opening has the etch ratio of the other node.
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
        """What a compiled loop looks up."""
        return self.log_radius, self.ellipticity, self.log_density, self.slope

    @property
    def reach_px(self) -> int:
        """Largest displacement, pixels."""
        return int(self.log_radius.shape[1]) - 2


def tabulate_tracks(
    thickness_px: Floats, removed_px: float, reach_px: float, max_zenith_deg: float
) -> Tracks:
    """Return what particles look like that come from everywhere up to a zenith angle.

    An isotropic flux has cos⁴θ of its particles per area of the plane of tan θ.

    Parameters
    ----------
    thickness_px : (k,) of the foil; several where it is not known, which count alike.
    removed_px : bulk removed on each side.
    reach_px : largest displacement that is looked at.
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
    zenith : (n,) angles that are looked at, radians.
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
