"""Commands on the data of a store: init, add, ls, rm, exclude, include, check."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer

from etchscope.cli.progress import progress_bar
from etchscope.foil import BadInput
from etchscope.ingest import Overrides, add, group_paths
from etchscope.store import Added, Removal, Store

__all__ = ["COMMANDS"]

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Where = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Condition on the columns of `ls --tiles`."),
]
OfFoil = Annotated[str | None, typer.Option("--foil", help="Only tiles of this foil.")]
OfScan = Annotated[str | None, typer.Option("--scan", help="Only tiles of this scan.")]
OfTile = Annotated[int | None, typer.Option("--tile", help="Only tiles of this number.")]


def init(store: StorePath) -> None:
    """Make an empty store.

    Example: etchscope init plate7
    """
    Store.create(store)


def add_command(
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
    pixel_size_um: Annotated[
        float | None, typer.Option(help="Size of a pixel, micrometres.")
    ] = None,
    layout: Annotated[
        Literal["smartscope", "pictures", "montage", "plain"] | None,
        typer.Option(help="How the pictures lie in their files."),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Rows of a montage.")] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Columns of a montage.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad tiles out and list them.")
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON polygons, in foil mm or without a scale in px, or a picture (white: "
            "search), of where to search; kept with the scans.",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads [all cores].")] = None,
    as_json: Json = False,
) -> None:
    """Add scans to a store, each of them whole or not at all.

    Example: etchscope add plate7 scans/F1-front scans/F1-back

    Example: etchscope add plate7 sheet.bmp --layout montage --rows 9 --columns 12
    """
    opened = Store.open(store)
    groups = group_paths(paths)
    if scan is not None and len(groups) > 1:
        raise BadInput("--scan", "one scan to name", f"{len(groups)} scans")
    overrides = Overrides(layout, rows, columns, foil, side, pixel_size_um, scan)
    done = []
    for group in groups:
        with progress_bar(f"Adding {group[0].name}") as bar:
            added = add(
                opened,
                group,
                overrides=overrides,
                skip_bad=skip_bad,
                mask=mask,
                workers=workers,
                progress=bar.advance,
                total=bar.total,
            )
        done.append(added)
        if not as_json:
            _tell_added(added)
            if mask is not None:
                typer.echo(f"{added.scan}: searched where {mask} says")
    if as_json:
        _echo_json([asdict(added) for added in done])


def _tell_added(added: Added) -> None:
    if added.is_new:
        typer.echo(f"{added.scan}: {added.tiles} tiles added")
    else:
        typer.echo(f"{added.scan}: the store has this scan already, nothing changed")
    for bad in added.left_out:
        typer.echo(f"{added.scan}: left out tile {bad.tile}: {bad.file}: {bad.why}")


def ls(
    store: StorePath,
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
    tiles: Annotated[bool, typer.Option("--tiles", help="One line a tile.")] = False,
    as_json: Json = False,
) -> None:
    """List the scans of a store, or their tiles.

    Example: etchscope ls plate7

    Example: etchscope ls plate7 --tiles --where "foil = 'F1' and not excluded"
    """
    opened = Store.open(store)
    found = opened.scans.tiles(_condition(where, foil, scan, tile))
    table = found if tiles else _scan_table(opened, found)
    if as_json:
        _echo_json(json.loads(table.to_json(orient="records", double_precision=15)))
    elif len(table):
        typer.echo(table.to_string(index=False, na_rep="-"))
    else:
        typer.echo("no tiles")


def _scan_table(store: Store, tiles: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, of_scan in tiles.groupby("scan", sort=False):
        scan = store.scans.get(str(name))
        rows.append(
            {
                "foil": scan.foil,
                "stack": of_scan["stack"].iloc[0],
                "side": scan.side,
                "scan": scan.name,
                "layout": scan.layout,
                "channels": len(scan.channels),
                "tiles": len(of_scan),
                "excluded": int(of_scan["excluded"].sum()),
                "left_out": len(store.scans.left_out(scan.name)),
                "runs": len(store.runs.table(scan.name)),
            }
        )
    return pd.DataFrame(rows)


def rm(
    store: StorePath,
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove tiles, or whole scans, with all runs and fits that came from them.

    Says first what goes, and asks.

    Example: etchscope rm plate7 --scan F1-front

    Example: etchscope rm plate7 --where "foil = 'F1' and tile between 3 and 9" --yes
    """
    opened = Store.open(store)
    condition = _required(_condition(where, foil, scan, tile))
    _tell_removal(opened.scans.dependants(condition))
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("rm", "`--yes`, or a terminal to ask at", "neither")
        typer.confirm("Remove them?", abort=True, err=True)
    opened.scans.remove(condition)


