"""The inputs of commands: a store or pictures, the scans to search, shares of classes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from etchscope.cli.errors import name_options
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.api import Store
    from etchscope.api.results import Added

__all__ = [
    "opened_inputs",
    "parse_prior",
    "require_scans",
]

_NOTHING_KEPT = (
    "nothing was written: name a table with `-o FILE`, or add the scan to a store with "
    "`etchscope add`"
)


@contextmanager
def opened_inputs(
    paths: list[Path],
    *,
    scan: str | None,
    mask: Path | None,
    no_mask: bool,
    writes: bool,
    **pictures: Any,
) -> "Iterator[Store]":
    """Yield the store that is given, or a temporary one made of the pictures that are given.

    Parameters
    ----------
    writes : whether the command writes a file or prints JSON; if not, and pictures are given, a
        line says that nothing is kept.
    pictures : the options about pictures, as arguments of ``api.opened_paths``.

    Raises
    ------
    BadInput : both a mask and its removal, or see ``api.opened_paths``.
    """
    from etchscope.api import opened_paths

    if mask is not None and no_mask:
        raise BadInput("--no-mask", "no --mask beside it", str(mask))
    added: list[Added] = []

    def note(one: "Added") -> None:
        added.append(one)
        _echo_left_out(one)

    with (
        name_options({"name of a scan": "--scan"}),
        opened_paths(
            paths,
            scan=scan,
            mask=mask,
            forget_mask=no_mask,
            each=note,
            progress=True,
            **pictures,
        ) as store,
    ):
        yield store
        if added and not writes:
            typer.echo(_NOTHING_KEPT, err=True)


def _echo_left_out(added: "Added") -> None:
    for bad in added.left_out:
        typer.echo(f"left out tile {bad.tile}: {bad.file}: {bad.why}", err=True)


def parse_prior(text: str | None) -> dict[str, float] | None:
    """Return class → share of ``hip=0.01,top=0.4,…``; None stays None.

    Raises
    ------
    BadInput : another text.
    """
    if text is None:
        return None
    shares = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        try:
            shares[name.strip()] = float(value)
        except ValueError as error:
            raise BadInput("--prior", "hip=0.01,top=0.4,…", repr(part)) from error
        if not equals:
            raise BadInput("--prior", "hip=0.01,top=0.4,…", repr(part))
    return shares


def require_scans(store: "Store", scan: str | None, where: Path) -> list[str]:
    """Return the scan that is named, or else all scans of the store.

    Raises
    ------
    BadInput : the store has no scan.
    """
    names = store.scan_names() if scan is None else [scan]
    if not names:
        raise BadInput(where, "a store with scans", "an empty store", hint="Add a scan.")
    return names
