"""What the command line says of an error that nobody foresaw."""

import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from etchscope.foil.debugging import DEBUG

__all__ = ["describe_unforeseen"]

_LOG = "errors.log"
_LONGEST = 200


def describe_unforeseen(error: Exception) -> str:
    """Write the traceback of an error to the log, and return one line that names both."""
    first = (str(error).splitlines() or [""])[0][:_LONGEST]
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    path = _logged(error)
    where = f"the details are in {path}" if path else "no log could be written"
    return f"unforeseen {what}; {where}. Please report it; {DEBUG}=1 shows the details here"


def _logged(error: Exception) -> Path | None:
    """Append the traceback to the first log that can be written, and return the log's path."""
    text = (
        f"{datetime.now(UTC).isoformat(timespec='seconds')}"
        f" etchscope {version('etchscope')}, Python {sys.version.split()[0]}: {sys.argv}\n"
        f"{''.join(traceback.format_exception(error))}\n"
    )
    for folder in _log_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / _LOG).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return folder / _LOG
    return None


def _log_folders() -> list[Path]:
    state = os.environ.get("XDG_STATE_HOME")
    found = [Path(state) / "etchscope"] if state else []
    home = os.environ.get("HOME")
    found += [Path(home) / ".local" / "state" / "etchscope"] if home else []
    return [*found, Path(tempfile.gettempdir()) / f"etchscope-{os.getuid()}"]
