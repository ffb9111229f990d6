import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import MetaData, Pool, event, select
from sqlalchemy.orm import Session
from tests.postgresql import CannotStart, start_server
from tests.s3 import S3, serve_foils

from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    Scan,
    Tile,
)
from etchscope.store import Store, TilePictures
from etchscope.store.catalogue import Catalogue
from etchscope.store.settings import open_database

EVERY = "ETCHSCOPE_TEST_EVERY_DATABASE"
"""In the environment: run all of these tests with PostgreSQL, not just those of ``QUICK``."""
QUICK = ("test_labels", "test_many_writers", "test_rows", "test_runs", "test_store")
TIMES = ("added_at", "committed_at", "saved_at")


@dataclass(frozen=True)
class Made:
    """A scan made up from a seed, with its pixels (tile, channel, y, x)."""

    scan: Scan
    foil: Foil
    pixels: np.ndarray

    def read(self, number: int) -> TilePictures:
        sources = tuple(f"{number}_{c.step}.tga" for c in self.scan.channels)
        return TilePictures(self.pixels[number - 1], sources)

    def read_but(self, *bad: int) -> Callable[[int], TilePictures]:
        def read(number: int) -> TilePictures:
            if number in bad:
                raise BadInput(f"{number}_1.tga", "an intact picture", "damage")
            return self.read(number)

        return read


def make(name: str = "F1-front", *, tiles: int = 11, dtype: str = "uint8", seed: int = 1) -> Made:
    rng = np.random.default_rng(seed)
    shape = (tiles, 3, 12, 16)
    pixels = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    foil, _, side = name.rpartition("-")
    channels = [Channel(step=s, role="directional", azimuth_deg=45.0 * s) for s in (1, 2)]
    scan = Scan(
        name=name,
        foil=foil,
        side=side,
        layout="smartscope",
        pixel_size_um=6.4516,
        image_size=(12, 16),
        dtype=dtype,
        channels=(*channels, Channel(step=9, role="backlit", focus_um=12.5)),
        datum=((2, 3.5, 4.0), (5, 1.0, 1.0), (7, 2.0, 2.0)) if tiles > 6 else (),
        tiles=tuple(
            Tile(
                number=i + 1,
                stage_x_mm=0.1 * i,
                stage_y_mm=-1.0 / 3,
                metadata={"exposure_ms": i / 2, "remark": f"it's {i}"},
            )
            for i in range(tiles)
        ),
        metadata={"operator": "x", "nested": {"a": [1, 2.5, None]}},
    )
    return Made(scan, Foil(name=foil, stack="S1", thickness_um=500.0, etch={"h": 1}), pixels)


def snapshot(root: Path) -> dict[str, str]:
    """Every file's bytes, and the catalogue's rows without the times."""
    files = {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and not p.name.startswith("catalogue.sqlite")  # and its log
    }
    return files | catalogue_rows(root)


def catalogue_rows(root: Path) -> dict[str, str]:
    database, tables, out = open_database(root), MetaData(), {}
    with database.open_engine().begin() as connection:
        tables.reflect(connection)
        for name, table in sorted(tables.tables.items()):
            kept = [column for column in table.columns if column.name not in TIMES]
            rows = connection.execute(select(*kept)).fetchall()
            out[f"table {name}"] = repr(sorted(map(repr, rows)))
    return out


_numbers = count()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a database of PostgreSQL."""
    try:
        with start_server() as address:
            yield address
    except CannotStart as why:
        pytest.skip(str(why))


@pytest.fixture
def address(server: str) -> str:
    """The address of a schema that is not there yet."""
    return f"{server}&schema=s{next(_numbers)}"


@pytest.fixture
def s3() -> Iterator[S3]:
    """An object store, with the bucket ``foils``."""
    pytest.importorskip("obstore")
    with serve_foils() as server:
        yield server


@pytest.fixture
def made() -> Made:
    return make()


@pytest.fixture
def empty(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """An empty store, in SQLite and then in PostgreSQL; see ``pytest_generate_tests``."""
    is_postgresql = getattr(request, "param", "sqlite") == "postgresql"
    address = request.getfixturevalue("address") if is_postgresql else None
    return Store.create(tmp_path / "store", catalogue=address)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a store with each database, unless it is about SQLite alone."""
    if "empty" not in metafunc.fixturenames:
        return
    is_alone = metafunc.definition.get_closest_marker("sqlite") or "old" in metafunc.fixturenames
    is_chosen = metafunc.module.__name__.rpartition(".")[2] in QUICK or EVERY in os.environ
    databases = ["sqlite", "postgresql"] if is_chosen and not is_alone else ["sqlite"]
    metafunc.parametrize("empty", databases, indirect=True)


@pytest.fixture
def store(empty: Store, made: Made) -> Store:
    empty.scans.add(made.scan, made.foil, made.read, workers=2)
    return empty


@pytest.fixture
def few_variables() -> Iterator[None]:
    """SQLite takes eight variables a statement, as it takes 32,766 or 250,000 elsewhere."""

    def limit(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 8)

    event.listen(Pool, "connect", limit)
    yield
    event.remove(Pool, "connect", limit)


@pytest.fixture
def after_next_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have a function called once, when the next transaction that writes has committed."""
    original = Catalogue.writing

    def set_up(call: Callable[[], None]) -> None:
        @contextmanager
        def writing(catalogue: Catalogue) -> Iterator[Session]:
            with original(catalogue) as session:
                yield session
            monkeypatch.setattr(Catalogue, "writing", original)
            call()

        monkeypatch.setattr(Catalogue, "writing", writing)

    return set_up


@pytest.fixture
def make_scan() -> Callable[..., Made]:
    return make


@pytest.fixture
def take_snapshot() -> Callable[[Path], dict[str, str]]:
    return snapshot
