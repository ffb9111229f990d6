"""Registration: the transform between two lists of pits, found from the pits themselves.

It is accepted only if it gives far more matches than unrelated lists would. Otherwise an error
states the evidence.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import betainc

from etchscope.align.refine import Fit, refine_transform
from etchscope.align.search import Guess, crowd_weights, guess_transforms
from etchscope.evaluation import (
    Accidental,
    Matching,
    Rule,
    accidental_matches,
    convex_hull,
    in_hull,
    local_rate,
    match,
)
from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from etchscope.geometry import Similarity

__all__ = ["TOLERANCE_MM", "Evidence", "Registration", "register"]

TOLERANCE_MM = 12 * 0.0064516
"""12 px of the reference scan, within which the experiment assigned two pits to one ion."""

_FEWEST = 10  # least number of pits in a list
_WINDOWS = (300, 1500, 20000)  # numbers of points that are tried in turn
_STRAIGHT = 0.01  # width over length of the points below which they lie on a line
_LOG10_P = -9.0  # greatest log10_p that is accepted: one false alignment in 10⁹
_FREE_PAIRS = 2  # pairs that match for any lists, because the transform has four parameters
_NARROW = 2.5  # standard deviations within which matches are counted


@dataclass(frozen=True)
class Evidence:
    """The evidence for a transform.

    Attributes
    ----------
    points : number of points of the sparser list within the area of the other list.
    matches : number of these with a partner closer than ``tolerance_mm``.
    groups : number of matches if points that crowd together count once, see ``crowd_weights``.
    expected : number of groups that is expected between unrelated lists.
    tolerance_mm : distance within which points match.
    log10_p : decimal logarithm of the probability that unrelated lists give as many groups for any
        of the transforms that were tried.
    """

    points: int
    matches: int
    groups: float
    expected: float
    tolerance_mm: float
    log10_p: float

    @property
    def is_enough(self) -> bool:
        """Whether the transform may be used."""
        return self.log10_p < _LOG10_P

    def __str__(self) -> str:
        return (
            f"{self.matches:,} of {self.points:,} points have a partner within "
            f"{1000 * self.tolerance_mm:.0f} µm, which are {self.groups:,.0f} places apart from "
            f"each other, where chance gives {self.expected:,.1f}"
        )


@dataclass(frozen=True)
class Registration:
    """A transform from the frame of the moving list to that of the fixed list.

    Attributes
    ----------
    transform : the transform in mm.
    spread_mm : standard deviation of the distance of a true pair along each axis.
    share : share of the points of the sparser list that have a partner.
    evidence : the evidence for it.
    fixed_xy, moving_xy : (n, 2) and (m, 2) float64, the lists in their own frames, mm.
    """

    transform: Similarity
    spread_mm: float
    share: float
    evidence: Evidence
    fixed_xy: Floats = field(repr=False, compare=False)
    moving_xy: Floats = field(repr=False, compare=False)

    @property
    def moved_xy(self) -> Floats:
        """The moving list in the frame of the fixed list, (m, 2) float64 mm."""
        return self.transform.apply(self.moving_xy)

    def match(self, tolerance_mm: float = TOLERANCE_MM, *, rule: Rule = "one-to-one") -> Matching:
        """Return the matching of the fixed list with the moved one.

        Parameters
        ----------
        tolerance_mm : distance within which points match.
        rule : one-to-one, or nearest.
        """
        return match(self.fixed_xy, self.moved_xy, tolerance_mm, rule=rule)

    def accidental(
        self, tolerance_mm: float = TOLERANCE_MM, *, rule: Rule = "one-to-one"
    ) -> Accidental:
        """Return the number of matches between unrelated lists of these densities.

        The parameters are those of ``match``.
        """
        return accidental_matches(self.fixed_xy, self.moved_xy, tolerance_mm, rule=rule)

    def pairs(self, tolerance_mm: float = TOLERANCE_MM) -> pd.DataFrame:
        """Return the one-to-one matches within ``tolerance_mm`` with their residuals, one per row.

        Returns
        -------
        Columns ``fixed, moving`` (rows of the lists), ``x_mm, y_mm`` (the fixed point), ``dx_mm,
        dy_mm`` (moved minus fixed), and ``p_accidental``, the probability that the partner is
        unrelated. It follows from Bayes' theorem with the share of points that have a partner, the
        Gaussian of true pairs, and the local density.
        """
        m = self.match(tolerance_mm)
        at = self.fixed_xy[m.truth_index]
        d = self.moved_xy[m.found_index] - at
        rate = local_rate(at, self.moved_xy, tolerance_mm)
        by_chance = self.accidental(tolerance_mm).expected
        share = np.clip((len(at) - by_chance) / (len(self.fixed_xy) - by_chance), 1e-6, 1 - 1e-6)
        columns: dict[str, Any] = {"fixed": m.truth_index, "moving": m.found_index}
        columns |= {"x_mm": at[:, 0], "y_mm": at[:, 1], "dx_mm": d[:, 0], "dy_mm": d[:, 1]}
        true = share * self._partner_density(np.hypot(d[:, 0], d[:, 1]), tolerance_mm, share)
        other = (1 - share) * rate / (np.pi * tolerance_mm**2)
        chance = np.divide(other, other + true, where=other > 0, out=np.zeros(len(at)))
        return pd.DataFrame(columns | {"p_accidental": chance})

    def _partner_density(self, distance: Floats, tolerance_mm: float, share: float) -> Floats:
        """Return the density, per mm², of a true partner at a distance within the tolerance.

        The Gaussian holds the share ``self.share`` of the points. Other true pairs, such as those
        with an opening that an edge cuts, lie anywhere within the tolerance.
        """
        core = min(self.share / share, 0.99)
        spread = self.spread_mm
        inside = -np.expm1(-((tolerance_mm / spread) ** 2) / 2)
        bell = np.exp(-((distance / spread) ** 2) / 2) / (2 * np.pi * spread**2 * inside)
        return np.asarray(core * bell + (1 - core) / (np.pi * tolerance_mm**2))

    def to_dict(self, tolerance_mm: float = TOLERANCE_MM) -> dict[str, Any]:
        """Return the figures for JSON."""
        rules: tuple[Rule, ...] = ("one-to-one", "nearest")
        pairs = self.pairs(tolerance_mm)
        apart = np.hypot(pairs["dx_mm"].to_numpy(), pairs["dy_mm"].to_numpy())
        return {
            "transform": self.transform.to_dict(),
            "rotation_deg": float(np.degrees(self.transform.angle_rad)),
            "tolerance_mm": tolerance_mm,
            "fixed": len(self.fixed_xy),
            "moving": len(self.moving_xy),
            "matches": {
                rule: {
                    "counted": self.match(tolerance_mm, rule=rule).true_pos,
                    "by_chance": self.accidental(tolerance_mm, rule=rule).to_dict(),
                }
                for rule in rules
            },
            "median_residual_um": 1000 * float(np.median(apart)) if len(pairs) else None,
            "spread_um": 1000 * self.spread_mm,
            "share": self.share,
            "log10_p": self.evidence.log10_p,
        }


def register(
    fixed_xy: ArrayLike,
    moving_xy: ArrayLike,
    *,
    mirrored: bool | None = False,
    max_angle_rad: float = 0.175,
    max_scale_error: float = 0.02,
    names: tuple[str, str] = ("fixed", "moving"),
) -> Registration:
    """Return the rotation, offset and small scale that bring one list of pits onto another.

    A window of the sparser list is tried at all rotations and offsets (``guess_transforms``).
    The best of them are refined on all points (``refine.refine_transform``). The best of these is
    accepted if unrelated lists would not make as many matches; otherwise the window grows.

    Parameters
    ----------
    fixed_xy, moving_xy : (n, 2) and (m, 2) places in mm, y up; they may include pits without a
        partner and copies of pits.
    mirrored : whether the moving list is mirrored relative to the fixed one; None tries both.
    max_angle_rad : greatest rotation in radians.
    max_scale_error : greatest deviation of the scale from 1.
    names : names of the lists, for errors.

    Raises
    ------
    BadInput : there are too few points, all lie on a line, or a place is not finite; or no
        transform is better than chance. The error states how many matches the best one has, and
        whether the lists match with the other value of ``mirrored`` or differ in their unit.
    """
    fixed, moving = (_usable(xy, n) for xy, n in zip((fixed_xy, moving_xy), names, strict=True))
    hands = (False, True) if mirrored is None else (mirrored,)
    limits = (max_angle_rad, max_scale_error)
    best = _best(fixed, moving, hands, *limits)
    if best is None or not best.evidence.is_enough:
        raise _refusal(fixed, moving, best, mirrored, limits, names)
    return best


def _usable(xy: ArrayLike, name: str) -> Floats:
    points = np.asarray(xy, float)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise BadInput(f"{name}: places", "an (n, 2) array of finite mm", f"{points.shape}")
    if len(points) < _FEWEST:
        hint = "Fewer pits match by chance as well as by right."
        raise BadInput(f"{name}: places", f"{_FEWEST} or more", f"{len(points)}", hint=hint)
    length, width = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if width < _STRAIGHT * length or length <= 0:
        rms = (length / np.sqrt(len(points)), width / np.sqrt(len(points)))
        found = f"a line of {rms[0]:.3g} mm along and {rms[1]:.3g} mm across"
        hint = "A line matches itself in two ways; give pits from a whole area."
        raise BadInput(f"{name}: places", "pits that are spread over an area", found, hint=hint)
    return points


def _enough(found: Registration | None) -> float:
    return -np.inf if found is None else -found.evidence.log10_p


def _best(
    fixed: Floats,
    moving: Floats,
    hands: tuple[bool, ...],
    max_angle_rad: float,
    max_scale_error: float,
) -> Registration | None:
    """Return the transform with the best evidence; None if no points come near each other."""
    size = [np.ptp(xy, axis=0) for xy in (fixed, moving)]
    length = [float(np.hypot(*s)) for s in size]
    if max(length) > 2 * min(length):  # the smaller list is searched on the larger one
        swapped = length[1] > length[0]
    else:
        swapped = len(moving) / np.prod(size[1]) > len(fixed) / np.prod(size[0])
    dense, sparse = (moving, fixed) if swapped else (fixed, moving)
    best: Registration | None = None
    for window in _WINDOWS:
        for guess in (
            guess
            for hand in hands
            for guess in guess_transforms(
                dense, sparse, window, mirrored=hand, max_angle_rad=max_angle_rad
            )
        ):
            fit = _refined(dense, sparse, guess, max_scale_error)
            if fit is None:
                continue
            evidence = _evidence(dense, sparse, fit, guess, max_angle_rad, max_scale_error)
            there = fit.transform.inverse() if swapped else fit.transform
            found = Registration(there, fit.spread_mm, fit.share, evidence, fixed, moving)
            best = max(best, found, key=_enough)
        if window >= len(sparse) or (best is not None and best.evidence.is_enough):
            break
    return best


def _refined(dense: Floats, sparse: Floats, guess: Guess, max_scale_error: float) -> Fit | None:
    """Return the fit on all points, after one on the guess's window; None if there are no pairs."""
    turned = sparse * np.array([-1.0 if guess.transform.mirrored else 1.0, 1.0])
    near = np.abs(turned - guess.centre_mm).max(axis=1) <= guess.reach_mm
    limit = {"max_scale_error": max_scale_error}
    try:
        first = refine_transform(dense, sparse[near], guess.transform, guess.cell_mm, **limit)
        # The errors of the fit to the window grow towards the ends of the foil.
        wider = max(3 * first.spread_mm, guess.cell_mm / 4)
        return refine_transform(dense, sparse, first.transform, wider, **limit)
    except BadInput:  # no pairs to fit
        return None


