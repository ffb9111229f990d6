"""Inject signal into a scan, search it as any other, and measure what is found of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from etchscope.background.efficiency import chance_stages, reach_stages
from etchscope.background.report import InjectionReport
from etchscope.background.signal import SignalPopulation
from etchscope.evaluation import rate_over_tiles
from etchscope.foil import BadInput, Device, PitFlag, as_pits
from etchscope.foil.types import Floats
from etchscope.geometry import area_cm2, tile_to_foil
from etchscope.preselect import FindSettings
from etchscope.run.injecting import make_injected_scan
from etchscope.run.stages.finding import find
from etchscope.store import Store

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["density_at", "inject", "injected_pits", "measure_injection"]

_TOLERANCE_PX = 6.0
_CLASSES = 5
"""Classes of density in which false candidates are counted."""
Watch = Callable[[str, int], Callable[[int], None]]
"""Called with what is done and how much there is; returns what is called with each step."""


def inject(
    store: Store,
    scan: str,
    *,
    population: SignalPopulation | None = None,
    tiles: int = 100,
    per_tile: int | None = None,
    seed: int = 0,
    model: str | None = None,
    control: str | None = None,
    settings: FindSettings | None = None,
    finder: Path | None = None,
    tolerance_px: float = _TOLERANCE_PX,
    workers: int | None = None,
    executor: "str | Client" = "threads",
    device: Device = "auto",
    watch: Watch | None = None,
) -> InjectionReport:
    """Inject signal into copies of a scan's tiles, search them, and measure what is found.

    The scan itself is searched first, and scored, unless that is done. What was done before is not
    done again, so an injection that was killed goes on.

    Parameters
    ----------
    population : that particles are drawn from; the default one unless given.
    tiles, per_tile, seed : see ``background.injection.sample_tiles``.
    model : of the store, which scores both scans; without one nothing is selected.
    control : a scan of the store without signal, from which false candidates are counted.
    settings, finder : of the search; those of the source's latest search unless given.
    tolerance_px : largest distance of a find from the place of a pit.
    workers, executor, device : see ``find``.
    watch : shows progress.

    Raises
    ------
    BadInput : see ``make_injected_scan``; or a finder other than that of the source's search.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    store.injections.refuse(scan, "injection")
    how: dict[str, Any] = {"workers": workers, "executor": executor, "device": device}
    search: dict[str, Any] = {"weights": finder, **how}
    source_run = store.runs.latest(scan, stage="find", whole=True)
    if source_run is None or settings is not None:
        source_run = find(
            store, scan, settings=settings, **search, **_steps(watch, f"Searching {scan}")
        ).run
    known = store.runs.record(source_run)
    made = make_injected_scan(
        store,
        scan,
        source_run,
        population=population or SignalPopulation(),
        tiles=tiles,
        per_tile=per_tile,
        seed=seed,
        **_steps(watch, f"Injecting into {scan}"),
    )
    search["settings"] = FindSettings(**known.settings)
    run = find(store, made.name, **search, **_steps(watch, f"Searching {made.name}")).run
    if store.runs.record(run).finder != known.finder:
        found = f"another; run {source_run} has finder {known.finder}"
        raise BadInput("--finder", "the finder of the scan's own search", found)
    runs = [source_run, run]
    if model is not None:
        names = [(name, watch) for name in (scan, made.name)]
        runs = [_scored(store, name, model, how, one) for name, one in names]
        if control is not None:
            _scored(store, control, model, how, watch)
    return measure_injection(
        store, made.name, runs[1], runs[0], tolerance_px=tolerance_px, control=control
    )


def _scored(store: Store, scan: str, model: str, how: dict[str, Any], watch: Watch | None) -> str:
    from etchscope.run.stages.scoring import score

    weights = store.models.load(model)[1]["weights_sha256"]
    known = store.runs.latest(scan, stage="score", whole=True, weights_sha256=weights)
    return known or score(store, scan, model, **how, **_steps(watch, f"Scoring {scan}")).run


def _steps(watch: Watch | None, what: str) -> dict[str, Any]:
    """Return ``progress`` and ``total`` of one step."""
    if watch is None:
        return {}
    advance: list[Callable[[int], None]] = []

    def total(units: int) -> None:
        advance.append(watch(what, units))

    def progress(units: int) -> None:
        for each in advance:
            each(units)

    return {"progress": progress, "total": total}


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


def _particles(store: Store, injected: str, pits: pd.DataFrame) -> pd.DataFrame:
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
    from scipy.spatial import cKDTree

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


