"""Stars: vertices inside the sheet to which several tracks point (spallation)."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.special import i0e

from etchscope.background.star_kinds import add_kinds
from etchscope.background.star_model import ProngTable, tabulate_prongs
from etchscope.background.star_scan import Vertices, find_vertices, score_vertices
from etchscope.evaluation import poisson_interval
from etchscope.foil import BadInput
from etchscope.foil.stars import PRONG_COLUMNS, STAR_COLUMNS, STAR_KINDS, UNDECIDED
from etchscope.foil.types import Floats, Ints
from etchscope.preselect.density import local_density
from etchscope.preselect.openings import Shapes
from etchscope.simulation import Sheet, Stars

__all__ = ["StarSearch", "find_apart", "find_stars", "scramble"]

_SURFACES = ("top", "bottom")
_DENSITY_REACH = 4.0
"""Standard deviation of the Gaussian of the local density, over the reach of a prong."""
_APART = 1.25
"""Least distance of two openings of a surface, in radii of the larger one. Nearer ones are taken
as one: finders merge most of them, and list one opening twice about as often."""
_SHAKE = 2.0
"""Greatest displacement of an opening in a scrambled copy, over the reach of a prong."""
_RADIAL = 64
"""Points at which the density of ellipticities is tabulated."""
_SAMPLE = 1500
"""Openings from which it is made."""
_SMALLEST = 0.02
"""Quantile of the radii that is taken as the smallest radius a search finds."""


@dataclass(frozen=True)
class StarSearch:
    """The stars of a search, and how many are expected by accident.

    Attributes
    ----------
    stars : one row per vertex with at least two openings, in the columns of ``STAR_COLUMNS``;
        ``x_mm, y_mm`` are null, since places are given in pixels.
    prongs : one row per opening of a star, in the columns of ``PRONG_COLUMNS``.
    accidental : vertices found in scrambled copies, in the same columns as ``stars``.
    copies : number of scrambled copies.
    run : the run of a store whose pits were searched; empty for other pits.
    """

    stars: pd.DataFrame
    prongs: pd.DataFrame
    accidental: pd.DataFrame
    copies: int
    run: str = ""

    def count(self, by: Literal["kind", "prongs"] = "kind") -> pd.DataFrame:
        """Return the number of selected stars by kind or by number of prongs.

        Columns: ``found``; ``accidental``, the number expected by accident at the same score;
        ``net``, their difference; and ``low, high``, the exact 95 % interval of the Poisson mean of
        ``found``, less ``accidental``, at least 0. The error of ``accidental`` itself, which falls
        with the number of copies, is not in it.
        """
        chosen = self.stars[self.stars["selected"].to_numpy(bool)]
        least = chosen["score"].min() if len(chosen) else np.inf
        chance = self.accidental[self.accidental["score"] >= least]
        every: list[Any] = [*STAR_KINDS, UNDECIDED]
        if by == "prongs":
            every = sorted({*chosen["prongs"].tolist(), *chance["prongs"].tolist()})
        rows = []
        for value in every:
            count = int((chosen[by] == value).sum())
            expected = float((chance[by] == value).sum()) / self.copies
            low, high = (max(bound - expected, 0.0) for bound in poisson_interval(count))
            rows.append((value, count, expected, count - expected, low, high))
        return pd.DataFrame(rows, columns=[by, "found", "accidental", "net", "low", "high"])


def find_stars(
    pits: pd.DataFrame,
    place_px: Floats,
    rectangles_px: Floats,
    *,
    sheet: Sheet,
    pixel_size_um: float,
    model: Stars | None = None,
    entry: Literal["top", "bottom"] = "top",
    purity: float = 0.9,
    copies: int = 20,
    seed: int = 0,
) -> StarSearch:
    """Return the stars among found pits.

    Openings of one surface are compared with a model of the openings that prongs leave around a
    vertex of unknown place and depth (``star_scan.score_vertices``). Accidental stars are counted
    in copies of the pits that are displaced and turned at random, ``scramble``. The purity at a
    score is one minus (accidental + 1 / copies) over the number of stars at least as good.

    Parameters
    ----------
    pits : n rows of a pit table.
    place_px : (n, 2) centres in pixels in one frame for all tiles, y down.
    rectangles_px : (k, 4) first x, last x, first y and last y of each tile in that frame.
    sheet : thickness, removed bulk and material of the foil.
    pixel_size_um : size of a pixel.
    model : etch ratios and ranges of the prongs; those of simulated stars unless given.
    entry : the surface on which the beam enters, which decides what is forward.
    purity : least purity of the selected stars, 0 to 1.
    copies : scrambled copies.
    seed : of their random numbers.

    Raises
    ------
    BadInput : a purity outside 0 to 1, or no copy.
    """
    if not 0 <= purity <= 1:
        raise BadInput("stars: purity", "0 to 1", repr(purity))
    if copies < 1:
        raise BadInput("stars: copies", "1 or more", repr(copies))
    found, prongs, accidental = [], [], []
    for surface in _SURFACES:
        rows = np.flatnonzero((pits["surface"] == surface).to_numpy())
        every = Shapes.of(pits.iloc[rows], place_px[rows], pixel_size_um)
        apart = find_apart(every)
        rows, shapes = rows[apart], every.take(apart)
        if len(rows) < 2:
            continue
        least = float(np.exp(np.quantile(shapes.log_radius, _SMALLEST)))
        side: Literal["entry", "exit"] = "entry" if surface == entry else "exit"
        how = {"pixel_size_um": pixel_size_um, "least_radius_px": round(least, 1)}
        tables = {k: tabulate_prongs(k, side, sheet, model or Stars(), **how) for k in STAR_KINDS}
        background = _log_background(shapes, rectangles_px, tables["isotropic"])
        table, members = _search(shapes, background, tables, surface, pixel_size_um)
        found.append(table)
        of_pit = pits[["tile", "pit", "x_px", "y_px"]].iloc[rows[members.pop("row")]]
        prongs.append(members.join(of_pit.reset_index(drop=True)))
        rng = np.random.default_rng([seed, _SURFACES.index(surface)])
        for _ in range(copies):
            shaken = scramble(shapes, _SHAKE * tables["isotropic"].reach_px, rng)
            kept = find_apart(shaken)
            parts = _search(shaken.take(kept), background[kept], tables, surface, pixel_size_um)
            accidental.append(parts[0])
    return _assembled(found, prongs, accidental, copies, purity)


def find_apart(shapes: Shapes) -> Ints:
    """Return the openings without a larger one within ``_APART`` of its radius, as rows, (k,)."""
    place, size = np.column_stack([shapes.x, shapes.y]), shapes.log_radius
    reach = _APART * float(np.exp(size.max(initial=0)))
    if not len(place):
        return np.empty(0, np.int64)
    i, j = cKDTree(place).query_pairs(reach, output_type="ndarray").T
    larger = np.where((size[i] > size[j]) | ((size[i] == size[j]) & (i < j)), i, j)
    smaller = np.where(larger == i, j, i)
    gap = np.hypot(*(place[i] - place[j]).T)
    kept = np.ones(len(place), bool)
    kept[smaller[gap < _APART * np.exp(size[larger])]] = False
    return np.flatnonzero(kept)


def scramble(shapes: Shapes, reach_px: float, rng: np.random.Generator) -> Shapes:
    """Return openings displaced and turned at random; sizes, depths and errors stay.

    Displacements are uniform in a disc of radius ``reach_px``, which destroys stars and keeps the
    density on larger scales.
    """
    n = len(shapes.x)
    r, azimuth = reach_px * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    twice = rng.uniform(0, 2 * np.pi, n)
    cos, sin = np.cos(twice), np.sin(twice)
    columns = dict(vars(shapes))
    columns["x"] = shapes.x + r * np.cos(azimuth)
    columns["y"] = shapes.y + r * np.sin(azimuth)
    columns["e_cos"] = shapes.e_cos * cos - shapes.e_sin * sin
    columns["e_sin"] = shapes.e_cos * sin + shapes.e_sin * cos
    return Shapes(**columns)


def _log_background(shapes: Shapes, rectangles_px: Floats, table: ProngTable) -> Floats:
    """Return the logarithm of the density of unrelated openings at each opening and shape, (n,)."""
    place = np.column_stack([shapes.x, shapes.y])
    scale = _DENSITY_REACH * table.reach_px
    density = local_density(place, place, rectangles_px, scale, own=False)
    return np.asarray(np.log(density) + _log_sizes(shapes) + _log_ellipses(shapes))


def _log_sizes(shapes: Shapes) -> Floats:
    """Return the log density of radius and, where it is known, depth, as of one Gaussian, (n,)."""
    radius, depth = shapes.log_radius, shapes.log_depth
    v_r = max(float(radius.var()), 1e-4)
    r = radius - radius.mean()
    out = -0.5 * (r**2 / v_r + np.log(2 * np.pi * v_r))
    deep = np.isfinite(depth)
    if deep.sum() > 2:
        slope = float((r[deep] * depth[deep]).mean() / v_r)
        q = depth - depth[deep].mean() - slope * r
        v_d = max(float(q[deep].var()), 1e-4)
        out = out - np.where(deep, 0.5 * (q**2 / v_d + np.log(2 * np.pi * v_d)), 0.0)
    return np.asarray(out)


def _log_ellipses(shapes: Shapes) -> Floats:
    """Return the log density of each opening's ellipse, (n,), the same for all directions.

    The density at ellipticity e is the mean over openings of a Gaussian in the plane of e_cos and
    e_sin, turned to all directions (Rice's distribution).
    """
    e = shapes.ellipticity
    sample = e[:: max(len(e) // _SAMPLE, 1)]
    width2 = max(0.5 * float(np.median(shapes.s_ellipse)), 0.02) ** 2
    at = np.linspace(0, max(float(e.max()), 0.1), _RADIAL)
    product = at[:, None] * sample / width2
    kernel = np.exp(-((at[:, None] - sample) ** 2) / (2 * width2)) * i0e(product)
    density = kernel.mean(1) / (2 * np.pi * width2)
    return np.asarray(np.interp(e, at, np.log(np.maximum(density, 1e-12))))


def _search(
    shapes: Shapes,
    log_background: Floats,
    tables: dict[str, ProngTable],
    surface: str,
    pixel_size_um: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the stars of one surface, and their prongs by row of ``shapes``."""
    table = tables["isotropic"]
    vertices = find_vertices(shapes, log_background, table)
    x_err, y_err = _place_errors(shapes, log_background, table, vertices)
    logs = score_vertices(shapes, log_background, table, vertices.place)[0]
    weight = table.weight * np.exp(logs - logs.max(1, keepdims=True, initial=-np.inf))
    weight /= weight.sum(1, keepdims=True)
    depth = weight @ table.depth_px
    spread = np.sqrt(np.maximum(weight @ table.depth_px**2 - depth**2, 0))
    n = len(vertices.score)
    stars = pd.DataFrame(
        {
            "surface": np.full(n, surface),
            "x_mm": np.nan,
            "y_mm": np.nan,
            "x_px": vertices.place[:, 0],
            "y_px": vertices.place[:, 1],
            "x_px_err": x_err,
            "y_px_err": y_err,
            "depth_um": depth * pixel_size_um,
            "depth_um_err": spread * pixel_size_um,
            "prongs": np.bincount(vertices.star, minlength=n),
            "score": vertices.score,
        }
    )
    dx = shapes.x[vertices.opening] - vertices.place[vertices.star, 0]
    dy = vertices.place[vertices.star, 1] - shapes.y[vertices.opening]
    prongs = pd.DataFrame(
        {
            "star": vertices.star,
            "row": vertices.opening,
            "class": np.full(len(dx), f"{surface}.spallation"),
            "share": vertices.share,
            "distance_px": np.hypot(dx, dy),
            "azimuth_deg": np.rad2deg(np.arctan2(dy, dx)) % 360,
        }
    )
    return add_kinds(stars, vertices, shapes, log_background, tables), prongs


def _place_errors(
    shapes: Shapes, log_background: Floats, table: ProngTable, vertices: Vertices
) -> tuple[Floats, Floats]:
    """Return standard deviations of x and y from the spread of the likelihood around a vertex."""
    offset = np.arange(-8.0, 8.5, 1.0)
    errors = []
    for axis in ((1.0, 0.0), (0.0, 1.0)):
        at = vertices.place[:, None, :] + offset[:, None] * np.array(axis)
        logs = score_vertices(shapes, log_background, table, at.reshape(-1, 2))[0]
        best = logs.max(1, initial=-np.inf).reshape(-1, len(offset))
        weight = np.exp(best - best.max(1, keepdims=True, initial=-np.inf))
        weight /= weight.sum(1, keepdims=True)
        mean = weight @ offset
        errors.append(np.sqrt(np.maximum(weight @ offset**2 - mean**2, 1 / 12)))
    return errors[0], errors[1]


def _assembled(
    found: list[pd.DataFrame],
    prongs: list[pd.DataFrame],
    accidental: list[pd.DataFrame],
    copies: int,
    purity: float,
) -> StarSearch:
    """Return the stars of both surfaces in the order of their scores, with their purity."""
    names, of_prongs = ([c.name for c in cs] for cs in (STAR_COLUMNS, PRONG_COLUMNS))
    if not found:
        none = pd.DataFrame({c.name: pd.Series(dtype=c.dtype) for c in STAR_COLUMNS})
        members = pd.DataFrame({c.name: pd.Series(dtype=c.dtype) for c in PRONG_COLUMNS})
        return StarSearch(none, members, none.copy(), copies)
    start = np.cumsum([0, *(len(part) for part in found)])
    stars = pd.concat(found, ignore_index=True)
    chance = pd.concat(accidental, ignore_index=True)
    order = np.argsort(-stars["score"].to_numpy(), kind="stable")
    number = np.argsort(order)
    members = pd.concat(
        [p.assign(star=p["star"] + s) for p, s in zip(prongs, start, strict=False)],
        ignore_index=True,
    )
    members["star"] = number[members["star"].to_numpy(np.int64)]
    stars = stars.iloc[order].reset_index(drop=True)
    rank = np.arange(1, len(stars) + 1)
    ordered = np.sort(chance["score"].to_numpy())
    as_good = len(ordered) - np.searchsorted(ordered, stars["score"].to_numpy(), side="left")
    false = (as_good + 1) / copies / rank
    pure = 1 - np.minimum.accumulate(np.minimum(false, 1)[::-1])[::-1]
    stars = stars.assign(
        star=rank - 1, accidental=as_good / copies, purity=pure, selected=pure >= purity
    )
    chance = chance.reindex(columns=names)
    members = members.sort_values(["star", "pit"], ignore_index=True)
    return StarSearch(stars[names], members[of_prongs], chance, copies)
