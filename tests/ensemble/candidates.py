"""Openings and candidates with known properties, for the tests of the calibration."""

import numpy as np
import pandas as pd

from etchscope.ensemble import MEASURES
from etchscope.foil import as_pits


def make_openings(**columns):
    """Return a pit table of openings of one size, contrast and density."""
    n = len(columns["surface"])
    usual = {"pit": range(n), "radius_px": [5.0] * n, "contrast": [0.3] * n}
    return as_pits(usual | {"density_per_mm2": [20.0] * n} | columns)


def draw_candidates(n, *, share, seed=0, apart=2.0):
    """Return measures, truth and log likelihood ratio of candidates, a share of which is signal."""
    rng = np.random.default_rng(seed)
    is_signal = rng.random(n) < share
    seen = rng.normal(np.where(is_signal, apart / 2, -apart / 2))
    table = pd.DataFrame(rng.normal(size=(n, len(MEASURES))), columns=list(MEASURES))
    # The experts' log odds are twice too large, and off by a constant.
    return table.assign(experts=2 * apart * seen - 1.5), is_signal, apart * seen
