"""The entry of the program, which handles Ctrl-C while the command line is still loading."""

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
