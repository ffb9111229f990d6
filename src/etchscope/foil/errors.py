"""The errors a user can meet, in one place; the command line turns them into exit statuses."""

from pathlib import Path

__all__ = [
    "BadInput",
    "ClassMissing",
    "DamagedFile",
    "EtchscopeError",
    "MachineFailed",
    "NameTaken",
    "NoClassMap",
    "NoLabeller",
    "NoPicture",
    "NoPositions",
    "NotAFinder",
    "NotAStore",
    "NotLabelled",
    "NotScored",
    "NotSearched",
    "OldFinder",
    "OldStore",
    "TwoPictures",
    "UnknownAlignment",
    "UnknownClass",
    "UnknownExecutor",
    "UnknownModel",
    "UnknownRun",
    "UnknownScan",
    "WrongLights",
]


class EtchscopeError(Exception):
    """Base of every error that Etchscope raises on purpose."""

    exit_status = 1


class BadInput(EtchscopeError, ValueError):
    """What the user gave cannot be used; says where, what was expected and what was found.

    Parameters
    ----------
    where : the file, table, column or parameter that is wrong.
    expected, found : what it should have been, and what it is.
    hint : what to do next, a full sentence.

    Examples
    --------
    >>> print(BadInput("scan.json: side", "front or back", "'left'", hint="Correct the key."))
    scan.json: side: expected front or back, found 'left'. Correct the key.
    """

    exit_status = 2

    def __init__(self, where: str | Path, expected: str, found: str, hint: str = "") -> None:
        self.where, self.expected, self.found, self.hint = str(where), expected, found, hint
        super().__init__(where, expected, found, hint)

    def __str__(self) -> str:
        text = f"{self.where}: expected {self.expected}, found {self.found}"
        return f"{text}. {self.hint}" if self.hint else text


class NotAStore(BadInput):
    """A folder that is no store."""


class OldStore(BadInput):
    """A store of an earlier version, which can be migrated."""


class UnknownScan(BadInput):
    """The store has no scan of that name."""


class UnknownRun(BadInput):
    """The store has no finished run of that name."""


class UnknownModel(BadInput):
    """The store has no model of that name."""


class UnknownAlignment(BadInput):
    """The store or the folder has no such alignment."""


class UnknownClass(BadInput):
    """A class that is not in the taxonomy."""


class UnknownExecutor(BadInput):
    """No installed package has an executor of that name."""


class ClassMissing(BadInput):
    """A class of a model that the store's taxonomy does not have."""


class NameTaken(BadInput):
    """Another scan has the name already."""


class NotSearched(BadInput):
    """A scan that was never searched, or not everywhere."""


class NotScored(BadInput):
    """A run that no model has judged."""


class NotLabelled(BadInput):
    """There are no labels that could teach."""


class NoLabeller(BadInput):
    """Labels without the name of who gave them."""


class NoClassMap(BadInput):
    """Boxes whose numbers have no meaning."""


class NoPicture(BadInput):
    """Boxes whose picture is not in the store."""


class TwoPictures(BadInput):
    """Boxes whose picture is several times in the store."""


class NoPositions(BadInput):
    """Places in pixels of tiles, without the positions of the tiles."""


class DamagedFile(BadInput):
    """A file of the store that is absent, or not what was written."""


class WrongLights(BadInput):
    """A scan of other lights or another normalisation than the model's."""


class NotAFinder(BadInput):
    """A model of another kind, where a finder is needed."""


class OldFinder(BadInput):
    """A finder of another version."""


class MachineFailed(EtchscopeError):
    """The machine failed, not the input: a full disk, a lost worker."""

    exit_status = 1
