"""A search for good training parameters, by Optuna."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import optuna
import pandas as pd

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools, Floats
from etchscope.learn.networks import network
from etchscope.learn.patches import Patches
from etchscope.learn.training import Training
from etchscope.learn.validate import cross_validate

__all__ = ["tune"]


def tune(
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
    """Return the best training found and all that were tried, the best first.

    Tried are network (so 2-D or 3-D), lights, loss, optimiser, rate, depth and width. The figure is
    the balanced accuracy over ``count`` folds of regions; ``training`` itself is the first trial.
    Its own network, lights, rate and width are among what is tried. Choosing the best of many
    flatters its figure: measure it again on other regions.

    Parameters
    ----------
    training : what is not tried stays as it is here.
    weight, device : see ``train_expert``.
    progress : called with 1 after each trial.

    Returns
    -------
    The training, and one row a trial: ``balanced_accuracy``, nan where the patches do not allow the
    network, and the parameters.

    Raises
    ------
    BadInput : folds that cannot be split, no trial, patches that do not allow ``training``, or no
        such device.
    """
    if trials < 1:
        raise BadInput("trials", "1 or more", str(trials))
    _require_allowed(training, patches)
    names = ("network", "lights", "loss", "optimiser", "rate", "depth", "width")
    networks = _and(("plain", "azimuth", "equivariant"), training.network)
    # Of planes all are seen.
    lights = _and(() if patches.lights.are_planes else ("all", "lamps"), training.lights)
    rates = min(3e-4, training.rate), max(3e-2, training.rate)
    widths = min(0.5, training.width), max(2.0, training.width)

    def tried(trial: optuna.Trial) -> float:
        options: dict[str, object] = {
            "network": trial.suggest_categorical("network", networks),
            "lights": trial.suggest_categorical("lights", lights),
            "loss": trial.suggest_categorical("loss", ["balanced", "focal", "partial-auc"]),
            "optimiser": trial.suggest_categorical("optimiser", ["adam", "sgd"]),
            "rate": trial.suggest_float("rate", *rates, log=True),
            "depth": trial.suggest_int("depth", 2, 4),
            "width": trial.suggest_float("width", *widths, log=True),
        }
        some = replace(training, restarts=0, **options)  # type: ignore[arg-type]
        try:
            _require_allowed(some, patches)
        except BadInput as error:
            _tell(progress)
            raise optuna.TrialPruned from error
        done = cross_validate(
            patches, target, some, count=count, seeds=(seed,), weight=weight, device=device
        )
        _tell(progress)
        return float(done.balanced_accuracy.mean())

    with _errors_only():
        sampler = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.enqueue_trial({name: getattr(training, name) for name in names})
        study.optimize(tried, n_trials=trials)
    table = pd.DataFrame([{"balanced_accuracy": t.value, **t.params} for t in study.trials])
    table = table.sort_values("balanced_accuracy", ascending=False, kind="stable")
    best = replace(training, **study.best_params)
    return best, table.reset_index(drop=True)


def _and(choices: tuple[str, ...], own: str) -> list[str]:
    return list(dict.fromkeys((*choices, own)))


def _require_allowed(training: Training, patches: Patches) -> None:
    _, used = patches.lights.used(training.lights)
    size, width, depth = patches.pixels.shape[2], training.width, training.depth
    network(training.network, used, size, width=width, depth=depth)


def _tell(progress: Callable[[int], None] | None) -> None:
    if progress is not None:
        progress(1)


@contextmanager
def _errors_only() -> Iterator[None]:
    """Keep Optuna from printing each trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
