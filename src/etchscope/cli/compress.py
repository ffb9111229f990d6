"""The command `compress`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath

if TYPE_CHECKING:
    from etchscope.api.results import Compressed

__all__ = ["command"]


def command(
    store: StorePath,
    scan: Annotated[
        str | None, typer.Option(help="Scan to compress [all that were searched].")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run near whose pits pixels stay [the latest search].")
    ] = None,
    margin_px: Annotated[
        float | None, typer.Option(help="Distance from a pit within which pixels stay [32].")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of threads [all cores].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Replace ground far from all found pits by its background; adding the scan again restores it.

    Example: etchscope compress plate7 --scan F1-front --margin-px 24
    """
    from etchscope.api import Store

    with name_options({"margin": "--margin-px"}):
        done = Store.open(store).compress(
            scan, run=run, margin_px=margin_px, workers=workers, progress=True
        )
    if as_json:
        echo_json([asdict(one) for one in done])
        return
    for one in done:
        _echo_compressed(one)


def _echo_compressed(done: "Compressed") -> None:
    found = done.compression
    saved = 100 * (1 - found.bytes_after / found.bytes_before)
    if done.is_done:
        typer.echo(
            f"{found.scan}: {found.bytes_before:,} bytes before, {found.bytes_after:,} after, "
            f"{saved:.1f} % saved; {100 * done.kept_share:.1f} % of the pixels stay"
        )
    else:
        typer.echo(
            f"{found.scan}: {saved:.1f} % of {found.bytes_before:,} bytes would be saved, which is "
            "less than a quarter; nothing changed"
        )
