"""Which file holds which picture: the layouts of a scan directory."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etchscope.files.foreign_pictures import PICTURE_SUFFIX
from etchscope.foil import BadInput, Channel
from etchscope.plugins import bad_plugin, find_plugin

__all__ = [
    "LAYOUTS",
    "Index",
    "IndexMaker",
    "Problem",
    "find_layout",
    "index_pictures",
    "index_plain",
    "index_smartscope",
    "picture_files",
]

_SMARTSCOPE_FOLDER = re.compile(r"[^_]+_(\d+)(?:_.*)?")
_SMARTSCOPE_FILE = re.compile(r"Step_(\d+)_1\.(?:tga|png|tiff?|bmp)", re.IGNORECASE)
_TILE_AND_STEP = re.compile(r"(\d+)_(\d+)\.\w+")
_TILE = re.compile(r"(\d+)\.\w+")


@dataclass(frozen=True)
class Problem:
    """A tile that cannot be taken, and why."""

    tile: int
    error: BadInput


@dataclass(frozen=True)
class Index:
    """The files of each good tile, one per channel or one with all pages; and the bad tiles."""

    files: dict[int, tuple[Path, ...]]
    problems: tuple[Problem, ...]


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise BadInput(folder, "a readable folder", error.strerror or str(error)) from error


def picture_files(folder: Path) -> list[Path]:
    """Return the files of a folder that are pictures by their suffix, in order of name.

    Raises
    ------
    BadInput : the folder cannot be read.
    """
    return [p for p in _listed(folder) if PICTURE_SUFFIX.fullmatch(p.suffix) and p.is_file()]


def index_smartscope(root: Path, channels: Sequence[Channel]) -> Index:
    """Return the tiles of ``{Run}_{tile}_{anything}/Step_{step}_1.tga``.

    Raises
    ------
    BadInput : no such folder at all, or one that cannot be read.
    """
    folders: dict[int, list[Path]] = {}
    for path in _listed(root):
        match = _SMARTSCOPE_FOLDER.fullmatch(path.name)
        if match and path.is_dir():
            folders.setdefault(int(match[1]), []).append(path)
    if not folders:
        raise BadInput(root, "folders named {Run}_{tile}_{anything}", "none")
    files: dict[int, tuple[Path, ...]] = {}
    problems = []
    for tile, found in sorted(folders.items()):
        try:
            if len(found) > 1:
                raise _double(found, f"tile {tile}")
            files[tile] = _by_step(found[0], _steps(_listed(found[0])), channels)
        except BadInput as error:
            problems.append(Problem(tile, error))
    return Index(files, tuple(problems))


def _steps(paths: Sequence[Path]) -> Iterator[tuple[int, Path]]:
    for path in paths:
        match = _SMARTSCOPE_FILE.fullmatch(path.name)
        if match:
            yield int(match[1]), path


def _by_step(
    where: Path, pictures: Iterator[tuple[int, Path]], channels: Sequence[Channel]
) -> tuple[Path, ...]:
    steps: dict[int, list[Path]] = {}
    for step, path in pictures:
        steps.setdefault(step, []).append(path)
    for channel in channels:
        found = steps.get(channel.step, [])
        if not found:
            there = ", ".join(map(str, sorted(steps))) or "none"
            raise BadInput(where, f"a picture of step {channel.step}", f"steps {there}")
        if len(found) > 1:
            raise _double(found, f"step {channel.step}")
    return tuple(steps[c.step][0] for c in channels)


def _double(found: Sequence[Path], what: str) -> BadInput:
    names = " and ".join(p.name for p in found)
    return BadInput(found[1], f"one place of {what}", f"{len(found)}: {names}")


def index_pictures(root: Path, channels: Sequence[Channel]) -> Index:
    """Return the tiles of ``{tile}_{step}.ext``, or of one multi-page ``{tile}.tif`` a tile.

    Raises
    ------
    BadInput : no such picture at all, or the folder cannot be read.
    """
    single: dict[int, list[Path]] = {}
    stepped: dict[int, list[tuple[int, Path]]] = {}
    for path in picture_files(root):
        both, one = _TILE_AND_STEP.fullmatch(path.name), _TILE.fullmatch(path.name)
        if both:
            stepped.setdefault(int(both[1]), []).append((int(both[2]), path))
        elif one:
            single.setdefault(int(one[1]), []).append(path)
    if not single and not stepped:
        raise BadInput(root, "pictures named {tile}_{step}.png or {tile}.tif", "none")
    files: dict[int, tuple[Path, ...]] = {}
    problems = []
    for tile in sorted(single.keys() | stepped.keys()):
        whole, steps = single.get(tile, []), stepped.get(tile, [])
        try:
            if len(whole) + bool(steps) > 1:
                raise _double([*whole, *(p for _, p in steps)], f"tile {tile}")
            where = root / f"{tile}_*"
            files[tile] = tuple(whole) if whole else _by_step(where, iter(steps), channels)
        except BadInput as error:
            problems.append(Problem(tile, error))
    return Index(files, tuple(problems))


def index_plain(pictures: Sequence[Path]) -> Index:
    """Return plain pictures as tiles from 1, in order of name."""
    ordered = sorted(pictures, key=lambda p: (p.name, str(p)))
    return Index({i: (path,) for i, path in enumerate(ordered, start=1)}, ())


IndexMaker = Callable[[Path, Sequence[Channel]], Index]
"""From a scan directory and the channels of its ``scan.json`` to the files of its tiles."""
LAYOUTS: dict[str, IndexMaker] = {"smartscope": index_smartscope, "pictures": index_pictures}
"""Name → what finds the files of a scan directory. A plugin of ``etchscope.layouts`` adds more."""


def find_layout(name: str, *, where: str, known: Collection[str]) -> IndexMaker:
    """Return what finds the files of a layout.

    Parameters
    ----------
    where : what gave the name, as the errors say it.
    known : the layouts besides ``LAYOUTS`` that are possible there.

    Raises
    ------
    NoPlugin : no such layout.
    BadPlugin : the layout of another package cannot be used; when called, if it returns no index.
    """
    made = find_plugin("layouts", name, LAYOUTS, where=where, known=known)

    def index(root: Path, channels: Sequence[Channel]) -> Index:
        found = made(root, channels)
        if not isinstance(found, Index):
            raise bad_plugin("layouts", name, "a function that returns an Index", found)
        if not found.files and not found.problems:
            raise BadInput(root, f"pictures in the layout {name}", "none")
        return found

    return index
