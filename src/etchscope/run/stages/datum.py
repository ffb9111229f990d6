"""Find the datum holes that the pictures of a scan show, and keep them in the store."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etchscope.align import find_holes
from etchscope.files.digests import digest_of
from etchscope.foil import BadInput, Scan
from etchscope.run.executors import choose_executor
from etchscope.run.stage import Piece, Progress, carry_out, tile_pieces
from etchscope.store import Store
from etchscope.store.fit_records import DatumFit

__all__ = ["Hole", "find_datum"]

Hole = tuple[int, float, float]
"""(tile, x_px, y_px) of the centre of a hole."""


def find_datum(
    store: Store,
    scan: str,
    *,
    workers: int | None = None,
    executor: str = "threads",
    progress: Progress | None = None,
    total: Progress | None = None,
) -> tuple[Hole, ...]:
    """Return (tile, x_px, y_px) of each datum hole that the pictures of a scan show whole.

    The backlit pictures of the included tiles are searched, or else those of the first light. The
    store keeps the holes of a scan and its tiles, so that they are searched for once.

    Parameters
    ----------
    workers : threads or processes; as many as there are cores unless given.
    executor : name of an executor, see ``run.executors``.
    progress : called with the number of tiles just done.
    total : called once with the number of tiles, before the first.

    Raises
    ------
    BadInput : no such scan or executor, its scale is unknown, or its pictures are damaged.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    chosen, record = choose_executor(executor), store.scans.get(scan)
    if record.pixel_size_um is None:
        raise BadInput(f"scan {scan}", "a pixel size", "none", hint="Give pixel_size_um.")
    stage = _DatumSearch(store, record)
    if not stage.is_committed():
        store.compressions.refuse(scan, f"datum holes of scan {scan}")
    return carry_out(stage, chosen, workers=workers, progress=progress, total=total)


@dataclass(frozen=True)
class _DatumSearch:
    """A search for datum holes: its pieces are tiles, its parts and its whole are fits."""

    store: Store
    scan: Scan

    @property
    def tiles(self) -> tuple[int, ...]:
        return tuple(tile.number for tile in self.scan.included)

    @property
    def recipe(self) -> str:
        """The name of the fit: all that decides which holes are found."""
        scan = self.scan.name
        key = [self.store.scans.digest(scan), list(self.tiles), version("etchscope")]
        return f"datum-{digest_of(key)[:16]}"

    @property
    def pieces(self) -> Sequence[Piece]:
        return tile_pieces(self.tiles)

    @property
    def work(self) -> partial[None]:
        return partial(_search_piece, self.store.path.absolute(), self.scan, self.recipe)

    def parts(self) -> dict[int, Any]:
        begin = _part(self.recipe, "")
        kept = self.store.fits.records(self.scan.name, begin, DatumFit)
        return {int(name.removeprefix(begin)): list(one.tiles) for name, one in kept.items()}

    def hold(self) -> AbstractContextManager[object]:
        scan = self.scan.name
        return self.store.hold(f"{self.recipe}-{scan}", f"datum holes of scan {scan}")

    def is_committed(self) -> bool:
        return self._kept(self.recipe) is not None

    def commit(self) -> tuple[Hole, ...]:
        """Keep the holes of all tiles as one fit, and drop the parts."""
        found: list[Hole] = []
        for piece in self.pieces:
            part = self._kept(_part(self.recipe, piece.index))
            if part is None:
                raise BadInput(f"scan {self.scan.name}", "the holes of all its tiles", "not all")
            found += part
        _keep(self.store, self.scan.name, self.recipe, found, self.tiles)
        return self.renew()

    def renew(self) -> tuple[Hole, ...]:
        """Return the holes that are kept, and drop the parts that a kill has left."""
        parts = self.store.fits.records(self.scan.name, _part(self.recipe, ""), DatumFit)
        self.store.fits.drop(self.scan.name, parts)
        return self._kept(self.recipe) or ()

    def _kept(self, recipe: str) -> tuple[Hole, ...] | None:
        """Return the holes of a fit; None without it."""
        known = self.store.fits.load(self.scan.name, recipe, DatumFit)
        if known is None:
            return None
        columns = (known[0][name].tolist() for name in ("tile", "x_px", "y_px"))
        return tuple(zip(*columns, strict=True))


def _part(recipe: str, index: int | str) -> str:
    """Return the name of the fit that is one part."""
    return f"{recipe}-part-{index}"


def _keep(
    store: Store, scan: str, recipe: str, holes: Iterable[Hole], tiles: Iterable[int]
) -> None:
    """Keep holes and the tiles that were searched for them as a fit."""
    rows = list(holes)
    arrays: dict[str, NDArray[Any]] = {
        "tile": np.array([tile for tile, _, _ in rows], np.int64),
        "x_px": np.array([x for _, x, _ in rows], np.float64),
        "y_px": np.array([y for _, _, y in rows], np.float64),
    }
    store.fits.save(scan, recipe, arrays, DatumFit(tiles=tuple(tiles)))


def _search_piece(path: Path, scan: Scan, recipe: str, piece: Piece) -> None:
    """Search the tiles of one piece for holes and keep its part."""
    store, backlit = Store.open(path), scan.indices("backlit")
    channel = int(backlit[0]) if len(backlit) else 0
    found: list[Hole] = []
    for number, pictures in zip(
        piece.covers, store.scans.read_tiles(scan.name, piece.covers), strict=True
    ):
        holes = find_holes(pictures[channel], scan.pixel_size_um or np.nan)
        found += [(number, x, y) for x, y in holes[["x_px", "y_px"]].to_numpy(float).tolist()]
    _keep(store, scan.name, _part(recipe, piece.index), found, piece.covers)
