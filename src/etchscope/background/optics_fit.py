"""The optics of a scan, learned from the pits that its pictures show.

Round pits that lie apart are sorted by surface and radius, and the median of their pictures is
compared with that of rendered cones of the same radii. Pits of one radius are complete cones or
over-etched ones; the share of the latter is fitted for each group. Several fits from different
starts describe the pictures about equally well: they are all kept, and their spread is that of the
optics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from etchscope.background.composing import as_cones, optics_of_window
from etchscope.background.examples import Group, rim_level
from etchscope.foil import Role, Scan
from etchscope.foil.types import Floats, FloatStack
from etchscope.physics.cone import compute_opening
from etchscope.simulation import Optics, Sheet, relative_light
from etchscope.simulation.scene import draw_scene

__all__ = ["FittedOptics", "fit_optics"]

_PRIOR = 0.3
"""Weight of a parameter's distance from the middle of its range, in standard deviations."""
_NOMINAL_UM = 6.4516


@dataclass(frozen=True)
class _Bound:
    """The range of a parameter; ``is_log``: its logarithm is fitted. ``role``: needs such light."""

    low: float
    high: float
    is_log: bool = False
    role: Role | None = None
    is_scaled: bool = False

    def value(self, share: float) -> float:
        """Return the value at a share, 0 to 1, of the range."""
        if self.is_log:
            return float(self.low * (self.high / self.low) ** share)
        return float(self.low + share * (self.high - self.low))


_BOUNDS: Mapping[str, _Bound] = {
    "blur_um": _Bound(1.5, 12, is_log=True, is_scaled=True),
    "focus_um": _Bound(-150, 100),
    "aperture": _Bound(0.005, 0.08, is_log=True),
    "flare": _Bound(0, 0.4),
    "elevation_deg": _Bound(18, 75, role="directional"),
    "ambient": _Bound(0, 0.6, role="directional"),
    "gloss": _Bound(0, 0.6, role="directional"),
    "gloss_width": _Bound(0.15, 0.8, role="directional"),
    "shadow": _Bound(0, 1, role="directional"),
    "far_weight": _Bound(0.05, 1, role="directional"),
    "mirror": _Bound(0, 4, role="directional"),
    "mirror_width": _Bound(0.05, 0.5, is_log=True, role="directional"),
    "dark_near_deg": _Bound(18, 90, role="directional"),
    "dark_far_deg": _Bound(18, 90, role="directional"),
    "centre_lamps": _Bound(0, 1.4, role="directional"),
    "pupil": _Bound(0.05, 0.4, is_log=True, role="backlit"),
    "stray": _Bound(0, 0.35, role="backlit"),
    "centre": _Bound(0, 1.4, role="backlit"),
    "halo_sine": _Bound(0.12, 0.65, role="halo"),
    "halo_width": _Bound(0.06, 0.4, role="halo"),
    "halo_gain": _Bound(0.5, 10, is_log=True, role="halo"),
    "gamma": _Bound(0.5, 2, is_log=True),
}
"""Parameters of ``Optics`` that are fitted, and the power of light that the camera records."""


@dataclass(frozen=True)
class FittedOptics:
    """One fit: parameters of ``Optics``, ``gamma``, and the cost of the fit (χ² per point)."""

    parameters: Mapping[str, float]
    gamma: float
    cost: float

    def optics(self, scan: Scan, height: int, width: int) -> Optics:
        """Return the optics of a part of a scan's picture."""
        values: dict[str, Any] = dict(self.parameters)
        given = replace(Optics(image_size=(height, width)), **values)
        return optics_of_window(given, scan, height, width)


def _over_etched(cones: pd.DataFrame) -> pd.DataFrame:
    """Return pits of the same openings whose tracks were shorter, with rounded bottoms."""
    h = cones["removed_um"].to_numpy(np.float64)
    v0 = cones["v"].to_numpy(np.float64)
    v = 1.6 * v0 + 0.4
    dip = np.full(len(v), np.pi / 2)
    wanted = compute_opening(v0, dip, h, v0 * h).minor_um
    low, high = np.zeros(len(v)), v * h
    for _ in range(30):
        middle = (low + high) / 2
        wide = compute_opening(v, dip, h, middle).minor_um > wanted
        low, high = np.where(wide, low, middle), np.where(wide, middle, high)
    return cones.assign(v=v, length_um=high)


