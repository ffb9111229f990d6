"""The measures of an opening, of its pair and of the search: what a calibration weighs.

Experts see a small picture. How probable it is that an opening and its partner are one particle,
the confidence of the search in both, size, contrast and the density of pits add to that.
"""

from typing import Any

import numpy as np
import pandas as pd

from etchscope.ensemble.particles import find_particle_rows
from etchscope.foil import PitFlag, has_flag
from etchscope.foil.types import Floats

__all__ = ["MEASURES", "gather_measures", "pair_evidence"]

MEASURES = (
    "experts",
    "experts_apart",
    "pair",
    "entry",
    "no_entry",
    "exit",
    "no_exit",
    "log_radius",
    "log_radius_squared",
    "contrast",
    "contrast_squared",
    "ellipticity",
    "ellipticity_squared",
    "log_wall",
    "no_partner",
    "other_log_radius",
    "other_log_radius_squared",
    "other_contrast",
    "other_contrast_squared",
    "walls_apart",
    "log_density",
)
"""Columns of ``gather_measures``. They are those of the opening, or of the entry pit of its pair.
``other_…`` are those of the exit pit, 0 without one; ``…_apart`` is the difference between both
openings; ``log_wall`` is the logarithm of depth over radius."""

_HIDDEN = 0.2
"""Share of the particles whose exit pit is not found, or not as one: it lies under its entry pit or
in a crowd."""
_SURE = 8.0
"""Greatest log odds of a measure; greater ones are as certain, and would dominate a regression."""
_UNSURE = -6.0
"""Least log odds that an opening is an entry pit or an exit pit, also where they are unknown."""
_FLATTEST = 0.02
"""Least depth over radius that is distinguished."""


def pair_evidence(pits: pd.DataFrame) -> Floats:
    """Return the evidence for signal in the geometry of pairs, log of a likelihood ratio, (n,).

    It is log(h + (1 − h) exp(``hip``)): the exit pit of a particle is hidden with the probability
    h = 0.2, or the pair is a particle with the log odds ``hip``. The evidence is 0 where two
    openings lie at one place and where the surface is unknown, because the geometry then shows
    nothing.

    Parameters
    ----------
    pits : n rows of a pit table.
    """
    ratio = pits["hip"].to_numpy(np.float64)
    is_known = pits["surface"].isin(["top", "bottom"]).to_numpy() & np.isfinite(ratio)
    is_known &= ~has_flag(pits, PitFlag.STEEP_PAIR).to_numpy()
    evidence = np.log(_HIDDEN + (1 - _HIDDEN) * np.exp(np.where(is_known, ratio, 0.0)))
    return np.where(is_known, evidence, 0.0)


def gather_measures(pits: pd.DataFrame, experts: Floats) -> pd.DataFrame:
    """Return the measures of each opening: the float64 columns ``MEASURES``.

    The openings of one candidate (see ``find_particle_rows``) share the measures of the entry pit,
    and the mean of both votes of the experts. All measures are finite, except ``experts`` where
    the experts gave no vote.

    Parameters
    ----------
    pits : n rows of a pit table.
    experts : (n,) log odds of signal by the experts; NaN for rows that are no candidates.
    """
    partner = find_particle_rows(pits)
    rows = np.arange(len(pits))
    is_pair = partner >= 0
    other = np.where(is_pair, partner, rows)
    is_exit = is_pair & (pits["surface"] == "bottom").to_numpy()
    of, of_other = (
        pits.iloc[np.where(is_exit, other, rows)],
        pits.iloc[np.where(is_exit, rows, other)],
    )
    each = np.clip(experts, -_SURE, _SURE)
    mean = np.where(np.isnan(each[other]), each, (each + each[other]) / 2)
    columns: dict[str, Any] = {
        "experts": mean,
        "experts_apart": np.nan_to_num(np.abs(each - each[other])),
        "pair": np.clip(pair_evidence(of), -_SURE, _SURE),
    }
    for surface in ("entry", "exit"):
        odds = of[surface].to_numpy(np.float64)
        columns[surface] = np.clip(np.nan_to_num(odds, nan=_UNSURE), _UNSURE, _SURE)
        columns[f"no_{surface}"] = np.isnan(odds).astype(np.float64)
    radius, contrast, ellipticity, wall = _shapes(of)
    other_radius, other_contrast, _, other_wall = (
        np.where(is_pair, v, 0) for v in _shapes(of_other)
    )
    density = np.nan_to_num(of["density_per_mm2"].to_numpy(np.float64), nan=1.0)
    columns |= {
        "log_radius": radius,
        "log_radius_squared": radius**2,
        "contrast": contrast,
        "contrast_squared": contrast**2,
        "ellipticity": ellipticity,
        "ellipticity_squared": ellipticity**2,
        "log_wall": wall,
        "no_partner": (~is_pair).astype(np.float64),
        "other_log_radius": other_radius,
        "other_log_radius_squared": other_radius**2,
        "other_contrast": other_contrast,
        "other_contrast_squared": other_contrast**2,
        "walls_apart": np.where(is_pair, np.abs(wall - other_wall), 0.0),
        "log_density": np.log(np.maximum(density, 1.0)),
    }
    return pd.DataFrame(columns, index=pits.index)


def _shapes(pits: pd.DataFrame) -> tuple[Floats, Floats, Floats, Floats]:
    """Return log of radius, contrast, ellipticity and log of depth over radius; 0 if unknown."""
    log_radius = np.log(pits["radius_px"].to_numpy(np.float64))
    log_wall = np.log(np.maximum(pits["wall_slope"].to_numpy(np.float64), _FLATTEST))
    contrast, ellipticity = (
        np.nan_to_num(pits[c].to_numpy(np.float64)) for c in ("contrast", "ellipticity")
    )
    return log_radius, contrast, ellipticity, np.nan_to_num(log_wall)
