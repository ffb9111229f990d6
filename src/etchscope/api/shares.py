"""Parts of searches and scorings, for jobs that know nothing of each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from etchscope.api.given import File, Region, as_polygon
from etchscope.api.kept import OfStore
from etchscope.foil import Device
from etchscope.progress import Progress, watch

if TYPE_CHECKING:
    from distributed import Client

    from etchscope.candidates import PriorChoice
    from etchscope.preselect import FindSettings
    from etchscope.run.shares import PartReport

__all__ = ["ShareSteps"]


class ShareSteps(OfStore):
    """What is done by part. Parts are done on any machines, at once, in any order and again."""

    def find_part(
        self,
        scan: str,
        part: str,
        *,
        settings: "FindSettings | None" = None,
        finder: File | None = None,
        region: Region | None = None,
        workers: int | None = None,
        executor: "str | Client" = "threads",
        device: Device = "auto",
        progress: Progress = False,
    ) -> "PartReport":
        """Search a part of a scan; when all parts are done, ``find(…, join=True)`` joins them.

        Parameters
        ----------
        part : number of the part from 1, and how many parts there are, such as 17/1000.
        settings, finder, region, workers, executor, device : see ``find``.

        Raises
        ------
        BadInput, MachineFailed : see ``find``.
        """
        from etchscope.run.stages.finding import find_part

        with watch(progress, f"Searching part {part} of {scan}") as bar:
            return find_part(
                self.kept,
                scan,
                part,
                settings=settings,
                weights=None if finder is None else Path(finder),
                region=as_polygon(region),
                workers=workers,
                executor=executor,
                device=device,
                progress=bar.advance,
                total=bar.total,
            )

    def run_part(
        self,
        scan: str,
        part: str,
        *,
        model: File | None = None,
        region: Region | None = None,
        prior: "PriorChoice | Mapping[str, float]" = "foil",
        workers: int | None = None,
        executor: "str | Client" = "threads",
        device: Device = "auto",
        progress: Progress = False,
    ) -> "PartReport":
        """Score a part of a searched scan; when all are done, ``run(…, join=True)`` joins them.

        Parameters
        ----------
        part : see ``find_part``.
        model, region, prior, workers, executor, device : see ``run``.

        Raises
        ------
        NotSearched : the search is not finished.
        BadInput, MachineFailed : see ``run``.
        """
        from etchscope.run.models import register_model
        from etchscope.run.stages.scoring import score_part

        named = None if model is None else str(model)
        name = register_model(self.kept, named, [scan], is_temporary=self._is_temporary)
        with watch(progress, f"Scoring part {part} of {scan}") as bar:
            return score_part(
                self.kept,
                scan,
                name,
                part,
                region=as_polygon(region),
                prior=prior,
                workers=workers,
                executor=executor,
                device=device,
                progress=bar.advance,
                total=bar.total,
            )
