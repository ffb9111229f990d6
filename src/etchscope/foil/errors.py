"""The errors that users can meet. Each has the exit status of a program that it ends."""

import re
from pathlib import Path

__all__ = [
    "BadInput",
    "BadPlugin",
    "Busy",
    "ClassMissing",
    "DamagedFile",
    "EtchscopeError",
    "MachineFailed",
    "MissingExtra",
    "ModelNameTaken",
    "NameTaken",
    "NoClassMap",
    "NoGpu",
    "NoLabeller",
    "NoPicture",
    "NoPlugin",
    "NoPositions",
    "NoTiles",
    "NotAFinder",
    "NotAStore",
    "NotLabelled",
    "NotScored",
    "NotSearched",
    "OldFinder",
    "OldStore",
    "OtherNormalisation",
    "PartMissing",
    "SeveralFoils",
    "SeveralScans",
    "TwoPictures",
    "UnknownAlignment",
    "UnknownClass",
    "UnknownModel",
    "UnknownRun",
    "UnknownScan",
    "WrongLights",
    "shorten",
]

_LONGEST = 500
"""Characters of the longest message, besides its hint."""
_LONGEST_PART = 160
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def shorten(text: str, longest: int = _LONGEST) -> str:
    r"""Return text for one line of a message: its control characters escaped, its middle left out.

    Parameters
    ----------
    longest : characters of the longest text that stays whole.

    Examples
    --------
    >>> shorten("a\tb"), shorten("a" * 99 + "b" * 99, 9)
    ('a\\tb', 'aaaa…bbbb')
    """
    escaped = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)
    if len(escaped) <= longest:
        return escaped
    half = longest // 2
    return f"{escaped[:half]}…{escaped[-half:]}"


class EtchscopeError(Exception):
    """Base of every error that Etchscope raises on purpose."""

    exit_status = 1


class BadInput(EtchscopeError, ValueError):
    """An input that cannot be used; the error says where, what was expected and what was found.

    What is long is shortened in the message, and control characters are escaped.

    Parameters
    ----------
    where : the file, table, column or parameter that is wrong.
    expected, found : what was expected there, and what was found.
    hint : what to do next, a whole sentence.

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
        parts = [shorten(part, _LONGEST * 2) for part in (self.where, self.expected, self.found)]
        if sum(map(len, parts)) > _LONGEST:
            parts = [shorten(part, _LONGEST_PART) for part in parts]
        where, expected, found = parts
        text = f"{where}: expected {expected}, found {found}"
        return f"{text}. {self.hint}" if self.hint else text


class NotAStore(BadInput):
    """The folder is no store."""


class OldStore(BadInput):
    """A store of an earlier version, which can be migrated."""


class UnknownScan(BadInput):
    """The store has no scan of that name."""


class UnknownRun(BadInput):
    """The store or the scan has no finished run of that name."""


class SeveralScans(BadInput):
    """Several scans could be meant, and none is named."""


class SeveralFoils(BadInput):
    """A name for one foil is given where there are several."""


class UnknownModel(BadInput):
    """The store has no model of that name."""


class UnknownAlignment(BadInput):
    """The store or the folder has no such alignment."""


class UnknownClass(BadInput):
    """The taxonomy has no such class."""


class ClassMissing(BadInput):
    """The model has a class that the taxonomy of the store lacks."""


class NameTaken(BadInput):
    """Another scan has the name already."""


class NoTiles(BadInput):
    """A condition that no tile meets."""


class ModelNameTaken(BadInput):
    """Another model has the name already."""


class NotSearched(BadInput):
    """The scan was never searched, or only a part of it was."""


class NotScored(BadInput):
    """No model has scored the run."""


class PartMissing(BadInput):
    """A run cannot be joined, since not all of its parts are done."""


class NotLabelled(BadInput):
    """There are no labels to train on."""


class NoLabeller(BadInput):
    """The labels lack the name of the person who gave them."""


class NoClassMap(BadInput):
    """No table says which class each number of the boxes means."""


class NoPicture(BadInput):
    """The boxes belong to a picture that the store does not have."""


class TwoPictures(BadInput):
    """The boxes belong to a picture that the store has more than once."""


class NoPositions(BadInput):
    """Places are stated in pixels of tiles, and the positions of the tiles are not known."""


class NoPlugin(BadInput):
    """A name that is neither our own nor that of an installed package's entry point."""


class BadPlugin(BadInput):
    """An entry point of another package that cannot be used."""


class DamagedFile(BadInput):
    """A file of the store is absent, or it differs from what was written."""


class WrongLights(BadInput):
    """The scan has other lights or another normalisation than the model."""


class OtherNormalisation(BadInput):
    """Patches that were cut from pictures normalised otherwise than those of the store."""


class NoGpu(BadInput):
    """A GPU is asked for, and PyTorch finds none."""


class MissingExtra(BadInput):
    """A package is not installed, since Etchscope was installed without the extra that brings it.

    Parameters
    ----------
    package : name of the package, as it is imported.
    extra : name of the extra.

    Examples
    --------
    >>> print(MissingExtra("uproot", "root"))
    the package uproot is missing; the extra root brings it: pip install "etchscope[root]"
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, f"the package of the extra {extra}", "none")
        self.args = (package, extra)
        self.extra = extra

    def __str__(self) -> str:
        command = f'pip install "etchscope[{self.extra}]"'
        return f"the package {self.where} is missing; the extra {self.extra} brings it: {command}"


class NotAFinder(BadInput):
    """The model is no finder."""


class OldFinder(BadInput):
    """The finder has another version than this program reads."""


class MachineFailed(EtchscopeError):
    """The machine failed, not the input: the disk is full, or a worker was lost."""

    exit_status = 1


class Busy(MachineFailed):
    """Another process does the same at this moment.

    Parameters
    ----------
    what : what is being done, such as "model first".
    who : the process that does it, its host, and since when, in words.

    Examples
    --------
    >>> print(Busy("model first", "process 12 on host a, at it since 10:12"))
    model first is taken by process 12 on host a, at it since 10:12; repeat later.
    """

    def __init__(self, what: str, who: str) -> None:
        self.what, self.who = what, who
        super().__init__(what, who)

    def __str__(self) -> str:
        return f"{self.what} is taken by {self.who}; repeat later."
