"""Rows of foils, of which every scan may say more."""

from typing import Any

from sqlalchemy.orm import Session

from etchscope.foil import BadInput, Foil
from etchscope.store.catalogue import FoilRow, StackRow
from etchscope.store.rows import foil_of

__all__ = ["put_foil"]


def put_foil(session: Session, foil: Foil) -> None:
    """Add a foil, or fill in what an earlier scan of it did not say.

    Raises
    ------
    BadInput : the store knows the foil with another value of the same thing.
    """
    if foil.stack is not None and session.get(StackRow, foil.stack) is None:
        session.add(StackRow(name=foil.stack, info={}))
        session.flush()
    old = session.get(FoilRow, foil.name)
    if old is None:
        session.add(
            FoilRow(
                name=foil.name,
                stack=foil.stack,
                material=foil.material,
                thickness_um=foil.thickness_um,
                etch=[foil.etch],
                info=foil.metadata,
            )
        )
        return
    merged = _merged(foil_of(old), foil)
    old.stack, old.material, old.thickness_um = merged.stack, merged.material, merged.thickness_um
    old.etch, old.info = [merged.etch], merged.metadata


def _merged(old: Foil, new: Foil) -> Foil:
    def one(what: str, known: Any, given: Any) -> Any:
        if known is not None and given is not None and known != given:
            hint = "One foil has one value; correct it, or give the foil another name."
            raise BadInput(f"foil {old.name}: {what}", f"{known!r} as before", repr(given), hint)
        return known if given is None else given

    fields = {
        k: one(k, getattr(old, k), getattr(new, k))
        for k in ("stack", "material", "thickness_um", "etch")
    }
    keys = sorted(old.metadata.keys() | new.metadata.keys())
    metadata = {k: one(k, old.metadata.get(k), new.metadata.get(k)) for k in keys}
    return Foil(name=old.name, metadata=metadata, **fields)
