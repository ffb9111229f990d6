"""Score the pits of a scan with a model and decide: plan, execute in batches, resume, commit."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.candidates import (
    PriorChoice,
    as_candidates,
    candidate_table,
    decide,
    with_votes,
)
from etchscope.ensemble import Model, checked_prior
from etchscope.evaluation import Figure
from etchscope.foil import (
    BadInput,
    ClassMissing,
    NotScored,
    NotSearched,
    Scan,
    WrongLights,
    usable_cores,
)
from etchscope.foil.types import Floats
from etchscope.imaging import Normalisation
from etchscope.learn import Lights, set_threads
from etchscope.run.execute import Executor, execute
from etchscope.run.labelled import cut_scan, scale_of
from etchscope.run.stages.find import find, normalisation_of, recipe_of
from etchscope.store import Store
from etchscope.store.run_files import drop_partial

__all__ = [
    "ScoreReport",
    "ranked_candidates",
    "require_fit",
    "score",
]

log = logging.getLogger(__name__)

_BATCH = 16
"""Tiles a part, as in a search."""
_AFTERWARDS = ("working_point", "calibration", "prior", "information")
"""Parts of a card that do not change what a model says of a patch."""
_DECIMALS = 4
"""Of logarithms: what differs beyond is the order in which a machine adds."""


@dataclass(frozen=True)
class ScoreReport:
    """What scoring did: its run, whether it had been done, and how many of what it found.

    ``expected``: how many candidates are signal, (value, low, high) at 95 %; None where the model
    was not calibrated to tell.
    """

    run: str
    scan: str
    model: str
    tiles: int
    pits: int
    was_done: bool
    counts: dict[str, int]
    expected: Figure | None = None


def require_fit(model: Model, scan: Scan, classes: Mapping[str, str]) -> None:
    """Refuse a scan that a model cannot read.

    Parameters
    ----------
    classes : of the store's taxonomy.

    Raises
    ------
    BadInput : a class that the taxonomy lacks; for a model that takes lights as they are, other
        lights or another recipe of normalisation.
    """
    lights, _ = Lights.of_scan(scan)
    where = f"scan {scan.name}"
    if not model.lights.are_planes:
        if lights != model.lights:
            raise WrongLights(where, f"the model's lights, {_words(model.lights)}", _words(lights))
        recipe = recipe_of(scan).digest
        if recipe != model.domain.recipe:
            expected = f"the model's recipe of normalisation, {model.domain.recipe[:12]}"
            raise WrongLights(where, expected, recipe[:12], "Train a model on scans of this kind.")
    for name in model.classes:
        if name not in classes:
            raise ClassMissing("taxonomy", f"the model's class {name!r}", "it is missing")


def _words(lights: Lights) -> str:
    lamps = ", ".join(f"{a:g}°" for a in lights.azimuths_deg)
    others = ", ".join(lights.others)
    return " and ".join(part for part in (f"lamps at {lamps}" if lamps else "", others) if part)


@lru_cache(maxsize=2)
def _constants(path: Path, scan: str, model: str, _run: str) -> tuple[Model, Normalisation]:
    """Return what every tile of a run needs, loaded once a worker."""
    set_threads(1)  # of this process, if it is a worker of its own
    store = Store.open(path)
    loaded = Model.from_record(*store.models.load(model))
    return loaded, normalisation_of(store, store.scans.get(scan))


def _score_batch(
    path: Path, run: str, scan: str, model: str, searched: str, index: int, tiles: tuple[int, ...]
) -> int:
    """Judge the pits of some tiles and write the part; return how many tiles that were."""
    loaded, normalisation = _constants(path, scan, model, run)
    store = Store.open(path)
    pits = store.runs.pits(searched)
    scale = scale_of(pits) if loaded.lights.are_planes else None
    here = pits[pits["tile"].isin(tiles)].reset_index(drop=True)
    parts = [
        loaded.judge(patches).assign(pit=here["pit"].to_numpy()[rows])
        for rows, patches in cut_scan(
            store, store.scans.get(scan), normalisation, here, size=loaded.size, scale=scale
        )
    ]
    columns = loaded.judged_columns
    empty = pd.DataFrame(columns=columns, dtype=np.float64).assign(pit=np.empty(0, np.int64))
    told = pd.concat(parts, ignore_index=True) if parts else empty
    told[columns] = told[columns].round(_DECIMALS)
    store.runs.write_part(run, index, told, {"scan": scan, "tiles": list(tiles)})
    return len(tiles)


def score(
    store: Store,
    scan: str,
    model: str,
    *,
    region: Floats | None = None,
    prior: PriorChoice | Mapping[str, float] = "foil",
    workers: int | None = None,
    executor: Executor = "threads",
    progress: Callable[[int], None] | None = None,
    total: Callable[[int], None] | None = None,
) -> ScoreReport:
    """Score every pit of a scan's latest search and decide; searched now if it never was.

    The run's identity is made of the search, the model and the prior: the same identity gives the
    same bytes, whatever the workers, and a run that was killed goes on where it stopped. What the
    model said in an earlier run, at another working point or prior, is taken from there.

    Parameters
    ----------
    model : name in the store's registry.
    region : (m, 2) polygon in foil mm: search this region anew and score what is there.
    prior : what ``p_…`` assume; the ranking score assumes none.
    progress : called with the number of tiles just done.
    total : called once with the number of tiles, before the first.

    Raises
    ------
    BadInput : no such scan or model, a scan that the model cannot read, no included tile that was
        searched, or one that was included again since the search.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    arrays, card = store.models.load(model)
    loaded = Model.from_record(arrays, card)
    record_of = store.scans.get(scan)
    require_fit(loaded, record_of, store.labels.taxonomy().classes)
    if not isinstance(prior, str):
        checked_prior(prior, loaded.classes)
    searched = store.runs.latest(scan, stage="find", whole=True)
    if searched is None or region is not None:
        searched = find(store, scan, region=region, workers=workers, executor=executor).run
    tiles = _tiles_of(store, record_of, searched, is_whole=region is None)
    record: dict[str, Any] = {
        "stage": "score",
        "version": version("etchscope"),
        "scan": scan,
        "search": searched,
        "tiles": list(tiles),
        "model": {
            "name": model,
            "signal": loaded.signal,
            "weights_sha256": card["weights_sha256"],
            "judgement_sha256": _judgement(card),
            "card_sha256": hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest(),
            "working_point": card["working_point"],
            "calibration": loaded.calibration.to_record(),
            "prior": card["prior"],
        },
        "prior": prior if isinstance(prior, str) else dict(prior),
    }
    if loaded.lights.are_planes:
        record["planes_scale"] = scale_of(store.runs.pits(searched))
    text = json.dumps(record, sort_keys=True)
    run = "run-" + hashlib.sha256(text.encode()).hexdigest()[:16]
    if total is not None:
        total(len(tiles))
    if run in store.runs:
        return _done(store, scan, model, run, tiles)
    tell = progress or (lambda _: None)
    judged = _judged_before(store, scan, record)
    try:
        if judged is None:
            judged = _judged_now(store, run, record, tell, workers or usable_cores(), executor)
        else:
            tell(len(tiles))
        return _commit(store, record_of, loaded, run, record, judged)
    except (BadInput, OSError):
        # Another process may have done the same, and dropped the parts under this one.
        if run not in store.runs:
            raise
    return _done(store, scan, model, run, tiles)


