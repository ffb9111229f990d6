"""What is known of an injected scan: its true pits, its particles, and candidates beside them."""

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.evaluation import rate_over_tiles
from etchscope.foil import NotScored, PitFlag, as_pits
from etchscope.foil.types import Floats
from etchscope.geometry import area_cm2, tile_to_foil
from etchscope.store import Store
from etchscope.store.records import ScoreRecord

__all__ = [
    "NO_FALSE",
    "area_by_density",
    "density_at",
    "false_by_density",
    "injected_pits",
    "particles_of",
    "searched_areas",
    "searched_cm2",
    "selected_candidates",
]


def injected_pits(store: Store, injected: str) -> pd.DataFrame:
    """Return the true pits of an injected scan as a pit table, with ``particle``.

    ``partner`` joins entry and exit pit; the class is hip, and the flag ``injected`` is set.

    Raises
    ------
    BadInput : no injected scan of that name.
    """
    scan, kept = store.scans.get(injected), store.injections.pits(injected)
    um = float(scan.pixel_size_um or np.nan)
    x, y = kept["centre_x_px"].to_numpy(np.float64), kept["centre_y_px"].to_numpy(np.float64)
    x_mm, y_mm = tile_to_foil(kept["tile"].to_numpy(np.int64), x, y, scan)
    number = np.arange(len(kept))
    other = pd.Series(number).groupby(kept["particle"].to_numpy()).transform("sum") - number
    upwards = np.where(kept["surface"] == "bottom", 180.0, 0.0)
    table = as_pits(
        {
            "foil": scan.foil,
            "side": scan.side,
            "scan": scan.name,
            "tile": kept["tile"],
            "run": "injected",
            "pit": number,
            "surface": kept["surface"],
            "partner": other.to_numpy(),
            "x_px": x,
            "y_px": y,
            "x_mm": x_mm,
            "y_mm": y_mm,
            "radius_px": np.sqrt(kept["major_um"] * kept["minor_um"]) / 2 / um,
            "ellipticity": 1 - kept["minor_um"] / kept["major_um"],
            "angle_deg": np.rad2deg(kept["azimuth_rad"]) % 180,
            "depth_um": kept["depth_um"],
            "v": kept["v"],
            "dip_deg": np.rad2deg(kept["dip_rad"]),
            "azimuth_deg": (np.rad2deg(kept["azimuth_rad"]) + upwards) % 360,
            "z_over_beta": kept["z_over_beta"],
            "class": "hip",
            "flags": int(PitFlag.INJECTED),
        }
    )
    return table.assign(particle=kept["particle"].to_numpy())


def particles_of(store: Store, injected: str, pits: pd.DataFrame) -> pd.DataFrame:
    """Return one row per injected particle, with the density of the source's pits around it."""
    table, kept = injected_pits(store, injected), store.injections.pits(injected)
    entry = (table["surface"] == "top").to_numpy()
    own, other = table[entry].set_index("particle"), table[~entry].set_index("particle")
    drawn = kept[entry].set_index("particle")
    out = pd.DataFrame(
        {
            "tile": own["tile"],
            "entry_x_px": own["x_px"],
            "entry_y_px": own["y_px"],
            "exit_x_px": other["x_px"],
            "exit_y_px": other["y_px"],
            "x_mm": own["x_mm"],
            "y_mm": own["y_mm"],
            "radius_px": own["radius_px"],
            "dip_deg": 90 - drawn["zenith_deg"],
            "zenith_deg": drawn["zenith_deg"],
            "direction_deg": drawn["direction_deg"],
            "drawn_v": drawn["drawn_v"],
            "z_over_beta": drawn["z_over_beta"],
            "draw_density": drawn["draw_density"],
            "area_mm2": drawn["area_mm2"],
            "optics": drawn["optics"],
        }
    ).reset_index()
    return out.assign(density_per_mm2=density_at(out, pits))


def density_at(particles: pd.DataFrame, pits: pd.DataFrame) -> Floats:
    """Return the local density of pits at each particle: the median of the nearest five's."""
    out = np.zeros(len(particles))
    known = pits[pits["density_per_mm2"].notna()]
    for tile in np.unique(particles["tile"]).tolist():
        rows = np.flatnonzero(particles["tile"] == tile)
        near = known[known["tile"] == tile]
        if not len(near):
            continue
        tree = cKDTree(near[["x_px", "y_px"]].to_numpy(np.float64))
        at = particles.iloc[rows][["entry_x_px", "entry_y_px"]].to_numpy(np.float64)
        nearest = tree.query(at, k=min(5, len(near)))[1].reshape(len(rows), -1)
        out[rows] = np.median(near["density_per_mm2"].to_numpy(np.float64)[nearest], axis=1)
    return out


def selected_candidates(pits: pd.DataFrame, um: float | None) -> pd.DataFrame:
    """Return the candidates that passed the working point where the model is valid."""
    from etchscope.candidates import candidate_table

    table = candidate_table(pits, pixel_size_um=um)
    passed = table["selected"].fillna(value=False).astype(bool) & table["valid"].fillna(
        value=False
    ).astype(bool)
    return table[passed.to_numpy()].reset_index(drop=True)


