"""Write pages and pictures: each file whole or not at all."""

from pathlib import Path

from etchscope.files.atomic import translate_disk_errors, write_aside
from etchscope.foil import BadInput

__all__ = ["make_page_folder", "write_page", "write_picture"]


def make_page_folder(folder: Path, *, what: str) -> Path:
    """Make a folder for a page unless it exists, and return its path.

    Parameters
    ----------
    what : name of the page for errors, as "report".

    Raises
    ------
    BadInput : the path is a file, or lies below one.
    MachineFailed : the disk is full.
    """
    folder = Path(folder)
    try:
        with translate_disk_errors(f"writing {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(folder, f"a folder for the {what}", "a file") from error
    return folder


def write_picture(picture: bytes, path: Path) -> Path:
    """Write an encoded picture and return its path.

    Parameters
    ----------
    picture : the bytes of a file, see ``draw.png`` and ``draw.vector``.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    with write_aside(path) as aside:
        aside.write_bytes(picture)
    return path


def write_page(text: str, path: Path) -> Path:
    """Write a page and return its path.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
    return path
