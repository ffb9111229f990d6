"""Whether the best candidates stand out: p-values of a ranking, for the whole search at once.

The background alone would leave a Poisson number of false candidates above each score. In terms of
the expected number above a candidate's score, the ranking of background alone is a Poisson process
of rate 1, whatever the scores are, so that toys of the whole ranking need no scores.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import pdtrc

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats

__all__ = ["Ranking", "expected_above", "rank_candidates"]

_TOYS = 100_000
_MOST_RANKS = 1_000


@dataclass(frozen=True)
class Ranking:
    """Candidates with their p-values, and the p-value of the ranking.

    Parameters
    ----------
    table : one row per candidate, the best first: ``rank``, ``score``, ``expected_above`` (false
        candidates at this score or above, in the whole search), ``p`` (probability that background
        alone has so many candidates at this score or above), ``valid``.
    p_global : probability that background alone has, at any rank, a ``p`` as small as the least one
        here; by toys of the whole ranking.
    p_global_error : its standard deviation from the number of toys.
    valid : whether ``p_global`` rests on tabulated scores only.
    why : the reason where it does not.
    """

    table: pd.DataFrame
    p_global: float
    p_global_error: float
    valid: bool
    why: str


def expected_above(scores: ArrayLike, background: pd.DataFrame) -> tuple[Floats, Bools]:
    """Return the expected number of false candidates at or above each score, and where it is known.

    Between the scores of the table the logarithm is interpolated. Below the lowest and above the
    highest one the number is not known: there it is that of the nearest tabulated score, which is
    an upper bound for scores that are higher.

    Parameters
    ----------
    scores : (n,) finite scores.
    background : columns ``score`` and ``expected``, the number at or above the score in the whole
        search; it must not grow with the score.

    Raises
    ------
    BadInput : fewer than two rows, a column that is absent, values that are no finite numbers, a
        score that stands twice, an expected number that is not above 0 or grows with the score.
    """
    given = np.asarray(scores, np.float64)
    if not np.isfinite(given).all():
        raise BadInput("score", "finite numbers", "NaN or an infinite number")
    missing = {"score", "expected"} - set(background.columns)
    if missing or len(background) < 2:
        found = f"{len(background)} rows of {', '.join(map(str, background.columns)) or 'nothing'}"
        raise BadInput("expected false candidates", "two rows of score and expected", found)
    ordered = background.sort_values("score")
    score, number = (
        pd.to_numeric(ordered[name], errors="coerce").to_numpy(np.float64)
        for name in ("score", "expected")
    )
    if not (np.isfinite(score) & np.isfinite(number) & (number > 0)).all():
        hint = "Where no false candidate was seen, state the upper limit of their number."
        raise BadInput("expected false candidates", "numbers above 0", "other values", hint)
    if (np.diff(score) <= 0).any() or (np.diff(number) > 0).any():
        expected = "each score once, with a number that does not grow with it"
        raise BadInput("expected false candidates", expected, "another order")
    is_known = (given >= score[0]) & (given <= score[-1])
    return np.exp(np.interp(given, score, np.log(number))), is_known


def rank_candidates(
    scores: ArrayLike,
    background: pd.DataFrame,
    *,
    relative_error: float = 0.0,
    toys: int = _TOYS,
    seed: int = 0,
) -> Ranking:
    """Return the p-values of a ranking under background alone.

    Without an error of the background, the best candidate alone has p = 1 − exp(−Λ), with Λ false
    candidates expected above its score: the look-elsewhere effect within the search is in Λ. Toys
    add that any rank may stand out, and the error of Λ.

    Parameters
    ----------
    scores : (n,) scores of all candidates; the best 1,000 are used.
    background : see ``expected_above``.
    relative_error : relative standard deviation of the expected numbers, the same for all scores;
        each toy draws its factor from a gamma distribution.
    toys : number of rankings that are drawn.
    seed : of the toys.

    Raises
    ------
    BadInput : see ``expected_above``; no candidate, a negative error, or less than one toy.
    """
    ordered = np.sort(np.asarray(scores, np.float64))[::-1][:_MOST_RANKS]
    if not len(ordered):
        raise BadInput("candidates", "at least one candidate", "none")
    if not (math.isfinite(relative_error) and relative_error >= 0):
        raise BadInput("relative error", "a number of 0 or more", f"{relative_error}")
    if toys < 1:
        raise BadInput("toys", "at least 1", f"{toys}")
    above, is_known = expected_above(ordered, background)
    ranks = np.arange(1, len(ordered) + 1)
    p_values = pdtrc(ranks - 1.0, above)
    least = float(p_values.min())
    rng = np.random.default_rng(seed)
    hits = _count_toys(rng, least, len(ordered), relative_error, toys)
    p_global = (hits + 1) / (toys + 1)
    table = pd.DataFrame(
        {
            "rank": ranks,
            "score": ordered,
            "expected_above": above,
            "p": p_values,
            "valid": is_known,
        }
    )
    is_valid = bool(is_known[p_values.argmin()])
    why = "" if is_valid else "the score lies beyond those for which background was measured"
    spread = math.sqrt(p_global * (1 - p_global) / toys)
    return Ranking(table, p_global, spread, is_valid, why)


def _count_toys(
    rng: np.random.Generator, least: float, ranks: int, relative_error: float, toys: int
) -> int:
    """Return in how many rankings of background alone some rank has a p-value of at most ``least``.

    The k-th candidate of a toy lies where k unit exponentials add up to; a factor on the true
    background makes them lie closer.
    """
    numbers = np.arange(ranks, dtype=np.float64)
    hits, block = 0, max(1, 2_000_000 // ranks)
    for start in range(0, toys, block):
        size = min(block, toys - start)
        places = rng.exponential(size=(size, ranks)).cumsum(1)
        if relative_error > 0:
            shape = relative_error**-2
            places /= rng.gamma(shape, 1 / shape, size=(size, 1))
        hits += int((pdtrc(numbers, places).min(1) <= least * (1 + 1e-12)).sum())
    return hits
