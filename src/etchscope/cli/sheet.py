"""The contact sheet of candidates."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etchscope.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

    from etchscope.store import Store

__all__ = ["SHEET", "draw_sheet"]

SHEET = 100
"""Candidates on a contact sheet."""


def draw_sheet(store: "Store", table: "pd.DataFrame", directory: Path, runs: Sequence[str]) -> Path:
    """Draw the contact sheet of candidates of some runs into a folder and return its page."""
    from etchscope.pages.candidates import write_candidates
    from etchscope.pages.views import gather_views
    from etchscope.run.results import gather_pits

    pits = gather_pits(store, runs)
    with progress_bar("Drawing candidates", len(table)) as bar:
        views = gather_views(store, table, progress=bar.advance)
        return write_candidates(views, directory, pits=pits)
