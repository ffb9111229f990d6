"""The command `model working-point`."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.model.options import Name
from etchscope.cli.options import Json, StorePath
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.api.results import ChosenPoint
    from etchscope.evaluation import Figure

__all__ = ["command"]


def command(
    store: StorePath,
    name: Name,
    truth: Annotated[
        Path,
        typer.Option(
            metavar="TABLE", help="Table of all true signal of the scan, .csv or .parquet."
        ),
    ],
    scan: Annotated[
        str | None, typer.Option(help="Scan that the model scored [the only one].")
    ] = None,
    efficiency: Annotated[float | None, typer.Option(help="Efficiency to reach.")] = None,
    false_per_tile: Annotated[
        float | None, typer.Option(help="False candidates per tile to allow.")
    ] = None,
    tolerance_px: Annotated[
        float,
        typer.Option(
            min=0.1, help="A candidate that is closer than this to a true opening is true."
        ),
    ] = 6.0,
    measure_on: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Table of all true signal of another scored scan, on which the figures are "
            "measured [the other half of the tiles].",
        ),
    ] = None,
    measure_scan: Annotated[
        str | None, typer.Option(help="Name of the other scan, with --measure-on.")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw efficiency against false candidates, by density of pits, into this file.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose a model's working point on a scored scan whose signal is known.

    The scan must have been scored with this model (`etchscope run`). There is a threshold for each
    class of local density of pits, with as many false candidates by area in each. A threshold
    flatters the tiles that it was chosen on, so the figures are those of thresholds chosen on one
    half of the tiles and measured on the other half, or on another scan.

    Example: etchscope model working-point plate7 first --truth truth.parquet --false-per-tile 0.1
    """
    from etchscope.api import Store

    if figure is not None:
        _require_figure(figure)
    done = Store.open(store).choose_working_point(
        name,
        truth,
        scan=scan,
        efficiency=efficiency,
        false_per_tile=false_per_tile,
        measure_on=measure_on,
        measure_scan=measure_scan,
        tolerance_px=tolerance_px,
    )
    if figure is not None:
        _save_figure(figure, done)
    _echo_point(done, as_json=as_json)


def _require_figure(figure: Path) -> None:
    """Refuse a figure that could not be written, before the work and not after it."""
    if figure.suffix.lower() != ".png":
        raise BadInput("--figure", "a name that ends in .png", str(figure))
    if not figure.absolute().parent.is_dir():
        raise BadInput(figure, "an existing folder", f"no {figure.parent}")


def _save_figure(figure: Path, done: "ChosenPoint") -> None:
    """Draw efficiency against false candidates: of all tiles, and of thirds of them by density."""
    from etchscope import plot  # here, so that nothing else waits for Matplotlib

    plot.save(plot.efficiency(done), figure)


def _echo_point(done: "ChosenPoint", *, as_json: bool) -> None:
    """Print a working point, and what a search has by chance at it."""
    import numpy as np

    from etchscope.evaluation import format_chi2

    point, chance, gathered = done.point, done.chance, done.false_chi2_ndf
    if as_json:
        record = {**point.to_record(), "chance": chance.to_dict()}
        record["false_chi2_ndf"] = None if math.isnan(gathered) else gathered
        typer.echo(json.dumps(record, indent=1))
        return
    typer.echo(f"chosen by {point.chosen_by}")
    starts = [c.from_per_mm2 for c in point.classes]
    for one, end in zip(point.classes, [*starts[1:], None], strict=True):
        typer.echo(
            f"{_between(one.from_per_mm2, end)}: score {one.threshold:.3f}, efficiency "
            f"{_percent(one.efficiency)}, false candidates per tile {_rate(one.false_per_tile)}"
        )
    typer.echo(f"efficiency {_percent(point.efficiency)}")
    if not np.isnan(point.efficiency_at_rate[0]):
        typer.echo(f"efficiency at exactly that rate {_percent(point.efficiency_at_rate)}")
    typer.echo(f"by chance (local shifts) {chance}; purity {_percent(point.purity)}")
    typer.echo(f"false candidates per tile: {_rate(point.false_per_tile)}")
    typer.echo(f"false candidates per cm²: {_rate(point.false_per_cm2)}")
    typer.echo(f"intervals over tiles; false candidates per tile: {format_chi2(gathered)}")
    typer.echo(f"measured on {point.measured_on}")


def _between(start: float, end: float | None) -> str:
    if end is None:
        return "at all densities" if start == 0 else f"from {start:.3g} pits per mm² on"
    return f"{start:.3g} to {end:.3g} pits per mm²"


def _percent(figure: "Figure") -> str:
    import numpy as np

    value, low, high = (100 * v for v in figure)
    return "unknown" if np.isnan(value) else f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _rate(figure: "Figure") -> str:
    import numpy as np

    value, low, high = figure
    return "unknown" if np.isnan(value) else f"{value:.3g} [{low:.3g}, {high:.3g}]"