def _tell_removal(removal: Removal) -> None:
    lines = [f"scan {name}, all tiles" for name in removal.scans]
    for scan, numbers in removal.tiles:
        lines.append(f"scan {scan}, {len(numbers)} tiles: {', '.join(map(str, numbers))}")
    for what in ("runs", "fits", "foils", "stacks"):
        lines += [f"{what[:-1]} {name}" for name in getattr(removal, what)]
    if not lines:
        raise BadInput("rm", "tiles that match", "none")
    typer.echo("\n".join(["This goes:", *(f"  {line}" for line in lines)]))
    for foil, count in removal.labels_kept:
        typer.echo(f"This stays:\n  foil {foil}, {count} labels")


def exclude(
    store: StorePath,
    why: Annotated[str, typer.Option(help="The reason, kept with each tile.")],
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
) -> None:
    """Exclude tiles from what comes after; nothing is copied or deleted.

    Example: etchscope exclude plate7 --scan F1-front --tile 12 --why "a fibre"
    """
    condition = _required(_condition(where, foil, scan, tile))
    found = Store.open(store).scans.exclude(condition, why)
    _tell_marked("excluded", found, condition)
    typer.echo("Tables made before keep their rows; `etchscope find` makes new ones.")


def include(
    store: StorePath,
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
) -> None:
    """Take excluded tiles in again.

    Example: etchscope include plate7 --where "excluded_why = 'a fibre'"
    """
    condition = _required(_condition(where, foil, scan, tile))
    _tell_marked("included", Store.open(store).scans.include(condition), condition)


def _tell_marked(what: str, found: pd.DataFrame, condition: str) -> None:
    if not len(found):
        raise BadInput(condition, "tiles that match", "none", hint="See `ls --tiles`.")
    for scan, tiles in found.groupby("scan", sort=False):
        numbers = ", ".join(map(str, tiles["tile"]))
        typer.echo(f"{scan}: {what} {len(tiles)} tiles: {numbers}")


def check(store: StorePath, as_json: Json = False) -> None:
    """Read all of a store and list what is damaged or left over; exit status 2 if damaged.

    Example: etchscope check plate7
    """
    opened = Store.open(store)
    with progress_bar("Checking", total=len(opened.scans.tiles())) as bar:
        findings = opened.check(progress=bar.advance)
    is_damaged = any(f.severity == "damaged" for f in findings)
    if as_json:
        _echo_json({"is_damaged": is_damaged, "findings": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            typer.echo(f"{finding.severity}: {finding.what}: {finding.detail}")
        typer.echo("damaged" if is_damaged else "sound")
    if is_damaged:
        raise typer.Exit(2)


def _condition(
    where: str | None, foil: str | None, scan: str | None, tile: int | None
) -> str | None:
    parts = [f"({where})"] if where is not None else []
    for column, value in (("foil", foil), ("scan", scan)):
        if value is not None:
            quoted = value.replace("'", "''")
            parts.append(f"{column} = '{quoted}'")
    if tile is not None:
        parts.append(f"tile = {tile}")
    return " and ".join(parts) or None


def _required(condition: str | None) -> str:
    if condition is None:
        raise BadInput("which tiles", "--where, --foil, --scan or --tile", "none of them")
    return condition


def _echo_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "add": add_command,
    "ls": ls,
    "rm": rm,
    "exclude": exclude,
    "include": include,
    "check": check,
}
"""Name on the command line → function, in the order of the help."""
