"""Write the anomalies of a run into a folder: the list, the map, and a picture."""

from pathlib import Path
from typing import Any

from etchscope.draw.anomalies import draw_anomalies
from etchscope.draw.figures import Figure
from etchscope.draw.png import encode_figure
from etchscope.files.ome_zarr import write_ome_zarr
from etchscope.files.tables import write_rows
from etchscope.pages.gather import Thumbnails
from etchscope.pages.writing import make_page_folder, write_picture
from etchscope.run.anomalies import AnomalySearch
from etchscope.store import Store

__all__ = ["draw_search", "write_anomalies"]


def draw_search(store: Store, search: AnomalySearch) -> Figure:
    """Return the map and the close-ups of the anomalies of a run.

    Raises
    ------
    BadInput : a picture is damaged.
    """
    scan = store.scans.get(search.scan)
    return draw_anomalies(
        search.score,
        search.grid,
        search.places,
        store.runs.pits(search.run),
        Thumbnails(store, scan),
        f"{search.scan}: {len(search.places):,} places that no found pit explains",
        pixel_size_um=scan.pixel_size_um,
    )


def write_anomalies(store: Store, search: AnomalySearch, directory: Path) -> Path:
    """Write ``anomalies.csv``, ``.zarr`` and ``.png`` into a folder, and return the picture.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    folder = make_page_folder(directory, what="anomalies")
    write_rows(folder, {"anomalies": search.places})
    about: dict[str, Any] = {
        "scan": search.scan,
        "run": search.run,
        "y": "up" if search.grid.unit == "mm" else "down",
        "score": "-log10 of the accidental places per tile",
        "pits_left_out": search.not_modelled or None,
    }
    write_ome_zarr(
        folder / "anomalies.zarr",
        {"score": search.score},
        origin=(search.grid.x0, search.grid.y0),
        step=search.grid.step,
        unit=search.grid.unit,
        attributes=about,
    )
    return write_picture(encode_figure(draw_search(store, search)), folder / "anomalies.png")
