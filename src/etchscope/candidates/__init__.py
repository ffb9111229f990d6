"""Candidates: from scored openings to a decision for each, and to one row per place."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.candidates.columns import EXPERT_COLUMNS, VOTE_COLUMNS, as_candidates, is_voted
    from etchscope.candidates.decision import Decision, PriorChoice, decide
    from etchscope.candidates.rank import (
        best_of_each_place,
        candidate_table,
        places_px,
        with_votes,
    )

__all__ = [
    "EXPERT_COLUMNS",
    "VOTE_COLUMNS",
    "Decision",
    "PriorChoice",
    "as_candidates",
    "best_of_each_place",
    "candidate_table",
    "decide",
    "is_voted",
    "places_px",
    "with_votes",
]

__getattr__ = load_on_use(__name__, ("columns", "rank", "decision"))
