"""A search for good training parameters, by Optuna."""

from collections.abc import Callable
from dataclasses import replace

import optuna
import pandas as pd

from etchscope.foil import BadInput
from etchscope.foil.types import Bools
from etchscope.learn.patches import Patches
from etchscope.learn.train import Training
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
    progress: Callable[[int], None] | None = None,
) -> tuple[Training, pd.DataFrame]:
    """Return the best training found and all that were tried, the best first.

    Tried are network (so 2-D or 3-D), lights, loss, optimiser, rate, depth and width. The figure is
    the balanced accuracy over ``count`` folds of regions; ``training`` itself is the first trial.
    Choosing the best of many flatters its figure: measure it again on other regions.

    Parameters
    ----------
    training : what is not tried stays as it is here.
    progress : called with 1 after each trial.

    Returns
    -------
    The training, and one row a trial: ``balanced_accuracy`` and the parameters.

    Raises
    ------
    BadInput : folds that cannot be split, or no trial.
    """
    if trials < 1:
        raise BadInput("trials", "1 or more", str(trials))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = ("network", "lights", "loss", "optimiser", "rate", "depth", "width")

    def tried(trial: optuna.Trial) -> float:
        options: dict[str, object] = {
            "network": trial.suggest_categorical("network", ["plain", "azimuth", "equivariant"]),
            "lights": trial.suggest_categorical("lights", ["all", "lamps"]),
            "loss": trial.suggest_categorical("loss", ["balanced", "focal", "partial-auc"]),
            "optimiser": trial.suggest_categorical("optimiser", ["adam", "sgd"]),
            "rate": trial.suggest_float("rate", 3e-4, 3e-2, log=True),
            "depth": trial.suggest_int("depth", 2, 4),
            "width": trial.suggest_float("width", 0.5, 2, log=True),
        }
        some = replace(training, restarts=0, **options)  # type: ignore[arg-type]
        done = cross_validate(patches, target, some, count=count, seeds=(seed,))
        if progress is not None:
            progress(1)
        return float(done.balanced_accuracy.mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: getattr(training, name) for name in names})
    study.optimize(tried, n_trials=trials)
    table = pd.DataFrame([{"balanced_accuracy": t.value, **t.params} for t in study.trials])
    table = table.sort_values("balanced_accuracy", ascending=False, kind="stable")
    best = replace(training, **study.best_params)
    return best, table.reset_index(drop=True)
