"""Places inside a folder, given by names that come from a catalogue or a request."""

import re
from typing import Protocol, Self, TypeVar

from etchscope.foil import DamagedFile

__all__ = ["path_inside"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class _Folder(Protocol):
    """A path, or its like on an object store."""

    def __truediv__(self, name: str, /) -> Self: ...


Folder = TypeVar("Folder", bound=_Folder)


def path_inside(folder: Folder, name: object) -> Folder:
    """Return the path of what lies directly in a folder under this name.

    A catalogue that somebody altered may hold a name such as ``../../thesis``. Every name is
    checked here before a file is opened, written or deleted.

    Raises
    ------
    DamagedFile : not a name of letters, digits, dot, dash and underscore, at most 200 of them, of
        which the first is a letter or a digit.

    Examples
    --------
    >>> from pathlib import Path
    >>> path_inside(Path("runs"), "find-4ce6041b").as_posix()
    'runs/find-4ce6041b'
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        expected = "a name of letters, digits, dot, dash, underscore"
        raise DamagedFile(f"{folder}: a name in the catalogue", expected, repr(name)[:100])
    return folder / name
