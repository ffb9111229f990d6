"""The command `train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.inputs import parse_prior
from etchscope.cli.options import DeviceName, Json, Region
from etchscope.cli.shipped import train_shipped
from etchscope.cli.trained import require_results, warn_of_few_labels, write_results
from etchscope.foil import BadInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["command"]


def command(
    store: Annotated[
        Path | None, typer.Argument(metavar="STORE", help="The store's folder.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in the store.")] = None,
    scan: Annotated[
        list[str] | None, typer.Option(help="Scans whose labels to use [all]; may be repeated.")
    ] = None,
    region: Region = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class", help="Classes that the model distinguishes [all decidable]; may be repeated."
        ),
    ] = None,
    who: Annotated[
        list[str] | None, typer.Option(help="Whose labels to use [all]; may be repeated.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Use labels of a person, model or coincidence [all]; may be repeated."),
    ] = None,
    alignment: Annotated[
        str | None,
        typer.Option(
            help="Alignment that gives how scans lie to each other [all of the store, the newest "
            "first]."
        ),
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Patches that `label export --patches` wrote, to train on instead of labels.",
        ),
    ] = None,
    signal: Annotated[str | None, typer.Option(help="The class to search for [hip].")] = None,
    experts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Experts as JSON, {"hip-top": [["hip"], ["top"]]} [one for each two classes].',
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="How votes of the experts are combined: stacked, highest, multiclass, or the name "
            "of a plugin.",
        ),
    ] = "stacked",
    network: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Kind of the network: plain, each-lamp, azimuth, equivariant, or the name of a "
            "plugin.",
        ),
    ] = "equivariant",
    lights: Annotated[
        Literal["any", "all", "lamps", "one"],
        typer.Option(
            help="Lights that the network sees: any as planes, or all, lamps or one as they are."
        ),
    ] = "any",
    augmentation: Annotated[
        Literal["none", "C4", "D4", "C8"],
        typer.Option(help="How patches are turned and mirrored at random in training."),
    ] = "D4",
    loss: Annotated[
        Literal["balanced", "focal", "partial-auc"],
        typer.Option(help="Loss that the training minimises."),
    ] = "balanced",
    epochs: Annotated[
        int, typer.Option(min=1, help="Largest number of passes over the labels.")
    ] = 16,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 4e-3,
    size: Annotated[
        int | None, typer.Option(min=4, help="Pixels per side of a patch [28].")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds; each holds whole tiles.")] = 5,
    seed: Annotated[
        int,
        typer.Option(help="Seed of the network weights, the order of the labels and the folds."),
    ] = 0,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES", help="Shares of the classes: hip=0.01,top=0.4,… [equal shares]."
        ),
    ] = None,
    efficiency: Annotated[
        float, typer.Option(help="Efficiency for labelled signal at the first working point.")
    ] = 0.99,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Begin with this model of the store, or this folder of a finder."
        ),
    ] = None,
    tune: Annotated[
        int,
        typer.Option(
            min=0, help="Number of other trainings to try on the first expert beforehand."
        ),
    ] = 0,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE", help="Write the labels that are probably wrong to this table, .csv."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write a page with figures of the training."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the model of that name.")
    ] = False,
    finder: Annotated[
        bool,
        typer.Option(
            "--finder", help="Train a finder, on simulated foils and the labels of STORE."
        ),
    ] = False,
    random_foils: Annotated[
        bool,
        typer.Option(
            "--random-foils", help="Train on simulated foils of every kind, without a store."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="New folder for the weights that --finder or --random-foils train.",
        ),
    ] = None,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the pictures of random foils.")
    ] = None,
    pictures: Annotated[
        int | None,
        typer.Option(min=32, help="Random foils to draw [2560, for the finder 12000]."),
    ] = None,
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Train a model on the store's labels and keep it in the store.

    Every expert is trained once per fold, so that each label is classified by experts that were not
    trained on it. All figures, the ensemble and the working point come from these results.

    Of several labels of one place only one counts: a person's before that of a model or a
    coincidence, and the later one of two people's. Places where labels of the same time disagree
    are left out. Folds are places: scans that `align` or datum holes bring into one frame share
    them.

    Example: etchscope train plate7 --name first --report training

    Example: etchscope train plate7 --name second --patches patches.npz

    Example: etchscope train --random-foils -o experts --work foils

    Example: etchscope train plate7 --finder -o finder --work foils
    """
    from etchscope.api import Store
    from etchscope.api.results import Training

    if finder or random_foils:
        drawing: dict[str, Any] = {"pictures": pictures, "seed": seed, "device": device}
        train_shipped(output, work, store, start, random_foils=random_foils, **drawing)
        return
    store, name = _required_of_store(store, name)
    require_results(audit, report)
    labels: dict[str, Any] = {"scans": scan, "region": region, "who": who, "sources": source}
    labels |= {"alignment": alignment, "size": size}
    if patches is not None:
        _refuse_choices(patches, labels)
    opened = Store.open(store)
    kind: dict[str, Any] = {"network": network, "lights": lights, "augmentation": augmentation}
    with name_options({"name of a model": "--name"}):
        done = opened.train(
            name,
            Training(**kind, loss=loss, epochs=epochs, rate=rate),
            patches=patches,
            signal=signal,
            experts=experts,
            method=method,
            prior=parse_prior(prior),
            efficiency=efficiency,
            folds=folds,
            seed=seed,
            start=start,
            tune=tune,
            tuned=_echo_tried,
            counted=None if as_json else warn_of_few_labels,
            replace=replace,
            device=device,
            progress=True,
            **labels,
            classes=classes,
        )
    write_results(opened, done, audit, report, as_json=as_json)


def _required_of_store(store: Path | None, name: str | None) -> tuple[Path, str]:
    """Refuse a training on labels without a store, or without a name for the model."""
    if store is None:
        raise BadInput("STORE", "a store with labels", "none", "Or give --random-foils.")
    if name is None:
        raise BadInput("--name", "a name for the model", "none")
    return store, name


def _refuse_choices(patches: Path, labels: dict[str, Any]) -> None:
    """Refuse options that choose labels beside a file of patches."""
    names = {"scans": "scan", "sources": "source"}
    for name, value in labels.items():
        if value is not None:
            option = f"--{names.get(name, name)}"
            raise BadInput(option, "no choice of labels beside --patches", str(patches))


def _echo_tried(table: "pd.DataFrame") -> None:
    """Print the best of the trainings that were tried beforehand."""
    typer.echo(table.head(5).to_string(index=False), err=True)