class _Model:
    """The rendered pictures of the groups, as a function of the parameters of the optics."""

    def __init__(self, groups: Sequence[Group], scan: Scan, sheet: Sheet, index: float) -> None:
        self.groups, self.scan, self.sheet, self.index = groups, scan, sheet, index
        roles = {c.role for c in scan.channels}
        self.names = [n for n, b in _BOUNDS.items() if b.role is None or b.role in roles]
        self.size = groups[0].light.shape[1]
        cell = self.size + 4
        at = (np.arange(len(groups)) + 0.5) * cell - 0.5
        found = pd.DataFrame(
            {
                "surface": [g.surface for g in groups],
                "radius_px": [g.radius_px for g in groups],
                "x_px": at,
                "y_px": cell / 2 - 0.5,
            }
        )
        um = float(scan.pixel_size_um or np.nan)
        cones = as_cones(found, sheet.removed_um, um)
        rounded = _over_etched(cones).assign(y_px=1.5 * cell - 0.5)
        self.pits = pd.concat([cones, rounded], ignore_index=True)
        self.shape = (2 * cell, cell * len(groups))
        self.scale = um / _NOMINAL_UM

    def values(self, shares: Floats) -> dict[str, float]:
        """Return the parameters by name, from their shares of their ranges."""
        out = {}
        for name, share in zip(self.names, shares.tolist(), strict=True):
            bound = _BOUNDS[name]
            out[name] = bound.value(share) * (self.scale if bound.is_scaled else 1)
        return out

    def fitted(self, shares: Floats, hiding: float, cost: float) -> FittedOptics:
        """Return the fit of some shares."""
        values = self.values(shares)
        gamma = values.pop("gamma")
        fixed = {"hiding": hiding, "flare_um": 60.0 * self.scale, "centre_share": 1.0}
        return FittedOptics({**values, **fixed}, gamma, cost)

    def light(self, fit: FittedOptics) -> tuple[FloatStack, FloatStack]:
        """Return the light of cones and of rounded pits, (group, channel, y, x) each."""
        optics = fit.optics(self.scan, *self.shape)
        thick = self.sheet.thickness_um - 2 * self.sheet.removed_um
        scene = draw_scene(
            self.pits, pd.DataFrame(), optics, thickness_um=thick, refractive_index=self.index
        )
        light = np.clip(relative_light(scene, optics), 0, None) ** np.float32(fit.gamma)
        cell = self.size + 4
        cuts = [
            [
                light[:, r : r + self.size, c : c + self.size]
                for c in range(2, cell * len(self.groups), cell)
            ]
            for r in (2, cell + 2)
        ]
        cones, rounded = (np.stack([cut / rim_level(cut) for cut in row]) for row in cuts)
        return cones, rounded

    def residuals(self, shares: Floats) -> Floats:
        """Return the differences in standard errors, and the weak prior of the parameters."""
        cones, rounded = self.light(self.fitted(shares, 0.5, 0.0))
        out = []
        for group, one, other in zip(self.groups, cones, rounded, strict=True):
            far, step = (group.light - one) / group.error, (other - one) / group.error
            weight = np.clip(float((far * step).sum() / max(float((step**2).sum()), 1e-9)), 0, 1)
            out.append((far - weight * step).ravel() / np.sqrt(far.size))
        prior = _PRIOR * (np.asarray(shares) - 0.5) / np.sqrt(len(shares)) / 3
        return np.concatenate([*out, prior]).astype(np.float64)


def fit_optics(
    groups: Sequence[Group],
    scan: Scan,
    sheet: Sheet,
    index: float,
    *,
    seed: int = 0,
    starts: int = 4,
    keep: int = 4,
    within: float = 1.5,
) -> list[FittedOptics]:
    """Return the optics that describe the groups about equally well, the best first.

    Parameters
    ----------
    groups : median pictures of pits.
    scan : states channels and pixel size.
    sheet, index : the foil before etching and its refractive index.
    seed : of the starts.
    starts : number of fits.
    keep : greatest number of fits that are returned.
    within : greatest cost of a fit, in costs of the best one.
    """
    model, rng = _Model(groups, scan, sheet, index), np.random.default_rng(seed)
    tried = rng.random((4 * starts, len(model.names)))
    cost = [float((model.residuals(s) ** 2).sum()) for s in tried]
    found = []
    for start in tried[np.argsort(cost)[:starts]]:
        done = least_squares(
            model.residuals, np.clip(start, 0.02, 0.98), bounds=(0, 1), diff_step=0.02, max_nfev=10
        )
        total = float(2 * done.cost) / len(groups)
        found.append(model.fitted(done.x, float(rng.random()), total))
    found.sort(key=lambda fit: fit.cost)
    return [fit for fit in found if fit.cost <= within * found[0].cost][:keep]
