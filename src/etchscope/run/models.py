"""Bring a model into a store, from a folder or from the package."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etchscope.ensemble import Model
from etchscope.foil import BadInput, Taxonomy, UnknownModel
from etchscope.run import experts
from etchscope.run.stages.scoring import require_scorable
from etchscope.store import Store, read_model

__all__ = ["register_model"]


def register_model(
    store: Store,
    model: str | Path | None,
    scans: Sequence[str],
    *,
    is_temporary: bool = False,
    **scoring: Any,
) -> str:
    """Return the name of a model in the store; one in a folder is imported under its digest.

    A model that cannot score each of the scans is not imported.

    Parameters
    ----------
    model : name of a model of the store, or folder of an exported one; the experts of the package
        unless given.
    scans : names of the scans that the model will score.
    is_temporary : whether the store was made for this search alone; it then takes the classes of
        the model.
    scoring : region, prior and device of ``score``.

    Raises
    ------
    UnknownModel : neither a model of the store nor a folder, or the package has no experts.
    BadInput : a scan that cannot be scored, as far as that shows without its pictures.
    """
    if model is not None and str(model) in store.models.names():
        loaded = Model.from_record(*store.models.load(str(model)))
        require_scorable(store, scans, loaded, **scoring)
        return str(model)
    folder = experts.SHIPPED if model is None else Path(model)
    if model is None and not folder.is_dir():
        raise UnknownModel(folder, "the experts that come with the package", "none")
    if not folder.is_dir():
        listed = ", ".join(store.models.names()) or "none yet"
        raise UnknownModel(
            "model", f"a model of the store ({listed}) or a folder", repr(str(model))
        )
    arrays, card = read_model(folder)
    loaded = Model.from_record(arrays, card)
    if is_temporary:
        _take_classes(store, loaded, folder)
    require_scorable(store, scans, loaded, **scoring)
    # Of the card too: the same weights may have another working point.
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()
    return store.models.save(f"imported-{digest[:12]}", arrays, card)


def _take_classes(store: Store, model: Model, folder: Path) -> None:
    """Give a store without labels, which cannot contradict, the classes of a model."""
    known = store.labels.taxonomy().classes
    try:
        taxonomy = Taxonomy(classes={**known, **dict.fromkeys(model.classes, "")})
    except ValidationError as error:
        found = ", ".join(model.classes)
        raise BadInput(folder, "a model of classes that have a name", found) from error
    store.labels.set_taxonomy(taxonomy)
