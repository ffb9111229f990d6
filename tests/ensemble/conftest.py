"""Planted pits of four classes, and models trained on them once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from etchscope.ensemble import Labelled, TrainedModel, plan_training, train_model
from etchscope.learn import Lights, Patches, Training

CLASSES = ("hip", "top", "bottom", "misc")
LAMPS = Lights((0.0, 90.0, 180.0, 270.0), ("backlit",))
QUICK = Training(
    network="plain", width=0.4, depth=2, epochs=16, patience=16, batch=12, rate=2e-2, restarts=0
)


def planted(
    n: int = 144, *, seed: int = 0, noise: float = 0.2, classes: tuple[str, ...] = CLASSES
) -> Labelled:
    """As many pits of each class, 16 px, in 12 regions that each have some of every class.

    A top pit's far wall faces the lamp, a bottom pit's near wall; a hip is both, one beside the
    other, and misc a dark line that no lamp shades.
    """
    rng = np.random.default_rng(seed)
    y, x = 7.5 - np.mgrid[:16, :16][0], np.mgrid[:16, :16][1] - 7.5
    said = np.array([classes[k % len(classes)] for k in range(n)])
    pixels = rng.normal(0, noise, (n, LAMPS.count, 16, 16))
    for k, name in enumerate(said.tolist()):
        at, along = rng.normal(0, 0.4, 2), rng.uniform(0, 2 * np.pi)
        if name == "misc":
            pixels[k, -1] -= np.abs(x * np.cos(along) + y * np.sin(along)) < 1.5
            continue
        far = 3.5 * np.array([np.cos(along), np.sin(along)]) if name == "hip" else 0 * at
        for surface, centre in (("top", at - far), ("bottom", at + far)):
            if name in (surface, "hip"):
                u, v = x - centre[0], y - centre[1]
                r = np.maximum(np.hypot(u, v), 0.3)
                inside = r < rng.uniform(3, 4)
                pixels[k, -1] -= inside
                for lamp, azimuth in enumerate(np.deg2rad(LAMPS.azimuths_deg)):
                    towards = (u * np.cos(azimuth) + v * np.sin(azimuth)) / r
                    pixels[k, lamp] += inside * (-towards if surface == "top" else towards)
    region = np.arange(n) // len(classes) % 12
    source = pd.DataFrame({"tile": region, "id": np.arange(n)})
    return Labelled(
        Patches(pixels.astype(np.float32), LAMPS, region, np.arange(n)),
        said,
        rng.uniform(5, 20, n),
        "recipe-1",
        np.full(n, 6.45),
        source,
    )


@pytest.fixture(scope="session")
def make_labelled() -> Callable[..., Labelled]:
    return planted


@pytest.fixture(scope="session")
def quick() -> Training:
    return QUICK


@pytest.fixture(scope="session")
def labelled() -> Labelled:
    return planted()


@pytest.fixture(scope="session")
def train() -> Callable[..., TrainedModel]:
    """Plan and train with two folds and four classes unless others are given."""

    def made(
        labelled: Labelled,
        training: Training = QUICK,
        context: Patches | None = None,
        progress: Callable[[int], None] | None = None,
        **options: object,
    ) -> TrainedModel:
        given = {"classes": CLASSES, "signal": "hip", "count": 2}
        plan = plan_training(labelled, training, **(given | options))  # type: ignore[arg-type]
        return train_model(plan, context=context, progress=progress)

    return made


@pytest.fixture(scope="session")
def stacked(labelled: Labelled, train: Callable[..., TrainedModel]) -> TrainedModel:
    return train(labelled)


@pytest.fixture(scope="session")
def highest(labelled: Labelled, train: Callable[..., TrainedModel]) -> TrainedModel:
    return train(labelled, replace(QUICK, epochs=8, batch=16), method="highest")


@pytest.fixture(scope="session")
def multiclass(labelled: Labelled, train: Callable[..., TrainedModel]) -> TrainedModel:
    return train(labelled, method="multiclass")
