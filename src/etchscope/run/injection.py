"""Inject signal into a scan, search it as any other, and measure what is found of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from etchscope.background.efficiency import chance_stages, reach_stages
from etchscope.background.report import InjectionReport
from etchscope.background.signal import SignalPopulation
from etchscope.foil import BadInput, Device
from etchscope.preselect import FindSettings
from etchscope.run.injected import (
    NO_FALSE,
    false_by_density,
    particles_of,
    searched_cm2,
    selected_candidates,
)
from etchscope.run.injecting import make_injected_scan
from etchscope.run.stages.finding import find
from etchscope.store import Store

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["inject", "measure_injection"]

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
    BadInput : see ``make_injected_scan``; a finder other than that of the source's search; or an
        injected scan as the control.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    store.injections.refuse(scan, "injection")
    store.compressions.refuse(scan, "injection")
    if control is not None:
        store.injections.refuse(control, "--control")
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
    """Return the run of a model over the latest search; nothing is scored twice."""
    from etchscope.run.stages.scoring import score

    return score(store, scan, model, **how, **_steps(watch, f"Scoring {scan}")).run


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
    particles = particles_of(store, injected, own)
    sampled = own[own["tile"].isin(particles["tile"].unique())]
    scored = record.stage == "score"
    um = scan.pixel_size_um
    chosen = [selected_candidates(p, um) if scored else None for p in (pits, sampled)]
    reached = reach_stages(particles, pits, tolerance_px, candidates=chosen[0])
    chance = chance_stages(particles, sampled, tolerance_px, scan.image_size, candidates=chosen[1])
    area = searched_cm2(store, source_run)
    edges = np.unique(np.quantile(particles["density_per_mm2"], np.linspace(0, 1, _CLASSES + 1)))
    false = false_by_density(store, source_run, control, edges, um) if scored else NO_FALSE
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
        min(float(fit["cost"]) for fit in made_by["optics"]),
    )
