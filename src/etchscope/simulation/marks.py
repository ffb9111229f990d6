"""Marks: dust, scratches, fibres, bubbles, dried drops and drilled holes; all that is no pit."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil.types import Floats
from etchscope.simulation.cells import CELL_MM, Cell, draw_places, first_number, make_stream
from etchscope.simulation.populations import Population

__all__ = [
    "MARK_COLUMNS",
    "Stroke",
    "draw_strokes",
    "marks_reach_mm",
    "strokes_of_cell",
    "tabulate_strokes",
]

Stroke = tuple[Any, ...]
"""One row of ``MARK_COLUMNS``."""
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
"""Columns of strokes, of which a mark is drawn: capsules from (x0, y0) to (x1, y1) with a radius.

``height_um`` is the height in the middle, ``opacity`` lies in [0, 1], ``profile`` is bump, groove,
ring or hole. The strokes of one mark share its number ``mark``, which no other mark of the foil
has."""


def _path(
    rng: np.random.Generator, x: float, y: float, length: float, bend: float, steps: int
) -> Floats:
    """Return (steps + 1, 2) points of a smooth random curve through (x, y)."""
    turn = np.cumsum(rng.normal(0, bend / np.sqrt(steps), steps)) + rng.uniform(0, 2 * np.pi)
    points = np.cumsum(np.c_[np.cos(turn), np.sin(turn)] * length / steps, axis=0)
    points = np.vstack([[0, 0], points])
    return np.asarray(points - points[len(points) // 2] + [x, y])


def _dust(rng: np.random.Generator, x: float, y: float) -> list[Stroke]:
    size = rng.lognormal(np.log(0.03), 0.5)
    out: list[Stroke] = []
    for _ in range(rng.integers(6, 20)):
        px, py = x + rng.normal(0, 0.7 * size), y + rng.normal(0, 0.7 * size)
        qx, qy = px + rng.normal(0, 0.3 * size), py + rng.normal(0, 0.3 * size)
        r = size * rng.uniform(0.15, 0.5)
        out.append((px, py, qx, qy, r, 600 * r, rng.uniform(0.6, 1), "bump"))
    return out


def _scratch(rng: np.random.Generator, x: float, y: float) -> list[Stroke]:
    points = _path(rng, x, y, rng.lognormal(np.log(1.0), 0.5), 0.15, 8)
    r, depth = rng.uniform(0.004, 0.015), rng.uniform(3, 12)
    return [(*p, *q, r, -depth, 0.0, "groove") for p, q in pairwise(points)]


def _fibre(rng: np.random.Generator, x: float, y: float) -> list[Stroke]:
    points = _path(rng, x, y, rng.lognormal(np.log(1.2), 0.4), 2.0, 60)
    r, opacity = rng.uniform(0.006, 0.014), rng.uniform(0.3, 0.8)
    return [(*p, *q, r, 1000 * r, opacity, "bump") for p, q in pairwise(points)]


def _bubble(rng: np.random.Generator, x: float, y: float) -> list[Stroke]:
    return [(x, y, x, y, rng.lognormal(np.log(0.04), 0.4), 0.0, rng.uniform(0.6, 0.95), "ring")]


def _drop(rng: np.random.Generator, x: float, y: float) -> list[Stroke]:
    """Return a dried drop: a rim of strokes around a stain."""
    r = rng.uniform(0.02, 0.08)
    width, dark = r * rng.uniform(0.08, 0.25), rng.uniform(0.1, 0.6)
    height = rng.uniform(0.5, 4)
    turn = np.linspace(0, 2 * np.pi, 17)
    around = r * (1 + 0.08 * np.sin(2 * turn + rng.uniform(0, 6)))
    rim = np.c_[x + around * np.cos(turn), y + around * np.sin(turn)]
    stain: list[Stroke] = [(x, y, x, y, r, 0.3 * height, 0.4 * dark, "bump")]
    return stain + [(*p, *q, width, height, dark, "bump") for p, q in pairwise(rim)]


def _varied(
    strokes: list[Stroke], rng: np.random.Generator, variety: float, kind: str
) -> list[Stroke]:
    """Return a mark's strokes with other width, height and darkness, overall and along the mark."""
    n = len(strokes)
    factor = np.exp(variety * rng.normal(0, [0.5, 0.5, 0.3]))
    along = np.exp(variety * 0.35 * np.cumsum(rng.normal(0, 1 / np.sqrt(n), (n, 2)), axis=0))
    turn = variety * rng.normal(0, 0.6)  # bends a scratch: the angle grows along it
    numbers = np.array([stroke[:7] for stroke in strokes], dtype=float)
    if kind == "scratch":
        middle = numbers[n // 2, :2]
        ends = numbers[:, :4].reshape(2 * n, 2) - middle
        angle = turn * np.hypot(*ends.T)
        x, y = ends.T
        ends = np.c_[x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)]
        numbers[:, :4] = (ends + middle).reshape(n, 4)
    numbers[:, 4] = np.clip(numbers[:, 4] * factor[0] * along[:, 0], 0.001, 0.05)
    numbers[:, 5] *= factor[1] * along[:, 1]
    numbers[:, 6] = np.clip(numbers[:, 6] * factor[2], 0, 1)
    return [(*row, strokes[0][7]) for row in numbers.tolist()]


