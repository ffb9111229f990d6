"""The pages of each tile of a scan, read from files or cut out of a montage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from etchscope.files.foreign_pictures import Page, read_picture
from etchscope.foil import BadInput
from etchscope.ingest.layouts import Index, Problem
from etchscope.ingest.montage import Sheet, find_cells

__all__ = ["TilePages", "complete_tiles", "cut_montage", "read_files", "relative_name"]

_MOST_ABSENT = 100_000
"""Greatest number of absent tiles that are listed; more come from a number that is none."""


_MOST_NUMBER = 10**18


@dataclass(frozen=True)
class TilePages:
    """The pages of each tile, as they are read from files and not yet checked.

    Parameters
    ----------
    root : folder to which the names of files are relative.
    read : tile number → its pages, and the file of each; raises ``BadInput``.
    numbers : of the tiles that can be read, rising.
    problems : tiles that cannot be read.
    sheet : how the tiles lie in their montage; None for other layouts.
    """

    root: Path
    read: Callable[[int], tuple[list[Page], tuple[Path, ...]]]
    numbers: tuple[int, ...]
    problems: tuple[Problem, ...]
    sheet: Sheet | None = None


def cut_montage(
    root: Path, path: Path, rows: int | None, columns: int | None, channels: int
) -> TilePages:
    """Return the cells of a montage as tiles from 1 on, row by row.

    Parameters
    ----------
    path : the picture, with one page per channel.
    rows, columns : of the montage; None takes those that the dark lines make.
    channels : number of channels.

    Raises
    ------
    BadInput : another number of pages; or see ``montage.find_cells``.
    """
    sheets = read_picture(path)
    if len(sheets) != channels:
        raise BadInput(path, f"{channels} page(s), one per channel", f"{len(sheets)}")
    cells = find_cells(str(path), sheets[0], rows, columns)

    def read(number: int) -> tuple[list[Page], tuple[Path, ...]]:
        return [sheet[cells[number - 1]] for sheet in sheets], (path,) * channels

    sheet = Sheet((sheets[0].shape[0], sheets[0].shape[1]), cells)
    return TilePages(root, read, tuple(range(1, len(cells) + 1)), (), sheet)


def read_files(root: Path, index: Index) -> TilePages:
    """Return the tiles of an index, each read from its files.

    Raises
    ------
    BadInput : when a tile is read: a file is damaged, or one of several has more than one page.
    """

    def read(number: int) -> tuple[list[Page], tuple[Path, ...]]:
        files = index.files[number]
        pages: list[Page] = []
        sources: list[Path] = []
        for path in files:
            found = read_picture(path)
            if len(files) > 1 and len(found) > 1:
                raise BadInput(path, "one page", f"{len(found)} pages")
            pages += found
            sources += [path] * len(found)
        return pages, tuple(sources)

    return TilePages(root, read, tuple(sorted(index.files)), index.problems)


def relative_name(root: Path, path: Path) -> str:
    """Return the name of a file relative to the root if it lies below, and else its own name."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def complete_tiles(
    pages: TilePages, where: Path, positions: Mapping[int, tuple[float, float]] | None
) -> TilePages:
    """Return pages whose problems list absent tiles, and tiles without a position.

    Parameters
    ----------
    where : the ``scan.json``, for errors.
    positions : tile number → stage position in mm; None if the scan has none.

    Raises
    ------
    BadInput : a tile number of more than 18 digits; or without positions far more tiles are absent
        than there are.
    """
    bad = {p.tile for p in pages.problems}
    there = set(pages.numbers)
    known = there | bad
    if not positions and max(known) - min(known) >= len(known) + _MOST_ABSENT:
        span = f"tiles {min(known)} and on, at most {_MOST_ABSENT:,} of them absent"
        raise BadInput(where.parent, span, f"tile {max(known)}")
    if max(known) >= _MOST_NUMBER:
        raise BadInput(where.parent, "tile numbers of at most 18 digits", str(max(known)))
    expected = set(positions) if positions else set(range(min(known), max(known) + 1))
    problems = [
        Problem(tile, BadInput(f"{where.parent}: tile {tile}", "its pictures", "none"))
        for tile in sorted(expected - known)
    ]
    if positions is not None:
        problems += [
            Problem(tile, BadInput(f"{where}: positions: tile {tile}", "a position", "none"))
            for tile in sorted(there - set(positions))
        ]
        there &= set(positions)
    return replace(pages, numbers=tuple(sorted(there)), problems=(*pages.problems, *problems))
