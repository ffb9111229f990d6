"""The command that brings lists of pits into one frame."""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from etchscope.align import HOLE_MM, MERGE_MM, TOLERANCE_MM, AlignedStack, align_stack
from etchscope.cli.inputs import require_name
from etchscope.cli.progress import progress_bar
from etchscope.foil import BadInput, PitList
from etchscope.ingest import OfSurface, read_pit_list
from etchscope.run.stages.align import keep_alignment, list_of_scan, save_alignment
from etchscope.store import Store

__all__ = ["command"]

_MIRRORED = {"no": False, "yes": True, "find": None}


def command(
    lists: Annotated[
        list[str],
        typer.Argument(
            metavar="LIST...",
            help="Pit lists (.csv, .json, .parquet, .root), the first gives the frame; or scans.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the alignment.")
    ],
    store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Names that are no files are its scans.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name under which STORE keeps it [that of DIR].")
    ] = None,
    tolerance_um: Annotated[
        float, typer.Option(min=0.001, help="Pits of two surfaces nearer than that match.")
    ] = 1000 * TOLERANCE_MM,
    merge_um: Annotated[
        float, typer.Option(min=0.001, help="Copies in overlapping tiles are nearer than that.")
    ] = 1000 * MERGE_MM,
    hole_um: Annotated[
        float, typer.Option(min=0, help="Pits nearer than that to a datum hole are left out.")
    ] = 1000 * HOLE_MM,
    look_for_holes: Annotated[
        bool, typer.Option("--find-holes", help="Look for datum holes that a scan does not state.")
    ] = False,
    mirror: Annotated[
        Literal["no", "yes", "find"],
        typer.Option(help="Whether lists are mirrored against the first."),
    ] = "no",
    max_rotation_deg: Annotated[
        float, typer.Option(min=0.01, max=180, help="Rotations up to that are looked at.")
    ] = 10.0,
    surface: Annotated[
        Literal["top", "bottom", "any"],
        typer.Option(help="Which openings of pit tables: top faces the camera."),
    ] = "top",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Bring sides and foils of a stack into one frame, from their pits alone.

    A list has columns x_mm, y_mm (or x_um, x_inch), and foil and side, or is a JSON description:
    {"foil": "F1", "side": "back", "pits": "pits.csv", "pixel_size_um": 6.4516, "image_size":
    [480, 640], "position_unit": "inch", "positions": "positions.json"} with tile, x_px, y_px in the
    pits. DIR gets alignment.json, the places that several surfaces show, figures, and a page. STORE
    keeps how its scans lie to each other, for `train`: no place of theirs is in two folds.

    Example: etchscope align c1.csv c2.csv d.csv -o aligned

    Example: etchscope align c1-front c1-back --store plate7 -o aligned
    """
    opened = None if store is None else Store.open(store)
    kept_as = output.absolute().name if name is None else name
    if opened is not None:
        require_name(kept_as)
    given = [_list(name, opened, surface, look_for_holes) for name in lists]
    with progress_bar("Aligning", 2) as bar:
        stack = align_stack(
            given,
            tolerance_mm=tolerance_um / 1000,
            merge_mm=merge_um / 1000,
            hole_mm=hole_um / 1000,
            mirrored=_MIRRORED[mirror],
            max_angle_rad=float(np.radians(max_rotation_deg)),
        )
        bar.advance()
        written = save_alignment(output, stack)
        # Here, so that no other command waits for Matplotlib.
        from etchscope.pages.alignment import write_alignment

        page = write_alignment(stack, output)
        if opened is not None:
            keep_alignment(opened, kept_as, stack, _scans(lists))
        bar.advance()
    if as_json:
        typer.echo(json.dumps(stack.to_dict(), ensure_ascii=False, indent=1, allow_nan=False))
        return
    console = Console()
    console.print(_registrations(stack))
    console.print(_efficiencies(stack))
    typer.echo(f"{written}\n{page}")


def _list(name: str, store: Store | None, surface: OfSurface, look_for_holes: bool) -> PitList:
    path = Path(name)
    if path.is_file():
        return read_pit_list(path, surface=surface)
    if store is not None and name in store.scans.names():
        return list_of_scan(store, name, surface=surface, look_for_holes=look_for_holes)
    known = (
        "" if store is None else f", or a scan of {store.path} ({', '.join(store.scans.names())})"
    )
    raise BadInput("align", f"a file of pits{known}", repr(name))


def _scans(lists: list[str]) -> list[str]:
    """Return the names that are scans of the store."""
    return [name for name in lists if not Path(name).is_file()]


def _registrations(stack: AlignedStack) -> Table:
    out = Table(title=f"matches within {1000 * stack.tolerance_mm:.4g} µm, one to one")
    out.add_column("list", no_wrap=True)
    out.add_column("with", no_wrap=True)
    for name in ("pits", "matches", "by chance", "rotation (deg)", "scale", "residual (µm)"):
        out.add_column(name, justify="right")
    for m in stack.members:
        told = None if m.registration is None else m.registration.to_dict(stack.tolerance_mm)
        if told is None:
            out.add_row(m.source.name, "", f"{len(m.row):,}")
            continue
        one = told["matches"]["one-to-one"]
        chance = one["by_chance"]
        out.add_row(
            m.source.name,
            m.against,
            f"{len(m.row):,}",
            f"{one['counted']:,}",
            f"{chance['expected']:.1f} [{chance['low']:.0f}, {chance['high']:.0f}]",
            f"{told['rotation_deg']:+.4f}",
            f"{told['transform']['scale']:.5f}",
            f"{told['median_residual_um']:.1f}",
        )
    return out


def _efficiencies(stack: AlignedStack) -> Table:
    out = Table(title="efficiency of each surface, from what the others show")
    out.add_column("list", no_wrap=True)
    for name in ("tags shown", "by chance", "efficiency"):
        out.add_column(name, justify="right")
    for e in stack.efficiencies():
        value, low, high = (f"{100 * v:.1f}" for v in (e.efficiency, e.low, e.high))
        shown = f"{e.passed.successes:,} of {e.passed.trials:,}"
        out.add_row(e.surface, shown, f"{100 * e.by_chance:.2f} %", f"{value} % [{low}, {high}]")
    return out
