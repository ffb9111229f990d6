"""Figures for notebooks: of a store, of pictures, and of what a step returned."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from etchscope.draw.channels import draw_channels
from etchscope.draw.efficiency import draw_froc, draw_roc
from etchscope.draw.figures import Figure
from etchscope.draw.learning import draw_learning_curves
from etchscope.draw.maps import MOSAIC_PX, draw_density, draw_mosaic, paint_mosaic
from etchscope.draw.matches import draw_tolerance
from etchscope.draw.placement import Canvas, place_tiles
from etchscope.draw.png import encode_figure
from etchscope.draw.tiles import draw_tile
from etchscope.foil import BadInput, NotScored

if TYPE_CHECKING:
    from etchscope.api import Store, TrainReport
    from etchscope.background.place_views import PlaceView
    from etchscope.pages import ReportContent
    from etchscope.run.anomalies import AnomalySearch
    from etchscope.run.verdict import Verdict
    from etchscope.run.working_point import ChosenPoint

__all__ = [
    "anomalies",
    "candidates",
    "density",
    "efficiency",
    "learning",
    "lights",
    "map",
    "matches",
    "pits",
    "place",
    "roc",
    "save",
    "tile",
    "tolerance",
]


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, and return its path.

    Parameters
    ----------
    figure : what one of the other functions returned.
    path : file name with the suffix .png.

    Raises
    ------
    BadInput : another suffix, or no such folder.
    MachineFailed : the disk is full.
    """
    from etchscope.pages.writing import write_picture

    file = require_picture_file(path)
    return write_picture(encode_figure(figure), file)


def require_picture_file(path: str | Path) -> Path:
    """Return a path to which a picture can be written; refuse others before the work begins.

    Parameters
    ----------
    path : file name with the suffix .png.

    Raises
    ------
    BadInput : another suffix than .png, or no such folder.
    """
    file = Path(path)
    if file.suffix.lower() != ".png":
        raise BadInput(file, "a name that ends in .png", repr(file.suffix))
    if not file.absolute().parent.is_dir():
        raise BadInput(file, "an existing folder", f"no {file.parent}")
    return file


# Figures of what a store holds.


def map(store: "Store", scan: str | None = None, *, run: str | None = None) -> Figure:
    """Return the mosaic of a scan with every pit in the colour of its surface, and pairs joined.

    Parameters
    ----------
    store : what ``es.open`` returned.
    scan : name of a scan; may be left out if only one scan has runs.
    run : name of a run; by default the latest of the scan.

    Raises
    ------
    BadInput : no such scan or run, or several scans and none named.
    """
    from etchscope.pages.words import describe_mosaic

    content = _content(store, scan, run)
    canvas = Canvas.over(place_tiles(content.scan), MOSAIC_PX)
    picture = paint_mosaic(canvas, content.scan, content.thumbnails)
    return draw_mosaic(canvas, picture, content.scan, content.pits, describe_mosaic(content))


def density(store: "Store", scan: str | None = None, *, run: str | None = None) -> Figure:
    """Return the map of the number of pits per area.

    Parameters
    ----------
    store, scan, run : see ``map``.

    Raises
    ------
    BadInput : see ``map``.
    """
    content = _content(store, scan, run)
    placement = place_tiles(content.scan)
    return draw_density(
        placement, content.scan, content.pits, title=lambda span: f"Density: {span}"
    )


def place(view: "PlaceView") -> Figure:
    """Return the raw picture of a place beside the cleaned one, with the found openings.

    Parameters
    ----------
    view : what ``Store.show`` returned.
    """
    from etchscope.draw.places import draw_beside

    return draw_beside(view)


def anomalies(store: "Store", search: "AnomalySearch") -> Figure:
    """Return the map of what no found pit explains, with close-ups of the best places.

    Parameters
    ----------
    store : what ``es.open`` returned.
    search : what ``Store.anomalies`` returned.

    Raises
    ------
    BadInput : a picture is damaged.
    """
    from etchscope.pages.anomalies import draw_search

    return draw_search(store.kept, search)


def tile(store: "Store", number: int, scan: str | None = None, *, run: str | None = None) -> Figure:
    """Return a tile with the pits that were found on it as ellipses.

    Parameters
    ----------
    store, scan, run : see ``map``.
    number : of the tile.

    Raises
    ------
    BadInput : see ``map``, or the scan has no such tile.
    """
    content = _content(store, scan, run)
    own = content.pits[content.pits["tile"] == number]
    title = f"{content.scan.name}, tile {number}: {len(own):,} openings"
    return draw_tile(content.thumbnails(number), own, title)


def lights(store: "Store", number: int, scan: str, *, truth: pd.DataFrame | None = None) -> Figure:
    """Return the pictures of a tile under each light, with its true openings if they are given.

    Parameters
    ----------
    store : what ``es.open`` returned.
    number : of the tile.
    scan : name of the scan.
    truth : table of true openings of the scan, with the columns of a pit table.

    Raises
    ------
    BadInput : no such scan or tile.
    """
    record = store.kept.scans.get(scan)
    own = None if truth is None else truth[truth["tile"] == number]
    pictures = store.kept.scans.read_tile(scan, number)
    return draw_channels(pictures, record.channels, f"{scan}, tile {number}", own)