def _evidence(
    dense: Floats,
    sparse: Floats,
    fit: Fit,
    guess: Guess,
    max_angle_rad: float,
    max_scale_error: float,
) -> Evidence:
    moved = fit.transform.apply(sparse)
    inside = in_hull(moved, convex_hull(dense))
    moved, weight = moved[inside], crowd_weights(sparse)[inside]
    if len(moved) <= _FREE_PAIRS:
        return Evidence(len(moved), 0, 0.0, 0.0, fit.spread_mm, 0.0)
    near = min(_NARROW * fit.spread_mm, TOLERANCE_MM)
    hit = match(moved, dense, near, rule="one-to-one").truth_hit
    by_chance = -np.expm1(-local_rate(moved, dense, near))
    points, groups, expected = (float((weight * v).sum()) for v in (1.0, hit, by_chance))
    # The number of distinct transforms. Two are distinct if their offset, angle or scale moves
    # points by more than the distance within which matches are counted.
    radius = float(np.hypot(*(moved - moved.mean(axis=0)).T).max())
    places = np.prod(np.ptp(dense, axis=0) + np.ptp(sparse, axis=0)) / (np.pi * near**2)
    angles = max(2 * max_angle_rad * radius / near, 1.0)
    scales = max(2 * max_scale_error * radius / near, 1.0)
    # The binomial tail is an incomplete beta function, which is defined for fractional counts too.
    least = groups - _FREE_PAIRS
    rate = float(np.clip(expected / points, 1e-12, 1.0))
    tail = betainc(least, points - least + 1, rate) if least > 0 else 1.0
    log10_p = np.log10(max(float(tail), 1e-300)) + np.log10(places * angles * scales)
    return Evidence(len(moved), int(hit.sum()), groups, expected, near, min(float(log10_p), 0.0))


def _refusal(
    fixed: Floats,
    moving: Floats,
    best: Registration | None,
    mirrored: bool | None,
    limits: tuple[float, float],
    names: tuple[str, str],
) -> BadInput:
    found = "no two points that come near each other" if best is None else str(best.evidence)
    hint = "They may not overlap, or be rotated by more than the limit."
    length = [float(np.hypot(*np.ptp(xy, axis=0))) for xy in (fixed, moving)]
    ratio = max(length) / min(length)
    if ratio > 8:
        hint = (
            f"They reach over {length[0]:.4g} and {length[1]:.4g} mm, {ratio:.4g} times as far: "
            "is one in other units (an inch is 25.4 mm, a millimetre 1,000 µm)?"
        )
    elif mirrored is not None:
        other = _best(fixed, moving, (not mirrored,), *limits)
        if other is not None and other.evidence.is_enough:
            now, then = ("mirrored", "unmirrored") if mirrored else ("unmirrored", "mirrored")
            hint = (
                f"The mirror is given the wrong way: taken as {now} they do not match, {then} "
                f"{other.evidence}. Correct the side, or leave the mirror open."
            )
    where = f"alignment of {names[1]} with {names[0]}"
    return BadInput(where, "more matches than by chance", found, hint=hint)
