"""Paint the mosaic of a report as a stage, whose parts are kept until the report is written."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etchscope.draw.maps import fill_tile, project_tile
from etchscope.draw.placement import Canvas
from etchscope.files.atomic import delete
from etchscope.files.digests import digest_of
from etchscope.foil import BadInput
from etchscope.foil.types import FloatImage
from etchscope.pages.content import ReportContent
from etchscope.run.executors import choose_executor
from etchscope.run.stage import Piece, Progress, carry_out, tile_pieces
from etchscope.store.array_parts import read_array_part, read_part_records, write_array_part

__all__ = ["paint_in_pieces"]

Thumbnail = Callable[[int], NDArray[Any]]


def paint_in_pieces(
    canvas: Canvas,
    content: ReportContent,
    folder: Path,
    *,
    workers: int | None = None,
    executor: str = "threads",
    progress: Progress | None = None,
) -> FloatImage:
    """Return (y, x) float32 as ``draw.maps.paint_mosaic`` does; go on with the parts that are kept.

    Parameters
    ----------
    content : parts are gone on from if its record has the ``scan_digest`` of the pictures.
    folder : gets the parts, and keeps them; the caller deletes it.
    workers : threads or processes; as many as there are cores unless given.
    executor : name of an executor, see ``run.executors``.
    progress : called with the number of tiles just painted.

    Raises
    ------
    BadInput : no such executor, or a damaged picture.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    chosen = choose_executor(executor)
    if not content.record.get("scan_digest"):
        delete(folder)  # of pictures that may be others
    return carry_out(_Mosaic(canvas, content, folder), chosen, workers=workers, progress=progress)


@dataclass(frozen=True)
class _Mosaic:
    """A mosaic: its pieces are tiles, its parts their pixels on the canvas."""

    canvas: Canvas
    content: ReportContent
    folder: Path

    @cached_property
    def pieces(self) -> list[Piece]:
        """Some tiles each; a piece covers the whole mosaic's identity and which tiles these are."""
        scan = self.content.scan
        pictures = self.content.record.get("scan_digest")
        key = [version("etchscope"), pictures, scan.model_dump(mode="json"), self.canvas.shape]
        identity = digest_of(key)
        return [
            Piece(piece.index, {"mosaic": identity, "tiles": piece.covers}, piece.units)
            for piece in tile_pieces([tile.number for tile in scan.included])
        ]

    @property
    def work(self) -> partial[None]:
        return partial(_paint_piece, self.canvas, self.content.thumbnails, self.folder)

    def parts(self) -> dict[int, Any]:
        return {i: record.get("covers") for i, record in read_part_records(self.folder).items()}

    def hold(self) -> AbstractContextManager[object]:
        """Return what keeps nobody out: the caller holds the folder of the report."""
        return nullcontext()

    def is_committed(self) -> bool:
        """Return False: a mosaic is kept by who writes the report."""
        return False

    def commit(self) -> FloatImage:
        """Return the mosaic; a later tile lies over an earlier one, as if all were painted here."""
        out = np.full(self.canvas.shape, np.nan, np.float32)
        for piece in self.pieces:
            for number, levels in self._levels(piece).items():
                fill_tile(out, self.canvas, number, levels)
        return out

    def renew(self) -> FloatImage:
        return self.commit()

    def _levels(self, piece: Piece) -> dict[int, NDArray[np.float32]]:
        """Return tile → its grey levels on the canvas, in the order of the piece."""
        try:
            arrays, record = read_array_part(self.folder, piece.index)
        except BadInput:
            record = {}
        if record.get("covers") != piece.covers:
            # A report into the same folder is finished, and has dropped the parts under this one.
            return _project_tiles(self.canvas, self.content.thumbnails, piece)
        return {number: arrays[str(number)] for number in piece.covers["tiles"]}


def _project_tiles(
    canvas: Canvas, thumbnails: Thumbnail, piece: Piece
) -> dict[int, NDArray[np.float32]]:
    return {number: project_tile(canvas, number, thumbnails) for number in piece.covers["tiles"]}


def _paint_piece(canvas: Canvas, thumbnails: Thumbnail, folder: Path, piece: Piece) -> None:
    """Project the tiles of one piece onto the canvas and keep the part."""
    levels = _project_tiles(canvas, thumbnails, piece)
    arrays = {str(number): values for number, values in levels.items()}
    # Without locks a report that is finished may drop the parts now; the joining makes them again.
    with suppress(FileNotFoundError):
        write_array_part(folder, piece.index, arrays, {"covers": piece.covers})
