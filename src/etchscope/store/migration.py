"""Bring a store of an earlier version of Etchscope up to date; only this imports Alembic."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from etchscope.files.inside import path_inside
from etchscope.foil import BadInput
from etchscope.store.catalogue import VERSION, Catalogue, is_stamped, version_of
from etchscope.store.compressing import compressed_tiles
from etchscope.store.pictures import PictureArray
from etchscope.store.places import Place
from etchscope.store.removal import erase_unreachable, lock_images
from etchscope.store.rows import get_scan, places_of, scan_names
from etchscope.store.settings import locate_images

__all__ = ["Migration", "migrate_store"]

log = logging.getLogger(__name__)

_SCRIPTS = Path(__file__).with_name("migrations")


@dataclass(frozen=True)
class Migration:
    """What was done to a store.

    Parameters
    ----------
    before, after : version of its catalogue; equal where nothing was to be done.
    backup : file or schema with a copy of the catalogue as it was; None where nothing was to be
        done.
    scans : those whose pictures got the OME-Zarr metadata that they lacked.
    """

    before: str
    after: str
    backup: str | None
    scans: tuple[str, ...] = ()


def migrate_store(catalogue: Catalogue, root: Path) -> Migration:
    """Bring the catalogue up to date, and then the pictures; see ``Store.migrate``."""
    done = _migrate_catalogue(catalogue)
    catalogue.database.tune()
    catalogue.database.shrink()
    with lock_images(root, "migrating") as lock:
        images = locate_images(root)
        if lock.is_held:
            erase_unreachable(catalogue, root, images)
        return replace(done, scans=tuple(_describe_scans(catalogue, images)))


def _describe_scans(catalogue: Catalogue, images: Place) -> Iterator[str]:
    with catalogue.reading() as session:
        names = scan_names(session)
    for name in names:
        with catalogue.reading() as session:
            scan, places = get_scan(session, name), places_of(session, name)
            is_compressed = bool(compressed_tiles(session, name))
        try:
            array = PictureArray(path_inside(images, f"{name}.zarr"))
            is_described = array.is_described(scan, places, is_compressed=is_compressed)
            if not is_described or (array.path / "c").exists():
                array.describe(scan, places)
                yield name
        except BadInput as error:
            log.warning("the pictures of scan %s are left as they are: %s", name, error)


def _migrate_catalogue(catalogue: Catalogue) -> Migration:
    """Bring a catalogue up to date in one transaction, after copying it to a place beside it.

    A kill at any moment leaves the catalogue as it was, or up to date.

    Raises
    ------
    BadInput : not a catalogue, or one of a later version.
    MachineFailed : the disk is full, or another process holds the catalogue for too long.
    """
    catalogue.known_version()
    with catalogue.writing() as session:
        before = version_of(session)
        if before == VERSION:
            return Migration(before, VERSION, None)
        backup = catalogue.database.copy(session, before)
        _upgrade(session.connection(), before, VERSION)
    return Migration(before, VERSION, backup)


def _upgrade(connection: Connection, before: str, after: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    if not is_stamped(connection):
        command.stamp(config, before)
    command.upgrade(config, after)
