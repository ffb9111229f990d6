"""Conversion between the records of the data dictionary and the rows of the catalogue."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from etchscope.files.strict_json import canonical_json, first_fault
from etchscope.foil import (
    BadInput,
    Channel,
    DamagedFile,
    Foil,
    Scan,
    Stack,
    Tile,
    UnknownScan,
)
from etchscope.store.catalogue import (
    ChannelRow,
    FoilRow,
    LeftOutRow,
    PictureRow,
    ScanRow,
    StackRow,
    TileRow,
)

__all__ = [
    "LeftOut",
    "Picture",
    "foil_of",
    "get_scan",
    "intact_rows",
    "left_out_of",
    "now",
    "pictures_of",
    "places_of",
    "put_scan",
    "require_scan",
    "scan_digest",
    "scan_names",
    "stack_of",
    "with_tiles",
]


_BATCH = 10_000
_OF_TILE = [
    getattr(TileRow, name)
    for name in ("number", "stage_x_mm", "stage_y_mm", "info", "excluded", "excluded_why")
]


@dataclass(frozen=True)
class LeftOut:
    """A tile of the source that is not in the store: its number, the file at fault, and why."""

    tile: int
    file: str
    why: str


@dataclass(frozen=True)
class Picture:
    """One picture as it is catalogued: SHA-256 of its decoded pixels, and its source file."""

    tile: int
    step: int
    sha256: str
    source: str


def now() -> str:
    """Return the present time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def scan_digest(scan: Scan, pictures: Sequence[Picture]) -> str:
    """Return the identity of a scan: optics, positions and pixels, whatever is excluded.

    Sources are not part of it: the same pixels under another file name are the same scan.
    """
    record = scan.model_dump(mode="json")
    record["tiles"] = [
        {k: v for k, v in tile.items() if not k.startswith("excluded")}
        for tile in sorted(record["tiles"], key=lambda t: int(t["number"]))
    ]
    record["pictures"] = sorted((p.tile, p.step, p.sha256) for p in pictures)
    return hashlib.sha256(canonical_json(record).encode()).hexdigest()


def with_tiles(scan: Scan, numbers: set[int]) -> Scan:
    """Return the scan with only these tiles, in number order.

    Raises
    ------
    BadInput : none is left, or a datum hole lies in a tile that goes.
    """
    kept = sorted((t for t in scan.tiles if t.number in numbers), key=lambda t: t.number)
    if not kept:
        raise BadInput(f"scan {scan.name}", "at least one good tile", "none")
    for tile, _, _ in scan.datum:
        if tile not in numbers:
            raise BadInput(
                f"scan {scan.name}: tile {tile}",
                "the tiles of all datum holes",
                "a tile that would go",
                hint="Take the datum holes out of scan.json, or keep the tile.",
            )
    return scan.model_copy(update={"tiles": tuple(kept)})


def scan_names(session: Session) -> list[str]:
    """Return the names of the scans, sorted."""
    return list(session.scalars(select(ScanRow.name).order_by(ScanRow.name)))


def require_scan(session: Session, name: str) -> ScanRow:
    """Return the row of one scan.

    Raises
    ------
    UnknownScan : the store has no scan of that name.
    """
    row = session.get(ScanRow, name)
    if row is None:
        known = ", ".join(scan_names(session)) or "none"
        raise UnknownScan("scan", f"one of the store's scans ({known})", repr(name))
    return row


def get_scan(session: Session, name: str) -> Scan:
    """Return one scan with its tiles.

    Raises
    ------
    BadInput : the store has no scan of that name, or its rows are damaged.
    """
    row = require_scan(session, name)
    channels = session.scalars(
        select(ChannelRow).where(ChannelRow.scan == name).order_by(ChannelRow.place)
    )
    tiles = session.execute(select(*_OF_TILE).where(TileRow.scan == name).order_by(TileRow.number))
    with intact_rows(f"scan {name}"):
        return Scan(
            name=row.name,
            foil=row.foil,
            side=row.side,  # type: ignore[arg-type] # checked by the record
            layout=row.layout,
            pixel_size_um=row.pixel_size_um,
            image_size=(row.height_px, row.width_px),
            dtype=row.dtype,  # type: ignore[arg-type]
            channels=tuple(_channel(c) for c in channels),
            datum=tuple((int(t), x, y) for t, x, y in row.datum),
            azimuth_sense=row.azimuth_sense,  # type: ignore[arg-type]
            gradient_sign=row.gradient_sign,  # type: ignore[arg-type]
            tiles=tuple(_tile(t) for t in tiles),
            metadata=row.info,
        )


