"""The errors a user can meet, in one place; the command line turns them into exit statuses."""

from pathlib import Path

__all__ = ["BadInput", "EtchscopeError", "MachineFailed"]


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


class MachineFailed(EtchscopeError):
    """The machine failed, not the input: a full disk, a lost worker."""

    exit_status = 1
