"""The particles of a foil, and the pits that etching makes of their tracks."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil import Side
from etchscope.foil.types import Floats
from etchscope.physics.cone import compute_opening
from etchscope.physics.materials import etch_ratio, get_material
from etchscope.simulation.cells import Cell, draw_places, first_number, make_stream
from etchscope.simulation.populations import Hips, Population, Sheet

__all__ = ["draw_tracks", "etch", "reach_mm", "select_near", "tracks_of_cell"]

_Tracks = dict[str, Floats]
_KINDS = ("hip", "fragment", "maybe", "spallation")
_LARGEST_MM = 1.0  # of any pit


def _tracks(columns: dict[str, Any]) -> _Tracks:
    """Return columns of equal length, (n,) float64; single values are repeated."""
    n = len(columns["x_mm"])
    return {k: np.array(np.broadcast_to(v, n), dtype=float) for k, v in columns.items()}


def _isotropic(rng: np.random.Generator, least_cosine: Floats) -> tuple[Floats, Floats, Floats]:
    """Return directions (x, y, z) of an isotropic flux through a plane, z ≥ ``least_cosine``."""
    cosine = np.sqrt(rng.uniform(least_cosine**2, 1))
    azimuth = rng.uniform(0, 2 * np.pi, len(cosine))
    sine = np.sqrt(1 - cosine**2)
    return sine * np.cos(azimuth), sine * np.sin(azimuth), cosine


def _ratios(rng: np.random.Generator, median: float, sigma: float, n: int, sheet: Sheet) -> Floats:
    """Return (n,) V whose excess of energy loss over the threshold is log-normal, of a median V."""
    material = get_material(sheet.material)
    over = ((median - 1) / material.gain) ** (1 / material.power)
    return etch_ratio(material.threshold * (1 + over * rng.lognormal(0, sigma, n)), material)


def _draw_hips(
    rng: np.random.Generator,
    own: np.random.Generator,
    cell: Cell,
    hips: Hips,
    sheet: Sheet,
) -> _Tracks:
    """Return the ions of one cell, which is where they enter the first foil of the stack.

    Places and directions come from ``rng``, the same for all foils of the stack; their etching
    comes from ``own``, another for each foil. Places are those on this foil.
    """
    x, y = draw_places(rng, cell, hips.per_tile, None)
    n, mean = len(x), hips.ratio(sheet)
    if hips.direction == "isotropic":
        # Near the threshold the opening vanishes; pits are counted from 5 % above it.
        limit = np.cos(np.deg2rad(hips.max_zenith_deg))
        dx, dy, dz = _isotropic(rng, np.full(n, max(limit, min(1.05 / mean, 1.0))))
    else:
        a = np.deg2rad(hips.azimuth_deg)
        along = np.deg2rad(hips.zenith_deg) + rng.normal(0, np.deg2rad(hips.spread_deg), n)
        across = rng.normal(0, np.deg2rad(hips.spread_deg), n)
        # Five spreads of 20° would reach the horizon.
        u = np.tan(along.clip(-1.45, 1.45))
        w = np.tan(across.clip(-1.45, 1.45))
        norm = np.sqrt(1 + u**2 + w**2)
        dx, dy, dz = (
            (u * np.cos(a) - w * np.sin(a)) / norm,
            (u * np.sin(a) + w * np.cos(a)) / norm,
            1 / norm,
        )
    v = 1 + (mean - 1) * np.clip(own.normal(1, hips.v_spread, (2, n)), 0.1, None)
    path = sheet.thickness_um / dz
    return _tracks(
        {
            "x_mm": x + sheet.depth_mm * dx / dz,
            "y_mm": y + sheet.depth_mm * dy / dz,
            "z_um": 0.0,
            "dx_um": path * dx,
            "dy_um": path * dy,
            "dz_um": sheet.thickness_um,
            "v_front": v[0],
            "v_back": v[1],
            "kind": _KINDS.index("hip"),
        }
    )


def _draw_fragments(
    rng: np.random.Generator, cell: Cell, population: Population, sheet: Sheet
) -> _Tracks:
    f = population.fragments
    x, y = draw_places(rng, cell, f.per_tile, population.density)
    x2, y2 = draw_places(rng, cell, f.doubtful_per_tile, population.density)
    single, pairs = len(x), len(x2)
    shift = rng.normal(0, 0.02, (2, pairs))
    x, y = np.r_[x, x2, x2 + shift[0]], np.r_[y, y2, y2 + shift[1]]
    n = len(x)
    front = np.r_[rng.random(single) < f.top_fraction, np.ones(pairs, bool), np.zeros(pairs, bool)]
    v = _ratios(rng, f.v, f.rel_sigma, n, sheet)
    least = np.maximum(np.cos(np.deg2rad(f.max_zenith_deg)), np.minimum(1.05 / v, 1.0))
    dx, dy, dz = _isotropic(rng, least)
    length = np.clip(rng.exponential(f.range_um, n), 10, 0.8 * sheet.thickness_um / dz)
    return _tracks(
        {
            "x_mm": x,
            "y_mm": y,
            "z_um": np.where(front, 0, sheet.thickness_um),
            "dx_um": length * dx,
            "dy_um": length * dy,
            "dz_um": np.where(front, 1, -1) * length * dz,
            "v_front": v,
            "v_back": v,
            "kind": np.repeat(
                [_KINDS.index("fragment"), _KINDS.index("maybe")], [single, 2 * pairs]
            ),
        }
    )


def _draw_stars(
    rng: np.random.Generator, cell: Cell, population: Population, sheet: Sheet
) -> _Tracks:
    s = population.stars
    x, y = draw_places(rng, cell, s.per_tile, population.density)
    kind = np.asarray(s.kinds)[rng.integers(0, len(s.kinds), len(x))]
    prongs = np.where(kind == "back-to-back", 2, rng.integers(2, s.max_prongs + 1, len(x)))
    depth = rng.uniform(0, sheet.thickness_um, len(x))
    of = np.repeat(np.arange(len(x)), prongs)
    n = len(of)
    forward = kind[of] == "forward"
    z = np.where(forward, rng.uniform(0.5, 1, n), rng.uniform(-1, 1, n))
    azimuth = rng.uniform(0, 2 * np.pi, n)
    first = np.r_[True, of[1:] != of[:-1]] if n else np.zeros(0, bool)
    opposite = (kind[of] == "back-to-back") & ~first
    z = np.where(opposite, -np.roll(z, 1), z)
    azimuth = np.where(opposite, np.roll(azimuth, 1) + np.pi, azimuth)
    length = np.clip(rng.exponential(s.range_um, n), 5, 2000)
    # A prong ends where it leaves the sheet.
    room = np.where(z > 0, sheet.thickness_um - depth[of], depth[of]) / np.maximum(np.abs(z), 1e-9)
    length = np.minimum(length, room)
    sine = np.sqrt(1 - z**2)
    v = _ratios(rng, s.v, s.rel_sigma, n, sheet)
    return _tracks(
        {
            "x_mm": x[of],
            "y_mm": y[of],
            "z_um": depth[of],
            "dx_um": length * sine * np.cos(azimuth),
            "dy_um": length * sine * np.sin(azimuth),
            "dz_um": length * z,
            "v_front": v,
            "v_back": v,
            "kind": _KINDS.index("spallation"),
        }
    )


def etch(cells: Sequence[_Tracks], sheet: Sheet) -> pd.DataFrame:
    """Return the pits of straight tracks: a row for each surface on which a track opens.

    Parameters
    ----------
    cells : the tracks of each cell, as ``draw_tracks`` returns them, all or some of them.
    sheet : the foil, with the bulk removed on each side.

    Returns
    -------
    DataFrame with one row per opening, cell by cell: ``particle``, ``kind`` (hip, fragment, maybe,
    spallation), ``front`` (bool: the surface), ``x_mm, y_mm`` of the opening's centre on the
    sheet, ``entered_x_mm, entered_y_mm`` where the etchant entered the track, ``v``, ``dip_rad``,
    ``azimuth_rad`` (of the track into the plastic), ``removed_um``, ``length_um``, ``major_um``,
    ``minor_um``, ``depth_um``.
    """
    tracks: dict[str, Any] = {n: np.concatenate([c[n] for c in cells]) for n in cells[0]}
    tracks["cell"] = np.repeat(np.arange(len(cells)), [len(c["x_mm"]) for c in cells])
    start = np.stack([tracks[name] for name in ("x_mm", "y_mm", "z_um")], axis=1)
    along = np.stack([tracks[name] for name in ("dx_um", "dy_um", "dz_um")], axis=1)
    end = start + along * [1e-3, 1e-3, 1]
    # The etchant enters a track that runs upwards at its end.
    upwards = along[:, 2] < 0
    shallow = np.where(upwards[:, None], end, start)
    deep = np.where(upwards[:, None], start, end)
    inward = np.where(upwards[:, None], -along, along)
    depth = {"front": shallow[:, 2], "back": sheet.thickness_um - deep[:, 2]}
    both = (depth["front"] < sheet.removed_um) & (depth["back"] < sheet.removed_um)
    # A track that is etched from both ends is used up when the two pits meet.
    length = np.sqrt((along**2).sum(1))
    tracks["dip"] = np.arcsin(np.clip(inward[:, 2] / np.maximum(length, 1e-9), 0, 1))
    tracks["length"] = np.where(both, length / 2, length)
    parts = [
        _etch_surface(tracks, sheet, "front", shallow, inward, depth["front"]),
        _etch_surface(tracks, sheet, "back", deep, -inward, depth["back"]),
    ]
    pits = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(pits.pop("cell"), kind="stable")
    pits["kind"] = np.array(_KINDS)[pits["kind"].astype(np.int64)]
    return pd.DataFrame({name: values[order] for name, values in pits.items()})


def _etch_surface(
    tracks: dict[str, Any], sheet: Sheet, side: Side, point: Floats, inward: Floats, depth: Floats
) -> dict[str, Any]:
    """Return the columns of the pits that open on one surface.

    Parameters
    ----------
    tracks : columns of ``draw_tracks`` with ``cell``, ``dip`` in rad and ``length`` in µm.
    point : (n, 3) where the etchant enters each track: x and y in mm, z in µm.
    inward : (n, 3) vector of each track from this surface into the plastic.
    depth : (n,) µm of bulk over that point.
    """
    removed = np.clip(sheet.removed_um - depth, 0, None) * tracks[f"uneven_{side}"]
    azimuth = np.arctan2(inward[:, 1], inward[:, 0])
    shape = compute_opening(tracks[f"v_{side}"], tracks["dip"], removed, tracks["length"])
    shift = shape.shift_um / 1000
    columns = {
        "cell": tracks["cell"],
        "particle": tracks["particle"].astype(np.int64),
        "kind": tracks["kind"],
        "front": np.full(len(depth), side == "front"),
        "x_mm": point[:, 0] + shift * np.cos(azimuth),
        "y_mm": point[:, 1] + shift * np.sin(azimuth),
        "entered_x_mm": point[:, 0],
        "entered_y_mm": point[:, 1],
        "v": tracks[f"v_{side}"],
        "dip_rad": tracks["dip"],
        "azimuth_rad": azimuth,
        "removed_um": removed,
        "length_um": tracks["length"],
        "major_um": shape.major_um,
        "minor_um": shape.minor_um,
        "depth_um": shape.depth_um,
    }
    return {name: values[shape.exists] for name, values in columns.items()}


def reach_mm(population: Population, sheet: Sheet) -> float:
    """Return how far from its cell, in mm, the pits of a particle can lie."""
    h = population.hips
    zenith = h.max_zenith_deg if h.direction == "isotropic" else h.zenith_deg + 5 * h.spread_deg
    slope = np.tan(np.deg2rad(min(zenith, 83.0)))
    ion = (sheet.thickness_um / 1000 + sheet.depth_mm) * slope
    # Prongs are at most 2 mm long, and most ranges are far shorter.
    return float(max(ion, 2.0 if population.stars.per_tile else 0.0)) + _LARGEST_MM


def draw_tracks(
    seed: int,
    cell: Cell,
    population: Population,
    sheet: Sheet,
    *,
    exposure: int = 0,
) -> _Tracks:
    """Return the straight tracks of all particles that belong to one cell, for ``etch``.

    Parameters
    ----------
    seed : of the exposure; foils of one stack share it and their ions.
    cell : (i, j), the square from (i, j) times ``CELL_MM`` on.
    exposure : which foil of the stack; its background is its own.

    Returns
    -------
    Columns, each (n,) float64: the start ``x_mm, y_mm, z_um`` of each track, the vector to its end
    ``dx_um, dy_um, dz_um``, the etch ratios ``v_front, v_back``, ``kind``, ``particle``, and
    ``uneven_front, uneven_back``, the bulk removed there over that of the sheet.
    """
    own = 10 * (exposure + 1)
    ions = make_stream(seed, 0, cell), make_stream(seed, own, cell)
    parts = [
        _draw_hips(*ions, cell, population.hips, sheet),
        _draw_fragments(make_stream(seed, own + 1, cell), cell, population, sheet),
        _draw_stars(make_stream(seed, own + 2, cell), cell, population, sheet),
    ]
    out = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    n = len(out["x_mm"])
    out["particle"] = first_number(cell) + np.arange(n, dtype=float)  # below 2⁵³: exact
    uneven = np.clip(ions[1].normal(1, sheet.removed_spread, (2, n)), 0.5, 1.5)
    out["uneven_front"], out["uneven_back"] = uneven
    return out


@lru_cache(maxsize=64)
def tracks_of_cell(
    seed: int, cell: Cell, population: Population, sheet: Sheet, exposure: int
) -> _Tracks:
    """Return ``draw_tracks``, kept for the tiles around the cell; not to be changed."""
    return draw_tracks(seed, cell, population, sheet, exposure=exposure)


def select_near(tracks: _Tracks, x_mm: float, y_mm: float, radius_mm: float) -> _Tracks:
    """Return the tracks that can have a pit within ``radius_mm`` of a point of the sheet."""
    reach, use = (radius_mm + _LARGEST_MM) ** 2, np.zeros(len(tracks["x_mm"]), bool)
    for share in (0.0, 1e-3):
        dx = tracks["x_mm"] + share * tracks["dx_um"] - x_mm
        dy = tracks["y_mm"] + share * tracks["dy_um"] - y_mm
        use |= dx**2 + dy**2 < reach
    return {name: values[use] for name, values in tracks.items()}
