"""The command `map`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.inputs import opened_inputs
from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, LayoutName, MontageColumns, MontageRows, PixelSize
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.api import Store

__all__ = ["command"]

_OPTIONS = {"bandwidth_um": "--bandwidth-um", "bandwidth": "--bandwidth-um"}


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="A store, a scan directory, or pictures."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the maps.")
    ],
    scan: Annotated[
        list[str] | None,
        typer.Option(help="Scan of the store, once or more [all that were searched]."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Map this run [the latest].")] = None,
    by: Annotated[
        Literal["surface", "class", "size"] | None,
        typer.Option(help="Also one map for each surface, class or size of the pits."),
    ] = None,
    bandwidth_um: Annotated[
        float | None,
        typer.Option(metavar="UM", help="Standard deviation of the kernel [from the pits]."),
    ] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Make the kernel wider where pits are few.")
    ] = False,
    compare: Annotated[
        str | None,
        typer.Option(metavar="SCAN", help="Compare with the latest run of this scan."),
    ] = None,
    efficiency: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measured efficiency: density_per_mm2, efficiency, low, high [pits that others "
            "hide follow from the area of the openings].",
        ),
    ] = None,
    layout: LayoutName = None,
    rows: MontageRows = None,
    columns: MontageColumns = None,
    pixel_size_um: PixelSize = None,
    as_json: Json = False,
) -> None:
    """Map the density of pits over a scan, with its interval and where it is not known.

    Pictures and scan directories are searched first. Each scan gets a figure, a table with one row
    per cell, and an OME-Zarr image; several scans get a folder each.

    Example: etchscope map plate7 --scan F1-front --by surface -o maps

    Example: etchscope map plate7 --scan F1-front --compare F1-back -o maps
    """
    from etchscope.api import summarise_maps, write_density_maps

    pictures: dict[str, Any] = {"layout": layout, "rows": rows, "columns": columns}
    pictures |= {"pixel_size_um": pixel_size_um}
    how: dict[str, Any] = {"by": by, "bandwidth_um": bandwidth_um, "adaptive": adaptive}
    how |= {"compare": compare, "efficiency": efficiency, "run": run}
    summaries = []
    with (
        name_options(_OPTIONS),
        opened_inputs(paths, scan=None, mask=None, no_mask=False, writes=True, **pictures) as store,
    ):
        names = _scans_to_map(store, scan, run)
        for name in names:
            done = store.map(name, progress=True, **how)
            folder = output / name if len(names) > 1 else output
            figures = write_density_maps(done, folder)
            summaries.append(summarise_maps(done))
            if not as_json:
                _echo_maps(summaries[-1], figures)
    if as_json:
        echo_json(summaries)


def _scans_to_map(store: "Store", scans: list[str] | None, run: str | None) -> list[str]:
    """Return the scans to be mapped; those of a temporary store are searched now.

    Raises
    ------
    BadInput : a run beside several scans or beside another scan, or nothing was searched.
    """
    if run is not None:
        if scans is not None and len(scans) > 1:
            raise BadInput("--run", "one scan beside it", ", ".join(scans))
        (chosen,) = store.chosen_runs(scans[0] if scans else None, run=run)
        return [store.record(chosen).scan]
    if store.is_temporary:
        for name in store.scan_names():
            store.find(name, progress=True)
    if scans:
        return scans
    return sorted({store.record(one).scan for one in store.chosen_runs()})


def _echo_maps(said: dict[str, Any], figures: list[Path]) -> None:
    for name, one in said["maps"].items():
        area, valid = one["area_unit"], one["valid"]
        mean = valid[f"density_per_{area}"]
        unit = "mm²" if area == "mm2" else area
        words = "no cell is valid"
        if mean is not None:
            value, low, high = (f"{v:.4g}" for v in mean)
            words = f"{value} [{low}, {high}] pits per {unit} on {valid[f'seen_{area}']:.4g} {unit}"
        lost = sum(one["cells_not_valid"].values())
        beside = f"; {lost:,} cells are too crowded to say" if lost else ""
        typer.echo(f"{said['scan']}, {name}: {words}{beside}")
    for path in figures:
        typer.echo(path)
