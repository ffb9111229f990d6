"""Choose finished runs, and join their pits and candidates to one table."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from etchscope.foil import NotScored, NotSearched, SeveralScans, UnknownRun
from etchscope.store import Store

__all__ = [
    "choose_counted_run",
    "choose_run",
    "choose_runs",
    "choose_scored_runs",
    "find_run_of_model",
    "gather_candidates",
    "gather_pits",
    "gather_records",
    "ranked_candidates",
    "select_candidates",
]


def choose_run(store: Store, *, scan: str | None = None, run: str | None = None) -> str:
    """Return one finished run: ``run``, or the latest of the scan.

    Parameters
    ----------
    scan : name of a scan; may be left out where only one scan that is not injected has runs.

    Raises
    ------
    UnknownScan : the store has no such scan.
    UnknownRun : the store or the scan has no such run.
    SeveralScans : several scans have runs, and none is named.
    NotSearched : no run at all.
    """
    if scan is not None:
        store.scans.get(scan)
    runs = store.runs.table(scan)
    if run is not None:
        if run not in set(runs["run"]):
            where = "the store" if scan is None else f"scan {scan}"
            listed = ", ".join(runs["run"]) or "none"
            raise UnknownRun("run", f"a finished run of {where}", f"{run!r}, there is {listed}")
        return run
    if scan is None:
        runs = runs[runs["scan"].isin(store.injections.original_names())]
    scans = sorted(set(runs["scan"]))
    if not scans:
        where = str(store.path) if scan is None else f"scan {scan}"
        raise NotSearched(where, "a finished run", "none")
    if len(scans) > 1:
        raise SeveralScans("scan", f"one of {', '.join(scans)}", "none given")
    return str(runs["run"].iloc[-1])


def choose_runs(store: Store, *, scan: str | None = None, run: str | None = None) -> list[str]:
    """Return ``run``, or the latest run of the scan, or of each scan.

    Raises
    ------
    UnknownScan, UnknownRun : the store has no such scan or run, or the run is of another scan.
    NotSearched : no run at all.
    """
    if run is not None:
        of_scan = store.runs.record(run).scan
        if scan not in (None, of_scan):
            raise UnknownRun("run", f"a run of scan {scan}", f"{run} of scan {of_scan}")
        return [run]
    names = _scans(store, scan)
    runs = [latest for name in names if (latest := store.runs.latest(name)) is not None]
    if not runs:
        raise NotSearched(store.path, "a finished run", "none")
    return runs


def choose_scored_runs(
    store: Store, *, scan: str | None = None, run: str | None = None
) -> list[str]:
    """Return ``run``, or the latest scored run of the scan, or of each scan.

    Raises
    ------
    UnknownScan, UnknownRun : the store has no such scan or run, or the run is of another scan.
    NotScored : no scan was scored.
    """
    if run is not None:
        return choose_runs(store, scan=scan, run=run)
    latest = [store.runs.latest(name, stage="score") for name in _scans(store, scan)]
    runs = [one for one in latest if one is not None]
    if not runs:
        raise NotScored(store.path, "a scored run", "none")
    return runs


def choose_counted_run(store: Store, *, scan: str | None = None, run: str | None = None) -> str:
    """Return the scored run whose candidates are counted: ``run``, or the latest of the scan.

    Candidates of several scans are never added up, since a scan may be the control of another one,
    or show the other side of the same foil.

    Parameters
    ----------
    scan : name of a scan; may be left out where only one scan was scored.

    Raises
    ------
    UnknownScan, UnknownRun : the store has no such scan or run, or the run is of another scan.
    NotScored : no scan was scored.
    SeveralScans : several scans were scored, and none is named.
    BadInput : the scan is injected.
    """
    runs = choose_scored_runs(store, scan=scan, run=run)
    scans = [store.runs.record(one).scan for one in runs]
    if len(runs) > 1:
        raise SeveralScans("scan", f"one of {', '.join(scans)}", "none given")
    store.injections.refuse(scans[0], "limit")
    return runs[0]


def find_run_of_model(store: Store, model: str, *, scan: str | None = None) -> str:
    """Return the latest run that a model of the store scored.

    Parameters
    ----------
    scan : name of a scan; may be left out where the model scored only one.

    Raises
    ------
    UnknownModel, UnknownScan : the store has no such model or scan.
    NotScored : the model scored no scan.
    SeveralScans : the model scored several scans, and none is named.
    """
    weights = store.models.load(model)[1]["weights_sha256"]
    found: dict[str, str] = {}
    for name in _scans(store, scan):
        run = store.runs.latest(name, weights_sha256=weights)
        if run is not None:
            found[name] = run
    if not found:
        raise NotScored("scan", f"a scan that was scored with {model}", "none")
    if len(found) > 1:
        raise SeveralScans("scan", f"one of {', '.join(found)}", "none given")
    return next(iter(found.values()))


def _scans(store: Store, scan: str | None) -> list[str]:
    """Return the named scan, or all but injected ones."""
    return store.injections.original_names() if scan is None else [store.scans.get(scan).name]


def gather_pits(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Return the pit tables of runs as one, in the order of the runs.

    Raises
    ------
    UnknownRun : the store has no such run.
    """
    return pd.concat([store.runs.pits(run) for run in runs], ignore_index=True)


def gather_records(store: Store, runs: Sequence[str]) -> dict[str, Any]:
    """Return the records of several runs, which are written beside their table."""
    return {"runs": [store.runs.record(run).as_dict() for run in runs]}


def gather_candidates(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Return the candidates of scored runs as one table, sorted by score, highest first.

    Raises
    ------
    NotScored : a run that was not scored.
    """
    tables = [ranked_candidates(store, run) for run in runs]
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def select_candidates(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates that pass the working point."""
    return candidates[candidates["selected"].fillna(value=False).astype(bool)]


def ranked_candidates(store: Store, run: str) -> pd.DataFrame:
    """Return the candidates of a scored run, the best first.

    Its columns are those of ``candidates.as_candidates``; a run of an earlier version lacks the
    votes on single openings.

    Raises
    ------
    UnknownRun : the store has no such run.
    NotScored : the run was not scored.
    """
    from etchscope.candidates import add_votes, as_candidates, candidate_table  # with PyTorch

    size = store.scans.get(store.runs.score_record(run).scan).pixel_size_um
    table = candidate_table(store.runs.pits(run), pixel_size_um=size)
    judged = store.runs.judged(run)
    return as_candidates(table if judged is None else add_votes(table, judged))
