"""Search and score scans of a store: whole, or by parts that know nothing of each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from etchscope.api.given import File, Region, as_polygon
from etchscope.api.kept import OfStore
from etchscope.foil import Device
from etchscope.progress import Progress, watch

if TYPE_CHECKING:
    from distributed import Client

    from etchscope.candidates import PriorChoice
    from etchscope.preselect import FindSettings
    from etchscope.run import FindReport
    from etchscope.run.shares import PartReport
    from etchscope.run.stages.scoring import ScoreReport

__all__ = ["FindOptions", "RunOptions", "SearchSteps"]


class _WorkOptions(TypedDict, total=False):
    """What does the work, and where.

    Parameters
    ----------
    workers : threads or processes; as many as there are cores unless given.
    executor : what does the tiles in parallel: threads, processes, inline, or the name of another
        one that is installed; or a ``dask.distributed.Client``, whose cluster does it.
    device : where the networks compute: cpu, cuda, or auto, which is the processor.
    """

    workers: int | None
    executor: "str | Client"
    device: Device


class FindOptions(_WorkOptions, total=False):
    """How to search a scan.

    Parameters
    ----------
    settings : of the search.
    finder : folder of a learned finder's weights; that of the package unless given.
    region : search only inside this polygon.
    """

    settings: "FindSettings | None"
    finder: File | None
    region: Region | None


class RunOptions(_WorkOptions, total=False):
    """How to score a scan.

    Parameters
    ----------
    model : name of a model of the store, or folder of an exported one; the package's own unless
        given.
    region : search and score only inside this polygon.
    prior : shares of the classes that probabilities assume: foil, model, or class → share.
    """

    model: File | None
    region: Region | None
    prior: "PriorChoice | Mapping[str, float]"


class SearchSteps(OfStore):
    """What finds and scores the pits of scans.

    Parts of a run are done on any machines, at once, in any order and again.
    """

    def find(
        self,
        scan: str,
        *,
        join: bool = False,
        progress: Progress = False,
        **options: Unpack[FindOptions],
    ) -> "FindReport":
        """Search a scan for pits; the same search again is not repeated.

        Parameters
        ----------
        join : search nothing, but finish the run whose parts ``find_part`` has searched.
        options : settings, finder, region, workers, executor and device, see ``FindOptions``.

        Raises
        ------
        UnknownScan : the store has no such scan.
        NoGpu : a GPU is asked for, and there is none.
        PartMissing : the parts that are to be joined are not all there.
        BadInput : nothing to search, too few lights, a damaged picture, or no finder.
        MachineFailed : the disk is full, or a worker process was lost.
        """
        from etchscope.run import find

        given = _as_search(options)
        with watch(progress, f"Searching {scan}") as bar:
            return find(self.kept, scan, join=join, progress=bar.advance, total=bar.total, **given)

    def find_part(
        self, scan: str, part: str, *, progress: Progress = False, **options: Unpack[FindOptions]
    ) -> "PartReport":
        """Search a part of a scan; when all parts are done, ``find(…, join=True)`` joins them.

        Parameters
        ----------
        part : number of the part from 1, and how many parts there are, such as 17/1000.
        options : see ``FindOptions``.

        Raises
        ------
        BadInput, MachineFailed : see ``find``.
        """
        from etchscope.run.stages.finding import find_part

        given = _as_search(options)
        with watch(progress, f"Searching part {part} of {scan}") as bar:
            return find_part(self.kept, scan, part, progress=bar.advance, total=bar.total, **given)

    def require_searchable(
        self, scans: Sequence[str], *, join: bool = False, **options: Unpack[FindOptions]
    ) -> None:
        """Refuse scans of which one cannot be searched, as far as that shows without its pictures.

        Parameters
        ----------
        join : refuse, too, scans of which one has parts that ``find_part`` has not searched.
        options : see ``FindOptions``.

        Raises
        ------
        UnknownScan, NoGpu, PartMissing, BadInput : see ``find``; nothing is searched or joined.
        """
        from etchscope.run.stages.finding import require_parts, require_searchable

        given = _as_search(options)
        for name in ("workers", "executor"):
            given.pop(name, None)
        require_searchable(self.kept, scans, **given)
        if join:
            require_parts(self.kept, scans, **given)

    def run(
        self,
        scan: str,
        *,
        join: bool = False,
        progress: Progress = False,
        **options: Unpack[RunOptions],
    ) -> "ScoreReport":
        """Find the pits of a scan unless that is done, and score them with a model.

        Parameters
        ----------
        join : score nothing, but finish the run whose parts ``run_part`` has scored.
        options : model, region, prior, workers, executor and device, see ``RunOptions``.

        Raises
        ------
        UnknownScan, UnknownModel : the store has no such scan or model.
        PartMissing : the parts that are to be joined are not all there.
        BadInput : see ``find``; or a scan that the model cannot read.
        MachineFailed : the disk is full, or a worker process was lost.
        """
        from etchscope.run.stages.scoring import score

        model, given = self.register_model([scan], **options), _as_scoring(options)
        with watch(progress, f"Scoring {scan}") as bar:
            return score(
                self.kept, scan, model, join=join, progress=bar.advance, total=bar.total, **given
            )

    def run_part(
        self, scan: str, part: str, *, progress: Progress = False, **options: Unpack[RunOptions]
    ) -> "PartReport":
        """Score a part of a searched scan; when all are done, ``run(…, join=True)`` joins them.

        Parameters
        ----------
        part : see ``find_part``.
        options : see ``RunOptions``.

        Raises
        ------
        NotSearched : the search is not finished.
        BadInput, MachineFailed : see ``run``.
        """
        from etchscope.run.stages.scoring import score_part

        model, given = self.register_model([scan], **options), _as_scoring(options)
        with watch(progress, f"Scoring part {part} of {scan}") as bar:
            return score_part(
                self.kept, scan, model, part, progress=bar.advance, total=bar.total, **given
            )

    def register_model(
        self, scans: Sequence[str], *, join: bool = False, **options: Unpack[RunOptions]
    ) -> str:
        """Return the name of a model that will score scans; one in a folder is imported.

        Parameters
        ----------
        join : refuse scans of which one has parts that ``run_part`` has not scored.
        options : see ``RunOptions``.

        Raises
        ------
        UnknownModel : neither a model of the store nor a folder.
        PartMissing, NotSearched : parts of a scan are missing, or its search is not finished.
        BadInput : a scan that cannot be scored, as far as that shows without its pictures.
        """
        from etchscope.run.models import register_model
        from etchscope.run.stages.scoring import require_scored_parts

        model, given = options.get("model"), _as_scoring(options)
        for name in ("workers", "executor"):
            given.pop(name, None)
        name = register_model(
            self.kept,
            None if model is None else str(model),
            scans,
            is_temporary=self._is_temporary,
            **given,
        )
        if join:
            require_scored_parts(self.kept, scans, name, **given)
        return name


def _as_search(options: FindOptions) -> dict[str, Any]:
    """Return the options as arguments of ``run.find``."""
    given: dict[str, Any] = {**options, "region": as_polygon(options.get("region"))}
    finder = given.pop("finder", None)
    return given | {"weights": None if finder is None else Path(finder)}


def _as_scoring(options: RunOptions) -> dict[str, Any]:
    """Return the options beside the model as arguments of ``run.stages.scoring.score``."""
    given: dict[str, Any] = {**options, "region": as_polygon(options.get("region"))}
    given.pop("model", None)
    return given
