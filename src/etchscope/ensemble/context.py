"""What is known of a find beyond its own picture: shape, partner, neighbours, and their pictures.

A patch shows one opening. Whether it belongs to a particle is said as much by the other opening:
how well the two agree, and how many unrelated ones would do as well.
"""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.ensemble.candidates import partner_rows
from etchscope.foil import PitFlag, has_flag
from etchscope.foil.types import Floats, Ints

__all__ = ["CONTEXT", "beside_partner", "measure_context"]

_OWN = (
    "radius",
    "ellipticity",
    "depth",
    "contrast",
    "s_radius",
    "s_ellipticity",
    "s_depth",
    "odds",
)
_AROUND_PX = 20.0
CONTEXT = (
    "is_top",
    "is_bottom",
    "is_steep",
    "pair_ratio",
    "log_chance",
    "distance",
    *_OWN,
    "along",
    *(f"partner_{name}" for name in _OWN),
    "partner_along",
    "less_radius",
    "less_depth",
    "usual_radius",
    "usual_depth",
    "usual_contrast",
    "covered",
    "near_same",
    "near_other",
)
"""Surface; whether two openings are at one place; log likelihood ratio of the pair and the log of
the chance of one as good; displacement over the radius. Of the opening and of its partner: log
radius over the foil's median on its surface, ellipticity, log depth over radius, log contrast over
the median, the errors, the log odds that it is one; the ellipse's part along the displacement. By
how much the partner is smaller and shallower. The medians of log radius in pixels, of log depth
over radius and of contrast. Share of the area that so many pits cover, and how many openings of the
same and of the other surface lie within 20 px. 0 where there is no such thing."""


def measure_context(pits: pd.DataFrame, place_px: Floats, pixel_size_um: float | None) -> Floats:
    """Return ``CONTEXT`` of the rows of a pit table, (n, feature).

    Parameters
    ----------
    pits : of one scan.
    place_px : (n, 2) in one frame for all tiles.
    """
    n = len(pits)
    surface = pits["surface"].to_numpy(object)
    column: dict[str, Floats] = {name: np.zeros(n) for name in CONTEXT}
    for one in ("top", "bottom"):
        column[f"is_{one}"] = np.where(surface == one, 1.0, 0.0)
    column["is_steep"] = np.where(has_flag(pits, PitFlag.STEEP_PAIR), 1.0, 0.0)
    get = {c: pits[c].to_numpy(np.float64) for c in pits.columns if pits[c].dtype == "float64"}
    column["pair_ratio"] = np.nan_to_num(get["hip"])
    radius = np.maximum(get["radius_px"], 0.1)
    mates = partner_rows(pits)
    has = mates >= 0
    mate = np.where(has, mates, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        column["log_chance"] = np.nan_to_num(np.log(np.maximum(get["pair_p"], 1e-6)))
        column["distance"] = np.nan_to_num(np.hypot(get["pair_dx_px"], get["pair_dy_px"]) / radius)
        depth = np.log(get["depth_um"] / (pixel_size_um or np.nan)) - np.log(radius)
        contrast = np.log(np.maximum(get["contrast"], 1e-3))
        column["s_radius"] = np.nan_to_num(get["radius_px_err"] / radius)
        column["s_ellipticity"] = np.nan_to_num(get["ellipticity_err"])
        column["s_depth"] = np.nan_to_num(get["depth_um_err"] / get["depth_um"])
    column["ellipticity"] = np.nan_to_num(get["ellipticity"])
    odds = np.select(
        [surface == "top", surface == "bottom"], [get["entry"], get["exit"]], get["hip"]
    )
    column["odds"] = np.nan_to_num(odds)
    for name, value in (("radius", np.log(radius)), ("depth", depth), ("contrast", contrast)):
        usual = np.zeros(n)
        for one in ("top", "bottom", "unknown"):
            of_it = np.asarray(surface == one, bool)
            mine = of_it & np.isfinite(value)
            usual[of_it] = np.median(value[mine]) if mine.any() else 0.0
        column[name], column[f"usual_{name}"] = np.nan_to_num(value - usual), usual
    direction = np.rad2deg(np.arctan2(-get["pair_dy_px"], get["pair_dx_px"]))
    turned = np.nan_to_num(np.cos(2 * np.deg2rad(get["angle_deg"] - direction)))
    column["along"] = column["ellipticity"] * turned
    for name in (*_OWN, "along"):
        column[f"partner_{name}"] = np.where(has, column[name][mate], 0.0)
    absolute = np.log(radius), np.nan_to_num(depth) + np.log(radius)
    for name, value in zip(("radius", "depth"), absolute, strict=True):
        column[f"less_{name}"] = np.where(has, value - value[mate], 0.0)
    if pixel_size_um is not None:
        per_px2 = get["density_per_mm2"] * (pixel_size_um / 1000) ** 2
        column["covered"] = np.log1p(np.nan_to_num(per_px2) * np.pi * _AROUND_PX**2)
    for one, other, name in (
        ("top", "bottom", "near_other"),
        ("bottom", "top", "near_other"),
        ("top", "top", "near_same"),
        ("bottom", "bottom", "near_same"),
    ):
        mine, theirs = np.flatnonzero(surface == one), np.flatnonzero(surface == other)
        if len(mine) and len(theirs):
            near = cKDTree(place_px[theirs]).query_ball_point(
                place_px[mine], _AROUND_PX, return_length=True
            )
            column[name][mine] = near - (one == other)
    return np.column_stack([column[name] for name in CONTEXT])


def beside_partner(said: Floats, around: Floats, partner: Ints) -> Floats:
    """Return what is known of each opening: of its picture, its partner's, and all around.

    Parameters
    ----------
    said : (n, k) what the experts say of each opening's picture.
    around : (n, feature) of ``measure_context``.
    partner : (n,) rows, −1 without one, whose experts say 0.

    Returns
    -------
    (n, 2 k + feature).
    """
    of_partner = np.where((partner >= 0)[:, None], said[partner], 0.0)
    return np.concatenate([said, of_partner, around], axis=1)
