"""What a report is made of, and the book-keeping of its pits."""

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
    """All that a report shows of one run over one scan.

    Parameters
    ----------
    pits : the run's pit table.
    scan : with its tiles, the excluded ones marked.
    record : the run's identity, small and JSON-like. ``counts`` (raw, then what was taken away,
        for example merged and outside_region) becomes the ledger.
    left_out : what adding the scan left out, each with tile, file and why.
    thumbnails : gives a tile's picture by number, (y, x), any real dtype.
    evaluation : of the pits against a truth, where there is one.
    breakdowns : columns of the truth for which the efficiency is given per value.
    candidates : of a scored run, the best first.
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
        """The rows that are pits, and no scratch, fibre or the like."""
        return self.pits[self.pits["length_px"].isna()]


def ledger(content: ReportContent) -> list[tuple[str, int, str]]:
    """Return the book-keeping of pits as (what, count, remark), so that in = out can be seen.

    It starts from the raw detections, takes away what the record's ``counts`` say, and states
    whether the rows of the table are what is left. Without counts it is the table's rows alone.
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
