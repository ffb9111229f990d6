"""Limits by exact construction: Feldman–Cousins intervals and CLs, errors included.

A tested number of particles is excluded if its p-value is at most α. The p-value is the
probability, if the tested number is true, of an outcome (count, off-region count, measured
efficiency) whose likelihood ratio is at least as large as the observed one. It is summed over all
counts and integrated over the efficiency, without toys. The true background and efficiency are not
known: the largest p-value over a region that contains them with probability 1 − γ is taken, and γ
is added (R. L. Berger and D. D. Boos, J. Am. Stat. Assoc. 89 (1994) 1012). Coverage is therefore at
least the nominal one, whatever background and efficiency are, if the measured efficiency is
log-normal, up to the finite grids below.

Two orderings are used:

- **Feldman–Cousins**: the ratio counts on both sides of the best fit (Phys. Rev. D 57 (1998) 3873).
- **one-sided**: the ratio counts where more is tested than fits best. This limit excludes particles
  to which the search is blind if less is observed than expected. CLs (A. L. Read, J. Phys. G 28
  (2002) 2693) does not, and is the larger one of both.

A limit never falls below the one without errors: with discrete counts it sometimes would, since a
continuous measurement beside the count undoes some of the overcoverage (J. Conrad et al., Phys.
Rev. D 67 (2003) 012002).
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr, ndtri

from etchscope.background.counting import (
    Counting,
    fit_background,
    log_likelihood_ratio,
    make_lattice,
)
from etchscope.background.feldman_cousins import cls_limit, feldman_cousins_interval
from etchscope.background.marginal import limit_hybrid_cls
from etchscope.foil.types import Floats

__all__ = ["interval_exact", "limit_cls"]

_SHARE = 1 / 50
"""Share γ/α of the allowed error that the region of background and efficiency takes."""
_EFFICIENCIES, _BACKGROUNDS = 17, 7
"""Points of that region at which p-values are computed."""
_GRID, _OWN_GRID = 127, 4000
"""Points of the tables of likelihood ratios, for all counts and for the observed one."""
_LINEAR = 3.0
"""Roots on each side of the best fit in which the points of a table are evenly spaced."""
_OFF_BLOCK = 0.3
"""Standard deviations of a block of off-counts; those below 44 are not joined."""
_ROOTS = (3.2, 5.0, 9.0)
"""Roots of −2 ln of the likelihood ratio up to which a limit is sought, one after the other."""
_SCAN, _SMOOTH_SCAN, _PRECISION = 49, 14, 1e-4
"""Roots that are tried before the bisection, many where p-values jump, and its precision."""
_LEAST_SEEN = 1e-3
_LEAST_SCALE = 1e-3
_STEPS = tuple(2**power for power in range(6, -1, -1))
"""Steps of a bisection among the 127 points of a table."""
_TIE = 1 - 1e-9


def interval_exact(counting: Counting, confidence: float) -> tuple[float, float]:
    """Return the Feldman–Cousins interval of the seen particles.

    Parameters
    ----------
    confidence : in (0, 1).
    """
    observed, background = counting.observed, counting.background
    low, high = feldman_cousins_interval(observed, background, confidence)
    if not counting.has_errors:
        return low, high
    tests = _Tests(counting, 1 - confidence)
    high = max(high, tests.border(_Test.p_exact, side=1.0))
    if low > 0 and not tests.first.keeps(_Test.p_exact, _LEAST_SEEN):
        return min(low, tests.border(_Test.p_exact, side=-1.0)), high
    return 0.0, high


def limit_cls(counting: Counting, confidence: float) -> float:
    """Return the CLs upper limit of the seen particles; parameters are those of ``interval_exact``.

    With errors it is the largest of three: CLs without errors, CLs with probabilities averaged over
    the errors, and the one-sided exact limit, which makes it cover.
    """
    plain = cls_limit(counting.observed, counting.background, confidence)
    if not counting.has_errors:
        return plain
    exact = _Tests(counting, 1 - confidence).border(_Test.p_below, side=1.0)
    return max(plain, limit_hybrid_cls(counting, confidence), exact)


_PValue = Callable[["_Test", float], float]


class _Tests:
    """Tests of one count over more and more particles, each made when it is needed.

    Parameters
    ----------
    error : α, the probability with which the truth may be excluded.
    """

    def __init__(self, counting: Counting, error: float) -> None:
        self._counting, self._error = counting, error
        self.first = _Test(counting, error, _ROOTS[0])

    def border(self, p_value: _PValue, *, side: float) -> float:
        """Return the outermost number above (1) or below (-1) the best fit that is not excluded."""
        for root in _ROOTS:
            test = self.first if root == _ROOTS[0] else _Test(self._counting, self._error, root)
            if not test.keeps(p_value, test.seen_at(side * root)):
                return _first_kept(test, p_value, side=side)
        return math.inf if side > 0 else 0.0


def _first_kept(test: "_Test", p_value: _PValue, *, side: float) -> float:
    """Return what ``_Tests.border`` returns, from a test that excludes the number at its end.

    It is 0 if all are excluded: less was observed than even the background leads one to expect.
    """
    outside = test.seen_at(side * test.root)
    for root in np.linspace(test.root, 0.0, _SMOOTH_SCAN if test.is_smooth else _SCAN)[1:]:
        inside = test.seen_at(side * root)
        if test.keeps(p_value, inside):
            break
        outside = inside
    else:
        return 0.0
    border, _ = brentq(
        lambda seen: p_value(test, seen) - test.allowed,
        inside,
        outside,
        rtol=_PRECISION,
        full_output=True,
        disp=False,
    )
    return float(border)


class _Test:
    """P-values of numbers of seen particles, from one count.

    A table holds, for each count and off-region count, the signed root of the likelihood ratio
    against the logarithm of ε̂·s. Along it μ = ε·s is the value that fits best, so that both are
    explicit: d ln L/d ln μ = 0 gives ln ε̂s = ln μ + σ²(μ − nμ/(μ + b)), and the ratio is that of
    the counts plus (ln ε̂s − ln μ)²/σ².

    Parameters
    ----------
    error : α, the probability with which the truth may be excluded.
    root : largest root of the likelihood ratio that will be asked for.
    """

    def __init__(self, counting: Counting, error: float, root: float) -> None:
        self.counting, self.root = counting, root
        self.is_smooth = counting.width > 0
        gamma = error * _SHARE
        self.allowed = error - gamma
        parts = (counting.off_ratio is not None) + self.is_smooth
        outside = 1 - (1 - gamma) ** (1 / parts)
        spread = float(-ndtri(outside / 2)) if self.is_smooth else 0.0
        points = _EFFICIENCIES if self.is_smooth else 1
        self.factors = np.exp(counting.width * np.linspace(-spread, spread, points))
        self.backgrounds = _background_region(counting, outside)
        top = counting.observed + 10 * math.sqrt(counting.observed) + 100
        own = np.asarray(counting.observed, np.float64), np.asarray(counting.off_count)
        seen = self._grid(*own, (1e-5, 100 * top), _OWN_GRID)
        self._own_log, self._own_root = self._table(own[0][..., None], own[1][..., None], seen)
        self._make_lattices()

    def _make_lattices(self) -> None:
        least, largest = self.seen_at(-self.root), self.seen_at(self.root)
        range_seen = least * self.factors[0], largest * self.factors[-1]
        self._counts = make_lattice(
            range_seen[0] + self.backgrounds[0],
            range_seen[1] + self.backgrounds[-1],
        )
        ratio = self.counting.off_ratio
        off = self.backgrounds * (ratio or 0.0)
        self._offs = make_lattice(off[0], off[-1], block=_OFF_BLOCK) if ratio is not None else None
        off_values = np.zeros(1) if self._offs is None else self._offs.value
        self._count, self._off = self._counts.value[:, None], off_values[None, :]
        self._off_weights = np.ones((len(self.backgrounds), 1))
        if self._offs is not None:
            self._off_weights = self._offs.weights(off)
        if self.is_smooth:
            wider = range_seen[0] / 3, range_seen[1] * 3
            seen = self._grid(self._count, self._off, wider, _GRID)
            self._log, self._roots = self._table(self._count[..., None], self._off[..., None], seen)

    def seen_at(self, root: float) -> float:
        """Return the seen particles at which the observed count has this signed root."""
        return float(np.exp(np.interp(root, self._own_root, self._own_log)))

    def keeps(self, p_value: Callable[["_Test", float], float], seen: float) -> bool:
        """Return whether a number of seen particles is not excluded."""
        return p_value(self, seen) > self.allowed

    def p_exact(self, seen: float) -> float:
        """Return the largest p-value of the Feldman–Cousins ordering over the region."""
        return float(self._p_values(self._more_extreme(seen, two_sided=True), seen).max())

    def p_below(self, seen: float) -> float:
        """Return the largest p-value over the region of outcomes that fit fewer particles."""
        return float(self._p_values(self._more_extreme(seen, two_sided=False), seen).max())

    def _p_values(self, extreme: Floats, seen: float) -> Floats:
        """Return p-values, (efficiencies, backgrounds)."""
        means = (seen * self.factors)[:, None] + self.backgrounds
        weights = self._counts.weights(means)
        given_count = extreme @ self._off_weights.T
        return np.asarray(np.einsum("jnk,jkn->jk", given_count, weights))

    def _more_extreme(self, seen: float, *, two_sided: bool) -> Floats:
        """Return the probability of a ratio of at least the observed one, given both counts.

        The shape is (efficiencies, counts, off-region counts).
        """
        log_seen = math.log(seen)
        observed = self._observed_root(seen) * _TIE
        if not two_sided and observed <= 0:
            return np.ones((len(self.factors), self._count.shape[0], self._off.shape[1]))
        if not self.is_smooth:
            _, roots = self._table(self._count, self._off, np.asarray(seen))
            return np.asarray(((np.abs(roots) if two_sided else roots) >= observed)[None] * 1.0)
        log_means = log_seen + np.log(self.factors)[:, None, None]
        above = ndtr((log_means - self._log_seen_at(abs(observed))) / self.counting.width)
        if not two_sided:
            return np.asarray(above)
        below = self._log_seen_at(-abs(observed)) - log_means
        return np.asarray(above + ndtr(below / self.counting.width))

    def _observed_root(self, seen: float) -> float:
        if self.is_smooth:
            return float(np.interp(math.log(seen), self._own_log, self._own_root))
        count = np.asarray(self.counting.observed, np.float64)
        return float(self._table(count, np.asarray(self.counting.off_count), np.asarray(seen))[1])

    def _log_seen_at(self, root: float) -> Floats:
        """Return ln ε̂s at which each pair of counts has this root, -inf or inf beyond the table."""
        after = np.zeros(self._roots.shape[:-1], np.int64)
        for step in _STEPS:  # bisection in all rows at once
            here = np.take_along_axis(self._roots, (after + step - 1)[..., None], -1)[..., 0]
            after += step * (here < root)
        right = np.clip(after, 1, _GRID - 1)[..., None]
        (x0, x1), (y0, y1) = (
            [np.take_along_axis(table, right - step, -1)[..., 0] for step in (1, 0)]
            for table in (self._roots, self._log)
        )
        inside = y0 + (y1 - y0) * (root - x0) / np.where(x1 > x0, x1 - x0, 1.0)
        return np.where(after == 0, -np.inf, np.where(after == _GRID, np.inf, inside))

    def _grid(
        self, count: Floats, off_count: Floats, ends: tuple[float, float], points: int
    ) -> Floats:
        """Return numbers of seen particles for ``_table``, (*counts.shape, points).

        Near the best fit the root is ln(μ/μ̂) times sqrt(I + (σI)²), with the information
        I = μ̂²/(n + m/τ²) on ln μ. The points are evenly spaced in the root there, and in ln μ far
        from it, so that large counts have as many points between two roots as small ones.
        """
        ratio, known = self.counting.off_ratio, self.counting.background
        free = known if ratio is None else off_count / ratio
        best = np.clip(count - free, *ends)
        variance = count + (0.0 if ratio is None else off_count / ratio**2)
        information = best**2 / np.maximum(variance, 1.0)
        slope = np.hypot(np.sqrt(information), self.counting.width * information)
        scale = np.maximum(slope / _LINEAR, _LEAST_SCALE)
        low, high = (np.arcsinh(scale * np.log(end / best)) for end in ends)
        steps = np.linspace(low, high, points, axis=-1)
        return np.asarray(best[..., None] * np.exp(np.sinh(steps) / scale[..., None]))

    def _table(self, count: Floats, off_count: Floats, seen: Floats) -> tuple[Floats, Floats]:
        """Return ln ε̂s and the signed root at the best-fitting numbers ``seen``, nondecreasing."""
        ratio, known = self.counting.off_ratio, self.counting.background
        background = fit_background(count, seen, off_count, ratio, known)
        squared = log_likelihood_ratio(count, seen, off_count, ratio, known)
        free = known if ratio is None else off_count / ratio
        shift = self.counting.width * (seen - count * seen / (seen + background))
        root = np.sqrt(squared + shift**2) * np.where(seen >= count - free, 1.0, -1.0)
        log_seen = np.log(seen) + self.counting.width * shift
        if np.ndim(seen) == 0:
            return log_seen, root
        return np.maximum.accumulate(log_seen, -1), np.maximum.accumulate(root, -1)


def _background_region(counting: Counting, outside: float) -> Floats:
    """Return backgrounds of Garwood's exact interval around the off-region's count."""
    ratio, count = counting.off_ratio, counting.off_count
    if ratio is None:
        return np.array([counting.background])
    # The lower end of a count far below 1 is 0 within rounding, and its quantile is not computed.
    low = chdtri(2 * count, 1 - outside / 2) / 2 / ratio if count > 1e-3 else 0.0
    high = chdtri(2 * count + 2, outside / 2) / 2 / ratio
    return np.asarray(np.linspace(math.sqrt(low), math.sqrt(high), _BACKGROUNDS) ** 2)
