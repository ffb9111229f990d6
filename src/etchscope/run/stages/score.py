"""Score the pits of a scan with a model and decide: plan, execute in batches, resume, commit."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from etchscope.ensemble import (
    MISC,
    Abundance,
    Model,
    abundance_of,
    better_rows,
    candidate_table,
    checked_prior,
    estimated_prior,
    measures_of,
    particle_rows,
)
from etchscope.evaluation import Figure
from etchscope.foil import (
    BadInput,
    ClassMissing,
    NotScored,
    NotSearched,
    Scan,
    WrongLights,
    as_pits,
    usable_cores,
)
from etchscope.foil.types import Bools, Floats
from etchscope.imaging import Lighting, Normalisation
from etchscope.learn import Lights, set_threads
from etchscope.run.execute import Executor, execute
from etchscope.run.labelled import cut_scan, scale_of
from etchscope.run.stages.find import find, normalisation_of, recipe_of
from etchscope.store import Store
from etchscope.store.run_files import drop_partial

__all__ = [
    "PriorChoice",
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

PriorChoice = Literal["foil", "model"]
"""foil: the shares of the classes that explain the scan's own scores best; model: the model's."""


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
    table, expected = decision.table, decision.expected
    counts = {
        "selected": int(table["selected"].sum()),
        "not_valid": int((~table["valid"].astype(bool)).sum()),
        "foreign_scan": int(decision.is_foreign),
    }
    prior = {c: round(float(s), 6) for c, s in zip(model.classes, decision.shares, strict=True)}
    searched = store.runs.record(record["search"])
    kept = {**searched, **record, "prior_used": prior, "counts": counts}
    kept["signal_expected"] = None if expected is None else [round(v, 3) for v in expected]
    store.runs.commit(run, scan.name, table.assign(run=run), kept, judged=judged)
    name, tiles = record["model"]["name"], len(record["tiles"])
    return ScoreReport(run, scan.name, name, tiles, len(table), False, counts, expected)


@dataclass(frozen=True)
class Decision:
    """The pit table of a scored scan.

    ``shares``: (k,) of the classes, as assumed. ``expected``: how many candidates are signal; None
    where the model cannot tell. ``is_foreign``: whether the scan is unlike what the model knows.
    """

    table: pd.DataFrame
    shares: Floats
    expected: Figure | None
    is_foreign: bool


def decide(
    model: Model,
    pits: pd.DataFrame,
    told: pd.DataFrame,
    scan: Scan,
    prior: PriorChoice | Mapping[str, float],
) -> Decision:
    """Return the pit table with probabilities and verdicts, and what was assumed and found.

    Both openings of a pair have one score. What is selected is decided by the score alone, at the
    local density of the candidate, and is signal whatever the prior says; all else is of the
    likeliest class. The openings of a pair that is signal share all of the better one's figures;
    those of another pair stay a top and a bottom pit.

    Parameters
    ----------
    pits : of a search.
    told : of ``Model.judge``, row by row.
    """
    is_mark = pits["length_px"].notna().to_numpy()
    experts = np.where(is_mark, np.nan, told["score"].to_numpy(np.float64))
    measures = measures_of(pits, experts)
    told = model.calibrated(told, measures)
    best = candidate_table(
        pits.assign(score=told["score"].to_numpy()), pixel_size_um=scan.pixel_size_um
    )
    is_best = pits["pit"].isin(best["pit"]).to_numpy(bool)
    decided, shares, expected = _decided(model, told, measures, is_best, prior)
    distance = told["distance"].to_numpy(np.float64)
    domain = model.domain.under(Lighting.of_scan(scan)) if model.lights.are_planes else model.domain
    is_foreign = domain.is_foreign(distance[~is_mark])
    inside = domain.holds(distance, pits["density_per_mm2"].to_numpy(np.float64))
    inside &= domain.knows_scale(scan.pixel_size_um) and not is_foreign
    inside &= pits["valid"].fillna(value=True).to_numpy(bool)  # the search's own doubts stand
    decided = _without_marks(decided.assign(score=told["score"], valid=inside), is_mark)
    better = better_rows(experts, particle_rows(pits))
    decided = decided.assign(valid=decided["valid"].to_numpy()[better])
    table = pits.assign(**{str(c): decided[c].to_numpy() for c in decided})
    selected = _selected(model, table, scan)
    decided["class"] = decided["class"].mask(selected, model.signal)
    is_signal = (decided["class"] == model.signal).to_numpy()[better]
    decided = decided.iloc[np.where(is_signal, better, np.arange(len(better)))]
    table = pits.assign(**{str(c): decided[c].to_numpy() for c in decided}, selected=selected)
    return Decision(as_pits(table), shares, expected, is_foreign)


def _decided(
    model: Model,
    told: pd.DataFrame,
    measures: pd.DataFrame,
    is_best: Bools,
    prior: PriorChoice | Mapping[str, float],
) -> tuple[pd.DataFrame, Floats, Figure | None]:
    """Return probabilities and the likeliest class, shares of classes, and the signal expected.

    With a model that was calibrated on foils whose truth is known signal is as abundant as there,
    or as this foil's candidates say; without, the shares are the model's, or those that explain all
    openings best.

    Parameters
    ----------
    told : of ``Model.calibrated``, nan for marks. is_best : (n,) which openings are candidates.
    """
    is_known = model.calibration.abundance is not None
    if not isinstance(prior, str) or (prior == "model" and not is_known):
        shares = checked_prior(model.prior if isinstance(prior, str) else prior, model.classes)
        return model.decided(told, shares), shares, None
    score = told["score"].to_numpy(np.float64)
    log_p = told[[f"log_p_{c}" for c in model.classes]].to_numpy(np.float64)
    shares = estimated_prior(log_p[np.isfinite(score)])
    if not is_known:
        return model.decided(told, shares), shares, None
    usual = model.calibration.log_abundance(measures)
    if prior == "foil":
        abundance = abundance_of(score[is_best], usual[is_best], model.calibration.spread)
    else:
        abundance = Abundance.usual(score[is_best], usual[is_best])
    signal = model.classes.index(model.signal)
    share = abundance.expected[0] / max(int(is_best.sum()), 1)
    shares = shares * (1 - share) / max(1 - shares[signal], 1e-12)
    shares[signal] = share
    p = abundance.probability(score + usual)
    return model.decided(told, shares, signal_is=p), shares, abundance.expected


def _selected(model: Model, table: pd.DataFrame, scan: Scan) -> Bools:
    """Return which openings are of a candidate that passes the working point, (n,)."""
    best = candidate_table(table, pixel_size_um=scan.pixel_size_um)
    least = model.working_point.threshold_at(best["density_per_mm2"].to_numpy(np.float64))
    passed = best["valid"].to_numpy(bool) & (best["score"].to_numpy(np.float64) >= least)
    is_candidate = table["pit"].isin(best.loc[passed, "pit"]).to_numpy(bool)
    partner, score = particle_rows(table), table["score"].to_numpy(np.float64)
    is_pair = (partner >= 0) & (score[partner] == score)
    return np.asarray(is_candidate | (is_pair & is_candidate[partner]))


def _without_marks(decided: pd.DataFrame, is_mark: Bools) -> pd.DataFrame:
    """Return decided rows in which marks are misc, and no candidates.

    The search has seen the whole of a scratch, of which a patch is a piece.
    """
    valid = decided["valid"].to_numpy(bool) | is_mark
    out = decided.mask(np.broadcast_to(is_mark[:, None], decided.shape))
    return out.assign(**{"class": out["class"].mask(is_mark, MISC)}).assign(valid=valid)


def ranked_candidates(store: Store, run: str) -> pd.DataFrame:
    """Return the candidates of a scored run, the best first.

    Rows of the pit table, and what the model said of each opening's own picture: ``anomaly``,
    ``distance`` and the experts' ``logit_…``, see ``Model.judge``.

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
    if judged is None:  # scored by an earlier version
        return table
    more = [c for c in judged.columns if c in ("anomaly", "distance") or c.startswith("logit_")]
    return table.join(judged.set_index("pit")[more], on="pit")
