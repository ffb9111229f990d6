"""Candidates: from scored openings to a class for each, and to one row per place."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.candidates.columns import EXPERT_COLUMNS, VOTE_COLUMNS, as_candidates, is_voted
    from etchscope.candidates.decision import Decision, PriorChoice, decide
    from etchscope.candidates.rank import (
        add_votes,
        candidate_table,
        places_px,
        select_best,
    )

__all__ = [
    "EXPERT_COLUMNS",
    "VOTE_COLUMNS",
    "Decision",
    "PriorChoice",
    "add_votes",
    "as_candidates",
    "candidate_table",
    "decide",
    "is_voted",
    "places_px",
    "select_best",
]

__getattr__ = load_on_use(__name__, ("columns", "rank", "decision"))
