"""What people look at: places of a scan, and what no found pit explains."""

from pathlib import Path
from typing import TYPE_CHECKING

from etchscope.api.given import File
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput
from etchscope.progress import Progress, watch

if TYPE_CHECKING:
    from etchscope.background.place_views import PlaceView
    from etchscope.run.anomalies import AnomalySearch

__all__ = ["ResidualSteps"]


class ResidualSteps(OfStore):
    """What is done with cleaned pictures, and with what remains without the found pits."""

    def show(
        self,
        scan: str | None = None,
        *,
        tile: int | None = None,
        at: tuple[float, float] | None = None,
        candidate: int | None = None,
        size_px: int = 96,
        blur_um: float | None = None,
        run: str | None = None,
    ) -> "PlaceView":
        """Return a place of a tile: each light raw and cleaned, and maps of what is behind it.

        Parameters
        ----------
        scan : may be left out where only one scan has runs.
        tile, at : number of the tile, and x and y in it in pixels.
        candidate : number of a candidate from 1, the best, instead of ``tile`` and ``at``.
        size_px : side of the square that is shown.
        blur_um : standard deviation of the blur of the pictures, which is taken back. The pictures
            stay as sharp as they are unless it is given.
        run : the latest of the scan unless given.

        Raises
        ------
        UnknownScan, UnknownRun, SeveralScans, NotSearched, NotScored : see ``Store.report``.
        BadInput : neither a place nor a candidate, both, or one that is not there; a blur without a
            scale; an excluded tile.
        """
        from etchscope.run.places import find_candidate, show_place
        from etchscope.run.results import choose_run

        if (candidate is None) == (tile is None or at is None):
            raise BadInput("place", "a tile and a place in it, or a candidate", "not one of them")
        if candidate is not None:
            if tile is not None or at is not None:
                raise BadInput("place", "a candidate alone", "a tile or a place beside it")
            chosen, number, *where = find_candidate(self.kept, candidate, scan=scan, run=run)
            place = (float(where[0]), float(where[1]))
        else:
            chosen = choose_run(self.kept, scan=scan, run=run)
            number, place = tile or 0, at or (0.0, 0.0)
        return show_place(self.kept, chosen, number, place, size_px=size_px, blur_um=blur_um)

    def write_view(self, folder: File, view: "PlaceView") -> list[Path]:
        """Write pictures and animations of a place into a folder, and return the files.

        Parameters
        ----------
        view : of ``show``.

        Raises
        ------
        BadInput : the folder is a file.
        MachineFailed : the disk is full.
        """
        from etchscope.pages.places import write_place

        return write_place(view, Path(folder))

    def anomalies(
        self,
        scan: str | None = None,
        *,
        run: str | None = None,
        most_expected: float = 1.0,
        progress: Progress = False,
    ) -> "AnomalySearch":
        """Return the places that neither the background nor a found pit explains, and their map.

        Parameters
        ----------
        scan : may be left out where only one scan has runs.
        run : the latest of the scan unless given.
        most_expected : accidental places per tile among those that are listed.

        Raises
        ------
        UnknownScan, UnknownRun, SeveralScans, NotSearched : see ``Store.report``.
        BadInput : no tile is included any more, too little ground, or a number out of range.
        """
        from etchscope.run.anomalies import search_anomalies
        from etchscope.run.results import choose_run

        chosen = choose_run(self.kept, scan=scan, run=run)
        tiles = len(self.kept.runs.record(chosen).tiles)
        with watch(progress, "Searching anomalies", tiles) as bar:
            return search_anomalies(
                self.kept, chosen, most_expected=most_expected, progress=bar.advance
            )

    def write_anomalies(self, folder: File, search: "AnomalySearch") -> Path:
        """Write ``anomalies.csv``, ``anomalies.zarr`` and ``anomalies.png``; return the last.

        Parameters
        ----------
        search : of ``anomalies``.

        Raises
        ------
        BadInput : the folder is a file.
        MachineFailed : the disk is full.
        """
        from etchscope.pages.anomalies import write_anomalies

        return write_anomalies(self.kept, search, Path(folder))
