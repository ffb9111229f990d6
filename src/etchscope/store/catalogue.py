"""The catalogue: rows of a database through SQLAlchemy, one transaction per action."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    ForeignKey,
    PrimaryKeyConstraint,
    String,
    inspect,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from etchscope.foil import BadInput, OldStore
from etchscope.store.column_types import AlteredCell, Real, Text, Whole
from etchscope.store.database import INTACT, Database

__all__ = [
    "CATALOGUE_FILE",
    "VERSION",
    "Catalogue",
    "ChannelRow",
    "CompressedTileRow",
    "CompressionRow",
    "ErasureRow",
    "FitRow",
    "FoilRow",
    "LabelRow",
    "LeftOutRow",
    "PictureRow",
    "RunRow",
    "ScanRow",
    "StackRow",
    "TileRow",
    "VersionRow",
    "is_stamped",
    "version_of",
]

CATALOGUE_FILE = "catalogue.sqlite"
VERSION = "0006"
"""Version of the schema below, the last of ``store/migrations/versions``."""


class _Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[Any]: JSON,
        str: Text,
        int: Whole,
        float: Real,
    }


class VersionRow(_Base):
    """The one place that says which version of the schema a store has; Alembic's own table."""

    __tablename__ = "alembic_version"
    __table_args__ = (PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),)
    version: Mapped[str] = mapped_column("version_num", String(32))


class StackRow(_Base):
    """Foils that were exposed together."""

    __tablename__ = "stack"
    name: Mapped[str] = mapped_column(primary_key=True)
    info: Mapped[dict[str, Any]] = mapped_column("metadata")


class FoilRow(_Base):
    """One sheet of plastic; ``etch`` is wrapped in a list, so that null and text stay apart."""

    __tablename__ = "foil"
    name: Mapped[str] = mapped_column(primary_key=True)
    stack: Mapped[str | None] = mapped_column(ForeignKey("stack.name"))
    material: Mapped[str | None]
    thickness_um: Mapped[float | None]
    etch: Mapped[list[Any]]
    info: Mapped[dict[str, Any]] = mapped_column("metadata")


class ScanRow(_Base):
    """One scan; ``digest`` is that of ``rows.scan_digest``, ``array_sha256`` of its zarr.json."""

    __tablename__ = "scan"
    name: Mapped[str] = mapped_column(primary_key=True)
    foil: Mapped[str] = mapped_column(ForeignKey("foil.name"))
    side: Mapped[str]
    layout: Mapped[str]
    pixel_size_um: Mapped[float | None]
    height_px: Mapped[int]
    width_px: Mapped[int]
    dtype: Mapped[str]
    azimuth_sense: Mapped[str]
    gradient_sign: Mapped[int]
    datum: Mapped[list[Any]]
    info: Mapped[dict[str, Any]] = mapped_column("metadata")
    digest: Mapped[str]
    array_sha256: Mapped[str]
    added_at: Mapped[str]


class _OfScan:
    """The scan is the first column and so the first of the key, by which its rows are found."""

    scan: Mapped[str] = mapped_column(
        ForeignKey("scan.name", ondelete="CASCADE"), primary_key=True, sort_order=-1
    )


class ChannelRow(_OfScan, _Base):
    """One way of lighting; ``place`` is its index in the arrays."""

    __tablename__ = "channel"
    place: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[int]
    role: Mapped[str]
    azimuth_deg: Mapped[float | None]
    focus_um: Mapped[float | None]


class TileRow(_OfScan, _Base):
    """One field of view; ``place`` is its index in the picture array and never changes."""

    __tablename__ = "tile"
    number: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int]
    stage_x_mm: Mapped[float | None]
    stage_y_mm: Mapped[float | None]
    info: Mapped[dict[str, Any]] = mapped_column("metadata")
    excluded: Mapped[bool]
    excluded_why: Mapped[str | None]


class PictureRow(_OfScan, _Base):
    """One picture: the SHA-256 of its decoded pixels (little-endian) and the file it came from."""

    __tablename__ = "picture"
    tile: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    source: Mapped[str]


class LeftOutRow(_OfScan, _Base):
    """A tile that was in the source but is not in the store, and why."""

    __tablename__ = "left_out"
    place: Mapped[int] = mapped_column(primary_key=True)
    tile: Mapped[int]
    file: Mapped[str]
    why: Mapped[str]


