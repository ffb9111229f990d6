"""The command `label from-coincidence`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    alignment: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that `etchscope align` wrote.")
    ],
    target: Annotated[
        str, typer.Option("--for", metavar="LIST", help="List or scan that is labelled.")
    ],
    surfaces: Annotated[
        int,
        typer.Option(min=2, help="Least number of surfaces of other foils that show the place."),
    ] = 2,
    foils: Annotated[
        int, typer.Option(min=1, help="Least number of other foils that show the place.")
    ] = 1,
    most_p: Annotated[
        float, typer.Option(min=0, max=1, help="Largest probability that the place is accidental.")
    ] = 0.05,
    name: Annotated[str, typer.Option("--class", help="Class of the labels.")] = "hip",
    who: Annotated[str, typer.Option(help="Name under which the labels are kept.")] = "coincidence",
    as_json: Json = False,
) -> None:
    """Label where the other foils of a stack agree that an ion went through.

    The note of each label lists the surfaces that show it, and gives the probability that it is
    accidental. Labels are in the frame of the list that is labelled, which must be that of the
    store's scan.

    Example: etchscope label from-coincidence plate7 --alignment aligned --for d-front
    """
    from etchscope.api import Store

    done = Store.open(store).label_from_coincidence(
        alignment,
        target,
        surfaces=surfaces,
        foils=foils,
        most_p=most_p,
        name=name,
        who=who,
    )
    if as_json:
        echo_json(vars(done))
        return
    typer.echo(
        f"{done.added} labels added, {done.known} were there already; "
        f"{done.expected_accidental:.2g} of them are accidental by expectation"
    )
    if done.outside:
        typer.echo(f"{done.outside} of {done.places} places lie outside the scan")
