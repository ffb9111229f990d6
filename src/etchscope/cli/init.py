"""The command `init`."""

from etchscope.cli.options import (
    StorePath,
)
from etchscope.store import Store

__all__ = ["command"]


def command(store: StorePath) -> None:
    """Make an empty store.

    Example: etchscope init plate7
    """
    Store.create(store)
