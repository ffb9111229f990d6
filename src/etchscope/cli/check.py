"""The command `check`."""

from dataclasses import asdict

import typer

from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath

__all__ = ["command"]


def command(store: StorePath, as_json: Json = False) -> None:
    """Read all of a store and list what is damaged or left over; exit status 2 if damaged.

    Example: etchscope check plate7
    """
    from etchscope.api import Store

    opened = Store.open(store)
    findings = opened.check(progress=True)
    is_damaged = any(f.severity == "damaged" for f in findings)
    if as_json:
        echo_json({"is_damaged": is_damaged, "findings": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            typer.echo(f"{finding.severity}: {finding.what}: {finding.detail}")
        compressed = opened.scans().query("compressed > 0")
        for scan, count, tiles in compressed[["scan", "compressed", "tiles"]].to_numpy():
            typer.echo(f"scan {scan}: the white space of {count} of {tiles} tiles is compressed")
        typer.echo("damaged" if is_damaged else "sound")
    if is_damaged:
        raise typer.Exit(2)
