"""The file system that a path lies on."""

import re
from pathlib import Path

__all__ = ["is_on_local_disk"]

_MOUNTS = Path("/proc/self/mountinfo")
_LOCAL = {
    "bcachefs",
    "btrfs",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "jfs",
    "overlay",
    "ramfs",
    "reiserfs",
    "tmpfs",
    "xfs",
    "zfs",
}
"""File systems of Linux that one machine has to itself, so that its processes can share memory."""


def is_on_local_disk(path: Path) -> bool:
    """Return whether a path is known to lie on a disk of this machine, and not on a network.

    Where the system does not list its mounts, as macOS, the answer is no.
    """
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    return _file_system(path.resolve(), lines) in _LOCAL


def _file_system(path: Path, mounts: list[str]) -> str:
    """Return the type of the file system of a path; a later line hides an earlier one."""
    found, depth = "", -1
    for line in mounts:
        fields, _, source = line.partition(" - ")
        point = Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), fields.split()[4]))
        if path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = source.split()[0], len(point.parts)
    return found