class ErasureRow(_Base):
    """A tile that was removed and whose pixels are still to be erased."""

    __tablename__ = "erasure"
    scan: Mapped[str] = mapped_column(ForeignKey("scan.name", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)


class RunRow(_Base):
    """A finished run; ``files`` has file in its folder → SHA-256, ``number`` rises in time."""

    __tablename__ = "run"
    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    scan: Mapped[str] = mapped_column(ForeignKey("scan.name", ondelete="CASCADE"))
    pits: Mapped[int]
    files: Mapped[dict[str, Any]]
    committed_at: Mapped[str]


class FitRow(_OfScan, _Base):
    """Constants fitted to one scan under one recipe; ``sha256`` is that of the file."""

    __tablename__ = "fit"
    recipe: Mapped[str] = mapped_column(primary_key=True)
    file: Mapped[str]
    sha256: Mapped[str]
    record: Mapped[dict[str, Any]]
    saved_at: Mapped[str]


class CompressionRow(_OfScan, _Base):
    """How the white space of a scan is compressed, see ``compression.Compression``."""

    __tablename__ = "compression"
    run: Mapped[str]
    margin_px: Mapped[float]
    digest: Mapped[str]
    bytes_before: Mapped[int]
    bytes_after: Mapped[int]
    kept_px: Mapped[int]


class CompressedTileRow(_OfScan, _Base):
    """The SHA-256 of all pixels of a compressed tile; ``PictureRow`` has those of the original."""

    __tablename__ = "compressed_tile"
    tile: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]


class LabelRow(_Base):
    """An event, see ``foil.LABEL_COLUMNS``; ``number`` is the order of arrival.

    ``event`` is its identity whatever its id. A label belongs to the foil: ``scan`` is where it
    was given, and may be gone.
    """

    __tablename__ = "label"
    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    event: Mapped[str] = mapped_column(unique=True)
    foil: Mapped[str] = mapped_column(ForeignKey("foil.name"), index=True)
    side: Mapped[str]
    x_mm: Mapped[float | None]
    y_mm: Mapped[float | None]
    region_mm: Mapped[str | None]
    kind: Mapped[str] = mapped_column("class")
    who: Mapped[str]
    source: Mapped[str]
    when: Mapped[str]
    note: Mapped[str | None]
    scan: Mapped[str | None]
    tile: Mapped[int | None]
    x_px: Mapped[float | None]
    y_px: Mapped[float | None]
    region_px: Mapped[str | None]


def is_stamped(connection: Connection) -> bool:
    """Return whether the catalogue has its version in Alembic's table; the first two had not."""
    return inspect(connection).has_table(VersionRow.__tablename__)


def version_of(session: Session) -> str:
    """Return the version of the catalogue's schema; empty where none is stated."""
    if is_stamped(session.connection()):
        return session.scalar(select(type_coerce(VersionRow.version, Text()))) or ""
    return session.scalar(text("SELECT printf('%04d', version) FROM schema_version")) or ""


class Catalogue:
    """Sessions on one catalogue; each has a connection of its own, in any thread.

    Parameters
    ----------
    database : where its rows lie.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._read = database.open_engine()
        self._write = self._read.execution_options(is_write=True)

    @classmethod
    def create(cls, database: Database) -> "Catalogue":
        """Make a new, empty catalogue.

        Raises
        ------
        BadInput : the database has something else in its place.
        MachineFailed : the disk is full, or the database cannot be reached.
        """
        database.make()
        catalogue = cls(database)
        with catalogue.writing() as session:
            if not is_stamped(session.connection()):
                _Base.metadata.create_all(session.connection())
                session.add(VersionRow(version=VERSION))
        return catalogue

    @property
    def name(self) -> str:
        """What an error names."""
        return self.database.name

    def require_version(self) -> None:
        """Refuse a catalogue that this version cannot read, before anything is touched.

        Raises
        ------
        OldStore : of an earlier version of the schema.
        BadInput : not a catalogue, or of a later version.
        """
        found = self.known_version()
        if found != VERSION:
            expected = f"a catalogue of version {VERSION}"
            raise OldStore(self.name, expected, f"version {found}, which can be migrated")

    def known_version(self) -> str:
        """Return the version of the catalogue, this one or an earlier one.

        Raises
        ------
        BadInput : not a catalogue, or of a later version.
        """
        with self.reading() as session:
            found = version_of(session)
        if not found:
            raise BadInput(self.name, INTACT, "one without a version")
        if found > VERSION:
            expected = f"a catalogue of version {VERSION} or earlier"
            hint = "Open it with a later version of Etchscope."
            raise BadInput(self.name, expected, f"version {found}", hint)
        return found

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session that sees one state of the catalogue."""
        with self._session(self._read) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a session that commits when the block ends, and rolls back on an error.

        Raises
        ------
        MachineFailed : the disk is full, or another process holds the catalogue for too long.
        BadInput : the catalogue is damaged.
        """
        with self._session(self._write) as session:
            session.connection()  # begins now, not with the first statement
            yield session

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        try:
            with self.database.named_errors(), Session(engine) as session, session.begin():
                yield session
        except StatementError as error:
            if isinstance(error.orig, BadInput):  # of a column's type
                raise error.orig from error
            raise
        except AlteredCell as error:
            raise BadInput(self.name, INTACT, str(error)) from error
