"""Limits of a table of points or of a scored run: what goes in, and the files that come out."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.background.exports import hepdata_documents, pyhf_workspace
from etchscope.background.flux import Exposure
from etchscope.background.limits import (
    POINT_COLUMNS,
    advise,
    as_points,
    is_blind,
    limit_points,
    quantities_of,
)
from etchscope.background.look_elsewhere import Ranking, rank_candidates
from etchscope.files.atomic import make_folder, write_aside
from etchscope.files.tables import write_rows
from etchscope.files.yaml_files import write_yaml_files
from etchscope.foil import BadInput
from etchscope.run.results import gather_candidates, select_candidates
from etchscope.store import Store

__all__ = ["LimitReport", "make_report", "merge_points", "observed_in", "write_report"]


@dataclass(frozen=True)
class LimitReport:
    """Limits, and what they came from.

    Parameters
    ----------
    limits : see ``background.limits.limit_points``.
    exposure : area, acceptance and duration.
    advice : which method to quote, and why.
    ranking : p-values of the candidates, where the expected false candidates are known.
    runs : scored runs of which the candidates were counted.
    """

    limits: pd.DataFrame
    exposure: Exposure
    advice: str
    ranking: Ranking | None = None
    runs: tuple[str, ...] = ()

    def highs(self) -> list[str]:
        """Return the columns of the upper limits, the expected one among them."""
        return [name for name in quantities_of(self.limits) if "high" in name]

    def axes(self) -> tuple[str, str] | None:
        """Return the label and the limit that a figure shows, or None if there is no curve."""
        columns = [str(name) for name in self.limits.columns]
        labels = [
            n for n in columns[1 : columns.index(POINT_COLUMNS[0])] if _is_number(self.limits[n])
        ]
        quantity = next(n for n in reversed(self.highs()) if n != "expected_high")
        is_drawn = labels and self.limits["point"].max() > 1
        if not is_drawn or not np.isfinite(self.limits[quantity]).any():
            return None
        return labels[0], quantity

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON; null stands for what is infinite or not known."""
        ranking = None
        if self.ranking is not None:
            ranking = {name: getattr(self.ranking, name) for name in _OF_RANKING}
            ranking["candidates"] = _rows(self.ranking.table)
        return {
            "runs": list(self.runs),
            "exposure": asdict(self.exposure),
            "advice": self.advice,
            "limits": _rows(self.limits),
            "ranking": ranking,
        }


_OF_RANKING = ("p_global", "p_global_error", "valid", "why")


def _is_number(values: "pd.Series[Any]") -> bool:
    return bool(np.isfinite(pd.to_numeric(values, errors="coerce")).all())


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON."""
    return [
        {str(name): _storable(value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _storable(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def merge_points(table: pd.DataFrame | None, stated: Mapping[str, float | None]) -> pd.DataFrame:
    """Return the table of points with what is stated once for all of them; one point without it.

    Parameters
    ----------
    stated : column → its value, None where it is not stated.

    Raises
    ------
    BadInput : a column that is in the table and stated, too.
    """
    given = {name: value for name, value in stated.items() if value is not None}
    if table is None:
        return pd.DataFrame([given])
    for name in given:
        if name in table:
            raise BadInput(name, "a column of the table or one value", "both")
    return table.assign(**given)


def observed_in(store: Store, runs: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Return the selected candidates of scored runs, and why they may not be all.

    Raises
    ------
    NotScored : a run that was not scored.
    """
    every = gather_candidates(store, runs)
    outside = int((~every["valid"].fillna(value=True).astype(bool)).sum())
    why = f"the model does not hold for {outside:,} of {len(every):,} candidates" if outside else ""
    return select_candidates(every), why


def make_report(
    points: pd.DataFrame,
    exposure: Exposure,
    confidences: Sequence[float],
    *,
    candidates: pd.DataFrame | None = None,
    false_above: pd.DataFrame | None = None,
    runs: Sequence[str] = (),
) -> LimitReport:
    """Return the limits of points, and the p-values of candidates where background is stated.

    Parameters
    ----------
    points : see ``background.limits.as_points``.
    candidates : with a column ``score``.
    false_above : expected false candidates, columns ``score`` and ``expected``.

    Raises
    ------
    BadInput : see ``limit_points`` and ``rank_candidates``.
    """
    checked = as_points(points)
    limits = limit_points(checked, exposure, confidences)
    ranking = None
    if false_above is not None and candidates is not None and len(candidates):
        ranking = rank_candidates(candidates["score"].to_numpy(), false_above)
    return LimitReport(limits, exposure, advise(checked), ranking, tuple(runs))


def write_report(report: LimitReport, folder: Path) -> list[Path]:
    """Write limits as CSV, JSON, workspaces of pyhf and a HEPData submission; return the files.

    Points without efficiency have no workspace.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    make_folder(folder)
    tables = {"limits": report.limits}
    if report.ranking is not None:
        tables["candidates"] = report.ranking.table
    write_rows(folder, tables)
    written = [folder / f"{name}.csv" for name in tables]
    texts = {"limits.json": report.to_dict()} | _workspaces(report.limits)
    for name, value in texts.items():
        with write_aside(folder / name) as aside:
            text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
            aside.write_text(text + "\n", encoding="utf-8")
    written += [folder / name for name in texts]
    return written + write_yaml_files(folder / "hepdata", hepdata_documents(report.limits))


def _workspaces(limits: pd.DataFrame) -> dict[str, dict[str, Any]]:
    points = limits.drop_duplicates("point").to_dict("records")
    return {f"pyhf-{one['point']}.json": pyhf_workspace(one) for one in points if not is_blind(one)}
