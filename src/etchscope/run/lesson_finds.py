"""The finds of a random foil, scored as in a run."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.ensemble import Model, gather_measures
from etchscope.foil.types import Floats, Ints
from etchscope.imaging import Recipe, fit_normalisation, light_planes
from etchscope.learn import Lights, Patches, cut_planes, plane_scale
from etchscope.preselect import find_pits
from etchscope.preselect.finder import Finder
from etchscope.run.lessons import LIGHTING, Lesson

__all__ = ["score_finds"]

_SIGNAL_PX = 6.0
"""A find nearer than this to an opening of signal belongs to its particle."""


def score_finds(lesson: Lesson, finder: Finder, model: Model) -> pd.DataFrame:
    """Return the finds of a foil that are no marks, with their scores.

    Parameters
    ----------
    finder, model : what finds the openings, and what scores them.

    Returns
    -------
    Rows of a pit table with ``experts`` (log odds of signal), ``score``, and ``particle``, the
    number of the true particle nearby, −1 without one.
    """
    pits = find_pits(
        lesson.raw,
        azimuths_deg=LIGHTING.azimuths_deg,
        pixel_size_um=lesson.pixel_size_um,
        thickness_um=lesson.thickness_um,
        finder=finder,
    )
    pits = pits[pits["length_px"].isna()].reset_index(drop=True)
    at = pits[["x_px", "y_px"]].to_numpy(np.float64)
    particle = _particles(lesson, at)
    if not len(pits):
        return pits.assign(experts=np.nan, particle=particle)
    scale = plane_scale(pits["radius_px"].to_numpy(np.float64))
    normalisation = fit_normalisation([lesson.raw], Recipe())
    size = (lesson.raw.shape[1], lesson.raw.shape[2])
    x, y = (at[:, k].clip(0, n - 1) for k, n in ((0, size[1]), (1, size[0])))
    planes = light_planes(lesson.raw, normalisation, LIGHTING, scale)
    pixels = cut_planes(planes, size, x, y, model.size)
    rows = np.arange(len(pits))
    votes = model.score_patches(Patches(pixels, Lights.of_planes(), np.zeros_like(rows), rows))
    experts = votes["score"].to_numpy(np.float64)
    score = model.calibration.score(gather_measures(pits, experts))
    return pits.assign(experts=experts, score=score, particle=particle)


def _particles(lesson: Lesson, at: Floats) -> Ints:
    """Return the particle of signal near each place, (n,), −1 without one."""
    hips = np.flatnonzero(lesson.kind == "hip")
    out = np.full(len(at), -1)
    if len(hips) and len(at):
        openings = np.column_stack([lesson.x_px[hips], lesson.y_px[hips]])
        apart, nearest = cKDTree(openings).query(at)
        near = apart < _SIGNAL_PX
        out[near] = lesson.particle[hips[nearest[near]]]
    return out
