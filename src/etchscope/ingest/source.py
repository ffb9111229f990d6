"""The source of a scan: its record, its foil, and a function that reads its tiles."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from etchscope.files.foreign_pictures import MAX_PIXELS, Page
from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    Scan,
    Side,
    Tile,
)
from etchscope.geometry.stage_places import require_fitting_places
from etchscope.ingest.layouts import (
    find_layout,
    index_plain,
    picture_files,
)
from etchscope.ingest.montage import Sheet
from etchscope.ingest.scan_json import ScanJson, as_bad_input, read_positions, read_scan_json
from etchscope.ingest.tile_pages import (
    TilePages,
    complete_tiles,
    cut_montage,
    read_files,
    relative_name,
)
from etchscope.store import LeftOut, TilePictures

__all__ = ["Overrides", "Source", "group_paths", "open_source"]

log = logging.getLogger(__name__)

_SCAN_JSON = "scan.json"
_WITHOUT_JSON = ("montage", "plain")
_PLAIN_CHANNELS = (Channel(step=1, role="backlit"),)
_SIZE_KEY = "The key image_size of scan.json is [height, width], here {}."
_OWN_SCAN = "Add pictures of another kind as a scan of their own."


@dataclass(frozen=True)
class Overrides:
    """Values that replace those of the files; None leaves them.

    Parameters
    ----------
    layout : smartscope, pictures, montage, plain, or a plugin's.
    rows, columns : of a montage.
    foil, side, pixel_size_um, scan : as in ``scan.json``; ``scan`` is the scan's name.
    """

    layout: str | None = None
    rows: int | None = None
    columns: int | None = None
    foil: str | None = None
    side: Side | None = None
    pixel_size_um: float | None = None
    scan: str | None = None


@dataclass(frozen=True)
class Source:
    """A scan that can be read, as ``store.scans.add`` takes it.

    Parameters
    ----------
    scan : the record; ``read_tile`` reads its tiles.
    foil : record of the foil.
    read_tile : tile number → its pictures; raises ``BadInput``; may be called from any thread.
    left_out : bad tiles that are left out (only with ``skip_bad``).
    sheet : how the tiles lie in their montage; None for other layouts.
    """

    scan: Scan
    foil: Foil
    read_tile: Callable[[int], TilePictures]
    left_out: tuple[LeftOut, ...]
    sheet: Sheet | None = None


def open_source(
    paths: Path | Sequence[Path], overrides: Overrides | None = None, *, skip_bad: bool = False
) -> Source:
    """Return the source of a scan directory or of picture files; at most one tile is read.

    Parameters
    ----------
    paths : a scan directory, a folder of pictures, or picture files that make one scan.
    overrides : values that replace those of the files.
    skip_bad : leave bad tiles out and list them, instead of raising an error.

    Raises
    ------
    BadInput : a file is absent or damaged, or does not fit the others; the message names it.
    """
    given = overrides or Overrides()
    some = [paths] if isinstance(paths, Path) else list(paths)
    for path in some:
        if not path.exists():
            raise BadInput(path, "a scan directory or a picture", "no such file")
    if len(some) == 1 and some[0].name == _SCAN_JSON:
        some = [some[0].absolute().parent]
    if len(some) == 1 and (some[0] / _SCAN_JSON).is_file():
        return _described(some[0], given, skip_bad=skip_bad)
    return _undescribed(some, given, skip_bad=skip_bad)


def _described(root: Path, given: Overrides, *, skip_bad: bool) -> Source:
    where = root / _SCAN_JSON
    says = read_scan_json(where)
    channels = tuple(c.record() for c in says.channels)
    layout = given.layout or says.layout
    if layout == "montage":
        rows, columns = given.rows or says.rows, given.columns or says.columns
        pages = cut_montage(root, _montage_file(root, says), rows, columns, len(channels))
    else:
        said_by = "layout" if given.layout else f"{where}: layout"
        index = find_layout(layout, where=said_by, known=("montage",))
        pages = read_files(root, index(root, channels))
    positions: dict[int, tuple[float, float]] | None = None
    if says.positions is not None and says.position_unit is not None:
        positions = read_positions(root / says.positions, says.position_unit)
    pages = complete_tiles(pages, where, positions)
    tiles = _tiles(where, pages, positions or {}, says.tiles)
    fields = {
        "name": given.scan or f"{given.foil or says.foil}-{given.side or says.side}",
        "foil": given.foil or says.foil,
        "side": given.side or says.side,
        "layout": layout,
        "pixel_size_um": says.pixel_size_um if given.pixel_size_um is None else given.pixel_size_um,
        "channels": channels,
        "datum": tuple(says.datum),
        "azimuth_sense": says.azimuth_sense,
        "gradient_sign": says.gradient_sign,
        "tiles": tiles,
        "metadata": says.metadata(),
    }
    foil = says.foil_record().model_copy(update={"name": fields["foil"]})
    size = None if says.image_size is None else (says.image_size[0], says.image_size[1])
    return _source(where, fields, foil, pages, size, skip_bad=skip_bad)


def _undescribed(paths: Sequence[Path], given: Overrides, *, skip_bad: bool) -> Source:
    layout = given.layout or "plain"
    if layout not in _WITHOUT_JSON:
        find_layout(layout, where="layout", known=_WITHOUT_JSON)
        expected = "scan.json beside the pictures"
        raise BadInput(paths[0], expected, "none", hint="It names the channels.")
    pictures = [q for p in paths for q in (picture_files(p) if p.is_dir() else [p])]
    if not pictures:
        raise BadInput(paths[0], "scan.json or pictures in the folder", "neither")
    if layout == "montage":
        if len(pictures) > 1:
            raise BadInput(paths[0], "one montage picture", f"{len(pictures)} pictures")
        pages = cut_montage(pictures[0].parent, pictures[0], given.rows, given.columns, 1)
        names: dict[str, dict[str, Any]] = {}
    else:
        if given.layout is None and len(pictures) > 1:
            log.warning(
                "%s: there is no scan.json, so each of the %d pictures is taken as a tile under "
                "one light; docs/scan.md explains scan.json",
                pictures[0].parent,
                len(pictures),
            )
        index = index_plain(pictures)
        root = paths[0] if paths[0].is_dir() else paths[0].parent
        pages = read_files(root, index)
        names = {str(n): {"file": files[0].name} for n, files in index.files.items()}
    foil = given.foil or _as_name(paths[0] if len(paths) == 1 else paths[0].absolute().parent)
    side = given.side or "front"
    fields = {
        "name": given.scan or f"{foil}-{side}",
        "foil": foil,
        "side": side,
        "layout": layout,
        "pixel_size_um": given.pixel_size_um,
        "channels": _PLAIN_CHANNELS,
        "tiles": _tiles(paths[0], pages, {}, names),
    }
    try:
        record = Foil(name=foil)
    except ValidationError as error:
        raise as_bad_input("foil", error) from error
    return _source(paths[0], fields, record, pages, None, skip_bad=skip_bad)


def _as_name(path: Path) -> str:
    absolute = path.absolute()
    stem = absolute.name if absolute.is_dir() else absolute.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:90] or "foil"


def _montage_file(root: Path, says: ScanJson) -> Path:
    if says.picture is not None:
        return root / says.picture
    pictures = picture_files(root)
    if len(pictures) != 1:
        hint = "Name it with the key `picture`."
        raise BadInput(root, "one montage picture", f"{len(pictures)} pictures", hint=hint)
    return pictures[0]


def _tiles(
    where: Path,
    pages: TilePages,
    positions: Mapping[int, tuple[float, float]],
    metadata: Mapping[str, Mapping[str, Any]],
) -> tuple[Tile, ...]:
    about = {int(key): dict(value) for key, value in metadata.items()}
    if len(about) < len(metadata):
        raise BadInput(f"{where}: tiles", "every tile once", "a tile number twice")
    unknown = sorted(set(about) - set(pages.numbers) - {p.tile for p in pages.problems})
    if unknown:
        raise BadInput(f"{where}: tiles", "tiles of the scan", f"tile {unknown[0]}")
    none = (None, None)
    return tuple(
        Tile(
            number=n,
            stage_x_mm=positions.get(n, none)[0],
            stage_y_mm=positions.get(n, none)[1],
            metadata=about.get(n, {}),
        )
        for n in pages.numbers
    )


def _source(
    where: Path,
    fields: Mapping[str, Any],
    foil: Foil,
    pages: TilePages,
    size: tuple[int, int] | None,
    *,
    skip_bad: bool,
) -> Source:
    """Return the source, checked as far as possible without reading all pictures."""
    problems = sorted(pages.problems, key=lambda p: p.tile)
    if problems and not skip_bad:
        raise problems[0].error
    if not pages.numbers:
        raise problems[0].error
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise BadInput(f"{where}: image_size", f"at most {MAX_PIXELS:,} pixels", f"{list(size)}")
    first = _first_page(pages, size, skip_bad=skip_bad)
    try:
        scan = Scan.model_validate(
            {**fields, "image_size": size or first.shape, "dtype": str(first.dtype)}
        )
        Foil.model_validate(foil.model_dump())
    except ValidationError as error:
        raise as_bad_input(where, error) from error
    require_fitting_places(str(where), scan)
    left_out = tuple(
        LeftOut(p.tile, p.error.where, f"expected {p.error.expected}, found {p.error.found}")
        for p in problems
    )
    return Source(scan, foil, _checked(scan, pages, size), left_out, pages.sheet)


def _first_page(pages: TilePages, size: tuple[int, int] | None, *, skip_bad: bool) -> Page:
    """Return a page of the size that scan.json states, so that nothing is laid out for another."""
    first: BadInput | None = None
    for number in pages.numbers:
        try:
            (page, *_), (path, *_) = pages.read(number)
            if size is not None and page.shape != size:
                expected = f"{size[1]} × {size[0]} pixels of {page.dtype}"
                found = f"{page.shape[1]} × {page.shape[0]} pixels of {page.dtype}"
                raise BadInput(path, expected, found, hint=_SIZE_KEY.format(list(size)))
            return page
        except BadInput as error:
            if not skip_bad:
                raise
            first = first or error
    raise first or BadInput("scan", "a good tile", "none")


def _checked(
    scan: Scan, pages: TilePages, size: tuple[int, int] | None
) -> Callable[[int], TilePictures]:
    """Return what reads a tile and compares it with the scan; ``size`` is that of scan.json."""
    height, width = scan.image_size
    expected = f"{width} × {height} pixels of {scan.dtype}"

    def read_tile(number: int) -> TilePictures:
        found, paths = pages.read(number)
        if len(found) != len(scan.channels):
            raise BadInput(paths[0], f"{len(scan.channels)} page(s)", f"{len(found)}")
        for page, path in zip(found, paths, strict=True):
            if page.shape != (height, width) or str(page.dtype) != scan.dtype:
                what = f"{page.shape[1]} × {page.shape[0]} pixels of {page.dtype}"
                raise BadInput(path, expected, what, hint=_hint(scan, size, page))
        return TilePictures(np.stack(found), tuple(relative_name(pages.root, p) for p in paths))

    return read_tile


def _hint(scan: Scan, size: tuple[int, int] | None, page: Page) -> str:
    if size is not None and page.shape != size:
        return _SIZE_KEY.format(list(size))
    return _OWN_SCAN if scan.layout == "plain" else ""


def group_paths(paths: Iterable[Path]) -> list[list[Path]]:
    """Return the paths of each scan: one scan per folder, and one of all picture files together."""
    folders: list[list[Path]] = []
    files: list[Path] = []
    for path in paths:
        if path.is_dir() or path.name == _SCAN_JSON:
            folders.append([path])
        else:
            files.append(path)
    return folders + ([files] if files else [])
