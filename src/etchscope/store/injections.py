"""Injected scans: which scans of a store hold signal that was put into their pictures on purpose.

An injected scan is an ordinary scan of tiles of another one. A fit of it, which is committed with
its pictures, says what it was made of, and holds the table of its true pits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from etchscope.foil import BadInput
from etchscope.geometry import Mask
from etchscope.store.catalogue import Catalogue, FitRow
from etchscope.store.fit_records import InjectionFit
from etchscope.store.fits import Fits, put_fit, put_mask
from etchscope.store.rows import require_scan, scan_names

__all__ = ["INJECTION", "Injection", "Injections", "put_injection", "sources_of_injected"]

INJECTION = "injection"
"""Recipe under which the true pits of an injected scan are kept among its fits."""


@dataclass(frozen=True)
class Injection:
    """What an injected scan is made of.

    Parameters
    ----------
    source : the scan whose tiles were copied.
    pits : columns of the table of true pits, name → (n,) numbers.
    made_by : seed, population, settings and version, for JSON.
    mask : where the scan is to be searched, as its source was; None for all of it.
    """

    source: str
    pits: Mapping[str, "np.ndarray[Any, Any]"]
    made_by: Mapping[str, Any]
    mask: Mask | None = None


def sources_of_injected(session: Session) -> dict[str, str]:
    """Return injected scan → the scan that it was made from."""
    rows = session.execute(select(FitRow.scan, FitRow.record).where(FitRow.recipe == INJECTION))
    return {str(row.scan): str(row.record["source"]) for row in rows}


def put_injection(root: Path, scan: str, injection: Injection, session: Session) -> None:
    """Mark a scan as injected and keep its mask, in the transaction that adds it.

    Raises
    ------
    UnknownScan : the store has no such source.
    """
    require_scan(session, injection.source)
    record = InjectionFit(source=injection.source, made_by=dict(injection.made_by))
    put_fit(session, root, scan, INJECTION, injection.pits, record)
    if injection.mask is not None:
        put_mask(session, root, scan, injection.mask)


class Injections:
    """The injected scans of a store."""

    def __init__(self, catalogue: Catalogue, fits: Fits) -> None:
        self._catalogue = catalogue
        self._fits = fits

    def sources(self) -> dict[str, str]:
        """Return injected scan → the scan that it was made from."""
        with self._catalogue.reading() as session:
            return sources_of_injected(session)

    def original_names(self) -> list[str]:
        """Return the names of the scans that are as the microscope took them, sorted."""
        with self._catalogue.reading() as session:
            injected = sources_of_injected(session)
            return [name for name in scan_names(session) if name not in injected]

    def source(self, scan: str) -> str:
        """Return the scan that a scan was made from; for one that is not injected, itself."""
        known = self._fits.record(scan, INJECTION, InjectionFit)
        return scan if known is None else known.source

    def made_by(self, scan: str) -> dict[str, Any]:
        """Return seed, population, settings and version of an injected scan.

        Raises
        ------
        BadInput : the scan is not injected.
        """
        return self._load(scan)[1].made_by

    def pits(self, scan: str) -> pd.DataFrame:
        """Return the true pits of an injected scan, in the columns that were kept.

        Raises
        ------
        BadInput : the scan is not injected, or the file is damaged.
        """
        return pd.DataFrame(self._load(scan)[0])

    def _load(self, scan: str) -> tuple[dict[str, "np.ndarray[Any, Any]"], InjectionFit]:
        known = self._fits.load(scan, INJECTION, InjectionFit)
        if known is None:
            raise BadInput(f"scan {scan}", "an injected scan", "one without injected pits")
        return known

    def refuse(self, scan: str, what: str) -> None:
        """Refuse an injected scan where only real pictures may enter.

        Parameters
        ----------
        what : the step, for the error.

        Raises
        ------
        BadInput : the scan is injected.
        """
        source = self.source(scan)
        if source != scan:
            expected = "a scan as the microscope took it"
            found = f"scan {scan}, into which signal was injected"
            raise BadInput(what, expected, found, hint=f"Use scan {source}.")
