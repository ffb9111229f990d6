"""How a scored run does on a foil whose signal is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.ensemble import WorkingPoint, candidate_table, places_px
from etchscope.evaluate import (
    Search,
    match_particles,
    poisson_interval,
    tile_centre,
    turn_180,
)
from etchscope.foil import BadInput, Scan, parent, tile_to_foil
from etchscope.foil.types import Ints
from etchscope.store import Store

__all__ = ["area_cm2", "measured_working_point", "search_of_run"]

_TOLERANCE_PX = 6.0
_CELLS = 40
"""Cells a tile's side for the area that overlapping tiles cover together."""


def area_cm2(scan: Scan, tiles: "list[int] | tuple[int, ...]") -> float:
    """Return the area that tiles cover together, in cm²; nan without a scale or positions."""
    chosen = [t for t in scan.tiles if t.number in set(tiles)]
    if scan.pixel_size_um is None or any(t.stage_x_mm is None for t in chosen) or not chosen:
        return float("nan")
    height, width = (n * scan.pixel_size_um / 1000 for n in scan.image_size)
    corner = np.array([(t.stage_x_mm, t.stage_y_mm) for t in chosen], float)
    first = np.rint((corner - corner.min(0)) / [width, height] * _CELLS).astype(int)
    covered = np.zeros(first.max(0) + _CELLS, bool)
    for x, y in first.tolist():
        covered[x : x + _CELLS, y : y + _CELLS] = True
    return float(covered.sum() * (width / _CELLS) * (height / _CELLS) / 100)


@dataclass(frozen=True)
class _Particles:
    """Openings of the signal: ``table`` and the ``number`` of the particle of each."""

    table: pd.DataFrame
    number: Ints


def _particles(truth: pd.DataFrame, signal: str, where: str) -> _Particles:
    """Return the true signal's openings; entry and exit pit are one particle."""
    if "class" not in truth.columns:
        raise BadInput(where, "a column class", "none")
    table = truth[truth["class"].map(parent) == signal].reset_index(drop=True)
    if not len(table):
        raise BadInput(where, f"some of class {signal}", "none")
    if "particle" in table.columns:
        return _Particles(table, np.unique(table["particle"], return_inverse=True)[1])
    number = np.arange(len(table))
    if {"pit", "partner"} <= set(table.columns):
        row = pd.Series(number, index=table["pit"])
        other = row.reindex(table["partner"]).to_numpy(np.float64)
        number = np.where(np.isnan(other), number, np.fmin(other, number)).astype(np.int64)
    return _Particles(table, number)


def search_of_run(
    store: Store,
    run: str,
    truth: pd.DataFrame,
    *,
    signal: str,
    tolerance_px: float = _TOLERANCE_PX,
    valid_only: bool = True,
    where: str = "truth",
) -> tuple[Search, pd.DataFrame]:
    """Return the candidates of a scored run against the true signal on its tiles.

    Parameters
    ----------
    truth : table with ``class``, ``tile``, and a place; ``particle`` or ``partner`` join entry and
        exit pit. It must name all signal on the run's tiles, or what it leaves out is called false.
    valid_only : leave out candidates where the model says nothing; their particles are lost.
    where : what an error names.

    Returns
    -------
    The search, and its candidates with ``is_true`` and ``particle`` (−1 where false), best first.

    Raises
    ------
    BadInput : a run that was not scored, or a truth without the signal or without places.
    """
    record = store.run_record(run)
    scan = store.scan(record["scan"])
    pits = store.read_pits(run)
    if record.get("stage") != "score":
        raise BadInput(f"run {run}", "a scored run", "a search", "Start with `etchscope run`.")
    candidates = candidate_table(pits, pixel_size_um=scan.pixel_size_um, signal=signal)
    if valid_only:
        candidates = candidates[candidates["valid"]].reset_index(drop=True)
        if not len(candidates):
            none = "none: the scan is unlike what the model was trained on"
            raise BadInput(f"run {run}", "candidates where the model is valid", none)
    tiles = list(record["tiles"])
    true = _particles(truth, signal, where)
    here = np.ones(len(true.table), bool)
    if "tile" in true.table.columns:
        here = true.table["tile"].isin(tiles).to_numpy()
    places = [c for c in ("x_mm", "y_mm", "x_px", "y_px", "tile") if c not in true.table.columns]
    on_foil = "x_mm" not in places and true.table["x_mm"].notna().all()
    if not on_foil and {"x_px", "tile"} & set(places):
        raise BadInput(where, "columns x_mm, y_mm or tile, x_px, y_px", f"no {places[0]}")
    scale = scan.pixel_size_um if on_foil else None
    openings = places_px(true.table[here], scale)
    number = true.number[here]
    is_true, which = match_particles(openings, number, places_px(candidates, scale), tolerance_px)
    turned = places_px(_turned(candidates, scan), scale)
    by_chance, _ = match_particles(openings, number, turned, tolerance_px)
    found = Search(
        candidates["score"].to_numpy(np.float64),
        is_true,
        by_chance,
        len(np.unique(number)),
        len(tiles),
        area_cm2(scan, tiles),
    )
    return found, candidates.assign(is_true=is_true, particle=which)


def _turned(candidates: pd.DataFrame, scan: Scan) -> pd.DataFrame:
    """Return the candidates turned by 180° within their tiles."""
    at = turn_180(candidates[["x_px", "y_px"]], tile_centre(scan.image_size))
    x_mm, y_mm = tile_to_foil(candidates["tile"].to_numpy(np.int64), at[:, 0], at[:, 1], scan)
    return candidates.assign(x_px=at[:, 0], y_px=at[:, 1], x_mm=x_mm, y_mm=y_mm)


def measured_working_point(
    search: Search,
    *,
    efficiency: float | None = None,
    false_per_tile: float | None = None,
    measured_on: str,
) -> WorkingPoint:
    """Return the working point of a search that reaches an efficiency, or allows so many false.

    Raises
    ------
    BadInput : see ``Search.threshold_for``.
    """
    threshold = search.threshold_for(efficiency=efficiency, false_per_tile=false_per_tile)
    p = search.efficiency(threshold)
    false = search.false(threshold)
    low, high = poisson_interval(false)
    chosen = (
        f"efficiency {efficiency:g}"
        if efficiency is not None
        else f"{false_per_tile:g} false candidates a tile"
    )
    per_tile = tuple(v / search.tiles for v in (false, low, high))
    per_cm2 = tuple(v / search.area_cm2 for v in (false, low, high))
    return WorkingPoint(
        threshold,
        chosen,
        measured_on,
        (p.value, p.low, p.high),
        (per_tile[0], per_tile[1], per_tile[2]),
        (per_cm2[0], per_cm2[1], per_cm2[2]),
    )
