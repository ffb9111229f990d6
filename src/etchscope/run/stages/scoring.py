"""Score the pits of a scan with a model, decide, and commit the run."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from etchscope.candidates import PriorChoice
from etchscope.ensemble import Model, check_prior
from etchscope.foil import (
    BadInput,
    ClassMissing,
    Device,
    NotSearched,
    Scan,
    WrongLights,
)
from etchscope.foil.types import Floats
from etchscope.learn import Lights, choose_device, use_one_torch_thread
from etchscope.run.constants import recipe_of
from etchscope.run.executors import choose_executor
from etchscope.run.patches import scale_of
from etchscope.run.shares import PartReport, joiner, require_shares
from etchscope.run.stage import Progress, carry_out
from etchscope.run.stages.finding import find, plan_search, require_searchable
from etchscope.run.stages.score_stage import ScoreReport, Scoring, record_of
from etchscope.store import Store

if TYPE_CHECKING:
    from distributed import Client

__all__ = [
    "ScoreReport",
    "require_fit",
    "require_scorable",
    "require_scored_parts",
    "score",
    "score_part",
]


def require_scorable(
    store: Store,
    scans: Iterable[str],
    model: Model,
    *,
    region: Floats | None = None,
    prior: PriorChoice | Mapping[str, float] = "foil",
    device: Device = "auto",
) -> None:
    """Refuse scans of which one cannot be scored, as far as that shows without its pictures.

    Parameters
    ----------
    region, prior, device : see ``score``.

    Raises
    ------
    BadInput : see ``score``.
    """
    choose_device(device)
    classes = store.labels.taxonomy().classes
    for name in scans:
        scan = store.scans.get(name)
        require_fit(model, scan, classes)
        _require_prior(model, prior)
        searched = None if region is not None else _latest_search(store, name)
        if searched is None:
            require_searchable(store, [name], region=region, device=device)
        else:
            _tiles_of(store, scan, searched, is_whole=True)


def _require_prior(model: Model, prior: PriorChoice | Mapping[str, float]) -> None:
    if not isinstance(prior, str):
        check_prior(prior, model.classes)


def require_fit(model: Model, scan: Scan, classes: Mapping[str, str]) -> None:
    """Refuse a scan that a model cannot read.

    Parameters
    ----------
    classes : of the store's taxonomy.

    Raises
    ------
    ClassMissing : the taxonomy lacks a class of the model.
    WrongLights : the scan has other lights or another recipe of normalisation, and the model is
        not one for any lights.
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


