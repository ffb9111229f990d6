"""Stars: vertices to which several tracks point."""

from pathlib import Path
from typing import TYPE_CHECKING

from etchscope.api.given import File
from etchscope.api.kept import OfStore

if TYPE_CHECKING:
    from etchscope.background.stars import StarSearch

__all__ = ["StarSteps"]


class StarSteps(OfStore):
    """What is done with the stars of a scan."""

    def stars(
        self,
        scan: str | None = None,
        *,
        run: str | None = None,
        purity: float = 0.9,
        copies: int = 20,
        seed: int = 0,
    ) -> "StarSearch":
        """Return the stars among the pits of a run, and how many are expected by accident.

        Parameters
        ----------
        scan : may be left out where only one scan has runs.
        run : the latest of the scan unless given.
        purity : least expected share of the selected stars that are no accident.
        copies : scrambled copies of the pits in which accidental stars are counted.
        seed : of the copies.

        Raises
        ------
        UnknownScan, UnknownRun, SeveralScans, NotSearched : see ``Store.report``.
        BadInput : scale, thickness or removed bulk is not known, or a parameter is out of range.
        """
        from etchscope.run.results import choose_run
        from etchscope.run.stars import search_stars

        chosen = choose_run(self.kept, scan=scan, run=run)
        return search_stars(self.kept, chosen, purity=purity, copies=copies, seed=seed)

    def write_stars(self, folder: File, search: "StarSearch") -> Path:
        """Write ``stars.csv``, ``prongs.csv`` and ``stars.png`` into a folder, and return it.

        Parameters
        ----------
        search : of ``stars``.

        Raises
        ------
        UnknownRun : the run was removed meanwhile.
        BadInput : the folder is a file.
        MachineFailed : the disk is full.
        """
        from etchscope.draw.png import encode_figure
        from etchscope.draw.stars import draw_stars
        from etchscope.files.tables import write_table
        from etchscope.pages.gather import Thumbnails
        from etchscope.pages.writing import make_page_folder, write_picture
        from etchscope.run.results import gather_records

        described = self.kept.scans.get(self.kept.runs.record(search.run).scan)
        into = make_page_folder(Path(folder), what="stars")
        record = gather_records(self.kept, [search.run]) | {"copies": search.copies}
        write_table(into / "stars.csv", search.stars, record=record)
        write_table(into / "prongs.csv", search.prongs, record=record)
        best = search.stars[search.stars["selected"].to_numpy(bool)]
        title = f"Stars of {described.name}: {len(best):,} selected"
        pits, pictures = self.kept.runs.pits(search.run), Thumbnails(self.kept, described)
        figure = draw_stars(best, search.prongs, pits, pictures, title)
        write_picture(encode_figure(figure), into / "stars.png")
        return into
