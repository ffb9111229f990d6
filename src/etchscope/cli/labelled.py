"""Cutting the patches of a store's labels, with progress."""

from typing import TYPE_CHECKING, Any

from etchscope.progress import progress_bar

if TYPE_CHECKING:
    from etchscope.run.stages.train import Gathered
    from etchscope.store import Store

__all__ = ["PATCH_PX", "gather_labels"]

PATCH_PX = 28
"""Pixels per side of a patch unless another number is given."""


def gather_labels(store: "Store", *, size: int | None, **choice: Any) -> "Gathered":
    """Return the patches of a store's labels.

    Parameters
    ----------
    size : pixels per side; ``PATCH_PX`` unless given.
    choice : which labels, see ``run.stages.train.gather``.
    """
    from etchscope.run.stages.train import gather

    with progress_bar("Cutting patches") as bar:
        return gather(store, size=size or PATCH_PX, **choice, total=bar.total, progress=bar.advance)
