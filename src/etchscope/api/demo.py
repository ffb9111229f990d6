"""The whole pipeline on a simulated foil with known signal."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etchscope.api.given import File
from etchscope.api.store import Store
from etchscope.progress import Progress, watch, watch_steps

if TYPE_CHECKING:
    from etchscope.run.demonstration import Demonstration

__all__ = ["DemoPages", "run_demo"]


@dataclass(frozen=True)
class DemoPages:
    """What a demonstration found.

    ``store``: with the scan and its runs. ``done``: tables and their evaluation. ``candidates``,
    ``report``: the pages of the best candidates and of the report.
    """

    store: Store
    done: "Demonstration"
    candidates: Path
    report: Path


def run_demo(
    folder: File, *, background: float = 100.0, seed: int = 7, progress: Progress = False
) -> DemoPages:
    """Draw a foil with known signal, search it, rank its candidates, and write how well it went.

    Parameters
    ----------
    folder : new or empty; it gets the scan, a store, tables and pages.
    background : background pits per tile, on average.
    seed : which foil is drawn.

    Raises
    ------
    BadInput : a folder that holds files.
    MachineFailed : the disk is full.
    """
    from etchscope.pages import gather_content, write_report
    from etchscope.run.demonstration import demonstrate, draw_demo_foil

    directory = Path(folder)
    foil = draw_demo_foil(seed=seed, background=background)
    with watch_steps(progress) as step:
        done = demonstrate(directory, foil, progress=step)
    store = Store(done.store)
    sheet = store.sheet(directory / "candidates", run=done.run, progress=progress)
    content = gather_content(
        done.store,
        done.run,
        evaluation=done.evaluation,
        breakdowns=("setting", "class", "surface"),
        candidates=done.candidates,
    )
    with watch(progress, "Drawing the report", len(foil.scan.tiles)) as bar:
        report = write_report(content, directory / "report", progress=bar.advance)
    return DemoPages(store, done, sheet, report)
