"""The command `inject`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.inputs import require_scans
from etchscope.cli.messages import echo_json
from etchscope.cli.options import DeviceName, ExecutorName, Json, StorePath
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.api.results import InjectionReport

__all__ = ["command"]


def _range(text: str | None, name: str) -> tuple[float, float] | None:
    """Return the two numbers of ``LOW,HIGH``."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise BadInput(name, "two numbers LOW,HIGH", repr(text)) from error
    return low, high


def command(
    store: StorePath,
    scan: Annotated[
        str | None, typer.Option(help="Scan to inject into [the only one of the store].")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model of the store that scores what is found [none].")
    ] = None,
    tiles: Annotated[int, typer.Option(min=1, help="Tiles to inject into.")] = 100,
    particles_per_tile: Annotated[
        int | None,
        typer.Option(min=1, help="Most particles on a tile [10, and at most a tenth of its pits]."),
    ] = None,
    z_over_beta: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Range of charge over velocity.")
    ] = None,
    etch_ratio: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Range of V = V_T / V_B [1.6,6].")
    ] = None,
    max_zenith_deg: Annotated[
        float | None, typer.Option(help="Largest angle to the normal of the foil [35].")
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Scan without signal, to count false candidates.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of places, particles and noise.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for tables and figures."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of threads or processes [all cores].")
    ] = None,
    executor: ExecutorName = "threads",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Put signal into copies of a scan's tiles, and measure what the search finds of it.

    The copies are a scan of their own, which `ls` shows as injected and `rm` removes. Pictures,
    tables and models of the scan stay as they are.

    Example: etchscope inject plate7 --scan F1-front --model first -o injected
    """
    from etchscope.api import Store
    from etchscope.api.injection import signal_of

    opened = Store.open(store)
    names = require_scans(opened, scan, store)
    if len(names) > 1:
        raise BadInput("--scan", f"one of {', '.join(names)}", "none")
    ranges = (_range(z_over_beta, "--z-over-beta"), _range(etch_ratio, "--etch-ratio"))
    with name_options({"signal": "--z-over-beta and --etch-ratio"}):
        signal = signal_of(
            opened, names[0], z_over_beta=ranges[0], v=ranges[1], max_zenith_deg=max_zenith_deg
        )
    report = opened.inject(
        names[0],
        output,
        signal=signal,
        tiles=tiles,
        particles_per_tile=particles_per_tile,
        seed=seed,
        model=model,
        control=control,
        workers=workers,
        executor=executor,
        device=device,
        progress=True,
    )
    echo_json(report.to_dict()) if as_json else _echo(report, output)


def _echo(report: "InjectionReport", output: Path | None) -> None:
    """Print the efficiency of each stage and the effective area."""
    count, tiles = len(report.particles), report.particles["tile"].nunique()
    typer.echo(f"{report.injected}: {count} particles on {tiles} tiles of {report.scan}")
    for stage in report.reached.columns:
        one = report.efficiency(stage=str(stage))
        text = f"not known: {one.why}"
        if one.valid:
            bounds = f"[{100 * one.low:.1f}, {100 * one.high:.1f}]"
            text = f"{100 * one.value:.1f} % {bounds}, {100 * one.chance:.1f} % by chance"
        typer.echo(f"{stage}: {text}")
    area = report.effective_area()
    if area["valid"]:
        bounds = f"[{area['low']:.3g}, {area['high']:.3g}]"
        typer.echo(f"effective area: {area['value']:.3g} {bounds} cm² sr")
    if output is not None:
        typer.echo(output / "injection.json")
