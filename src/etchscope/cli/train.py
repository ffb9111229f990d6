"""The command `train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from etchscope.cli.inputs import parse_prior, polygon_of, require_name, require_output
from etchscope.cli.labelled import gather_labels
from etchscope.cli.options import DeviceName, Json, Region
from etchscope.cli.shipped import train_shipped
from etchscope.cli.trained import echo_card, echo_figures, write_results
from etchscope.foil import BadInput
from etchscope.progress import progress_bar

if TYPE_CHECKING:
    from etchscope.ensemble import ExpertKind, TrainedModel
    from etchscope.learn import Training
    from etchscope.run.stages.train import Gathered
    from etchscope.store import Store

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
            help="Alignment that says how scans lie to each other [all of the store, newest first]."
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

    Every expert is trained once per fold, so that each label is judged by experts that never saw
    it. All figures, the ensemble and the working point come from these judgements.

    Of several labels of one place only one counts: a person's before that of a model or a
    coincidence, and the later one of two people's. Places where labels of the same time disagree
    are left out. Folds are places: scans that `align` or datum holes bring into one frame share
    them.

    Example: etchscope train plate7 --name first --report training

    Example: etchscope train plate7 --name second --patches patches.npz

    Example: etchscope train --random-foils -o experts --work foils

    Example: etchscope train plate7 --finder -o finder --work foils
    """
    from etchscope.ensemble import Model, find_method
    from etchscope.learn import Training, device_of
    from etchscope.store import Store

    if finder or random_foils:
        foils: dict[str, Any] = {"random_foils": random_foils, "device": device}
        train_shipped(store, output, work, pictures, seed, start, **foils)
        return
    store, name = _required_of_store(store, name)
    opened = Store.open(store)
    _require_writable(opened, name, audit, report, replace=replace)
    device_of(device)  # refuses a GPU that is not there
    kinds, shares = _kinds(experts), parse_prior(prior)
    before = None if start is None else Model.from_record(*opened.models.load(start))
    kind: dict[str, Any] = {"network": network, "lights": lights, "augmentation": augmentation}
    training = Training(**kind, loss=loss, epochs=epochs, rate=rate)
    if method != "multiclass":
        find_method(method, known=("multiclass",))
    labels: dict[str, Any] = {"scans": scan, "region": polygon_of(region), "who": who}
    labels |= {"sources": source, "alignment": alignment, "size": size}
    if patches is None:
        gathered = gather_labels(opened, planes=lights == "any", classes=classes, **labels)
    else:
        gathered = _read(opened, patches, classes, labels)
    if tune:
        training = _tune(gathered, training, trials=tune, seed=seed, device=device)
    plan: dict[str, Any] = {"signal": signal, "kinds": kinds, "method": method, "prior": shares}
    plan |= {"efficiency": efficiency, "folds": folds, "seed": seed, "start": before}
    plan |= {"device": device, "kept_in": opened.models.training_folder(name)}
    done = _train(gathered, training, plan)
    opened.models.save(name, *done.model.to_record(), replace=replace)
    wrong = write_results(done, audit, report)
    if as_json:
        echo_card(opened, name, gathered.left_out)
        return
    echo_figures(name, done, gathered.left_out)
    if audit is not None:
        typer.echo(f"{audit}: {wrong} labels are probably wrong")
    if report is not None:
        typer.echo(report / "index.html")


def _require_writable(
    store: "Store", name: str, audit: Path | None, report: Path | None, *, replace: bool
) -> None:
    """Refuse what would otherwise fail after hours of training."""
    require_name(name)
    if name in store.models.names() and not replace:
        hint = "Choose another name, or give --replace."
        raise BadInput("--name", "a model that is not there yet", repr(name), hint)
    if audit is not None and audit.suffix.lower() != ".csv":
        raise BadInput(audit, "a name that ends in .csv", repr(audit.suffix))
    require_output(audit)
    if report is not None and report.exists() and not report.is_dir():
        raise BadInput(report, "a folder for the report", "a file")


def _read(
    store: "Store", patches: Path, classes: list[str] | None, labels: dict[str, Any]
) -> "Gathered":
    """Return the patches of a file; refuse options that choose labels beside it."""
    from etchscope.files.patches import read_patches
    from etchscope.run.patch_arrays import arrays_to_gathered

    names = {"scans": "scan", "sources": "source"}
    for name, value in labels.items():
        if value is not None:
            option = f"--{names.get(name, name)}"
            raise BadInput(option, "no choice of labels beside --patches", str(patches))
    return arrays_to_gathered(store, read_patches(patches), where=patches, classes=classes)


def _train(gathered: "Gathered", training: "Training", plan: dict[str, Any]) -> "TrainedModel":
    from etchscope.run.stages.train import train
    from etchscope.run.tuning import count_experts

    networks = plan["folds"] * count_experts(gathered.classes, plan["kinds"], plan["method"])
    with progress_bar("Training", networks) as bar:
        return train(gathered, training, **plan, progress=bar.advance)


def _kinds(path: Path | None) -> "tuple[ExpertKind, ...] | None":
    from etchscope.ensemble import kinds_of
    from etchscope.files.strict_json import read_json

    return None if path is None else kinds_of(read_json(path), where=str(path))


def _required_of_store(store: Path | None, name: str | None) -> tuple[Path, str]:
    """Refuse a training on labels without a store, or without a name for the model."""
    if store is None:
        raise BadInput("STORE", "a store with labels", "none", "Or give --random-foils.")
    if name is None:
        raise BadInput("--name", "a name for the model", "none")
    return store, name


def _tune(gathered: "Gathered", training: "Training", *, trials: int, **how: Any) -> "Training":
    from etchscope.run.tuning import first_kind, tune_training

    kind = first_kind(gathered.classes)
    with progress_bar(f"Trying on {kind.name}", trials) as bar:
        best, table = tune_training(gathered, training, trials=trials, **how, progress=bar.advance)
    typer.echo(table.head(5).to_string(index=False), err=True)
    return best