def measure_injection(
    store: Store,
    injected: str,
    run: str,
    source_run: str,
    *,
    tolerance_px: float = _TOLERANCE_PX,
    control: str | None = None,
) -> InjectionReport:
    """Return what a run of an injected scan found of its signal.

    Parameters
    ----------
    run, source_run : runs of the injected scan and of its source, both searches or both scored.
    tolerance_px, control : see ``inject``.

    Raises
    ------
    BadInput : runs of other scans, or the scan is not injected.
    """
    source = store.injections.source(injected)
    for name, of in ((run, injected), (source_run, source)):
        if store.runs.record(name).scan != of:
            raise BadInput(f"run {name}", f"a run of scan {of}", store.runs.record(name).scan)
    made_by = store.injections.made_by(injected)
    scan, record = store.scans.get(source), store.runs.record(source_run)
    pits, own = store.runs.pits(run), store.runs.pits(source_run)
    particles = _particles(store, injected, own)
    sampled = own[own["tile"].isin(particles["tile"].unique())]
    scored = record.stage == "score"
    um = scan.pixel_size_um
    chosen = [_selected(p, um) if scored else None for p in (pits, sampled)]
    reached = reach_stages(particles, pits, tolerance_px, candidates=chosen[0])
    chance = chance_stages(particles, sampled, tolerance_px, scan.image_size, candidates=chosen[1])
    area = _searched_cm2(store, source_run)
    edges = np.unique(np.quantile(particles["density_per_mm2"], np.linspace(0, 1, _CLASSES + 1)))
    false = _false_by_density(store, source_run, control, edges, um) if scored else _NO_FALSE
    return InjectionReport(
        source,
        injected,
        run,
        source_run,
        SignalPopulation(**made_by["population"]),
        particles,
        reached,
        chance,
        area,
        false,
    )


def _selected(pits: pd.DataFrame, um: float | None) -> pd.DataFrame:
    """Return the candidates that passed the working point where the model is valid."""
    from etchscope.candidates import candidate_table

    table = candidate_table(pits, pixel_size_um=um)
    passed = table["selected"].fillna(value=False).astype(bool) & table["valid"].fillna(
        value=False
    ).astype(bool)
    return table[passed.to_numpy()].reset_index(drop=True)


def _searched_cm2(store: Store, run: str) -> float:
    """Return the searched ground of a run in cm²; overlaps count once."""
    record = store.runs.record(run)
    scan = store.scans.get(record.scan)
    area = area_cm2(scan, list(record.tiles))
    pixels = scan.image_size[0] * scan.image_size[1] * len(record.tiles)
    return area * sum(record.usable_px) / pixels if record.usable_px else area


_NO_FALSE = pd.DataFrame(
    {n: pd.Series(dtype=float) for n in ("density_low", "density_high", "per_cm2", "low", "high")}
)


def _false_by_density(
    store: Store, source_run: str, control: str | None, edges: Floats, um: float | None
) -> pd.DataFrame:
    """Return candidates per cm² by class of density, with intervals over tiles.

    Of a control without signal they are false; of the scan itself they are what its search selects,
    of which signal may be a part, so ``valid`` is false.
    """
    run = source_run
    if control is not None:
        record = store.runs.score_record(source_run)
        weights = record.model.weights_sha256
        run = store.runs.latest(control, stage="score", weights_sha256=weights) or source_run
    pits, chosen = store.runs.pits(run), _selected(store.runs.pits(run), um)
    record_tiles = list(store.runs.record(run).tiles)
    area = _searched_cm2(store, run) / max(len(record_tiles), 1)
    rows = []
    for low, high in zip([0.0, *edges[1:-1]], [*edges[1:-1], np.inf], strict=True):
        density = pits["density_per_mm2"]
        share = ((density >= low) & (density < high)).groupby(pits["tile"]).mean()
        exposure = share.reindex(record_tiles, fill_value=0.0).to_numpy(np.float64) * area
        inside = chosen["density_per_mm2"].between(low, high, inclusive="left")
        counts = (
            chosen["tile"][inside].value_counts().reindex(record_tiles, fill_value=0).to_numpy()
        )
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
                "candidates": int(counts[use].sum()),
                "per_cm2": value,
                "low": least,
                "high": most if np.isfinite(most) else np.nan,
                "valid": known and control is not None,
                "why": why if known else "no searched area of this density",
            }
        )
    return pd.DataFrame(rows)