def draw_strokes(
    seed: int,
    cell: Cell,
    population: Population,
    *,
    exposure: int = 0,
    back: bool = False,
) -> list[Stroke]:
    """Return the dust, scratches, fibres, bubbles, drops and holes of one cell.

    The columns are ``MARK_COLUMNS``. Dust, scratches, fibres and drops lie on one side of the
    sheet: on the back if ``back``, else on the front.

    Parameters
    ----------
    seed : of the exposure.
    cell : (i, j), the square from (i, j) times ``CELL_MM`` on.
    exposure : which foil of the stack; each has marks of its own.
    """
    own = 10 * (exposure + 1)
    inside, on = make_stream(seed, own + 3, cell), make_stream(seed, own + 4 + back, cell)
    m = population.marks
    drawn = (
        ("bubble", _bubble, inside, m.bubbles_per_tile),
        ("dust", _dust, on, m.dust_per_tile),
        ("scratch", _scratch, on, m.scratches_per_tile),
        ("fibre", _fibre, on, m.fibres_per_tile),
        ("drop", _drop, on, m.drops_per_tile),
    )
    marks: list[list[Stroke]] = []
    for kind, draw, rng, rate in drawn:
        if rate == 0:
            continue
        at = zip(*draw_places(rng, cell, rate, None), strict=True)
        for x, y in at:
            strokes = draw(rng, x, y)
            if m.variety > 0 and kind in ("scratch", "fibre"):
                strokes = _varied(strokes, rng, m.variety, kind)
            marks.append([(*stroke, kind) for stroke in strokes])
    for x, y in m.holes_mm:
        if (np.floor(x / CELL_MM), np.floor(y / CELL_MM)) == cell:
            marks.append([(x, y, x, y, m.hole_radius_mm, 0.0, 0.0, "hole", "hole")])
    # Marks of the two sides have different numbers, as those of different cells have.
    first = first_number(cell) + 2**19 * back
    return [(*stroke, first + n) for n, strokes in enumerate(marks) for stroke in strokes]


@lru_cache(maxsize=256)
def strokes_of_cell(
    seed: int, cell: Cell, population: Population, exposure: int, back: bool
) -> list[Stroke]:
    """Return ``draw_strokes``, kept for the tiles around the cell; not to be changed."""
    return draw_strokes(seed, cell, population, exposure=exposure, back=back)


def tabulate_strokes(strokes: list[Stroke]) -> pd.DataFrame:
    """Return a table of strokes with ``MARK_COLUMNS``; without a row if there is none."""
    if not strokes:
        return pd.DataFrame([], columns=MARK_COLUMNS)
    columns = zip(MARK_COLUMNS, zip(*strokes, strict=True), strict=True)
    # Arrays of known dtype spare pandas a look at every value.
    kinds = {"profile": object, "kind": object, "mark": np.int64}
    return pd.DataFrame({name: np.array(v, kinds.get(name, float)) for name, v in columns})


def marks_reach_mm(population: Population) -> float:
    """Return how far from its cell a mark can reach; one scratch in ten thousand is longer."""
    marks = population.marks
    return max(3.0, marks.hole_radius_mm + 0.1 if marks.holes_mm else 0.0)
