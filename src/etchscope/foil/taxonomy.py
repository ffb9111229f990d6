"""The classes that a label may have; they are data from a file, not code."""

import re
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from etchscope.foil.errors import UnknownClass

__all__ = ["DEFAULT_TAXONOMY", "WITHDRAWN", "Taxonomy", "parent_class"]

WITHDRAWN = "withdrawn"
"""The class of an event that withdraws a label; no class of a taxonomy may have this name."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}(\.[A-Za-z0-9][A-Za-z0-9_-]{0,49})?")


def parent_class(name: str) -> str:
    """Return the class that a subclass belongs to; a class belongs to itself.

    >>> parent_class("top.spallation"), parent_class("hip")
    ('top', 'hip')
    """
    return name.partition(".")[0]


class Taxonomy(BaseModel):
    """The classes of labels and their meanings; the name of a subclass has a dot.

    Parameters
    ----------
    classes : name → meaning, in the order in which they are shown.
    undecidable : classes which mean that the labeller could not decide; by default no model is
        trained on them. Their subclasses are undecidable, too. By default ``maybe``, if it is a
        class.
    no_pit : classes of things that are no pits, with their subclasses; the finder learns not to
        find them. By default ``misc``, if it is a class.

    Raises
    ------
    ValueError : a name that no class can have, a subclass without its class, an undecidable or
        no-pit class that is not among the classes, or no decidable class.

    Examples
    --------
    >>> own = Taxonomy(classes={"hip": "signal", "top": "", "top.fission": "", "maybe": ""})
    >>> own.is_known("top.fission"), own.is_known("top.dust"), own.is_decidable("maybe")
    (True, False, False)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    classes: Annotated[dict[str, str], Field(min_length=1)]
    undecidable: Annotated[tuple[str, ...], Field(strict=False)] = ()
    no_pit: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @field_validator("classes")
    @classmethod
    def _are_names(cls, classes: dict[str, str]) -> dict[str, str]:
        for name in classes:
            if not _NAME.fullmatch(name) or parent_class(name) == WITHDRAWN:
                raise ValueError(f"{name!r} cannot be the name of a class")
            if parent_class(name) not in classes:
                raise ValueError(
                    f"{name!r} is a subclass of {parent_class(name)!r}, which is not listed"
                )
        return classes

    @model_validator(mode="before")
    @classmethod
    def _usual_names_mean_the_usual(cls, given: Any) -> Any:
        classes = given.get("classes") if isinstance(given, dict) else None
        if not isinstance(classes, dict):
            return given
        usual = {"undecidable": "maybe", "no_pit": "misc"}
        return {k: (v,) for k, v in usual.items() if v in classes} | given

    @model_validator(mode="after")
    def _names_are_classes(self) -> "Taxonomy":
        for key in ("undecidable", "no_pit"):
            for name in getattr(self, key):
                if name not in self.classes:
                    raise ValueError(f"{key} {name!r} is not among the classes")
        if not any(self.is_decidable(name) for name in self.classes):
            raise ValueError("at least one class must be decidable")
        return self

    def is_known(self, name: str) -> bool:
        """Return whether the taxonomy has a class or subclass of exactly this name."""
        return name in self.classes

    def is_decidable(self, name: str) -> bool:
        """Return whether a class states what a thing is: not undecidable and not withdrawn."""
        return name != WITHDRAWN and not {name, parent_class(name)} & set(self.undecidable)

    def is_pit(self, name: str) -> bool:
        """Return whether things of a class are pits; true for undecidable classes, too."""
        return not {name, parent_class(name)} & set(self.no_pit)

    def require(self, where: str, name: str) -> None:
        """Refuse a class that the taxonomy does not have.

        Raises
        ------
        UnknownClass : names the class, and the classes of the taxonomy.
        """
        if not self.is_known(name):
            known = ", ".join(self.classes)
            raise UnknownClass(where, f"a class of the taxonomy ({known})", repr(name))


_DEFAULT = MappingProxyType(
    {
        "hip": "signal: entry and exit pit of one through-going particle (a candidate)",
        "top": "a single pit on the surface that faces the camera",
        "top.spallation": "of a fragment that the beam made in the foil",
        "bottom": "a single pit on the far surface",
        "bottom.spallation": "of a fragment that the beam made in the foil",
        "misc": "no pit",
        "misc.scratch": "a scratch",
        "misc.dust": "a grain of dust",
        "misc.fibre": "a fibre",
        "misc.bubble": "a bubble",
        "misc.drop": "what a drop left that dried",
        "misc.hole": "a hole that was drilled",
        "maybe": "the labeller could not decide",
    }
)
DEFAULT_TAXONOMY = Taxonomy(classes=dict(_DEFAULT))
"""The taxonomy of a store that has no other."""
