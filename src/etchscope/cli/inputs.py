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


@contextmanager
def opened_inputs(
    paths: list[Path],
    *,
    scan: str | None,
    mask: Path | None,
    no_mask: bool,
    **pictures: Any,
) -> "Iterator[Store]":
    """Yield the store that is given, or a temporary one made of the pictures that are given.

    Parameters
    ----------
    pictures : the options about pictures, as arguments of ``api.opened_paths``.

    Raises
    ------
    BadInput : both a mask and its removal, or see ``api.opened_paths``.
    """
    from etchscope.api import opened_paths

    if mask is not None and no_mask:
        raise BadInput("--no-mask", "no --mask beside it", str(mask))
    with (
        name_options({"name of a scan": "--scan"}),
        opened_paths(
            paths,
            scan=scan,
            mask=mask,
            forget_mask=no_mask,
            each=_echo_left_out,
            progress=True,
            **pictures,
        ) as store,
    ):
        yield store


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
