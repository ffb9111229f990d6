"""The record of a run: what it was made of and by, as validated and versioned models."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from etchscope.files.strict_json import first_fault
from etchscope.foil import DamagedFile, Foil
from etchscope.foil.records import Name

__all__ = [
    "FindRecord",
    "FittedNormalisation",
    "JudgingModel",
    "RunRecord",
    "ScoreRecord",
    "read_run_record",
]


class _Part(BaseModel):
    """Frozen; keys of other versions are kept, so that a record is handed on as it was read."""

    model_config = ConfigDict(frozen=True, extra="allow")


class FittedNormalisation(_Part):
    """Digests of how a scan was normalised, and of the constants that this gave."""

    recipe: str
    fit: str


class JudgingModel(_Part):
    """The model that judged a run, with what its card said then.

    ``judgement_sha256`` is of all that its votes before a prior depend on, ``card_sha256`` of the
    whole card; empty where an earlier version did not write it.
    """

    name: str
    signal: str
    weights_sha256: str
    judgement_sha256: str = ""
    card_sha256: str = ""
    working_point: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    prior: dict[str, int | float] = {}


class _OfRun(_Part):
    version: str
    scan: Name
    tiles: tuple[int, ...]
    scan_digest: str = ""
    settings: dict[str, Any] = {}
    foil: Foil | None = None
    region_mm: tuple[tuple[float, float], ...] | None = None
    normalisation: FittedNormalisation | None = None
    light_faults: tuple[str, ...] = ()
    mask: str | None = None
    compressed: str | None = None
    finder: str | None = None
    scale: float | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    calibration: str | None = None
    usable_px: tuple[int, ...] = ()
    left_out: tuple[tuple[int, str], ...] = ()
    counts: dict[str, int] = {}

    def as_dict(self) -> dict[str, Any]:
        """Return the record for JSON: what was given, and no default; keys are sorted."""
        given = self.model_dump(mode="json", exclude_unset=True, warnings="error")
        whole: dict[str, Any] = json.loads(json.dumps(given, sort_keys=True))
        return whole


class FindRecord(_OfRun):
    """The record of a search.

    Parameters
    ----------
    version : of Etchscope.
    tiles : those that were to be searched, in order.
    scan_digest : identity of the pictures.
    settings : of the search, by name.
    foil : what was known of the foil.
    region_mm : corners of the polygon that was searched, foil mm; None for all of the scan.
    light_faults : what is wrong with lights, in words.
    mask : digest of the scan's mask; None without one.
    compressed : digest of the ``Compression`` of the pictures that were read; None for pictures as
        they were added, and for results that were there before they were compressed.
    finder, scale : digest of the learned finder, and picture pixels per pixel of its network; None
        for another finder.
    device : where the learned finder computed; on another one figures differ in the last digits.
    calibration : digest of the classical finder's constants; None for another finder.
    usable_px : of each tile, how many pixels are foil within the mask.
    left_out : (tile, why) of the tiles that could not be searched.
    counts : what became of the raw finds.
    """

    stage: Literal["find"]


class ScoreRecord(_OfRun):
    """The record of a scored run: that of its search, and what a model made of it.

    Parameters
    ----------
    tiles : those whose openings were judged; ``usable_px`` and ``left_out`` are of the search.
    search : the run that was judged.
    prior : where the prior came from, or the share of each class that was given.
    prior_used : share of each class that the probabilities assume.
    judged_on : where the model computed, as ``device`` of the search.
    planes_scale : at what scale a model that takes any lights saw the patches; None for another.
    signal_expected : how many candidates are signal, (value, low, high) at 95 %; None where the
        model was not calibrated.
    """

    stage: Literal["score"]
    search: str
    model: JudgingModel
    prior: Literal["foil", "model"] | dict[str, int | float] = "foil"
    prior_used: dict[str, float] = {}
    judged_on: Literal["cpu", "cuda"] = "cpu"
    planes_scale: float | None = None
    signal_expected: tuple[float, float, float] | None = None


RunRecord = FindRecord | ScoreRecord

_RECORD: TypeAdapter[RunRecord] = TypeAdapter(Annotated[RunRecord, Field(discriminator="stage")])


def read_run_record(path: Path) -> RunRecord:
    """Return the record of a run's file; keys that an earlier version did not write are defaults.

    Raises
    ------
    DamagedFile : absent, damaged, or of a stage that is not known; names the key.
    """
    try:
        return _RECORD.validate_json(path.read_bytes())
    except OSError as error:
        raise DamagedFile(path, "the record of a run", error.strerror or str(error)) from error
    except ValidationError as error:
        where, found = first_fault(path, error)
        raise DamagedFile(where, "the record of a run", found) from error
