"""Kinds of experts: which classes each of them distinguishes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etchscope.foil import BadInput

__all__ = ["MISC", "ExpertKind", "default_kinds", "multiclass_kind", "read_kinds"]

MISC = "misc"
"""The class of finds that are no pits; one expert distinguishes all pits from it."""


@dataclass(frozen=True)
class ExpertKind:
    """The name of an expert, and the groups of classes that it distinguishes.

    Raises
    ------
    BadInput : fewer than two groups, an empty group, or a class in two groups.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        where = f"expert {self.name}"
        if len(self.groups) < 2 or not all(self.groups):
            raise BadInput(where, "two or more groups of classes", str(self.groups))
        classes = [c for group in self.groups for c in group]
        if len(classes) != len(set(classes)):
            raise BadInput(where, "each class in one group", str(self.groups))

    @property
    def classes(self) -> tuple[str, ...]:
        """All classes that it is trained on."""
        return tuple(c for group in self.groups for c in group)

    def target(self, label: NDArray[np.str_]) -> NDArray[np.generic]:
        """Return the target of its training, (n,): see ``learn.train_expert``.

        It is bool, true for the first of two groups, or int64, the number of the group.

        Parameters
        ----------
        label : (n,) class of each patch; each is one of ``classes``.
        """
        if len(self.groups) == 2:
            return np.isin(label, self.groups[0])
        places = {c: k for k, group in enumerate(self.groups) for c in group}
        return np.array([places[c] for c in label.tolist()], np.int64)


def default_kinds(classes: Sequence[str]) -> tuple[ExpertKind, ...]:
    """Return one expert for each pair of classes of pits, and one for all pits against ``misc``.

    >>> [kind.name for kind in default_kinds(["hip", "top", "bottom", "misc"])]
    ['hip-top', 'hip-bottom', 'top-bottom', 'pit-misc']
    """
    pits = [c for c in classes if c != MISC]
    kinds = [ExpertKind(f"{a}-{b}", ((a,), (b,))) for a, b in combinations(pits, 2)]
    if MISC in classes:
        kinds.append(ExpertKind(f"pit-{MISC}", (tuple(pits), (MISC,))))
    return tuple(kinds)


def multiclass_kind(classes: Sequence[str]) -> ExpertKind:
    """Return the single expert that distinguishes all classes at once."""
    return ExpertKind("all", tuple((c,) for c in classes))


def read_kinds(record: Mapping[str, Any], *, where: str = "experts") -> tuple[ExpertKind, ...]:
    """Return the experts of a JSON object that maps names to groups of classes.

    Parameters
    ----------
    record : the object, such as ``{"hip-top": [["hip"], ["top"]]}``.
    where : the setting or file that holds the object, for errors.

    Raises
    ------
    BadInput : the object has another form, or groups that ``ExpertKind`` refuses.

    Examples
    --------
    >>> read_kinds({"hip-single": [["hip"], ["top", "bottom"]]})[0].groups
    (('hip',), ('top', 'bottom'))
    """
    expected = '{"hip-top": [["hip"], ["top"]], …}'
    if not isinstance(record, Mapping) or not record:
        raise BadInput(where, expected, repr(record)[:60])
    kinds = []
    for name, groups in record.items():
        is_list = isinstance(groups, list | tuple) and all(
            isinstance(g, list | tuple) and all(isinstance(c, str) for c in g) for g in groups
        )
        if not is_list:
            raise BadInput(f"{where}: {name}", expected, repr(groups)[:60])
        kinds.append(ExpertKind(str(name), tuple(tuple(g) for g in groups)))
    return tuple(kinds)


def require_known(kinds: Sequence[ExpertKind], classes: Sequence[str]) -> None:
    """Refuse experts that do not fit the classes.

    Parameters
    ----------
    kinds : the experts.
    classes : the classes that a model distinguishes.

    Raises
    ------
    BadInput : two experts of one name, an expert of an unknown class, or a class without an expert.
    """
    names = [kind.name for kind in kinds]
    for name in names:
        if names.count(name) > 1:
            raise BadInput("experts", "a name of its own for each", f"{name} twice")
    for kind in kinds:
        for name in kind.classes:
            if name not in classes:
                raise BadInput(f"expert {kind.name}", f"classes of {', '.join(classes)}", name)
    for name in classes:
        if not any(name in kind.classes for kind in kinds):
            raise BadInput("experts", f"one that knows class {name}", "none")
