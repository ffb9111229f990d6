"""The command `add`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.messages import echo_json
from etchscope.cli.options import (
    Json,
    LayoutName,
    MaskFile,
    MontageColumns,
    MontageRows,
    PixelSize,
    StorePath,
)

if TYPE_CHECKING:
    from etchscope.api.results import Added

__all__ = ["command"]


def command(
    store: StorePath,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Scan directories, or pictures that make a scan."),
    ],
    scan: Annotated[str | None, typer.Option(help="Name of the scan [{foil}-{side}].")] = None,
    foil: Annotated[str | None, typer.Option(help="Name of the foil.")] = None,
    side: Annotated[
        Literal["front", "back"] | None, typer.Option(help="Side that faced the camera.")
    ] = None,
    pixel_size_um: PixelSize = None,
    layout: LayoutName = None,
    rows: MontageRows = None,
    columns: MontageColumns = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out tiles that cannot be read, and list them.")
    ] = False,
    mask: MaskFile = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of threads [all cores].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add scans to a store, each of them whole or not at all.

    Example: etchscope add plate7 scans/F1-front scans/F1-back

    Example: etchscope add plate7 sheet.bmp --layout montage --rows 9 --columns 12
    """
    from etchscope.api import Store

    added: list[Added] = []
    with name_options({"name of a scan": "--scan"}):
        Store.open(store).add(
            paths,
            scan=scan,
            foil=foil,
            side=side,
            pixel_size_um=pixel_size_um,
            layout=layout,
            rows=rows,
            columns=columns,
            skip_bad=skip_bad,
            mask=mask,
            workers=workers,
            each=added.append if as_json else lambda one: _echo_added(one, mask),
            progress=True,
        )
    if as_json:
        echo_json([asdict(one) for one in added])


def _echo_added(added: "Added", mask: Path | None) -> None:
    if added.is_new:
        typer.echo(f"{added.scan}: {added.tiles} tiles added")
    elif added.is_restored:
        typer.echo(f"{added.scan}: the pictures of {added.tiles} tiles are as they were added")
    else:
        typer.echo(f"{added.scan}: the store has this scan already, nothing changed")
    for bad in added.left_out:
        typer.echo(f"{added.scan}: left out tile {bad.tile}: {bad.file}: {bad.why}")
    if mask is not None:
        typer.echo(f"{added.scan}: searches will stay inside the mask {mask}")
