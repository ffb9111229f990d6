"""The contact sheet of candidates."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from etchscope.cli.progress import progress_bar
from etchscope.store import Store

__all__ = ["draw_sheet"]


def draw_sheet(store: Store, table: pd.DataFrame, directory: Path, runs: Sequence[str]) -> Path:
    """Draw the contact sheet of candidates of some runs into a folder and return its page."""
    from etchscope.pages.candidates import write_candidates
    from etchscope.pages.views import gather_views

    pits = pd.concat([store.runs.pits(run) for run in runs], ignore_index=True)
    with progress_bar("Drawing candidates", len(table)) as bar:
        views = gather_views(store, table, progress=bar.advance)
        return write_candidates(views, directory, pits=pits)
