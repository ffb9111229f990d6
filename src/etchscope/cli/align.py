"""The command that brings lists of pits into one frame."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.messages import echo_rich

if TYPE_CHECKING:
    from rich.table import Table

    from etchscope.api.results import AlignedStack

__all__ = ["command"]

# Of ``etchscope.align``, here once more so that the help need not import it; a test compares them.
_TOLERANCE_UM = 1000 * (12 * 0.0064516)
_MERGE_UM = 1000 * (10 * 0.0064516)
_HOLE_UM = 1500.0
_MIRRORED = {"no": False, "yes": True, "find": None}


def command(
    lists: Annotated[
        list[str],
        typer.Argument(
            metavar="LIST...",
            help="Pit lists (.csv, .json, .parquet, .root) or scans; the first gives the frame.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the alignment.")
    ],
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="Store whose scans are meant by names that are no files."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name under which STORE keeps the alignment [that of DIR].")
    ] = None,
    tolerance_um: Annotated[
        float, typer.Option(min=0.001, help="Pits of two surfaces that are closer than this match.")
    ] = _TOLERANCE_UM,
    merge_um: Annotated[
        float,
        typer.Option(
            min=0.001, help="Pits of overlapping tiles that are closer than this are one pit."
        ),
    ] = _MERGE_UM,
    hole_um: Annotated[
        float,
        typer.Option(min=0, help="Pits that are closer than this to a datum hole are left out."),
    ] = _HOLE_UM,
    look_for_holes: Annotated[
        bool, typer.Option("--find-holes", help="Look for datum holes that a scan does not state.")
    ] = False,
    mirror: Annotated[
        Literal["no", "yes", "find"],
        typer.Option(help="Whether lists are mirrored against the first."),
    ] = "no",
    max_rotation_deg: Annotated[
        float, typer.Option(min=0.01, max=180, help="Largest rotation that is tried.")
    ] = 10.0,
    surface: Annotated[
        Literal["top", "bottom", "any"],
        typer.Option(help="Which openings of pit tables are used; top faces the camera."),
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
    from etchscope import api

    with name_options({"name of the alignment": "--name"}):
        stack = api.align(
            lists,
            output,
            store=None if store is None else api.Store.open(store),
            name=name,
            tolerance_um=tolerance_um,
            merge_um=merge_um,
            hole_um=hole_um,
            find_holes=look_for_holes,
            mirrored=_MIRRORED[mirror],
            max_rotation_deg=max_rotation_deg,
            surface=surface,
            progress=True,
        )
    if as_json:
        typer.echo(json.dumps(stack.to_dict(), ensure_ascii=False, indent=1, allow_nan=False))
        return
    echo_rich(_registrations(stack), _efficiencies(stack))
    typer.echo(f"{output / 'alignment.json'}\n{output / 'alignment.html'}")


def _registrations(stack: "AlignedStack") -> "Table":
    from rich.table import Table

    out = Table(title=f"matches within {1000 * stack.tolerance_mm:.4g} µm, one to one")
    out.add_column("list", no_wrap=True)
    out.add_column("with", no_wrap=True)
    for name in ("pits", "matches", "by chance", "rotation (deg)", "scale", "residual (µm)"):
        out.add_column(name, justify="right")
    for m in stack.members:
        record = None if m.registration is None else m.registration.to_dict(stack.tolerance_mm)
        if record is None:
            out.add_row(m.source.name, "", f"{len(m.row):,}")
            continue
        one = record["matches"]["one-to-one"]
        chance = one["by_chance"]
        out.add_row(
            m.source.name,
            m.against,
            f"{len(m.row):,}",
            f"{one['counted']:,}",
            f"{chance['expected']:.1f} [{chance['low']:.0f}, {chance['high']:.0f}]",
            f"{record['rotation_deg']:+.4f}",
            f"{record['transform']['scale']:.5f}",
            f"{record['median_residual_um']:.1f}",
        )
    return out


def _efficiencies(stack: "AlignedStack") -> "Table":
    from rich.table import Table

    out = Table(title="efficiency of each surface, from what the others show")
    out.add_column("list", no_wrap=True)
    for name in ("tags shown", "by chance", "efficiency"):
        out.add_column(name, justify="right")
    for e in stack.efficiencies():
        value, low, high = (f"{100 * v:.1f}" for v in (e.efficiency, e.low, e.high))
        shown = f"{e.passed.successes:,} of {e.passed.trials:,}"
        out.add_row(e.surface, shown, f"{100 * e.by_chance:.2f} %", f"{value} % [{low}, {high}]")
    return out
