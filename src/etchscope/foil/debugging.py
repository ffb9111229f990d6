"""The one variable of the environment that people who look for a fault set."""

import os

__all__ = ["DEBUG", "is_debugging"]

DEBUG = "ETCHSCOPE_DEBUG"
"""With 1, tracebacks are shown, and the inline executor pickles what it runs."""


def is_debugging() -> bool:
    """Return whether the environment asks for debugging."""
    return os.environ.get(DEBUG) == "1"
