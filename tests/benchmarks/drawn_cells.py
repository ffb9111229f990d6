"""Cells drawn from discs, rings and noise, whose measures are known."""

import numpy as np
from scipy.ndimage import gaussian_filter

from resemblance_cells import CELL_PX

GROUND, DARK = 250.0, 30.0


def draw_disc(picture, x, y, radius_px, grey=DARK):
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    inside = np.clip(radius_px + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
    return picture + inside * (grey - picture)


def draw_cells(n=16, seed=0, *, radius_px=7.0, grey=DARK, others=1, rings=2, noise=3.0, grain=0.0):
    """Dark discs near the centre, others and rings around them, on a bright ground."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        cell = np.full((CELL_PX, CELL_PX), GROUND)
        for _ in range(rng.poisson(rings)):
            x, y = rng.choice([8, 54]) + rng.uniform(-2, 2), rng.uniform(8, 44)
            cell = draw_disc(draw_disc(cell, x, y, 4.5, 90), x, y, 2.5, GROUND)
        for _ in range(rng.poisson(others)):
            x, y = rng.choice([10, 52]), rng.uniform(8, 44)
            cell = draw_disc(cell, x, y, radius_px + rng.normal(0, 0.5), grey)
        cell -= grain * np.abs(gaussian_filter(rng.standard_normal(cell.shape), 1.0))
        x, y = 31 + rng.normal(0, 1.5, 2)
        cell = draw_disc(cell, x, y, radius_px + rng.normal(0, 0.5), grey)
        out.append(np.clip(np.rint(cell + rng.normal(0, noise, cell.shape)), 0, 255))
    return np.array(out).astype(np.uint8)
