"""The command `model calibrate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.model.options import Name
from etchscope.cli.options import Json, StorePath
from etchscope.foil import BadInput

__all__ = ["command"]


def command(
    store: StorePath,
    name: Name,
    truth: Annotated[
        list[Path],
        typer.Option(
            metavar="TABLE",
            help="Table of all true signal of a scan, .csv or .parquet; may be repeated.",
        ),
    ],
    scan: Annotated[
        list[str] | None,
        typer.Option(help="Scan of each table, in the same order [the only one that was scored]."),
    ] = None,
    tolerance_px: Annotated[
        float,
        typer.Option(
            min=0.1, help="A candidate that is closer than this to a true opening is true."
        ),
    ] = 6.0,
    as_json: Json = False,
) -> None:
    """Fit how strongly each measure of a candidate indicates signal on one kind of foil.

    Experts see a small picture of each pit. Here their votes are combined with how well entry and
    exit pit fit each other, how sure the search is of both, size, contrast and the local density,
    by logistic regression on the candidates of scored scans whose signal is known: simulated twins
    of your own scans, best of several densities. Then the probabilities are right on such foils,
    and `etchscope run` estimates how much signal a scan holds, with an interval. The working point
    of the model belongs to the earlier scores: run again, and choose a new one.

    Example: etchscope model calibrate plate7 first --scan twin-front --truth twin-truth.parquet
    """
    from etchscope.api import Store

    if len(truth) != len(scan or truth[:1]):
        raise BadInput("--scan", f"one for each of {len(truth)} --truth", f"{len(scan or [])}")
    known = dict(zip(scan, truth, strict=True)) if scan else truth[0]
    if isinstance(known, dict) and len(known) < len(truth):
        raise BadInput("--scan", "each scan once", ", ".join(scan or []))
    done = Store.open(store).calibrate(name, known, tolerance_px=tolerance_px)
    if as_json:
        typer.echo(json.dumps(done.to_record(), indent=1))
        return
    typer.echo(
        f"{name} calibrated on {done.fitted_on}. Weight of each measure at 1 opening "
        "per mm², and its change if the density is e times as high:"
    )
    for measure, weight in done.weights.items():
        slope = done.slopes.get(measure, 0.0)
        typer.echo(f"  {measure:<24} {weight:+.3f} {slope:+.3f}")
    typer.echo(
        f"Next: `etchscope run {store} --model {name}`, then `etchscope model working-point`."
    )
