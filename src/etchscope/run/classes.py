"""Choose the classes that a model learns to separate."""

from collections.abc import Collection, Sequence

from etchscope.foil import BadInput, Taxonomy

__all__ = ["classes_to_train", "require_decidable"]


def require_decidable(taxonomy: Taxonomy, names: Sequence[str], where: str = "class") -> None:
    """Refuse classes that cannot be trained: unknown or undecidable ones, and subclasses.

    Parameters
    ----------
    where : name for an error.

    Raises
    ------
    UnknownClass : a class that the taxonomy lacks.
    BadInput : an undecidable class, or a subclass.
    """
    whole = _whole(taxonomy)
    for name in names:
        taxonomy.require(where, name)
        if name not in whole:
            raise BadInput(where, f"a decidable class: {', '.join(whole)}", repr(name))


def classes_to_train(
    taxonomy: Taxonomy, labelled: Collection[str], chosen: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the chosen classes, or all decidable ones that have labels, in the taxonomy's order.

    Parameters
    ----------
    labelled : the classes that have labels.

    Raises
    ------
    BadInput : fewer than two classes.
    """
    classes = tuple(dict.fromkeys(chosen or [c for c in _whole(taxonomy) if c in labelled]))
    if len(classes) < 2:
        found = f"only of {', '.join(classes) or 'none'}"
        raise BadInput("labels", "labels of two classes or more", found)
    return classes


def _whole(taxonomy: Taxonomy) -> list[str]:
    """Return the decidable classes that are no subclass."""
    return [c for c in taxonomy.classes if "." not in c and taxonomy.is_decidable(c)]
