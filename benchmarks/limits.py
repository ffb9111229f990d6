"""Coverage of the limits by toys and by exact sums, and their agreement with pyhf.

    OMP_NUM_THREADS=1 python benchmarks/limits.py -o benchmarks/results/limits.json

True backgrounds from 0 to 5 that are known exactly, with errors of the efficiency of 0, 10, 20 and
30 %, and backgrounds of 1 and 3 that were measured in an off-region as large as the search, with
errors of 0 and 30 %; true signals from 0 to 10 seen particles. Each toy draws the count, that of
the off-region and the measured efficiency, and sets the limits from what it drew; 10,000 toys for
each combination. Since a limit is a number of seen particles divided by the measured efficiency,
its coverage can also be summed over the counts without toys. Counts for which no limit was
computed, one in 4,000 at most, are not covered. The table has the worst coverage over all
backgrounds and signals.

The last two rows draw the efficiency from a normal and from a binomial distribution, unlike the
log-normal one that the limits assume, with 200,000 toys.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyhf
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import poisson

from etchscope.background.construction import interval_exact, limit_cls
from etchscope.background.counting import Counting
from etchscope.background.exports import pyhf_workspace
from etchscope.background.limits import CONFIDENCES, METHODS, as_points
from etchscope.background.marginal import limit_bayes

Floats = NDArray[np.float64]
TOYS, MORE_TOYS = 10_000, 200_000
"""Toys of a combination, and those of the efficiencies for which there is no sum."""
SIGNALS = np.arange(0, 10.25, 0.5)
KNOWN = (0.0, 0.5, 1.0, 3.0, 5.0)
MEASURED = (1.0, 3.0)
ERRORS, MEASURED_ERRORS = (0.0, 0.1, 0.2, 0.3), (0.0, 0.3)
COUNTS, OFF_COUNTS = 31, 12
"""Numbers of counts and of off-counts, each from 0, for which limits are computed."""


@dataclass(frozen=True)
class Cell:
    """The limits of all counts for one background, error of the efficiency and confidence."""

    background: float | None
    efficiency_error: float
    confidence: float

    def countings(self) -> list[Counting]:
        if self.background is not None:
            return [Counting(n, self.background, 0, self.efficiency_error) for n in range(COUNTS)]
        off = [(float(m), np.sqrt(m) if m else 1.0) for m in range(OFF_COUNTS)]
        return [Counting(n, *b, self.efficiency_error) for n in range(COUNTS) for b in off]


def limits_of(cell: Cell) -> tuple[Cell, Floats, float]:
    """Return the bounds, (count, off-count, method, low or high), and the seconds of processor."""
    start = time.process_time()
    rows = []
    for counting in cell.countings():
        exact = interval_exact(counting, cell.confidence)
        rows.append(
            [
                exact,
                (0, limit_cls(counting, cell.confidence)),
                (0, limit_bayes(counting, cell.confidence)),
            ]
        )
    bounds = np.array(rows).reshape(COUNTS, -1, len(METHODS), 2)
    return cell, bounds, time.process_time() - start


def summed_coverage(bounds: Floats, background: float, width: float, is_known: bool) -> Floats:
    """Return the coverage by exact sums, (signal, method)."""
    counts, offs = np.arange(COUNTS), np.arange(bounds.shape[1])
    weight = poisson.pmf(counts, SIGNALS[:, None] + background)
    off = np.ones(1) if is_known else poisson.pmf(offs, background)
    seen = SIGNALS[:, None, None, None]
    low, high = bounds[..., 0], bounds[..., 1]
    if width == 0:
        inside = ((low <= seen * (1 + 1e-9)) & (seen <= high * (1 + 1e-9))) * 1.0
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [np.log(bound) - np.log(seen) for bound in (low, high)]
        inside = ndtr(logs[1] / width) - ndtr(logs[0] / width)
        inside = np.where(seen == 0, (low <= 0) * 1.0, inside)
    return np.asarray(np.einsum("sn,m,snmk->sk", weight, off, inside))


def toy_coverage(
    rng: np.random.Generator,
    bounds: Floats,
    background: float,
    is_known: bool,
    draw: Any,
    *,
    toys: int,
) -> Floats:
    """Return the share of toys whose limits hold, (signal, method)."""
    out = np.zeros((len(SIGNALS), len(METHODS)))
    for place, signal in enumerate(SIGNALS):
        count = rng.poisson(signal + background, toys)
        off = np.zeros(toys, int) if is_known else rng.poisson(background, toys)
        ratio = draw(rng, toys)  # measured efficiency over the true one
        has_limit = (count < COUNTS) & (off < bounds.shape[1])
        own = bounds[np.minimum(count, COUNTS - 1), np.minimum(off, bounds.shape[1] - 1)]
        seen = (signal * ratio)[:, None]
        slack = 1 + 1e-9
        holds = (own[..., 0] <= seen * slack) & (seen <= own[..., 1] * slack)
        out[place] = (holds & has_limit[:, None]).mean(0)
    return out


def draw_log_normal(width: float) -> Any:
    return lambda rng, size: np.exp(width * rng.standard_normal(size))


def draw_normal(error: float) -> Any:
    return lambda rng, size: np.maximum(1 + error * rng.standard_normal(size), 1e-3)


def draw_binomial(error: float, efficiency: float = 0.5) -> Any:
    """Particles that were injected until the relative error is ``error``."""
    trials = round((1 - efficiency) / efficiency / error**2)
    return lambda rng, size: (
        np.maximum(rng.binomial(trials, efficiency, size), 0.5) / (trials * efficiency)
    )


def percent(values: Floats) -> list[float]:
    return [round(100 * float(v), 1) for v in values]


def coverage_tables(found: dict[Cell, Floats]) -> dict[str, Any]:
    columns = ["background", "efficiency", "error (%)"]
    columns += [f"{m}, {how}" for m in METHODS for how in ("toys", "sums")]
    tables = {}
    for confidence in CONFIDENCES:
        rng = np.random.default_rng(round(1000 * confidence))
        rows: list[list[Any]] = []

        def add(
            known: bool,
            law: str,
            error: float,
            draw: Any,
            *,
            by_sums: bool,
            c=confidence,
            r=rows,
            g=rng,
        ) -> None:
            toys, sums = [], []
            number = TOYS if by_sums else MORE_TOYS
            for background in KNOWN if known else MEASURED:
                bounds = found[Cell(background if known else None, error, c)]
                toys.append(toy_coverage(g, bounds, background, known, draw, toys=number))
                width = Counting(0, 0, 0, error).width
                sums.append(summed_coverage(bounds, background, width, known))
            worst = [percent(np.min(v, axis=(0, 1))) for v in (toys, sums)]
            if not by_sums:
                worst[1] = ["–"] * len(METHODS)
            label = "known, 0 to 5" if known else "measured, 1 and 3"
            cells = [value for pair in zip(*worst, strict=True) for value in pair]
            r.append([label, law, round(100 * error), *cells])

        for known in (True, False):
            for error in ERRORS if known else MEASURED_ERRORS:
                draw = draw_log_normal(Counting(0, 0, 0, error).width)
                add(known, "log-normal", error, draw, by_sums=True)
        add(True, "normal", 0.2, draw_normal(0.2), by_sums=False)
        add(True, "binomial", 0.2, draw_binomial(0.2), by_sums=False)
        tables[f"coverage_{round(100 * confidence)}"] = {"columns": columns, "rows": rows}
    return tables


def compare_with_pyhf(toys: int = 3000) -> dict[str, Any]:
    """CLs of pyhf at the CLs limit of this package: 0.05 where they agree."""
    rows = []
    for observed, background, error in ((3, 3.0, 1.0), (50, 50.0, 5.0)):
        point = {"observed": observed, "background": background, "background_error": error}
        given = as_points(pd.DataFrame([{**point, "efficiency": 1.0}]))
        workspace = pyhf.Workspace(pyhf_workspace(given.to_dict("records")[0]))
        model = workspace.model()
        data = workspace.data(model)
        high = limit_cls(Counting(observed, background, error), 0.95)
        np.random.seed(7)  # noqa: NPY002 - pyhf draws from it
        values = [float(pyhf.infer.hypotest(high, data, model, test_stat="qtilde"))]
        # `hypotest` with toys also takes percentiles, which it cannot do with NumPy 2.
        calculator = pyhf.infer.calculators.ToyCalculator(
            data, model, test_stat="qtilde", ntoys=toys, track_progress=False
        )
        found, drawn = calculator.teststatistic(high), calculator.distributions(high)
        with_signal, alone = (float(one.pvalue(found)) for one in drawn)
        values.append(with_signal / alone)
        stated = f"{observed} observed, {background:g} ± {error:g} expected"
        rows.append([stated, round(high, 2), *(round(v, 3) for v in values)])
    columns = [
        "count",
        "CLs limit at 95 %",
        "CLs of pyhf there, asymptotic",
        f"by {toys:,} of its toys (± 0.006)",
    ]
    return {"columns": columns, "rows": rows}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="JSON file of the figures")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    cells = [
        Cell(background, error, confidence)
        for background in (None, *KNOWN)
        for error in (ERRORS if background is not None else MEASURED_ERRORS)
        for confidence in CONFIDENCES
    ]
    found, seconds, number = {}, 0.0, 0
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        done = pool.map(limits_of, cells)
        agreement = compare_with_pyhf()
        for cell, bounds, used in done:
            found[cell] = bounds
            seconds, number = seconds + used, number + bounds.shape[0] * bounds.shape[1]
            print(cell, f"{used:.0f} s", flush=True)
    tables = coverage_tables(found) | {"pyhf": agreement}
    for name, table in tables.items():
        print(name)
        print(pd.DataFrame(table["rows"], columns=table["columns"]).to_string(index=False))
    result = {
        "command": "OMP_NUM_THREADS=1 python benchmarks/limits.py",
        "seed": None,
        "version": "0.1.0 (unreleased)",
        "machine": f"two busy cores, {platform.machine()}; seconds of processor time",
        "date": date.today().isoformat(),
        "about": "Worst coverage of the limits over true backgrounds from 0 to 5 and true signals "
        f"from 0 to 10 seen particles, {TOYS:,} toys for each combination, and the same by exact "
        "sums. A measured background comes from an off-region as large as the search.",
        "values": {
            "seconds": round(seconds / number, 2),
            "toys": TOYS,
            "toy_error": 0.3,
            "lower": 90,
            "upper": 95,
        },
        "tables": tables,
    }
    if options.output is not None:
        text = json.dumps(result, indent=1, ensure_ascii=False)
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
