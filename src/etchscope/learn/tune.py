"""A search for good training parameters, by Optuna."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import optuna
import pandas as pd

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools, Floats
from etchscope.learn.networks import build_network
from etchscope.learn.patches import Patches
from etchscope.learn.training import Training
from etchscope.learn.validate import cross_validate

__all__ = ["search_training"]

_TRIED = ("network", "lights", "loss", "optimiser", "rate", "depth", "width")
"""Settings of a training that a trial chooses."""


def search_training(
    patches: Patches,
    target: Bools,
    training: Training,
    *,
    trials: int = 20,
    count: int = 3,
    seed: int = 0,
    weight: Floats | None = None,
    device: Device = "cpu",
    progress: Callable[[int], None] | None = None,
) -> tuple[Training, pd.DataFrame]:
    """Return the best training, and a table of all that were tried.

    A trial chooses network (so 2-D or 3-D), lights, loss, optimiser, rate, depth and width. Its
    figure is the balanced accuracy over ``count`` folds of regions. The first trial is ``training``
    itself, whose own network, lights, rate and width the others may choose, too. The best of many
    trials looks better than it is: measure it again on other regions.

    Parameters
    ----------
    patches : to train on and to measure with.
    target : (n,) whether a patch is of the first class.
    training : the settings of the first trial, and those that no trial chooses.
    weight, device : see ``train_expert``.
    progress : called with 1 after each trial.
    count : number of folds of regions.
    seed : of the trials, and of each training.

    Returns
    -------
    The training; one row per trial: ``balanced_accuracy``, NaN for a network that the patches do
    not allow, and the settings that were tried.

    Raises
    ------
    BadInput : folds that cannot be split, no trial, no such device, or patches that do not allow
        ``training``.
    """
    if trials < 1:
        raise BadInput("trials", "1 or more", str(trials))
    _require_allowed(training, patches)

    def tried(trial: optuna.Trial) -> float:
        some = _suggested(trial, training, are_planes=patches.lights.are_planes)
        try:
            _require_allowed(some, patches)
        except BadInput as error:
            raise optuna.TrialPruned from error
        done = cross_validate(
            patches, target, some, count=count, seeds=(seed,), weight=weight, device=device
        )
        return float(done.balanced_accuracy.mean())

    ticks = None if progress is None else [lambda *_: progress(1)]
    with _errors_only():
        sampler = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.enqueue_trial({name: getattr(training, name) for name in _TRIED})
        study.optimize(tried, n_trials=trials, callbacks=ticks)
    return replace(training, **study.best_params), _table_of(study)


def _table_of(study: optuna.Study) -> pd.DataFrame:
    """Return one row per trial, the best first."""
    table = pd.DataFrame([{"balanced_accuracy": t.value, **t.params} for t in study.trials])
    table = table.sort_values("balanced_accuracy", ascending=False, kind="stable")
    return table.reset_index(drop=True)


def _suggested(trial: optuna.Trial, training: Training, *, are_planes: bool) -> Training:
    """Return the training of a trial, which is not started anew if it does not learn."""
    networks = _and(("plain", "azimuth", "equivariant"), training.network)
    # A network sees all planes.
    lights = _and(() if are_planes else ("all", "lamps"), training.lights)
    rates = min(3e-4, training.rate), max(3e-2, training.rate)
    widths = min(0.5, training.width), max(2.0, training.width)
    options: dict[str, Any] = {
        "network": trial.suggest_categorical("network", networks),
        "lights": trial.suggest_categorical("lights", lights),
        "loss": trial.suggest_categorical("loss", ["balanced", "focal", "partial-auc"]),
        "optimiser": trial.suggest_categorical("optimiser", ["adam", "sgd"]),
        "rate": trial.suggest_float("rate", *rates, log=True),
        "depth": trial.suggest_int("depth", 2, 4),
        "width": trial.suggest_float("width", *widths, log=True),
    }
    return replace(training, restarts=0, **options)


def _and(choices: tuple[str, ...], own: str) -> list[str]:
    """Return the choices, and the training's own value last if it is another one."""
    return list(dict.fromkeys((*choices, own)))


def _require_allowed(training: Training, patches: Patches) -> None:
    """Refuse a training whose network the patches do not allow."""
    _, used = patches.lights.used(training.lights)
    size, width, depth = patches.pixels.shape[2], training.width, training.depth
    build_network(training.network, used, size, width=width, depth=depth)


@contextmanager
def _errors_only() -> Iterator[None]:
    """Keep Optuna from printing each trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
