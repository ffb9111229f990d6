"""The scoring of a run as a stage: its pieces, what they leave, and how that is joined."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.candidates import PriorChoice, decide
from etchscope.ensemble import Model
from etchscope.evaluation import Figure
from etchscope.files.digests import digest_of
from etchscope.foil import BadInput, Device, Scan
from etchscope.imaging import Normalisation
from etchscope.learn import set_threads
from etchscope.run.constants import normalisation_of
from etchscope.run.patches import cut_scan, scale_of
from etchscope.run.run_stage import RunStage
from etchscope.run.stage import Piece
from etchscope.store import JudgingModel, ScoreRecord, Store

__all__ = ["ScoreReport", "Scoring", "record_of"]

log = logging.getLogger(__name__)

_AFTERWARDS = ("working_point", "calibration", "prior", "information")
"""Parts of a card that do not change the scores of patches."""
_DECIMALS = 4
"""Decimals of logarithms; later digits depend on the order in which a machine adds."""
_PLACES = ["pit", "tile", "x_px", "y_px"]


@dataclass(frozen=True)
class ScoreReport:
    """The report of a scoring.

    Parameters
    ----------
    run, scan, model : names.
    tiles, pits : numbers of tiles and of scored pits.
    was_done : whether the run had been finished before.
    counts : of the decision, see ``candidates.decide``.
    expected : number of candidates that are signal, (value, low, high) at 95 %; None where the
        model is not calibrated.
    """

    run: str
    scan: str
    model: str
    tiles: int
    pits: int
    was_done: bool
    counts: dict[str, int]
    expected: Figure | None = None


def record_of(
    scan: str,
    searched: str,
    tiles: tuple[int, ...],
    model: str,
    loaded: Model,
    card: Mapping[str, Any],
    prior: PriorChoice | Mapping[str, float],
) -> ScoreRecord:
    """Return the record of a run that is to be scored on the processor."""
    return ScoreRecord(
        stage="score",
        version=version("etchscope"),
        scan=scan,
        search=searched,
        tiles=tiles,
        model=JudgingModel(
            name=model,
            signal=loaded.signal,
            weights_sha256=card["weights_sha256"],
            judgement_sha256=_judgement(card),
            card_sha256=digest_of(card),
            working_point=card["working_point"],
            calibration=loaded.calibration.to_record(),
            prior=card["prior"],
        ),
        prior=prior if isinstance(prior, str) else dict(prior),
    )


@dataclass(frozen=True)
class Scoring(RunStage[ScoreRecord, ScoreReport]):
    """A scoring: its pieces are tiles, its parts the scores of their openings."""

    model: Model
    device: Device

    @property
    def work(self) -> partial[None]:
        """The function that scores the openings of some tiles."""
        names = (self.scan.name, self.record.model.name, self.record.search)
        return partial(_score_piece, self.store.path.absolute(), self.run, *names, self.device)

    @cached_property
    def judged_before(self) -> pd.DataFrame | None:
        """The scores of the same openings by the same model in an earlier run, if there is one."""
        return _judged_before(self.store, self.record)

    def is_done_before(self) -> bool:
        """Return whether the scores are there, so that no picture will be read."""
        return self.is_committed() or self.judged_before is not None

    def parts(self) -> dict[int, Any]:
        """Return index → tiles of the parts that this or an earlier run keeps."""
        if self.judged_before is not None:
            return {piece.index: piece.covers for piece in self.pieces}
        return super().parts()

    def joined(self) -> tuple[pd.DataFrame, ScoreRecord, pd.DataFrame]:
        """Return the openings in the order of the search with their decision."""
        record, store, model = self.record, self.store, self.model
        judged = self.judged_before
        if judged is None:
            judged = pd.concat([store.runs.read_part(self.run, p.index) for p in self.pieces])
        pits = store.runs.pits(record.search)
        pits = pits[pits["tile"].isin(record.tiles)].reset_index(drop=True)
        judged = judged.set_index("pit").loc[pits["pit"]].reset_index()
        decision = decide(model, pits, judged, self.scan, record.prior)
        expected = decision.expected
        shares = zip(model.classes, decision.shares, strict=True)
        kept = {
            **store.runs.record(record.search).as_dict(),
            **record.as_dict(),
            "prior_used": {name: round(float(share), 6) for name, share in shares},
            "counts": decision.counts,
            "signal_expected": None if expected is None else [round(v, 3) for v in expected],
        }
        return decision.table, ScoreRecord(**kept), judged

    def report(self, record: ScoreRecord, *, pits: int, was_done: bool) -> ScoreReport:
        """Return the report of the finished run."""
        return ScoreReport(
            self.run,
            self.scan.name,
            record.model.name,
            len(self.tiles),
            pits,
            was_done,
            dict(record.counts),
            record.signal_expected,
        )


@lru_cache(maxsize=2)
def _constants(
    path: Path, scan_name: str, model: str, searched: str, _run: str
) -> tuple[Store, Scan, Model, Normalisation, pd.DataFrame, float | None]:
    """Return what all pieces of a run share, which a worker loads once.

    The table holds the places of all openings; the number is the scale of planes, see ``scale_of``.
    """
    set_threads(1)  # of this process, if it is a worker of its own
    store = Store.open(path)
    scan = store.scans.get(scan_name)
    loaded = Model.from_record(*store.models.load(model))
    pits = store.runs.pits(searched, [*_PLACES, "class", "radius_px"])
    scale = scale_of(pits) if loaded.lights.are_planes else None
    return store, scan, loaded, normalisation_of(store, scan), pits[_PLACES], scale


def _score_piece(
    path: Path, run: str, scan_name: str, model: str, searched: str, device: Device, piece: Piece
) -> None:
    """Score the openings of the tiles of one piece and write the part."""
    shared = _constants(path, scan_name, model, searched, run)
    store, scan, loaded, normalisation, pits, scale = shared
    here = pits[pits["tile"].isin(piece.covers)].reset_index(drop=True)
    patches_of = cut_scan(store, scan, normalisation, here, size=loaded.size, scale=scale)
    parts = [
        loaded.score_patches(patches, device=device).assign(pit=here["pit"].to_numpy()[rows])
        for rows, patches in patches_of
    ]
    columns = loaded.score_columns
    empty = pd.DataFrame(columns=columns, dtype=np.float64).assign(pit=np.empty(0, np.int64))
    judged = pd.concat(parts, ignore_index=True) if parts else empty
    judged[columns] = judged[columns].round(_DECIMALS)
    store.runs.write_part(run, piece.index, judged, {"scan": scan_name, "tiles": piece.covers})


def _judgement(card: Mapping[str, Any]) -> str:
    """Return a digest of all that decides the scores of a model before a prior."""
    rest = {k: v for k, v in card.items() if k not in _AFTERWARDS}
    return digest_of(rest)


def _judged_before(store: Store, record: ScoreRecord) -> pd.DataFrame | None:
    """Return the scores of the same pits by the same model in an earlier run, or None."""
    for run in store.runs.names(record.scan):
        old = store.runs.record(run)
        is_same = (
            isinstance(old, ScoreRecord)
            and old.version == record.version
            and old.compressed in (None, record.compressed)
            and old.search == record.search
            and old.judged_on == record.judged_on
            and old.model.judgement_sha256 == record.model.judgement_sha256
            and set(record.tiles) <= set(old.tiles)
        )
        try:
            judged = store.runs.judged(run) if is_same else None
        except BadInput as error:
            log.warning("run %s is passed over: %s", run, error)
            continue
        if judged is not None:
            return judged
    return None
