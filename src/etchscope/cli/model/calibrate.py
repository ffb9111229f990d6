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
    """Fit how much each measure of a candidate says about signal on one kind of foil.

    Experts see a small picture of each pit. Here their votes are combined with how well entry and
    exit pit fit each other, how sure the search is of both, size, contrast and the local density,
    by logistic regression on the candidates of scored scans whose signal is known: simulated twins
    of your own scans, best of several densities. Then probabilities come true on such foils, and
    `etchscope run` says how much signal a scan holds, with an interval. The working point of the
    model belongs to the earlier scores: run again, and choose a new one.

    Example: etchscope model calibrate plate7 first --scan twin-front --truth twin-truth.parquet
    """
    from etchscope.ensemble import Model
    from etchscope.files import read_table
    from etchscope.run.calibrate import KnownRun, calibrated
    from etchscope.run.results import find_run_of_model
    from etchscope.store import Store

    scans: list[str | None] = list(scan or [])
    if len(truth) == 1 and not scans:
        scans = [None]
    if len(scans) != len(truth):
        raise BadInput("--scan", f"one for each of {len(truth)} --truth", f"{len(scans)}")
    opened = Store.open(store)
    model = Model.from_record(*opened.models.load(name))
    known = [
        KnownRun(find_run_of_model(opened, name, scan=one), read_table(table), str(table))
        for one, table in zip(scans, truth, strict=True)
    ]
    done = calibrated(opened, model, known, tolerance_px=tolerance_px)
    opened.models.save(name, *done.to_record(), replace=True)
    if as_json:
        typer.echo(json.dumps(done.calibration.to_record(), indent=1))
        return
    typer.echo(
        f"{name} calibrated on {done.calibration.fitted_on}. Weight of each measure at 1 opening "
        "per mm², and its change if the density is e times as high:"
    )
    for measure, weight in done.calibration.weights.items():
        slope = done.calibration.slopes.get(measure, 0.0)
        typer.echo(f"  {measure:<24} {weight:+.3f} {slope:+.3f}")
    typer.echo(
        f"Next: `etchscope run {store} --model {name}`, then `etchscope model working-point`."
    )
