"""The command `migrate`."""

import typer

from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(store: StorePath) -> None:
    """Bring a store of an earlier version up to date; its old catalogue is kept.

    Example: etchscope migrate plate7
    """
    from etchscope.api import Store

    done = Store.migrate(store)
    if done.scans:
        count = len(done.scans)
        typer.echo(f"The pictures of {count} scan{'s' * (count > 1)} are now OME-Zarr images.")
    if done.backup is None and not done.scans:
        typer.echo(f"Nothing is to be done: the store is of version {done.after}, the latest.")
    if done.backup is not None:
        typer.echo(f"Migrated from version {done.before} to {done.after}.")
        typer.echo(f"The catalogue as it was is kept in {done.backup}.")
