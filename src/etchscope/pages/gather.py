"""The content of a report, read from a store."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.evaluation import Evaluation
from etchscope.foil import Scan, UnknownRun
from etchscope.foil.types import RawStack
from etchscope.pages.content import ReportContent
from etchscope.store import Store

__all__ = ["Thumbnails", "gather_content", "make_thumbnail"]


def gather_content(
    store: Store,
    run: str,
    *,
    evaluation: Evaluation | None = None,
    breakdowns: Sequence[str] = (),
    candidates: pd.DataFrame | None = None,
) -> ReportContent:
    """Return the content of the report of a finished run.

    Parameters
    ----------
    evaluation, breakdowns, candidates : see ``ReportContent``.

    Raises
    ------
    UnknownRun : the store has no such run.
    DamagedFile : a file of the run is damaged.
    """
    runs = store.runs.table()
    of_run = runs.loc[runs["run"] == run, "scan"]
    if not len(of_run):
        listed = ", ".join(runs["run"]) or "none"
        raise UnknownRun("run", f"one of the store's finished runs ({listed})", repr(run))
    scan = store.scans.get(str(of_run.iloc[0]))
    return ReportContent(
        pits=store.runs.pits(run),
        scan=scan,
        record={"run": run, **store.runs.record(run).as_dict()},
        thumbnails=Thumbnails(store, scan),
        left_out=[asdict(one) for one in store.scans.left_out(scan.name)],
        evaluation=evaluation,
        breakdowns=breakdowns,
        candidates=candidates,
    )


@dataclass(frozen=True)
class Thumbnails:
    """The pictures of the tiles of a scan, read from a store when they are asked for.

    It pickles, so that they can be read in other processes.
    """

    store: Store
    scan: Scan

    def __call__(self, tile: int) -> NDArray[Any]:
        """Return the picture of a tile, (y, x), see ``make_thumbnail``.

        Raises
        ------
        BadInput : no such tile, or a damaged picture.
        """
        return make_thumbnail(self.scan, self.store.scans.read_tile(self.scan.name, tile))


def make_thumbnail(scan: Scan, stack: RawStack) -> NDArray[Any]:
    """Return one picture of a tile, (y, x): the backlit one, or the mean of all channels.

    Parameters
    ----------
    scan : states the channels.
    stack : (channel, y, x), in the order of the scan's channels.
    """
    backlit = scan.indices("backlit")
    if len(backlit):
        picture: NDArray[Any] = stack[int(backlit[0])]
        return picture
    mean: NDArray[np.float32] = stack.mean(axis=0, dtype=np.float32)
    return mean
