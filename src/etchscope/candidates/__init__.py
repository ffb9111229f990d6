"""Candidates: from scored openings to one row per place, the best first."""

from typing import TYPE_CHECKING

from etchscope.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.candidates.rank import best_of_each_place, candidate_table, places_px

__all__ = ["best_of_each_place", "candidate_table", "places_px"]

__getattr__ = load_on_use(__name__, ("rank",))
