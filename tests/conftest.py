"""A small foil with labels and a model trained on them, made once for all folders that need it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from etchscope.ensemble import Model, TrainedModel, WorkingPoint
from etchscope.foil import Channel, Foil, Scan, Tile
from etchscope.learn import Training, set_threads
from etchscope.run import find
from etchscope.run.stages.training import Gathered, gather, train
from etchscope.simulation import Optics, Population, SimulatedScan, Stage
from etchscope.store import Store, TilePictures

LONGEST = (
    "test_docs.py",
    "run/stages/test_finding.py",
    "run/test_finder.py",
    "pages/test_report.py",
    "cli/test_learn.py",
    "preselect/test_density.py",
    "cli/test_analyse.py",
    "preselect/test_pairs.py",
    "run/stages/test_simulating.py",
    "imaging/test_ground.py",
)
"""The files that take most of a minute or more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first: the last one keeps a process busy while the others wait."""
    rank = {Path(__file__).parent / file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


WHO = {"who": "anna", "source": "person", "when": "2026-05-01"}
MISC_A_TILE = 4


def simulated(seed: int = 11, **changes: object) -> SimulatedScan:
    """Eight small tiles that do not overlap, with about twenty openings each."""
    given = {
        "seed": seed,
        "columns": 4,
        "rows": 2,
        "population": Population.of(150, 60),
        "optics": Optics(image_size=(144, 192)),
        "stage": Stage(overlap_px=(-60, -60)),
    }
    return SimulatedScan(**(given | changes))


def added(store: Store, foil: SimulatedScan) -> Store:
    names = tuple(f"step {c.step}" for c in foil.scan.channels)
    store.scans.add(
        foil.scan, Foil(name=foil.scan.foil), lambda n: TilePictures(foil.read_tile(n), names)
    )
    return store


def labels_of(foil: SimulatedScan, pits: pd.DataFrame) -> pd.DataFrame:
    """The true openings, a pair at its entry pit, and as misc places where no find is near."""
    truth = foil.truth()
    truth = truth[(truth["class"] != "hip") | (truth["surface"] == "top")]
    rng = np.random.default_rng(0)
    height, width = foil.optics.image_size
    empty = []
    for tile in foil.scan.tiles:
        own = pits[pits["tile"] == tile.number][["x_px", "y_px"]].to_numpy()
        places = rng.uniform([15, 15], [width - 15, height - 15], (500, 2))
        far = np.linalg.norm(places[:, None] - own, axis=2).min(1) > 14
        empty += [(tile.number, x, y) for x, y in places[far][:MISC_A_TILE]]
    misc = pd.DataFrame(empty, columns=["tile", "x_px", "y_px"])
    misc = misc.assign(scan=foil.scan.name, **{"class": "misc.scratch"})
    columns = ["scan", "tile", "x_px", "y_px", "class"]
    return pd.concat([truth[columns], misc[columns]], ignore_index=True).assign(**WHO)


_PIXEL_MM = 0.01


@dataclass(frozen=True)
class Learnt:
    """``store`` has the scan, its search, labels, and the model "first"; to be read only."""

    store: Store
    foil: SimulatedScan
    search: str
    gathered: Gathered
    done: TrainedModel
    training: Training

    @property
    def scan(self) -> str:
        return self.foil.scan.name


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    foil = simulated()
    store = added(Store.create(tmp_path_factory.mktemp("learnt") / "store"), foil)
    report = find(store, foil.scan.name, executor="inline")
    store.labels.add(labels_of(foil, store.runs.pits(report.run)))
    training = Training(network="plain", epochs=6, rate=8e-3, batch=16, restarts=0)
    threads = set_threads(1)
    try:
        gathered = gather(store, size=20)
        done = train(gathered, training, folds=2)
    finally:
        set_threads(threads)
    store.models.save("first", *done.model.to_record())
    return Learnt(store, foil, report.run, gathered, done, training)


@pytest.fixture
def own(learnt: Learnt, tmp_path: Path) -> Store:
    """A copy of the learnt store, to be written to."""
    return Store.open(shutil.copytree(learnt.store.path, tmp_path / "own"))


@pytest.fixture
def simulated_foil():
    """``simulated``: make another small foil."""
    return simulated


@pytest.fixture
def add_foil():
    """``added``: put a simulated foil into a store."""
    return added


@pytest.fixture(scope="session")
def at_threshold():
    """Return a model with one threshold for all densities."""

    def moved(model: Model, threshold: float) -> Model:
        return model.at(WorkingPoint.of_one(threshold, "by hand", "nothing"))

    return moved


@pytest.fixture
def make_scan() -> Callable[..., Scan]:
    """A 2 × 2 grid of 40 × 60 px tiles, 0.5 mm and 0.3 mm apart, of 10 µm pixels."""

    def make(**change: Any) -> Scan:
        tiles = [
            Tile(number=n, stage_x_mm=7 + 0.5 * (n // 2), stage_y_mm=3 - 0.3 * (n % 2))
            for n in range(4)
        ]
        values: dict[str, Any] = {
            "name": "s",
            "foil": "f",
            "layout": "smartscope",
            "pixel_size_um": 1000 * _PIXEL_MM,
            "image_size": (40, 60),
            "channels": (Channel(step=9, role="backlit"),),
            "tiles": tuple(tiles),
        }
        return Scan(**(values | change))

    return make