def _tiles_of(store: Store, scan: Scan, searched: str, *, is_whole: bool) -> tuple[int, ...]:
    """Return the included tiles that were searched; all of them if the whole scan is asked for."""
    included = {t.number for t in scan.included}
    tiles = tuple(n for n in store.runs.record(searched)["tiles"] if n in included)
    if not tiles:
        raise BadInput(f"scan {scan.name}", "an included tile that was searched", "none")
    missed = sorted(included - set(tiles))
    if missed and is_whole:  # included again since
        found = f"{len(missed)} that were not searched, tile {missed[0]} first"
        raise NotSearched(f"scan {scan.name}", "a search of all included tiles", found)
    return tiles


def _judged_now(
    store: Store,
    run: str,
    record: Mapping[str, Any],
    tell: Callable[[int], None],
    workers: int,
    executor: Executor,
) -> pd.DataFrame:
    """Judge the pits of a run's tiles in parts, those that are there already left as they are."""
    tiles, path = tuple(record["tiles"]), store.path.absolute()
    batches = [tiles[i : i + _BATCH] for i in range(0, len(tiles), _BATCH)]
    names = (record["scan"], record["model"]["name"], record["search"])
    done = store.runs.parts(run)
    todo = []
    for index, some in enumerate(batches):
        if done.get(index, {}).get("tiles") == list(some):
            tell(len(some))
        else:
            todo.append(partial(_score_batch, path, run, *names, index, some))
    threads = set_threads(1)
    try:
        execute(todo, executor=executor, workers=workers, progress=tell)
    finally:
        set_threads(threads)
    return pd.concat([store.runs.read_part(run, i) for i in range(len(batches))])


