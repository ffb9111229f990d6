"""What all parts of the API's store have: the store that holds the files."""

from pathlib import Path

from etchscope.store import Store as KeptStore

__all__ = ["OfStore"]


class OfStore:
    """Steps of the work on one store.

    Parameters
    ----------
    kept : the store that holds the files.
    is_temporary : whether it was made for one search only.
    """

    def __init__(self, kept: KeptStore, *, is_temporary: bool = False) -> None:
        self.kept = kept
        self._is_temporary = is_temporary

    @property
    def is_temporary(self) -> bool:
        """Whether it was made for one search only."""
        return self._is_temporary

    @property
    def path(self) -> Path:
        """The store's folder."""
        return self.kept.path
