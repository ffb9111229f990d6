import errno
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from etchscope.align import AlignedStack, align_stack
from etchscope.foil import Channel, Foil, PitList, Scan, Side, Tile
from etchscope.geometry import Similarity
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
    snapshot: Callable[[Path], dict[str, str]] = _benchmark("kill").take_snapshot
    return snapshot


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no locks, such as Lustre as it is often mounted."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("etchscope.files.locks.fcntl.flock", refuse)


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


_PLACES = np.random.default_rng(5).uniform(0, [3.0, 2.0], (120, 2))


def _list(name: str, xy: np.ndarray, side: Side = "front") -> PitList:
    return PitList(name, name, side, pd.DataFrame({"x_mm": xy[:, 0], "y_mm": xy[:, 1]}))


@pytest.fixture
def places() -> np.ndarray:
    """Return where particles went through foils, (120, 2) mm."""
    return _PLACES


@pytest.fixture
def list_of() -> Callable[..., PitList]:
    return _list


@pytest.fixture
def stack() -> AlignedStack:
    """Return three foils that the same particles went through."""
    way = Similarity(0.02, shift_x=0.1, shift_y=-0.05)
    lists = [_list("a", _PLACES), _list("b", _PLACES + 0.03), _list("d", way.apply(_PLACES[:90]))]
    return align_stack(lists, max_angle_rad=0.04)


@pytest.fixture
def store_of_d(tmp_path: Path) -> Store:
    """Return a store: of foil d, tiles that show x from −0.5 to 1.5 mm."""
    made = Store.create(tmp_path / "store")
    scan = Scan(
        name="d-front",
        foil="d",
        layout="plain",
        pixel_size_um=100.0,
        image_size=(40, 20),
        channels=(Channel(step=9, role="backlit"),),
        tiles=(Tile(number=1, stage_x_mm=0.5, stage_y_mm=1.0),),
        datum=((1, 5.0, 30.0), (1, 5.0, 5.0), (1, 15.0, 30.0)),
    )
    picture = TilePictures(np.full((1, 40, 20), 100, np.uint8), ("one",))
    made.scans.add(scan, Foil(name="d"), lambda number: picture)
    return made


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Return a connection to a cluster of four workers in this process."""
    with (
        LocalCluster(
            n_workers=4, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as local,
        Client(local, set_as_default=False) as connection,
    ):
        yield connection
