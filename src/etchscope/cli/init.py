"""The command `init`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.foil import BadInput

__all__ = ["command"]


def command(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE",
            help="Folder to make; or postgresql://USER@HOST/DATABASE for the catalogue, with "
            "--folder for all else. ?schema=NAME at its end keeps several stores apart.",
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder of a store whose catalogue is in PostgreSQL: to be made."
        ),
    ] = None,
) -> None:
    """Make an empty store.

    A password is taken from PGPASSWORD or ~/.pgpass, and never kept.

    Example: etchscope init plate7
    """
    from etchscope.api import Store
    from etchscope.api.addresses import is_address

    if is_address(store) != (folder is not None):
        expected = "a folder, or the address of a database together with --folder"
        raise BadInput("STORE", expected, "one without the other")
    if folder is None:
        Store.create(store)
    else:
        Store.create(folder, catalogue=store)
