"""Particles through an aligned stack, as one list."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from etchscope.api.given import File, require_table_file
from etchscope.api.kept import OfStore

if TYPE_CHECKING:
    from etchscope.run.stack_candidates import StackCandidates

__all__ = ["StackSteps"]


class StackSteps(OfStore):
    """What is done with the foils of a stack together."""

    def aligned_scans(self, alignment: str) -> list[str]:
        """Return the scans of an alignment that the store keeps.

        Raises
        ------
        UnknownAlignment : the store has no such alignment.
        BadInput : scans of one foil only, without a scale or positions, or a foil without
            thickness.
        """
        from etchscope.run.stack_surfaces import aligned_scans

        return [scan.name for scan in aligned_scans(self.kept, alignment)]

    def stack_candidates(
        self,
        alignment: str,
        *,
        runs: Mapping[str, str] | None = None,
        gap_um: float = 0.0,
        false_per_tile: float = 0.1,
        shifts: int = 10,
        seed: int = 0,
    ) -> "StackCandidates":
        """Return the particles through the foils of an alignment, with one joint score for each.

        Parameters
        ----------
        alignment : name of an alignment that the store keeps; its foils are in the order in which
            the particles cross them.
        runs : scan → run to use instead of the latest.
        gap_um : distance from each foil to the next one; particles correct it.
        false_per_tile : accidental particles per tile at the threshold of selection.
        shifts : how often the foils are shifted against each other to count accidental particles.
        seed : of the shifts.

        Raises
        ------
        UnknownAlignment : the store has no such alignment.
        NotSearched : a scan without a run.
        BadInput : see ``aligned_scans``; or a value that is out of range.
        """
        from etchscope.run.stack_candidates import search_alignment

        how = {"gap_um": gap_um, "false_per_tile": false_per_tile}
        return search_alignment(self.kept, alignment, runs=runs, shifts=shifts, seed=seed, **how)

    def export_stack(
        self, path: File, found: "StackCandidates", *, count: int | None = None
    ) -> None:
        """Write the table of ``stack_candidates`` into a file, with the runs that it is of.

        Parameters
        ----------
        path : .csv, .parquet or .root.
        count : most rows to write; all unless given.

        Raises
        ------
        BadInput : another suffix, or no such folder.
        MachineFailed : the disk is full.
        """
        from etchscope.files.tables import write_table

        require_table_file(path)
        write_table(Path(path), found.table.iloc[:count], record=found.record)
