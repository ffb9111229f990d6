"""The content of a report, and the book-keeping of its pits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.evaluation import Evaluation
from etchscope.foil import PitFlag, Scan, has_flag

__all__ = ["ReportContent", "ledger"]


@dataclass(frozen=True)
class ReportContent:
    """The data of a report on one run over one scan.

    Parameters
    ----------
    pits : the run's pit table.
    scan : the record of the scan, with its tiles.
    record : the identity of the run, small and JSON-like. Its ``counts`` (raw detections, then the
        numbers that were taken away, for example merged and outside_region) become the ledger.
    thumbnails : tile number → its picture, (y, x), any real dtype.
    left_out : tiles that were left out when the scan was added, each with tile, file and why.
    evaluation : of the pits against a truth, if there is one.
    breakdowns : columns of the truth by whose values the efficiency is broken down.
    candidates : of a scored run, by falling score.
    """

    pits: pd.DataFrame
    scan: Scan
    record: Mapping[str, Any]
    thumbnails: Callable[[int], NDArray[Any]]
    left_out: Sequence[Mapping[str, Any]] = ()
    evaluation: Evaluation | None = None
    breakdowns: Sequence[str] = ()
    candidates: pd.DataFrame | None = None

    @property
    def openings(self) -> pd.DataFrame:
        """The rows that are pits and not scratches, fibres or other long marks."""
        return self.pits[self.pits["length_px"].isna()]


def ledger(content: ReportContent) -> list[tuple[str, int, str]]:
    """Return the book-keeping of pits as rows (text, count, remark).

    It starts from the raw detections, subtracts the other ``counts`` of the record, and states
    whether the number of rows of the table is left. Without counts it has the rows of the table
    alone.
    """
    counts = dict(content.record.get("counts", {}))
    raw = counts.pop("raw", None)
    rows = len(content.pits)
    taken = {name: int(n) for name, n in counts.items() if _is_whole(n)}
    lines = []
    if _is_whole(raw):
        left = int(raw) - sum(taken.values())
        remark = "adds up" if left == rows else f"does not add up: {left:,} expected"
        lines.append(("detections in all tiles", int(raw), ""))
        lines += [(f"− {name.replace('_', ' ')}", n, "") for name, n in taken.items()]
        lines.append(("= rows of the pit table", rows, remark))
    else:
        lines.append(("rows of the pit table", rows, ""))
    flagged = {flag: int(has_flag(content.pits, flag).sum()) for flag in PitFlag}
    lines += [
        (f"of them flagged: {str(flag.name).lower().replace('_', ' ')}", n, "kept in the table")
        for flag, n in flagged.items()
        if n
    ]
    return lines


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