@contextmanager
def intact_rows(what: str) -> Iterator[None]:
    """Turn what an altered cell of the catalogue causes inside the block into one error.

    Parameters
    ----------
    what : the scan or the table that is read.

    Raises
    ------
    DamagedFile : a cell has another type, or a value that cannot be.
    """
    try:
        yield
    except BadInput:
        raise
    except ValidationError as error:
        key, reason = first_fault("", error)
        found = f"{key.removeprefix(': ')}: {reason}"
        raise DamagedFile(f"catalogue: {what}", "intact rows", found[:300]) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        found = f"a cell that cannot be read ({str(error)[:200]})"
        raise DamagedFile(f"catalogue: {what}", "intact rows", found) from error


def _channel(row: ChannelRow) -> Channel:
    return Channel(
        step=row.step,
        role=row.role,  # type: ignore[arg-type]
        azimuth_deg=row.azimuth_deg,
        focus_um=row.focus_um,
    )


def _tile(row: Row[Any]) -> Tile:
    return Tile(
        number=row.number,
        stage_x_mm=row.stage_x_mm,
        stage_y_mm=row.stage_y_mm,
        metadata=row.info,
        excluded=row.excluded,
        excluded_why=row.excluded_why,
    )


def foil_of(row: FoilRow) -> Foil:
    """Return a foil's record."""
    with intact_rows(f"foil {row.name}"):
        return Foil(
            name=row.name,
            stack=row.stack,
            material=row.material,
            thickness_um=row.thickness_um,
            etch=row.etch[0],
            metadata=row.info,
        )


def stack_of(row: StackRow) -> Stack:
    """Return a stack's record."""
    with intact_rows(f"stack {row.name}"):
        return Stack(name=row.name, metadata=row.info)


def pictures_of(session: Session, scan: str) -> list[Picture]:
    """Return a scan's pictures, by tile and step."""
    rows = session.execute(
        select(PictureRow.tile, PictureRow.step, PictureRow.sha256, PictureRow.source)
        .where(PictureRow.scan == scan)
        .order_by(PictureRow.tile, PictureRow.step)
    )
    return [Picture(*row) for row in rows]


def places_of(session: Session, scan: str) -> dict[int, int]:
    """Return tile number → index in the picture array, of a scan's tiles."""
    rows = session.execute(select(TileRow.number, TileRow.place).where(TileRow.scan == scan))
    return {row.number: row.place for row in rows}


def left_out_of(session: Session, scan: str) -> list[LeftOut]:
    """Return what was left out when a scan was added, in the order of the source."""
    rows = session.execute(
        select(LeftOutRow.tile, LeftOutRow.file, LeftOutRow.why)
        .where(LeftOutRow.scan == scan)
        .order_by(LeftOutRow.place)
    )
    return [LeftOut(*row) for row in rows]


def put_scan(
    session: Session,
    scan: Scan,
    *,
    places: Mapping[int, int],
    pictures: Sequence[Picture],
    left_out: Sequence[LeftOut],
    array_sha256: str,
) -> None:
    """Add a scan's rows; its foil must be there.

    Parameters
    ----------
    places : tile number → index in the picture array.
    """
    session.flush()
    session.add(
        ScanRow(
            name=scan.name,
            foil=scan.foil,
            side=scan.side,
            layout=scan.layout,
            pixel_size_um=scan.pixel_size_um,
            height_px=scan.image_size[0],
            width_px=scan.image_size[1],
            dtype=scan.dtype,
            azimuth_sense=scan.azimuth_sense,
            gradient_sign=scan.gradient_sign,
            datum=[list(d) for d in scan.datum],
            info=scan.metadata,
            digest="",
            array_sha256=array_sha256,
            added_at=now(),
        )
    )
    session.flush()
    of = {"scan": scan.name}
    channels = [of | c.model_dump() | {"place": i} for i, c in enumerate(scan.channels)]
    tiles = []
    for tile in sorted(scan.tiles, key=lambda t: t.number):
        row = tile.model_dump()
        tiles.append(of | row | {"info": row.pop("metadata"), "place": places[tile.number]})
    for row_class, rows in (
        (ChannelRow, channels),
        (TileRow, tiles),
        (LeftOutRow, [of | vars(x) | {"place": i} for i, x in enumerate(left_out)]),
    ):
        if rows:
            session.execute(insert(row_class), rows)
    # By the connection, in batches: ten times as many as tiles, they would take the most memory.
    for begin in range(0, len(pictures), _BATCH):
        some = [of | vars(p) for p in pictures[begin : begin + _BATCH]]
        session.connection().execute(insert(PictureRow), some)
    # The digest is of the rows as they are read back, because SQLite has no -0.0.
    session.expire_all()
    stored = get_scan(session, scan.name)
    require_scan(session, scan.name).digest = scan_digest(stored, pictures)
