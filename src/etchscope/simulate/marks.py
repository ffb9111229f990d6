"""What lies on a foil and is no pit: dust, scratches, fibres, bubbles, and drilled holes."""

from itertools import pairwise

import numpy as np
import pandas as pd

from etchscope.foil.types import Floats
from etchscope.simulate.cells import CELL_MM, Cell, first_number, places, stream
from etchscope.simulate.populations import Population

__all__ = ["MARK_COLUMNS", "draw_marks"]

_Stroke = tuple[object, ...]
MARK_COLUMNS = [
    "x0_mm",
    "y0_mm",
    "x1_mm",
    "y1_mm",
    "radius_mm",
    "height_um",
    "opacity",
    "profile",
    "kind",
    "mark",
]
"""A mark is drawn as strokes: capsules from (x0, y0) to (x1, y1) of a radius; ``height_um`` at the
middle, ``opacity`` 0 to 1, ``profile`` bump, groove, ring or hole; strokes share their ``mark``, a
number that no other mark of the foil has."""


def _path(
    rng: np.random.Generator, x: float, y: float, length: float, bend: float, steps: int
) -> Floats:
    """Return (steps + 1, 2) points of a smooth random curve through (x, y)."""
    turn = np.cumsum(rng.normal(0, bend / np.sqrt(steps), steps)) + rng.uniform(0, 2 * np.pi)
    points = np.cumsum(np.c_[np.cos(turn), np.sin(turn)] * length / steps, axis=0)
    points = np.vstack([[0, 0], points])
    return np.asarray(points - points[len(points) // 2] + [x, y])


def _dust(rng: np.random.Generator, x: float, y: float) -> list[_Stroke]:
    size = rng.lognormal(np.log(0.03), 0.5)
    out: list[_Stroke] = []
    for _ in range(rng.integers(6, 20)):
        px, py = x + rng.normal(0, 0.7 * size), y + rng.normal(0, 0.7 * size)
        qx, qy = px + rng.normal(0, 0.3 * size), py + rng.normal(0, 0.3 * size)
        r = size * rng.uniform(0.15, 0.5)
        out.append((px, py, qx, qy, r, 600 * r, rng.uniform(0.6, 1), "bump"))
    return out


def _scratch(rng: np.random.Generator, x: float, y: float) -> list[_Stroke]:
    points = _path(rng, x, y, rng.lognormal(np.log(1.0), 0.5), 0.15, 8)
    r, depth = rng.uniform(0.004, 0.015), rng.uniform(3, 12)
    return [(*p, *q, r, -depth, 0.0, "groove") for p, q in pairwise(points)]


def _fibre(rng: np.random.Generator, x: float, y: float) -> list[_Stroke]:
    points = _path(rng, x, y, rng.lognormal(np.log(1.2), 0.4), 2.0, 60)
    r, opacity = rng.uniform(0.006, 0.014), rng.uniform(0.3, 0.8)
    return [(*p, *q, r, 1000 * r, opacity, "bump") for p, q in pairwise(points)]


def _bubble(rng: np.random.Generator, x: float, y: float) -> list[_Stroke]:
    return [(x, y, x, y, rng.lognormal(np.log(0.04), 0.4), 0.0, rng.uniform(0.6, 0.95), "ring")]


def draw_marks(
    seed: int,
    cell: Cell,
    population: Population,
    *,
    exposure: int = 0,
    back: bool = False,
) -> pd.DataFrame:
    """Return the dust, scratches, fibres, bubbles and holes of one cell as ``MARK_COLUMNS``.

    Dust, scratches and fibres lie on one side of the sheet, the back one if ``back``.
    """
    own = 10 * (exposure + 1)
    inside, on = stream(seed, own + 3, cell), stream(seed, own + 4 + back, cell)
    m = population.marks
    drawn = (
        ("bubble", _bubble, inside, m.bubbles_per_tile),
        ("dust", _dust, on, m.dust_per_tile),
        ("scratch", _scratch, on, m.scratches_per_tile),
        ("fibre", _fibre, on, m.fibres_per_tile),
    )
    marks: list[list[_Stroke]] = []
    for kind, draw, rng, rate in drawn:
        at = zip(*places(rng, cell, rate, None), strict=True)
        marks += [[(*stroke, kind) for stroke in draw(rng, x, y)] for x, y in at]
    for x, y in m.holes_mm:
        if (np.floor(x / CELL_MM), np.floor(y / CELL_MM)) == cell:
            marks.append([(x, y, x, y, m.hole_radius_mm, 0.0, 0.0, "hole", "hole")])
    # Apart from each other's numbers on the two sides, as from those of other cells.
    first = first_number(cell) + 2**19 * back
    rows = [(*stroke, first + n) for n, strokes in enumerate(marks) for stroke in strokes]
    return pd.DataFrame(rows, columns=MARK_COLUMNS)
