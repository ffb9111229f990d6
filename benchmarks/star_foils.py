"""Simulated foils with stars, and their openings as a search measures them, for stars.py."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.background.stars import StarSearch, find_stars
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import foil_frame, tile_to_stage
from etchscope.simulation import (
    SimulatedScan,
    Stars,
    drop_overlap_copies,
    list_prongs,
    preset,
    with_parameters,
)

ERRORS = {"place": 0.40, "radius": 0.11, "ellipse": 0.12, "depth": 0.40}
"""Errors of the finder on this preset: place in pixels, radius and depth relative."""
LEAST_PX, LEAST_DEPTH_PX = 2.0, 0.5
"""Least radius and depth of an opening that is found."""
HIDDEN = 1.0
"""Distance, in radii of the larger one, below which the smaller of two openings is not found."""


@dataclass(frozen=True)
class Openings:
    """Openings of a scan as a search lists them: pit table, places in one frame, and true stars.

    ``star`` is −1 where an opening is of no star or its truth is not known; ``vertex_px`` is the
    place of the vertex in the same frame.
    """

    foil: SimulatedScan
    pits: pd.DataFrame
    place_px: Floats
    rectangles_px: Floats
    star: Ints
    vertex_px: Floats

    def search(self, *, seed: int = 0, copies: int = 10, purity: float = 0.9) -> StarSearch:
        """Return the stars that are found."""
        return find_stars(
            self.pits,
            self.place_px,
            self.rectangles_px,
            sheet=self.foil.sheet,
            model=self.foil.population.stars,
            pixel_size_um=self.foil.optics.pixel_size_um,
            seed=seed,
            copies=copies,
            purity=purity,
        )


def simulate(
    density: int, tiles: int, seed: int, kind: str | None, prongs: Stars, per_tile: float = 20.0
) -> SimulatedScan:
    """Return a foil of the preset ``experiment`` with stars of one kind, or none.

    ``prongs`` states their etch ratios, their ranges and their largest number.
    """
    columns = max(round(np.sqrt(tiles * 0.8)), 1)
    (foil,) = preset("experiment", seed=seed, columns=columns, rows=-(-tiles // columns))
    changes: dict[str, Any] = {
        "fragments.per_tile": float(density),
        "stars.per_tile": per_tile if kind else 0.0,
    }
    if kind:
        own = {name: getattr(prongs, name) for name in ("v", "rel_sigma", "range_um", "max_prongs")}
        changes |= {f"stars.{name}": value for name, value in own.items()}
        changes["stars.kinds"] = (kind,)
    return with_parameters(foil, changes)


def places(foil: SimulatedScan, pits: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the places of pits and the rectangles of tiles in pixels in one frame, y down."""
    scan, mm = foil.scan, foil.optics.pixel_size_um / 1000
    height, width = scan.image_size
    middle = np.array([(t.stage_x_mm, t.stage_y_mm) for t in scan.tiles], np.float64)
    tile = np.searchsorted([t.number for t in scan.tiles], pits["tile"])
    x_px, y_px = pits["x_px"].to_numpy(), pits["y_px"].to_numpy()
    stage = tile_to_stage(x_px, y_px, middle[tile, 0], middle[tile, 1], scan)
    corner = np.column_stack([middle[:, 0], -middle[:, 1]]) / mm - [width / 2, height / 2]
    rectangles = [corner[:, 0], corner[:, 0] + width, corner[:, 1], corner[:, 1] + height]
    return np.column_stack([stage[0], -stage[1]]) / mm, np.column_stack(rectangles)


def true_openings(foil: SimulatedScan) -> Openings:
    """Return the exact openings that are large and deep enough to be found, one row each."""
    truth = drop_overlap_copies(foil.truth(), foil.scan.image_size)
    um = foil.optics.pixel_size_um
    large = (truth["radius_px"] >= LEAST_PX) & (truth["depth_um"] >= LEAST_DEPTH_PX * um)
    truth = truth[large].reset_index(drop=True)
    prongs = list_prongs(foil).set_index("particle").reindex(truth["particle"])
    of = prongs["star"].fillna(-1).to_numpy(np.int64)
    x_mm, y_mm = prongs["x_mm"].to_numpy(), prongs["y_mm"].to_numpy()
    stage = foil_frame(foil.scan).to_stage(x_mm, y_mm)
    place, rectangles = places(foil, truth)
    vertex = np.column_stack([stage[0], -stage[1]]) * 1000 / um
    return Openings(foil, truth, place, rectangles, of, vertex)


def measure(exact: Openings, seed: int) -> Openings:
    """Return openings with the errors of the finder, less those that larger ones hide."""
    seen = np.flatnonzero(~are_hidden(exact))
    truth, n = exact.pits.iloc[seen].reset_index(drop=True), len(seen)
    rng = np.random.default_rng(seed)
    twice = 2 * np.deg2rad(truth["angle_deg"].to_numpy())
    e = truth["ellipticity"].to_numpy()
    cos, sin = (
        e * part + rng.normal(0, ERRORS["ellipse"], n) for part in (np.cos(twice), np.sin(twice))
    )
    radius = truth["radius_px"] * np.exp(rng.normal(0, ERRORS["radius"], n))
    depth = truth["depth_um"] * np.exp(rng.normal(0, ERRORS["depth"], n))
    pits = truth.assign(
        radius_px=radius,
        radius_px_err=radius * ERRORS["radius"],
        ellipticity=np.minimum(np.hypot(cos, sin), 0.95),
        ellipticity_err=ERRORS["ellipse"],
        angle_deg=np.rad2deg(np.arctan2(sin, cos) / 2) % 180,
        depth_um=depth,
        depth_um_err=depth * ERRORS["depth"],
        x_px_err=ERRORS["place"],
    )
    place = exact.place_px[seen] + rng.normal(0, ERRORS["place"], (n, 2))
    return replace(
        exact, pits=pits, place_px=place, star=exact.star[seen], vertex_px=exact.vertex_px[seen]
    )


def are_hidden(exact: Openings) -> Bools:
    """Return the openings in whose place a larger one of the same surface is found."""
    radius = exact.pits["radius_px"].to_numpy()
    top = (exact.pits["surface"] == "top").to_numpy()
    hidden = np.zeros(len(radius), bool)
    pairs = cKDTree(exact.place_px).query_pairs(HIDDEN * float(radius.max()), output_type="ndarray")
    i, j = pairs[top[pairs[:, 0]] == top[pairs[:, 1]]].T
    large, small = np.where(radius[i] >= radius[j], i, j), np.where(radius[i] >= radius[j], j, i)
    apart = np.hypot(*(exact.place_px[i] - exact.place_px[j]).T)
    hidden[small[apart < HIDDEN * radius[large]]] = True
    return hidden
