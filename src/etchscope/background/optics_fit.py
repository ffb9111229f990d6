"""The optics of a scan, learned from the pits that its pictures show.

Round pits that lie apart are sorted by surface and radius, and the mean of their pictures is
compared with that of rendered pits of the same radii: complete and over-etched cones, along the
normal and tilted, in shares that are fitted for each group. Tilted pits point to all sides, so the
mean is averaged over the symmetries of the lamps, which makes all lamps alike. What the pictures do
not determine keeps its whole range: the fits that are returned are drawn from the distribution of
the parameters around the best solutions, and their spread is that of the optics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares, nnls

from etchscope.background.composing import optics_of_window
from etchscope.background.examples import Group, rim_level
from etchscope.background.turns import average_turns, list_turns
from etchscope.foil import Role, Scan
from etchscope.foil.types import Floats, FloatStack
from etchscope.physics.cone import compute_opening
from etchscope.simulation import Optics, Sheet, relative_light
from etchscope.simulation.scene import draw_scene

__all__ = ["FittedOptics", "OpticsModel", "fit_optics"]

_PRIOR = 0.02
"""Weight of a parameter's distance from the middle of its range, in standard errors."""
_WHOLE = 100.0
"""Weight with which the shares of shapes add up to 1, in standard errors."""
_TILT_DEG, _TILT_TO_DEG = 20.0, 22.5
"""Tilt of inclined pits and its azimuth, whose turns and mirrors are eight equal steps."""
_INDEPENDENT = 40.0
"""Independent figures in the mean pictures of a group, whose neighbouring pixels err together."""
_UNIFORM = 0.29
"""Standard deviation of a parameter that is anywhere in its range, in ranges."""
_LEAST_COST = 0.1
"""Least χ² per figure by which errors are scaled, as in a regression with unknown errors."""
_WITHIN = 1.5
"""Greatest cost of a solution that is used, in costs of the best one."""
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


def _shapes(radius_px: Floats, sheet: Sheet, pixel_size_um: float, *, tilted: bool) -> pd.DataFrame:
    """Return pits of given radii, each of several shapes, with ``group`` and the opening's shift.

    Complete cones come first, then over-etched ones with rounded bottoms; ``tilted`` adds those
    whose tracks are inclined by ``_TILT_DEG``.
    """
    h, parts = sheet.removed_um, []
    wanted = np.clip(radius_px * pixel_size_um, 0.05 * h, 0.9 * h)
    n = len(wanted)
    for tilt in (0.0, _TILT_DEG) if tilted else (0.0,):
        dip = np.full(n, np.deg2rad(90 - tilt))

        def radius(v: Floats, length: Floats, dip: Floats = dip) -> Floats:
            shape = compute_opening(v, dip, np.full(n, h), length)
            return np.asarray(np.sqrt(shape.major_um * shape.minor_um) / 2)

        v = _bisect(lambda v: radius(v, v * h), np.full(n, 1.0), np.full(n, 60.0), wanted)
        deep = 1.6 * v + 0.4
        length = _bisect(partial(radius, deep), np.zeros(n), deep * h, wanted)
        for of, long in ((v, v * h), (deep, length)):
            shift = compute_opening(of, dip, np.full(n, h), long).shift_um
            parts.append(
                pd.DataFrame(
                    {
                        "group": np.arange(n),
                        "v": of,
                        "dip_rad": dip,
                        "azimuth_rad": np.deg2rad(_TILT_TO_DEG),
                        "removed_um": h,
                        "length_um": long,
                        "shift_px": shift / pixel_size_um,
                    }
                )
            )
    out: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return out


