"""Particles through an aligned stack, for the command `run`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from etchscope.api import Store
    from etchscope.api.results import ScoreReport

__all__ = ["require_stack", "write_stack"]


def require_stack(store: "Store", alignment: str | None, scan: str | None) -> list[str]:
    """Return the scans of an alignment of the store; none where no alignment is named.

    Raises
    ------
    UnknownAlignment : the store has no such alignment.
    BadInput : a single scan beside it, or see ``Store.aligned_scans``.
    """
    from etchscope.foil import BadInput

    if alignment is None:
        return []
    if scan is not None:
        hint = "The scans of the alignment are searched."
        raise BadInput("--scan", "none beside --alignment", repr(scan), hint=hint)
    return store.aligned_scans(alignment)


def write_stack(
    store: "Store",
    alignment: str,
    reports: "Sequence[ScoreReport]",
    path: Path | None,
    *,
    gap_um: float,
    echo: bool,
) -> None:
    """Rank the particles through the foils of an alignment, write them, and print their number."""
    runs = {done.scan: done.run for done in reports}
    found = store.stack_candidates(alignment, runs=runs, gap_um=gap_um)
    if path is not None:
        store.export_stack(path, found)
    if not echo:
        return
    chosen = found.table[found.table["selected"].to_numpy(bool)]
    typer.echo(f"{alignment}: {len(found.table)} particles, {len(chosen)} selected")
    if len(chosen):
        last = chosen.iloc[-1]
        names = ("accidental", "accidental_low", "accidental_high")
        value, low, high = (f"{last[name]:.2g}" for name in names)
        typer.echo(f"{alignment}: {value} [{low}, {high}] of them are expected to be accidental")
