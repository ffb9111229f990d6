"""The figures of an evaluation: a map of found, missed and false pits; curves of tolerance."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.draw.figures import Figure
from etchscope.draw.matches import draw_matches, draw_tolerance
from etchscope.draw.png import encode_figure
from etchscope.evaluation import Evaluation
from etchscope.files.atomic import make_folder
from etchscope.pages.writing import write_picture

__all__ = ["draw_map", "write_evaluation"]


def draw_map(e: Evaluation) -> Figure:
    """Return where pits were found, missed and made up, with efficiency and purity.

    Raises
    ------
    BadInput : nothing to draw.
    """
    truth, found = e.points_xy
    if e.unit == "px":  # y down
        truth, found = truth * np.array([1, -1]), found * np.array([1, -1])
    hit = e.matching.truth_hit
    title = f"Efficiency {e.efficiency}, purity {e.purity}"
    parts = (truth[hit], truth[~hit], found[~e.matching.found_hit])
    return draw_matches(*parts, names=("missed", "false"), title=title, unit=e.unit)


def write_evaluation(e: Evaluation, curves: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write ``map.png`` and, if there are curves, ``curve.png``; return the paths of the files.

    Parameters
    ----------
    e : the evaluation.
    curves : name → ``evaluation.tolerance_curve``.
    folder : is made if it is absent.

    Raises
    ------
    BadInput : there is no point to draw, or the folder is a file.
    MachineFailed : the disk is full.
    """
    figures = {"map": encode_figure(draw_map(e))}
    if curves:
        figures["curve"] = encode_figure(draw_tolerance(curves, unit=e.unit))
    make_folder(folder)
    return [write_picture(png, folder / f"{name}.png") for name, png in figures.items()]