def _bisect(of: Callable[[Floats], Floats], low: Floats, high: Floats, wanted: Floats) -> Floats:
    """Return where a rising function has wanted values, (n,)."""
    for _ in range(40):
        middle = (low + high) / 2
        below = of(middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


class OpticsModel:
    """The rendered pictures of the groups, as a function of the parameters of the optics.

    Parameters
    ----------
    groups : see ``examples.group_examples``.
    scan : states channels and pixel size.
    sheet, index : the foil before etching and its refractive index.
    """

    def __init__(self, groups: Sequence[Group], scan: Scan, sheet: Sheet, index: float) -> None:
        self.groups, self.scan, self.sheet, self.index = groups, scan, sheet, index
        roles = {c.role for c in scan.channels}
        self.names = [n for n, b in _BOUNDS.items() if b.role is None or b.role in roles]
        self.size = groups[0].light.shape[1]
        self.turns = list_turns(scan)
        self.seen = [average_turns(g.light, self.turns) for g in groups]
        self.error = [np.sqrt(average_turns(g.error**2, self.turns)) for g in groups]
        um, cell = float(scan.pixel_size_um or np.nan), self.size + 4
        radius = np.array([g.radius_px for g in groups])
        pits = _shapes(radius, sheet, um, tilted=len(self.turns) > 1)
        self.kinds = len(pits) // len(groups)
        row = np.repeat(np.arange(self.kinds), len(groups))
        x, y = ((k + 0.5) * cell - 0.5 for k in (pits["group"].to_numpy(), row))
        back = pits["shift_px"].to_numpy()
        azimuth = pits["azimuth_rad"].to_numpy()
        self.pits = pits.assign(
            x_px=x - back * np.cos(azimuth),
            y_px=y + back * np.sin(azimuth),
            surface=[groups[g].surface for g in pits["group"]],
        )
        self.shape = (self.kinds * cell, cell * len(groups))
        self.scale = um / _NOMINAL_UM

    def fitted(self, shares: Floats, hiding: float, cost: float) -> FittedOptics:
        """Return the fit at some shares of the parameters' ranges."""
        values = {}
        for name, share in zip(self.names, np.asarray(shares).tolist(), strict=True):
            bound = _BOUNDS[name]
            values[name] = bound.value(share) * (self.scale if bound.is_scaled else 1)
        gamma = values.pop("gamma")
        fixed = {"hiding": hiding, "flare_um": 60.0 * self.scale, "centre_share": 1.0}
        return FittedOptics({**values, **fixed}, gamma, cost)

    def light(self, fit: FittedOptics) -> FloatStack:
        """Return the light of each shape, (shape, group, channel, y, x), averaged over turns."""
        optics = fit.optics(self.scan, *self.shape)
        thick = self.sheet.thickness_um - 2 * self.sheet.removed_um
        scene = draw_scene(
            self.pits, pd.DataFrame(), optics, thickness_um=thick, refractive_index=self.index
        )
        light = np.clip(relative_light(scene, optics), 0, None) ** np.float32(fit.gamma)
        cell = self.size + 4
        out = []
        for r in range(2, cell * self.kinds, cell):
            cuts = [
                light[:, r : r + self.size, c : c + self.size]
                for c in range(2, cell * len(self.groups), cell)
            ]
            out.append([average_turns(cut / rim_level(cut), self.turns) for cut in cuts])
        return np.asarray(out, np.float32)

    def residuals(self, shares: Floats) -> Floats:
        """Return the differences in standard errors, each group of weight 1, and the prior."""
        shapes, out = self.light(self.fitted(shares, 0.5, 0.0)), []
        for k, (seen, error) in enumerate(zip(self.seen, self.error, strict=True)):
            basis = (shapes[:, k] / error).reshape(self.kinds, -1).T.astype(np.float64)
            wanted = (seen / error).ravel().astype(np.float64)
            share = nnls(
                np.vstack([basis, _WHOLE * np.ones(self.kinds)]), np.append(wanted, _WHOLE)
            )[0]
            out.append((basis @ share - wanted) / np.sqrt(wanted.size))
        prior = (np.asarray(shares) - 0.5) * _PRIOR
        return np.concatenate([*out, prior]).astype(np.float64)


def fit_optics(
    groups: Sequence[Group],
    scan: Scan,
    sheet: Sheet,
    index: float,
    *,
    seed: int = 0,
    starts: int = 3,
    draws: int = 8,
    steps: int = 8,
) -> list[FittedOptics]:
    """Return fits of the optics, drawn from what the pictures leave open.

    Parameters
    ----------
    groups, scan, sheet, index : see ``OpticsModel``.
    seed : of the starts and draws.
    starts : number of solutions that are sought.
    draws : number of fits that are returned.
    steps : most steps of each solution.
    """
    model, rng = OpticsModel(groups, scan, sheet, index), np.random.default_rng(seed)
    tried = rng.random((4 * starts, len(model.names)))
    cost = [float((model.residuals(s) ** 2).sum()) for s in tried]
    found = []
    for start in tried[np.argsort(cost)[:starts]]:
        found.append(
            least_squares(
                model.residuals,
                np.clip(start, 0.05, 0.95),
                bounds=(0, 1),
                diff_step=0.02,
                max_nfev=steps,
            )
        )
    least = min(done.cost for done in found)
    good = [done for done in found if done.cost <= _WITHIN * least]
    out = []
    for k in range(draws):
        done = good[k % len(good)]
        jacobian = done.jac[: -len(model.names)]
        cost_of = float(2 * done.cost) / len(groups)
        known = _INDEPENDENT / np.clip(cost_of, _LEAST_COST, None) * jacobian.T @ jacobian
        precision = known + np.eye(len(model.names)) / _UNIFORM**2
        step = rng.multivariate_normal(np.zeros(len(model.names)), np.linalg.inv(precision))
        out.append(model.fitted(np.clip(done.x + step, 0, 1), float(rng.random()), cost_of))
    return out
