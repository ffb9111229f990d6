"""The command `label export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from etchscope.cli.label.options import All, OfFoil, OfSide, OfWho
from etchscope.cli.labelled import gather_labels
from etchscope.cli.options import StorePath
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.store import Store

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="TABLE", help="Table to write: .csv or .parquet."),
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="NumPy file of the labels' patches to write, for training: .npz."
        ),
    ] = None,
    foil: OfFoil = None,
    side: OfSide = None,
    who: OfWho = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only this class with its subclasses; may be repeated."),
    ] = None,
    every: All = False,
    size: Annotated[
        int | None, typer.Option(min=4, help="Pixels per side of a patch [28].")
    ] = None,
    lights: Annotated[
        Literal["any", "all"],
        typer.Option(help="Channels of the patches: any lights as planes, or all as they are."),
    ] = "any",
) -> None:
    """Write labels as a table, for each person and place the latest, or as patches, or both.

    The patches are those that `train` learns from: of each place one label counts, which is
    decidable and lies on an included tile.

    Example: etchscope label export plate7 -o labels.parquet

    Example: etchscope label export plate7 --patches patches.npz
    """
    from etchscope.files import write_labels
    from etchscope.store import Store

    if output is None and patches is None:
        raise BadInput("label export", "-o TABLE, --patches FILE, or both", "neither")
    if patches is not None and every:
        raise BadInput("--all", "no --patches beside it", str(patches))
    opened = Store.open(store)
    for name in classes or []:
        opened.labels.taxonomy().require("--class", name)
    if output is not None:
        found = opened.labels.table(
            foil=foil, side=side, who=who, classes=classes, latest=not every
        )
        write_labels(output, found)
        typer.echo(f"{output}: {len(found)} labels")
    if patches is not None:
        count = _write_patches(
            opened,
            patches,
            scans=_scans(opened, foil, side),
            who=None if who is None else [who],
            classes=classes,
            size=size,
            planes=lights == "any",
        )
        typer.echo(f"{patches}: {count} patches")


def _scans(store: "Store", foil: str | None, side: str | None) -> list[str] | None:
    """Return the scans of a foil or a side; None for all."""
    if foil is None and side is None:
        return None
    scans = [store.scans.get(name) for name in store.scans.names()]
    names = [
        scan.name
        for scan in scans
        if (foil is None or scan.foil == foil) and (side is None or scan.side == side)
    ]
    if not names:
        wanted = " ".join(part for part in (foil, side) if part is not None)
        raise BadInput("label export", f"a scan of {wanted}", "none in the store")
    return names


def _write_patches(store: "Store", path: Path, *, size: int | None, **choice: object) -> int:
    """Write the patches of labels, and return how many there are."""
    from etchscope.files.patches import write_patches
    from etchscope.run.patch_arrays import gathered_to_arrays

    if path.suffix.lower() != ".npz":  # which would fail after the patches are cut
        raise BadInput(path, "a name that ends in .npz", repr(path.suffix))
    arrays = gathered_to_arrays(store, gather_labels(store, size=size, **choice))
    write_patches(path, arrays)
    return len(arrays["label"])
