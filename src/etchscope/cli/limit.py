"""The command `limit`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.messages import echo_json, echo_table
from etchscope.cli.options import Json, OptionalStore

if TYPE_CHECKING:
    import pandas as pd

    from etchscope.api.results import LimitReport

__all__ = ["command"]

_STATED = (
    "observed",
    "background",
    "background_error",
    "efficiency",
    "efficiency_error",
    "effective_area_cm2_sr",
    "effective_area_error_cm2_sr",
    "area_m2",
    "solid_angle_sr",
    "years",
)
_ERRORS = {name: "--" + name.replace("_", "-") for name in (*_STATED, "points")} | {
    "expected false candidates": "--false-above"
}
"""What an error of the API names → the option."""


def command(
    store: OptionalStore = None,
    scan: Annotated[
        str | None, typer.Option(help="Scan whose candidates to count [the only scored one].")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run whose candidates to count [the latest of the scan].")
    ] = None,
    observed: Annotated[
        int | None, typer.Option(help="Observed candidates [those that the store selected].")
    ] = None,
    background: Annotated[
        float | None, typer.Option(help="Expected number of false candidates [0].")
    ] = None,
    background_error: Annotated[
        float | None, typer.Option(help="Standard deviation of the expected number [0].")
    ] = None,
    efficiency: Annotated[
        float | None, typer.Option(help="Share of the particles that is selected, 0 to 1.")
    ] = None,
    efficiency_error: Annotated[
        float | None, typer.Option(help="Standard deviation of the efficiency [0].")
    ] = None,
    effective_area_cm2_sr: Annotated[
        float | None, typer.Option(help="Area times acceptance times efficiency, instead of them.")
    ] = None,
    effective_area_error_cm2_sr: Annotated[
        float | None, typer.Option(help="Standard deviation of the effective area [0].")
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="One row per point with these columns and labels such as z_over_beta: .csv, "
            ".parquet, .json.",
        ),
    ] = None,
    area_m2: Annotated[float | None, typer.Option(help="Searched area in m².")] = None,
    solid_angle_sr: Annotated[
        float | None,
        typer.Option(help="Acceptance per area in sr: 3.14159 for a foil open to half the sky."),
    ] = None,
    years: Annotated[
        float | None, typer.Option(help="Exposure in years, for a flux [fluence only].")
    ] = None,
    false_above: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Expected false candidates at a score or above, columns score and expected: "
            "p-values of the store's candidates.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for CSV, JSON, workspaces of pyhf, a HEPData submission and a figure.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Set limits on the number, the fluence and the flux of particles, by three methods.

    Example: etchscope limit --observed 0 --efficiency 1 --area-m2 427 --solid-angle-sr 3.14159
    --years 4.22
    """
    from etchscope import api

    with name_options(_ERRORS):
        report = api.limit(
            observed=observed,
            background=background,
            background_error=background_error,
            efficiency=efficiency,
            efficiency_error=efficiency_error,
            effective_area_cm2_sr=effective_area_cm2_sr,
            effective_area_error_cm2_sr=effective_area_error_cm2_sr,
            points=points,
            area_m2=area_m2,
            solid_angle_sr=solid_angle_sr,
            years=years,
            store=None if store is None else api.Store.open(store),
            scan=scan,
            run=run,
            false_above=false_above,
        )
    written = [] if output is None else api.write_limits(report, output)
    if as_json:
        echo_json(report.to_dict())
        return
    _echo_report(report)
    if false_above is not None and report.ranking is None:
        typer.echo("no candidate was selected, so there is no ranking to compare with background")
    for path in written:
        typer.echo(path)


def _echo_report(report: "LimitReport") -> None:
    for name in report.runs:
        typer.echo(f"candidates of {name}")
    echo_table(_side_by_side(report.limits, report.highs()))
    said = report.limits.loc[report.limits["why"] != "", ["point", "valid", "why"]]
    for point, valid, why in said.drop_duplicates().itertuples(index=False):
        typer.echo(f"point {point}{'' if valid else ' is not valid'}: {why}")
    typer.echo(report.advice)
    if report.ranking is not None:
        r = report.ranking
        doubt = "" if r.valid else f" (not valid: {r.why})"
        typer.echo(
            f"background alone leaves a ranking like this with p = {r.p_global:.2g} "
            f"± {r.p_global_error:.1g}, all ranks together{doubt}"
        )


def _side_by_side(limits: "pd.DataFrame", highs: Sequence[str]) -> "pd.DataFrame":
    """Return one row per point, confidence and quantity that is known, a column per method."""
    import pandas as pd

    columns = [str(name) for name in limits.columns]
    labels = columns[: columns.index("observed") + 1]
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for limit in limits.to_dict("records"):
        for high in highs:
            if pd.isna(limit[high]):
                continue
            quantity = _name_quantity(high)
            row = {name: limit[name] for name in labels}
            row |= {"confidence": f"{100 * limit['confidence']:g} %", "limit on": quantity}
            low = limit.get(high.replace("high", "low"), 0.0)
            text = f"{low:.3g} to {limit[high]:.3g}" if low > 0 else f"< {limit[high]:.3g}"
            key = (limit["point"], limit["confidence"], quantity)
            rows.setdefault(key, row)[limit["method"]] = text
    return pd.DataFrame(rows.values())


def _name_quantity(column: str) -> str:
    kind, _, unit = column.replace("_high", "").partition("_per_")
    if unit:
        return f"{kind} (/{unit.replace('_', '/')})"
    return "particles" if kind == "high" else "particles, expected"
