"""The command `init`."""

from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(store: StorePath) -> None:
    """Make an empty store.

    Example: etchscope init plate7
    """
    from etchscope.api import Store

    Store.create(store)