def _judgement(card: Mapping[str, Any]) -> str:
    """Return a digest of all that what a model says before a prior depends on."""
    rest = {k: v for k, v in card.items() if k not in _AFTERWARDS}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _judged_before(store: Store, scan: str, record: Mapping[str, Any]) -> pd.DataFrame | None:
    """Return what the same model said of the same pits in an earlier run, if there is one."""
    for run in store.runs.names(scan):
        old = store.runs.record(run)
        is_same = (
            old.get("stage") == "score"
            and old["version"] == record["version"]
            and old["search"] == record["search"]
            and old["model"].get("judgement_sha256") == record["model"]["judgement_sha256"]
            and set(record["tiles"]) <= set(old["tiles"])
        )
        try:
            judged = store.runs.judged(run) if is_same else None
        except BadInput as error:
            log.warning("run %s is passed over: %s", run, error)
            continue
        if judged is not None:
            return judged
    return None


def _done(store: Store, scan: str, model: str, run: str, tiles: tuple[int, ...]) -> ScoreReport:
    """Return the report of a run that is finished already."""
    drop_partial(store.path / "runs", run)  # left by a kill right after the commit
    if store.runs.latest(scan) != run:
        store.runs.renew(run)
    record = store.runs.record(run)
    counts, told = dict(record["counts"]), record.get("signal_expected")
    expected = None if told is None else (told[0], told[1], told[2])
    pits = len(store.runs.pits(run))
    return ScoreReport(run, scan, model, len(tiles), pits, True, counts, expected)


def _commit(
    store: Store, scan: Scan, model: Model, run: str, record: dict[str, Any], judged: pd.DataFrame
) -> ScoreReport:
    """Bring what was judged into the order of the search, decide, and commit the run."""
    pits = store.runs.pits(record["search"])
    pits = pits[pits["tile"].isin(record["tiles"])].reset_index(drop=True)
    judged = judged.set_index("pit").loc[pits["pit"]].reset_index()
    decision = decide(model, pits, judged, scan, record["prior"])
    table, expected, counts = decision.table, decision.expected, decision.counts
    prior = {c: round(float(s), 6) for c, s in zip(model.classes, decision.shares, strict=True)}
    searched = store.runs.record(record["search"])
    kept = {**searched, **record, "prior_used": prior, "counts": counts}
    kept["signal_expected"] = None if expected is None else [round(v, 3) for v in expected]
    store.runs.commit(run, scan.name, table.assign(run=run), kept, judged=judged)
    name, tiles = record["model"]["name"], len(record["tiles"])
    return ScoreReport(run, scan.name, name, tiles, len(table), False, counts, expected)


def ranked_candidates(store: Store, run: str) -> pd.DataFrame:
    """Return the candidates of a scored run, the best first.

    Its columns are those of ``candidates.as_candidates``; a run of an earlier version lacks what
    the model said of each opening's own picture.

    Raises
    ------
    BadInput : no such run, or one that was not scored.
    """
    record = store.runs.record(run)
    if record.get("stage") != "score":
        raise NotScored(f"run {run}", "a scored run", "a search")
    size = store.scans.get(record["scan"]).pixel_size_um
    table = candidate_table(store.runs.pits(run), pixel_size_um=size)
    judged = store.runs.judged(run)
    return as_candidates(table if judged is None else with_votes(table, judged))
