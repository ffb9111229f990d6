"""The program's entry: what it loads takes seconds, in which a user may press Ctrl-C."""

import sys

__all__ = ["main"]


def main() -> int:
    """Load the command line and run it; return its exit status, 130 if interrupted."""
    if sys.platform == "win32":
        sys.stderr.write("Error: Etchscope needs Linux or macOS; on Windows use WSL\n")
        return 1
    try:
        from etchscope.cli.app import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("Error: interrupted\n")
        return 130
