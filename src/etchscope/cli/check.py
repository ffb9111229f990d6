"""The command `check`."""

from dataclasses import asdict

import typer

from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath
from etchscope.progress import progress_bar

__all__ = ["command"]


def command(store: StorePath, as_json: Json = False) -> None:
    """Read all of a store and list what is damaged or left over; exit status 2 if damaged.

    Example: etchscope check plate7
    """
    from etchscope.store import Store

    opened = Store.open(store)
    with progress_bar("Checking", total=len(opened.scans.tiles())) as bar:
        findings = opened.check(progress=bar.advance)
    is_damaged = any(f.severity == "damaged" for f in findings)
    if as_json:
        echo_json({"is_damaged": is_damaged, "findings": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            typer.echo(f"{finding.severity}: {finding.what}: {finding.detail}")
        typer.echo("damaged" if is_damaged else "sound")
    if is_damaged:
        raise typer.Exit(2)
