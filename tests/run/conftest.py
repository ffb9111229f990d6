import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etchscope.foil import Foil, Scan
from etchscope.run import FindReport, find
from etchscope.simulation import Optics, Population, SimulatedScan, Stage
from etchscope.store import Store, TilePictures

FULL = SimulatedScan(seed=4, columns=2, rows=2, population=Population.of(50, 3))
"""Four tiles that overlap, as large as real ones."""
BACK = SimulatedScan(seed=4, columns=2, rows=2, population=Population.of(50, 3), side="back")
SMALL = SimulatedScan(
    seed=5,
    columns=5,
    rows=2,
    population=Population.of(100, 25),
    optics=Optics(image_size=(96, 128)),
    stage=Stage(overlap_px=(-60, -60)),
)
"""Ten tiles that do not, quick to search."""


def add_to(
    store: Store,
    foil: SimulatedScan,
    scan: Scan | None = None,
    pixels: Callable[[np.ndarray], np.ndarray] = lambda stack: stack,
) -> None:
    """Add a simulated scan, or a changed one with some of its channels, to a store."""
    scan = scan or foil.scan
    steps = [c.step for c in foil.scan.channels]
    kept = [steps.index(c.step) for c in scan.channels]

    def read(number: int) -> TilePictures:
        stack = pixels(foil.read_tile(number)[kept])
        return TilePictures(stack, tuple(f"{number}_{c.step}.tga" for c in scan.channels))

    store.scans.add(scan, Foil(name=scan.foil), read)


def _benchmark(name: str) -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def take_snapshot() -> Callable[[Path], dict[str, str]]:
    """The kill benchmark's own: every file's bytes, every row without its times."""
    snapshot: Callable[[Path], dict[str, str]] = _benchmark("kill").snapshot
    return snapshot


@pytest.fixture(scope="session")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store.create(tmp_path_factory.mktemp("small") / "store")
    add_to(store, SMALL)
    return store


@pytest.fixture
def small(_small: Store, tmp_path: Path) -> Store:
    """A store of its own with the small scan, not searched yet."""
    return Store.open(shutil.copytree(_small.path, tmp_path / "small"))


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, FindReport]:
    """A store with the large front scan and its search; to be read only."""
    store = Store.create(tmp_path_factory.mktemp("searched") / "store")
    add_to(store, FULL)
    return store, find(store, FULL.scan.name)


@pytest.fixture
def add_scan() -> Callable[..., None]:
    return add_to


@pytest.fixture
def full_foil() -> SimulatedScan:
    return FULL


@pytest.fixture
def back_foil() -> SimulatedScan:
    return BACK


@pytest.fixture
def small_foil() -> SimulatedScan:
    return SMALL