def searched_areas(store: Store, run: str) -> "pd.Series[float]":
    """Return the searched ground of each tile of a run in cm²; overlaps count once in the sum.

    Tiles that are excluded by now, or could not be searched, are left out. In a region each tile
    counts by its part inside.

    Returns
    -------
    Number of the tile → area; nan without a scale or positions.
    """
    record = store.runs.record(run)
    search = store.runs.record(record.search) if isinstance(record, ScoreRecord) else record
    scan = store.scans.get(record.scan)
    used = {t.number for t in scan.included} - {number for number, _ in search.left_out}
    tiles = [number for number in record.tiles if number in used]
    region = None if search.region_mm is None else np.array(search.region_mm, np.float64)
    pixels = scan.image_size[0] * scan.image_size[1]
    usable = dict(zip(search.tiles, search.usable_px, strict=False))
    share = np.array([usable.get(number, pixels) / pixels for number in tiles], np.float64)
    within = np.ones(len(tiles))
    if region is not None:
        within = np.array([area_cm2(scan, [number], region) for number in tiles])
    whole = area_cm2(scan, tiles, region)
    return pd.Series(whole * within * share / max(float(within.sum()), 1e-12), index=tiles)


def searched_cm2(store: Store, run: str) -> float:
    """Return the searched ground of a run in cm², see ``searched_areas``."""
    return float(searched_areas(store, run).sum(skipna=False))


_OF_CLASSES = (
    "density_low",
    "density_high",
    "area_cm2",
    "scan_area_cm2",
    "candidates",
    "per_cm2",
    "low",
    "high",
    "valid",
    "why",
)
NO_FALSE = pd.DataFrame({name: pd.Series(dtype=float) for name in _OF_CLASSES})


def false_by_density(
    store: Store, source_run: str, control: str | None, edges: Floats, um: float | None
) -> pd.DataFrame:
    """Return candidates per cm² by class of density, with intervals over tiles.

    Of a control without signal they are false; of the scan itself they are what its search selects,
    of which signal may be a part, so ``valid`` is false. ``scan_area_cm2`` is the searched area of
    the scan itself.

    Raises
    ------
    NotScored : the model of the run did not score the control.
    """
    run = source_run if control is None else _scored_alike(store, control, source_run)
    bounds = np.array([0.0, *edges[1:-1], np.inf])
    pits, areas = store.runs.pits(run), searched_areas(store, run)
    exposures = of_scan = area_by_density(pits, areas, bounds)
    if run != source_run:
        source_pits = store.runs.pits(source_run, ["tile", "density_per_mm2"])
        of_scan = area_by_density(source_pits, searched_areas(store, source_run), bounds)
    chosen, rows = selected_candidates(pits[pits["tile"].isin(areas.index)], um), []
    for k, (low, high) in enumerate(pairwise(bounds.tolist())):
        exposure = exposures[:, k]
        inside = chosen["density_per_mm2"].between(low, high, inclusive="left")
        by_tile = chosen["tile"][inside].value_counts()
        counts = by_tile.reindex(areas.index, fill_value=0).to_numpy()
        use = exposure > 0
        known = bool(use.any())
        value, least, most = (
            rate_over_tiles(counts[use], exposure[use]) if known else (np.nan, 0.0, np.inf)
        )
        why = "" if control else "counted on the scan itself, where signal may be among them"
        rows.append(
            {
                "density_low": low,
                "density_high": high if np.isfinite(high) else np.nan,
                "area_cm2": float(exposure.sum()),
                "scan_area_cm2": float(of_scan[:, k].sum()),
                "candidates": int(counts[use].sum()),
                "per_cm2": value,
                "low": least,
                "high": most if np.isfinite(most) else np.nan,
                "valid": known and control is not None,
                "why": why if known else "no searched area of this density",
            }
        )
    return pd.DataFrame(rows)


def area_by_density(pits: pd.DataFrame, areas: "pd.Series[float]", bounds: Floats) -> Floats:
    """Return the area of each class of density on each tile, (tiles, classes) in cm².

    A pit stands for an area of 1 / density, at most that of its tile, and the pits of a tile share
    its area in that proportion. Tiles without pits belong to the lowest class.

    Parameters
    ----------
    pits : ``tile`` and ``density_per_mm2``.
    areas : number of the tile → its area in cm².
    bounds : (classes + 1,) rising densities; a class contains its lower bound.
    """
    known = pits[pits["density_per_mm2"].notna() & pits["tile"].isin(areas.index)]
    density = known["density_per_mm2"].to_numpy(np.float64)
    tile = pd.Index(areas.index).get_indexer(known["tile"].to_numpy(np.int64))
    largest = np.maximum(100 * areas.to_numpy(np.float64)[tile], 1e-12)
    stands_for = 1 / np.maximum(density, 1 / largest)
    of = np.searchsorted(bounds[1:-1], density, side="right")
    shape = len(areas), len(bounds) - 1
    total = np.bincount(tile * shape[1] + of, stands_for, shape[0] * shape[1]).reshape(shape)
    total[total.sum(axis=1) == 0, 0] = 1.0
    share = total / total.sum(axis=1, keepdims=True)
    return np.asarray(areas.to_numpy(np.float64)[:, None] * share)


def _scored_alike(store: Store, scan: str, run: str) -> str:
    """Return the latest run of a whole scan that was scored as a run was: model and prior.

    Raises
    ------
    NotScored : there is none.
    """
    like = store.runs.score_record(run)
    for name in store.runs.names(scan):
        record = store.runs.record(name)
        if (
            isinstance(record, ScoreRecord)
            and record.region_mm is None
            and record.model.weights_sha256 == like.model.weights_sha256
            and record.model.working_point == like.model.working_point
            and record.prior == like.prior
        ):
            return name
    raise NotScored(f"scan {scan}", "a scan that the same model scored", "none")
