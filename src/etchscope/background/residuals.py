"""What remains of a tile after all found pits are taken out.

The found pits are drawn by the optics of the scan, as cones along the normal. Then the model of
each pit is fitted to its own ground, in each light: its contrast, its place and its radius may
differ a little, to first order, and no more than measured pits do (a ridge regression whose prior
is that spread). The residual is the difference of picture and model, in light of the bulk.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.background.composing import as_cones
from etchscope.background.optics_fit import FittedOptics
from etchscope.foil import Scan
from etchscope.foil.types import Bools, Floats, FloatStack, Ints
from etchscope.physics.materials import get_material
from etchscope.simulation import Sheet, relative_light
from etchscope.simulation.scene import draw_scene

__all__ = ["PitOptics", "Residual", "central_fit", "pit_ground", "take_out_pits"]

_REACH, _REACH_PX = 1.3, 3.0
"""The ground of a pit: up to so many radii, and pixels more, from its centre."""
_SPREAD = (0.4, 0.7, 0.7, 0.15)
"""Standard deviations of what a pit may differ by from its model: contrast (relative), place along
x and y (pixels), and radius (relative)."""
_MOST_CONTRAST = 2.5
"""Greatest contrast of a pit, in contrasts of its model."""
_UNCERTAIN = 0.15
"""Error of the fitted model, relative to its contrast."""
_UNMEASURED_PX = 4.0


@dataclass(frozen=True)
class PitOptics:
    """What draws the pits of a scan.

    Attributes
    ----------
    fit : the optics.
    sheet : the foil before etching.
    """

    fit: FittedOptics
    sheet: Sheet

    def light(self, pits: pd.DataFrame, scan: Scan) -> FloatStack:
        """Return the light of a tile with these pits and no others, (channel, y, x).

        Parameters
        ----------
        pits : pit table of the tile.
        scan : states channels, size of the picture and pixel size.
        """
        height, width = scan.image_size
        optics = self.fit.optics(scan, height, width)
        cones = as_cones(pits, self.sheet.removed_um, float(scan.pixel_size_um or np.nan))
        scene = draw_scene(
            cones,
            pd.DataFrame(),
            optics,
            thickness_um=self.sheet.thickness_um - 2 * self.sheet.removed_um,
            refractive_index=get_material(self.sheet.material).refractive_index,
        )
        light = np.clip(relative_light(scene, optics), 0, None) ** np.float32(self.fit.gamma)
        return np.asarray(light, np.float32)


@dataclass(frozen=True)
class Residual:
    """What remains of a tile.

    Attributes
    ----------
    pictures : (channel, y, x) float32 difference of picture and model, in light of the bulk. Where
        pits are not modelled, their ground is 0.
    model : (channel, y, x) float32 contrast of the found pits, 0 where there is none.
    error : (channel, y, x) float32 error of the model, in the same unit, without noise.
    pits : (y, x) the ground of the found pits.
    is_modelled : whether the pits were taken out; otherwise nothing is said of their ground.
    """

    pictures: FloatStack
    model: FloatStack
    error: FloatStack
    pits: Bools
    is_modelled: bool


def central_fit(fits: Sequence[FittedOptics]) -> FittedOptics:
    """Return the fit in the middle of those that are drawn around the best solution.

    Parameters
    ----------
    fits : see ``optics_fit.fit_optics``.
    """
    cost = min(fit.cost for fit in fits)
    best = [fit for fit in fits if fit.cost <= cost]
    names = best[0].parameters
    middle = {n: float(np.median([fit.parameters[n] for fit in best])) for n in names}
    return FittedOptics(middle, float(np.median([fit.gamma for fit in best])), cost)


def pit_ground(pits: pd.DataFrame, image_size: tuple[int, int]) -> Ints:
    """Return the pit to whose ground each pixel belongs, (y, x), and −1 elsewhere.

    It is the row of the nearest pit, distances being in units of the pits' reach.

    Parameters
    ----------
    pits : pit table of the tile.
    image_size : (height, width) in pixels.
    """
    out = np.full(image_size, -1, np.int64)
    if not len(pits):
        return out
    radius = pits["radius_px"].fillna(_UNMEASURED_PX).to_numpy(np.float64)
    reach = _REACH * radius + _REACH_PX
    at = pits[["x_px", "y_px"]].to_numpy(np.float64)
    ys, xs = np.divmod(np.arange(out.size), image_size[1])
    pixels = np.column_stack([xs, ys]).astype(np.float64)
    number = min(4, len(pits))
    apart, nearest = cKDTree(at).query(
        pixels, k=list(range(1, number + 1)), distance_upper_bound=float(reach.max())
    )
    known = np.isfinite(apart)
    share = np.where(known, apart / reach[np.where(known, nearest, 0)], np.inf)
    best = share.argmin(axis=1)
    rows = np.arange(out.size)
    inside = share[rows, best] <= 1
    out.ravel()[inside] = nearest[rows, best][inside]
    return out


def take_out_pits(
    contrasts: FloatStack,
    pits: pd.DataFrame,
    scan: Scan,
    optics: PitOptics | None,
    noise: Floats,
) -> Residual:
    """Return what remains of a tile after its found pits are taken out.

    Parameters
    ----------
    contrasts : (channel, y, x) float32 normalised pictures without slow background, the bulk at 0.
    pits : pit table of the tile.
    scan : states channels, size of the picture and pixel size.
    optics : what draws the pits; None where it is not known, and their ground is left out.
    noise : (channel,) standard deviation of the noise of the pictures.
    """
    ground = pit_ground(pits, scan.image_size)
    inside = ground >= 0
    if optics is None or not len(pits):
        zero = np.zeros_like(contrasts)
        return Residual(np.where(inside, 0, contrasts), zero, zero, inside, optics is not None)
    model = optics.light(pits, scan) - 1
    for c, sigma in enumerate(noise.tolist()):
        model[c] = _fitted(contrasts[c], model[c], ground, pits, sigma)
    error = np.abs(model) * np.float32(_UNCERTAIN)
    return Residual(contrasts - model, model, error, inside, is_modelled=True)


def _fitted(
    picture: FloatStack, model: FloatStack, ground: Ints, pits: pd.DataFrame, noise: float
) -> FloatStack:
    """Return the model of one light, (y, x), with each pit's model fitted to its ground."""
    at = np.flatnonzero(ground >= 0)
    of, n = ground.ravel()[at], len(pits)
    slope_y, slope_x = np.gradient(model)
    y, x = np.divmod(at, model.shape[1])
    dx, dy = (slope.ravel()[at].astype(np.float64) for slope in (slope_x, slope_y))
    away_x, away_y = (v - pits[c].to_numpy(np.float64)[of] for v, c in ((x, "x_px"), (y, "y_px")))
    basis = [model.ravel()[at].astype(np.float64), dx, dy, dx * away_x + dy * away_y]
    rest = picture.ravel()[at].astype(np.float64) - basis[0]
    normal, right = np.zeros((n, 4, 4)), np.zeros((n, 4))
    for i, one in enumerate(basis):
        right[:, i] = np.bincount(of, one * rest, n)
        for j in range(i + 1):
            normal[:, i, j] = normal[:, j, i] = np.bincount(of, one * basis[j], n)
    # The noise of a real picture is that of the model's errors, too.
    spoilt = noise**2 + _UNCERTAIN**2 * normal[:, 0, 0] / np.maximum(
        np.bincount(of, minlength=n), 1
    )
    normal += spoilt[:, None, None] * np.diag(1 / np.square(_SPREAD))
    step = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
    step[:, 0] = step[:, 0].clip(-1, _MOST_CONTRAST - 1)
    for k in (1, 2, 3):
        step[:, k] = step[:, k].clip(-3 * _SPREAD[k], 3 * _SPREAD[k])
    out = model.copy()
    out.ravel()[at] += sum(step[of, k] * one for k, one in enumerate(basis)).astype(np.float32)
    return out
