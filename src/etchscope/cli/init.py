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
    pictures: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Empty place for the pictures, if not in the folder: s3://BUCKET/PREFIX, "
            "gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER.",
        ),
    ] = None,
) -> None:
    """Make an empty store.

    The password of a database is taken from PGPASSWORD or ~/.pgpass, and what an object store
    asks for from variables such as AWS_ACCESS_KEY_ID. No secret is kept.

    Example: etchscope init plate7 --pictures s3://foils/plate7
    """
    from etchscope.api import Store
    from etchscope.api.addresses import is_address

    if is_address(store) != (folder is not None):
        expected = "a folder, or the address of a database together with --folder"
        raise BadInput("STORE", expected, "one without the other")
    catalogue = None if folder is None else store
    Store.create(folder or store, catalogue=catalogue, pictures=pictures)
