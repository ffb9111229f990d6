"""The command `model distil`."""

import json
from typing import Annotated

import typer

from etchscope.cli.model.options import Name
from etchscope.cli.options import DeviceName, Json, StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    name: Name,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Name of the distilled model [NAME-distilled]."),
    ] = None,
    scan: Annotated[
        list[str] | None,
        typer.Option(help="Searched scan to learn on; may be repeated [all of them]."),
    ] = None,
    finds: Annotated[
        int, typer.Option(min=1, help="Most finds to learn on; each takes some 40 kB of memory.")
    ] = 8000,
    seed: Annotated[
        int, typer.Option(min=0, help="Decides which finds are drawn, and the weights.")
    ] = 0,
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Make one network of all networks of a model, for searches of many or dense tiles.

    A model has several experts, and several networks for each. The distilled model has one network,
    which learns the probabilities that the model gives to finds of your own scans; no label is
    needed. The fifth of each scan at one end is not learnt from, and shows how far the two models
    agree. Calibration and working point are taken over: where the loss matters, calibrate anew.
    The distilled model is valid for the lights of these scans only.

    Example: etchscope model distil plate7 first --output quick
    """
    from etchscope.api import Store

    kept = output or f"{name}-distilled"
    done = Store.open(store).distil(
        name, kept, scan=scan, finds=finds, seed=seed, device=device, progress=True
    )
    if as_json:
        typer.echo(json.dumps({"model": kept, **done.to_record()}, indent=1))
        return
    typer.echo(
        f"{kept}: one network instead of {done.networks}, from {done.patches} finds. On "
        f"{done.held_out} finds of other tiles its scores correlate by {done.correlation:.3f} with "
        f"those of {name}; they differ by {done.deviation:.2f} (root mean square) where scores "
        f"spread by {done.spread:.2f}, and {100 * done.same_class:.0f} % have the same class."
    )
    typer.echo(f"Next: `etchscope run {store} --model {kept}`.")