def score(
    store: Store,
    scan: str,
    model: str,
    *,
    region: Floats | None = None,
    prior: PriorChoice | Mapping[str, float] = "foil",
    workers: int | None = None,
    executor: "str | Client" = "threads",
    join: bool = False,
    device: Device = "auto",
    progress: Progress | None = None,
    total: Progress | None = None,
) -> ScoreReport:
    """Score every pit of a scan's latest search and decide; a scan without a search is searched.

    The run's identity is made of the search, the model and the prior: the same identity gives the
    same bytes for any number of workers, and a run that was killed goes on where it stopped. Scores
    of an earlier run at another working point or prior are used again.

    Parameters
    ----------
    model : name in the store's registry.
    region : (m, 2) polygon in foil mm, which is searched and scored; all of the scan unless given.
    prior : the prior of the probabilities ``p_…``; the ranking score has none.
    executor : name of an executor, or client of a cluster, see ``run.executors``.
    join : search and score nothing, but commit what ``score_part`` has scored.
    device : where the networks compute; auto means the processor. On a GPU figures differ in the
        last digits, so its runs have an identity of their own.
    progress : called with the number of tiles just done.
    total : called once with the number of tiles, before the first.

    Raises
    ------
    PartMissing : the parts that are to be joined are not all there.
    BadInput : no such scan, model, executor or device, a scan that the model cannot read, no
        included tile that was searched, or one that was included again since the search.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    chosen, on = choose_executor(executor), choose_device(device)

    def search() -> str:
        if join:
            return _finished_search(store, scan, region, device)
        kept = None if region is not None else _latest_search(store, scan)
        how: dict[str, Any] = {"workers": workers, "executor": executor, "device": device}
        return kept or find(store, scan, region=region, **how).run

    stage = _planned(store, scan, model, prior, on, search, is_whole=region is None)
    if join:
        chosen = joiner(stage)
    with use_one_torch_thread():  # workers share the cores
        return carry_out(stage, chosen, workers=workers, progress=progress, total=total)


def score_part(
    store: Store,
    scan: str,
    model: str,
    part: str,
    *,
    region: Floats | None = None,
    prior: PriorChoice | Mapping[str, float] = "foil",
    workers: int | None = None,
    executor: "str | Client" = "threads",
    device: Device = "auto",
    progress: Progress | None = None,
    total: Progress | None = None,
) -> PartReport:
    """Score a part of a scan that was searched; ``score`` joins all parts, and commits them.

    Parts may be scored at once, on any machines that see the store, in any order and again.

    Parameters
    ----------
    part : number of the part from 1, and how many parts there are, such as 17/1000.
    model, region, prior, workers, executor, device, progress, total : see ``score``.

    Raises
    ------
    NotSearched : the search is not finished.
    BadInput, MachineFailed : see ``score``.
    """
    chosen, on = choose_executor(executor), choose_device(device)
    search = partial(_finished_search, store, scan, region, device)
    stage = _planned(store, scan, model, prior, on, search, is_whole=region is None)
    with use_one_torch_thread():
        return stage.do_share(part, chosen, workers=workers, progress=progress, total=total)


def require_scored_parts(
    store: Store,
    scans: Iterable[str],
    model: str,
    *,
    region: Floats | None = None,
    prior: PriorChoice | Mapping[str, float] = "foil",
    device: Device = "auto",
) -> None:
    """Refuse to join the scores of some scans where a part of one is missing.

    Parameters
    ----------
    model, region, prior, device : see ``score``.

    Raises
    ------
    PartMissing : names the parts of the first such scan.
    NotSearched : the search of a scan is not finished.
    BadInput : see ``score``.
    """
    for scan in scans:
        search = partial(_finished_search, store, scan, region, device)
        planned = (store, scan, model, prior, choose_device(device), search)
        require_shares(_planned(*planned, is_whole=region is None))


def _latest_search(store: Store, scan: str) -> str | None:
    return store.runs.latest(scan, stage="find", whole=True)


def _finished_search(store: Store, scan: str, region: Floats | None, device: Device) -> str:
    """Return the search that ``score`` starts from.

    Raises
    ------
    NotSearched : it is not finished.
    """
    if region is None:
        searched = _latest_search(store, scan)
    else:
        stage = plan_search(store, scan, region=region, device=device)
        searched = stage.run if stage.is_committed() else None
    if searched is None:
        raise NotSearched(f"scan {scan}", "a finished search", "none")
    return searched


def _planned(
    store: Store,
    scan: str,
    model: str,
    prior: PriorChoice | Mapping[str, float],
    device: Device,
    search: Callable[[], str],
    *,
    is_whole: bool,
) -> Scoring:
    """Return the scoring of the run that ``search`` returns, once the model is found to fit."""
    arrays, card = store.models.load(model)
    loaded = Model.from_record(arrays, card)
    described = store.scans.get(scan)
    require_fit(loaded, described, store.labels.taxonomy().classes)
    _require_prior(loaded, prior)
    searched = search()
    tiles = _tiles_of(store, described, searched, is_whole=is_whole)
    record = record_of(scan, searched, tiles, model, loaded, card, prior)
    if loaded.lights.are_planes:
        scale = scale_of(store.runs.pits(searched))
        record = record.model_copy(update={"planes_scale": scale})
    if device == "cuda":
        record = record.model_copy(update={"judged_on": device})
    return Scoring(store, described, "run", record, loaded, device).on_kept_pictures()


def _tiles_of(store: Store, scan: Scan, searched: str, *, is_whole: bool) -> tuple[int, ...]:
    """Return the included tiles that were searched; all of them if the whole scan is asked for."""
    included = {t.number for t in scan.included}
    tiles = tuple(n for n in store.runs.record(searched).tiles if n in included)
    if not tiles:
        raise BadInput(f"scan {scan.name}", "an included tile that was searched", "none")
    missed = sorted(included - set(tiles))
    if missed and is_whole:  # included again since
        found = f"{len(missed)} that were not searched, tile {missed[0]} first"
        raise NotSearched(f"scan {scan.name}", "a search of all included tiles", found)
    return tiles
