"""The command `model working-point`."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from etchscope.files import read_table
from etchscope.foil import BadInput
from etchscope.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from etchscope.ensemble import WorkingPoint
    from etchscope.evaluate import Figure, Search
from etchscope.cli.model.options import Name
from etchscope.cli.model.scored import scored_run
from etchscope.cli.options import (
    Json,
    StorePath,
)

__all__ = ["command"]


def command(
    store: StorePath,
    name: Name,
    truth: Annotated[
        Path, typer.Option(metavar="TABLE", help="All true signal of the scan, .csv or .parquet.")
    ],
    scan: Annotated[str | None, typer.Option(help="Scan that was scored [the only one].")] = None,
    efficiency: Annotated[float | None, typer.Option(help="Efficiency to reach.")] = None,
    false_per_tile: Annotated[
        float | None, typer.Option(help="False candidates a tile to allow.")
    ] = None,
    tolerance_px: Annotated[
        float, typer.Option(min=0.1, help="A candidate closer to a true opening is true.")
    ] = 6.0,
    measure_on: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="All true signal of another scored scan, to measure on [the other half of tiles].",
        ),
    ] = None,
    measure_scan: Annotated[
        str | None, typer.Option(help="The other scan, with --measure-on.")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Efficiency against false candidates, by density of pits."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose where a model draws the line, on a scored scan whose signal is known.

    The scan must have been scored with this model (`etchscope run`). There is a threshold for each
    class of local density of pits, with as many false candidates by area in each. A threshold
    flatters the tiles that it was chosen on, so the figures are those of thresholds chosen on one
    half of the tiles and measured on the other half, or on another scan.

    Example: etchscope model working-point plate7 first --truth truth.parquet --false-per-tile 0.1
    """
    from etchscope.ensemble import Model, measured_working_point
    from etchscope.evaluate import Asked
    from etchscope.run.search import search_of_run

    if figure is not None and figure.suffix.lower() != ".png":
        raise BadInput("--figure", "a name that ends in .png", str(figure))
    if figure is not None and not figure.absolute().parent.is_dir():
        raise BadInput(figure, "an existing folder", f"no {figure.parent}")
    if (measure_on is None) != (measure_scan is None):
        raise BadInput("--measure-on", "a table together with --measure-scan", "one of them")
    asked = Asked(efficiency, false_per_tile)
    opened = Store.open(store)
    model = Model.from_record(*opened.models.load(name))
    searching = partial(search_of_run, opened, signal=model.signal, tolerance_px=tolerance_px)
    run = scored_run(opened, name, scan)
    search_of = partial(searching, run, read_table(truth), where=str(truth))
    search, _ = search_of()
    judged, where = search, _words(search, model.signal, run)
    how = f"{where}, chosen on one half of the tiles and measured on the other"
    if measure_on is not None:
        there = scored_run(opened, name, measure_scan)
        if there == run:
            raise BadInput("--measure-scan", "another scan than the one to choose on", there)
        judged, _ = searching(there, read_table(measure_on), where=str(measure_on))
        how = f"{_words(judged, model.signal, there)}; chosen on {where}"
    other = None if measure_on is None else judged
    point = measured_working_point(
        search, asked, chosen_by=str(asked), measured_on=how, other=other
    )
    opened.models.save(name, *model.at(point).to_record(), replace=True)
    if figure is not None:
        _draw(figure, opened, run, search, search_of, point)
    _tell_point(point, judged, as_json=as_json)


def _words(search: "Search", signal: str, run: str) -> str:
    return f"{search.particles} true {signal} on {search.tiles:g} tiles, {run}"


def _tell_point(point: "WorkingPoint", search: "Search", *, as_json: bool) -> None:
    """Print a working point, and what a search has by chance at it."""
    from etchscope.evaluate import chi2_text

    density = np.full(len(search.score), np.nan)
    if search.ground is not None:
        density = search.ground.candidates
    thresholds = point.threshold_at(density)
    chance, gathered = search.chance(thresholds), search.false_chi2_ndf(thresholds)
    if as_json:
        told = {**point.to_record(), "chance": chance.to_dict()}
        told["false_chi2_ndf"] = None if math.isnan(gathered) else gathered
        typer.echo(json.dumps(told, indent=1))
        return
    typer.echo(f"chosen by {point.chosen_by}")
    starts = [c.from_per_mm2 for c in point.classes]
    for one, end in zip(point.classes, [*starts[1:], None], strict=True):
        typer.echo(
            f"{_between(one.from_per_mm2, end)}: score {one.threshold:.3f}, efficiency "
            f"{_percent(one.efficiency)}, false candidates a tile {_rate(one.false_per_tile)}"
        )
    typer.echo(f"efficiency {_percent(point.efficiency)}")
    if not np.isnan(point.efficiency_at_rate[0]):
        typer.echo(f"efficiency at exactly that rate {_percent(point.efficiency_at_rate)}")
    typer.echo(f"by chance (local shifts) {chance}; purity {_percent(point.purity)}")
    typer.echo(f"false candidates a tile: {_rate(point.false_per_tile)}")
    typer.echo(f"false candidates a cm²: {_rate(point.false_per_cm2)}")
    typer.echo(f"intervals over tiles; false candidates a tile: {chi2_text(gathered)}")
    typer.echo(f"measured on {point.measured_on}")


def _between(start: float, end: float | None) -> str:
    if end is None:
        return "at all densities" if start == 0 else f"from {start:.3g} pits a mm² on"
    return f"{start:.3g} to {end:.3g} pits a mm²"


def _percent(figure: "Figure") -> str:
    value, low, high = (100 * v for v in figure)
    return "unknown" if np.isnan(value) else f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _rate(figure: "Figure") -> str:
    value, low, high = figure
    return "unknown" if np.isnan(value) else f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _draw(
    path: Path,
    store: Store,
    run: str,
    search: "Search",
    search_of: "Callable[..., tuple[Search, pd.DataFrame]]",
    point: "WorkingPoint",
) -> None:
    """Draw efficiency against false candidates: of all tiles, and of thirds of them by density."""
    from etchscope.draw.efficiency import draw_froc
    from etchscope.draw.png import encode_figure
    from etchscope.evaluate import free_response
    from etchscope.pages.writing import write_picture
    from etchscope.run.search import tiles_by_density

    curves = {f"all {search.tiles:g} tiles": free_response(search)}
    for name, tiles in tiles_by_density(store, run).items():
        try:
            curves[name] = free_response(search_of(only_tiles=tiles)[0])
        except BadInput:  # no signal, or nothing valid, on so dense tiles
            continue
    place = (point.false_per_tile[0], point.efficiency[0])
    drawn = draw_froc(
        curves,
        tile_cm2=search.area_cm2 / search.tiles if search.area_cm2 > 0 else None,
        working_point=None if np.isnan(place).any() else place,
    )
    write_picture(encode_figure(drawn), path)