def candidates(
    store: "Store",
    scan: str | None = None,
    *,
    run: str | None = None,
    every: bool = False,
    count: int = 8,
) -> Figure:
    """Return the best candidates of scored runs, each under all its lights.

    Parameters
    ----------
    store, scan, run : see ``map``; by default the latest scored runs of all scans.
    every : whether candidates that do not pass the working point are drawn, too.
    count : greatest number of candidates.

    Raises
    ------
    NotScored : no scored run, or no candidate to draw.
    BadInput : no such scan or run.
    """
    from etchscope.draw.candidates import draw_strip, draw_strips
    from etchscope.pages.views import gather_views

    best = store.candidates(scan, run=run, every=every).head(count)
    if not len(best):
        raise NotScored("candidates", "one or more to draw", "none")
    views = gather_views(store.kept, best)
    strips = [draw_strip(v.cutouts, v.channel_names, v.saliency) for v in views]
    captions = [
        f"{v.rank}: {v.row['scan']}, tile {v.row['tile']}, ({v.row['x_px']:.0f}, "
        f"{v.row['y_px']:.0f}) px, score {v.row['score']:.2f}"
        for v in views
    ]
    return draw_strips(strips, captions, f"The best {len(views)} candidates")


def _content(store: "Store", scan: str | None, run: str | None) -> "ReportContent":
    from etchscope.pages import gather_content
    from etchscope.run.results import choose_run

    return gather_content(store.kept, choose_run(store.kept, scan=scan, run=run))


# Figures of arrays, and of what a step returned.


def pits(pictures: ArrayLike, table: pd.DataFrame, *, title: str = "") -> Figure:
    """Return pictures of one tile, averaged, with the pits of a table as ellipses.

    Parameters
    ----------
    pictures : (channel, y, x) or (y, x) grey levels.
    table : pit table of the tile.
    title : of the figure; by default the number of openings.

    Raises
    ------
    BadInput : an array of another shape.
    """
    array: NDArray[Any] = np.asarray(pictures)
    if array.ndim not in (2, 3):
        raise BadInput("pictures", "(channel, y, x) or (y, x)", f"shape {array.shape}")
    picture = array if array.ndim == 2 else array.mean(axis=0, dtype=np.float32)
    return draw_tile(picture, table, title or f"{len(table):,} openings")


def matches(result: "Verdict") -> Figure:
    """Return the map of the pits that were found, missed, and found falsely.

    Parameters
    ----------
    result : what ``es.evaluate`` returned.

    Raises
    ------
    BadInput : nothing to draw.
    """
    from etchscope.pages.evaluation import draw_map

    return draw_map(result.evaluation)


def tolerance(result: "Verdict") -> Figure:
    """Return efficiency and purity against the tolerance of the matching.

    Parameters
    ----------
    result : what ``es.evaluate`` returned for several tolerances.

    Raises
    ------
    BadInput : the result is that of a single tolerance.
    """
    if result.curve is None:
        raise BadInput("result", "one of several tolerances", "no curve")
    curves = {"found": result.curve}
    if result.other_curve is not None:
        curves["other"] = result.other_curve
    return draw_tolerance(curves, unit=result.evaluation.unit)


def efficiency(chosen: "ChosenPoint") -> Figure:
    """Return efficiency against false candidates, for all tiles and for thirds of them by density.

    Parameters
    ----------
    chosen : what ``Store.choose_working_point`` returned; its point is marked.
    """
    from etchscope.evaluation import free_response

    search, point = chosen.search, chosen.point
    place = (point.false_per_tile[0], point.efficiency[0])
    return draw_froc(
        {name: free_response(one) for name, one in chosen.searches_by_density().items()},
        tile_cm2=search.area_cm2 / search.tiles if search.area_cm2 > 0 else None,
        working_point=None if np.isnan(place).any() else place,
    )


def roc(done: "TrainReport") -> Figure:
    """Return efficiency against the false-positive rate of the ensemble, on held-out labels.

    Parameters
    ----------
    done : what ``Store.train`` returned.
    """
    from etchscope.evaluation import roc_curve

    model, said = done.trained.model, done.trained.labelled.label
    curve = roc_curve(done.trained.score, np.asarray(said == model.signal))
    title = f"{model.signal} against all other labels, held out"
    return draw_roc({f"{model.signal}, ensemble": curve}, title=title)


def learning(done: "TrainReport") -> Figure:
    """Return the losses of the trainings of each expert, epoch by epoch.

    Parameters
    ----------
    done : what ``Store.train`` returned.
    """
    history = [
        one.learning_curves.assign(expert=name) for name, one in done.trained.validation.items()
    ]
    return draw_learning_curves(pd.concat(history, ignore_index=True))
