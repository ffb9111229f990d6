"""Limits on the number, the fluence and the flux of particles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from etchscope.api.given import File, Table
from etchscope.api.kept import OfStore
from etchscope.background.flux import Exposure
from etchscope.background.limits import CONFIDENCES
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.run.limits import LimitReport

__all__ = ["limit", "write_limits"]


def limit(
    *,
    observed: int | None = None,
    background: float | None = None,
    background_error: float | None = None,
    efficiency: float | None = None,
    efficiency_error: float | None = None,
    effective_area_cm2_sr: float | None = None,
    effective_area_error_cm2_sr: float | None = None,
    points: Table | None = None,
    area_m2: float | None = None,
    solid_angle_sr: float | None = None,
    years: float | None = None,
    store: OfStore | None = None,
    scan: str | None = None,
    run: str | None = None,
    false_above: Table | None = None,
    confidences: Sequence[float] = CONFIDENCES,
) -> "LimitReport":
    """Return limits by three methods side by side, from counts or from the candidates of a store.

    Parameters
    ----------
    observed : counted candidates; those of the store that are selected, if a store is given.
    background, background_error : expected false candidates, and their standard deviation.
    efficiency, efficiency_error : share of the particles that is selected, and its standard error.
    effective_area_cm2_sr, effective_area_error_cm2_sr : area times acceptance times efficiency.
    points : one row per point with these columns, and labels such as ``z_over_beta``; what is the
        same for all points can be given as an argument instead.
    area_m2, solid_angle_sr, years : exposure, see ``background.flux.Exposure``.
    store, scan, run : whose selected candidates are counted: those of a run, or of the latest
        scored run of a scan, which must be named if several scans were scored.
    false_above : expected false candidates at a score or above, columns ``score`` and ``expected``:
        gives the p-value of the ranking of the store's candidates.
    confidences : of the limits.

    Raises
    ------
    UnknownScan, UnknownRun, NotScored, SeveralScans : see ``run.results.choose_counted_run``.
    BadInput : an injected scan; a number that is absent, negative or not finite; an efficiency
        above 1; a value that is stated twice; or expected false candidates without a store.

    Examples
    --------
    >>> slim = limit(observed=0, efficiency=1, area_m2=427, solid_angle_sr=3.1416, years=4.22)
    >>> print(slim.limits["flux_high_per_cm2_s_sr"].map("{:.3g}".format)[:2].tolist())
    ['1.36e-15', '1.29e-15']
    """
    from etchscope.run.limits import make_report, merge_points, observed_in

    stated: dict[str, float | None] = {
        "observed": observed,
        "background": background,
        "background_error": background_error,
        "efficiency": efficiency,
        "efficiency_error": efficiency_error,
        "effective_area_cm2_sr": effective_area_cm2_sr,
        "effective_area_error_cm2_sr": effective_area_error_cm2_sr,
    }
    if false_above is not None and store is None:
        raise BadInput("expected false candidates", "a store with candidates to rank", "none")
    table = None if points is None else _as_frame(points)
    candidates, runs, why = None, [], ""
    if store is not None:
        from etchscope.run.results import choose_counted_run

        runs = [choose_counted_run(store.kept, scan=scan, run=run)]
        candidates, why = observed_in(store.kept, runs)
        stated["observed"] = len(candidates) if observed is None else observed
    merged = merge_points(table, stated)
    if why:
        own = merged.get("why", pd.Series("", merged.index)).fillna("").astype(str)
        merged = merged.assign(valid=False, why=[f"{one}; {why}" if one else why for one in own])
    return make_report(
        merged,
        Exposure(area_m2, solid_angle_sr, years),
        confidences,
        candidates=candidates,
        false_above=None if false_above is None else _as_frame(false_above),
        runs=runs,
    )


def _as_frame(given: Table) -> pd.DataFrame:
    """Return a table of any columns, read from its file if it is one."""
    from etchscope.files.tables import read_columns

    return given if isinstance(given, pd.DataFrame) else read_columns(Path(given))


def write_limits(report: "LimitReport", folder: File) -> list[Path]:
    """Write limits into a folder, and return the files.

    ``limits.csv`` and ``limits.json`` hold the limits, ``pyhf-1.json`` and so on one workspace of
    pyhf for each point, the folder ``hepdata`` a submission to HEPData. Where the points have a
    label of numbers, ``limits.png`` shows the limits against the first one.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    from etchscope.run.limits import write_report

    written = write_report(report, Path(folder))
    axes = report.axes()
    if axes is None:
        return written
    from etchscope.draw.limits import draw_limits
    from etchscope.draw.png import encode_figure
    from etchscope.pages.writing import write_picture

    figure = draw_limits(report.limits, *axes)
    return [*written, write_picture(encode_figure(figure), Path(folder) / "limits.png")]
