"""The population of a foil's own particles: the beam and the etch ratios that its pairs show."""

from dataclasses import replace

import numpy as np

from etchscope.foil.types import Floats, Ints
from etchscope.preselect.likelihood import likelihood_terms
from etchscope.preselect.openings import Shapes
from etchscope.preselect.track_model import LOG_RATIOS, Tracks

__all__ = ["fit_population"]

_LEAST_PAIRS = 10
"""Fewer pairs show no population."""
_LEAST_GAIN = 15.0
"""In log likelihood, for a population of five numbers: by chance once in ten thousand foils."""
_MOST_PAIRS = 60_000
"""More pairs tell a population no better."""
_ROUNDS = 40
"""Of the expectation maximisation."""
_SHARES = (1e-4, 0.01, 0.03, 0.1, 0.3)
"""Of the entry pits that may be particles', to begin with."""
_GRID = (0.6, 0.1, 0.1)
"""Tangents of a beam's zenith angle to begin with: largest, step, and spread."""
_LEAST_SPREAD, _NARROWEST, _MOST_BEAM = 0.15, 0.01, 0.98
"""Of log V − 1 and of a beam's tangents the least spread; the most that is all one beam."""


def fit_population(
    tracks: Tracks,
    shapes: Shapes,
    entry: Ints,
    exit_: Ints,
    unrelated: Floats,
    entries: int,
) -> Tracks:
    """Return tracks whose beam and etch ratios are those that a foil's own pairs show.

    Expectation maximisation of a mixture: an entry pit has no partner, or one of its pairs is a
    particle, of a population with a beam of some direction and spread and with log-normal V − 1.
    Where that explains the pairs no better than particles of any kind from everywhere do, by
    ``_LEAST_GAIN`` in log likelihood, these stay: a foil without signal has no population.

    Parameters
    ----------
    entry, exit_, unrelated : (n,) pairs that might be particles, see ``log_ratios``.
    entries : how many entry pits there are.
    """
    if len(entry) < _LEAST_PAIRS:
        return tracks
    known, of = np.unique(entry, return_inverse=True)
    if len(entry) > _MOST_PAIRS:  # some of the entry pits stand for all
        kept = np.random.default_rng(0).random(len(known)) < _MOST_PAIRS / len(entry)
        entries = max(round(entries * kept.mean()), int(kept.sum()))
        some = kept[of]
        entry, exit_, unrelated = entry[some], exit_[some], unrelated[some]
        _, of = np.unique(entry, return_inverse=True)
    terms, slopes = likelihood_terms(shapes, entry, exit_, tracks)
    terms = terms * np.exp(-unrelated)[:, None]
    nodes = np.tile(LOG_RATIOS, len(tracks.prior) // len(LOG_RATIOS))
    level = max(_share_of(terms @ tracks.prior, of, share, entries)[1] for share in _SHARES)
    beam, share = _begin(terms, slopes, of, tracks, entries)
    fitted, value = replace(tracks, beam=beam), -np.inf
    for _ in range(_ROUNDS):
        fitted, share, value = _improved(fitted, terms, slopes, nodes, of, share, entries)
    return fitted if value - level > _LEAST_GAIN else tracks


def _improved(
    tracks: Tracks,
    terms: Floats,
    slopes: Floats,
    nodes: Floats,
    of: Ints,
    share: float,
    entries: int,
) -> tuple[Tracks, float, float]:
    """Return the next population and share, and the log likelihood of the present ones."""
    beam = tracks.beam
    from_beam = terms * tracks.prior * beam[0] * _narrow(slopes, beam, tracks.isotropic)
    from_rest = terms * tracks.prior * (1 - beam[0])
    ratio = (from_beam + from_rest).sum(1)
    new, value = _share_of(ratio, of, share, entries)
    each_pair = share / (1 - share + share * np.bincount(of, ratio)[of])
    of_beam, of_rest = from_beam * each_pair[:, None], from_rest * each_pair[:, None]
    node, total = (of_beam + of_rest).sum(0), of_beam.sum()
    middle = np.average(nodes, weights=node)
    spread = max(np.sqrt(np.average((nodes - middle) ** 2, weights=node)), _LEAST_SPREAD)
    prior = np.exp(-0.5 * ((nodes - middle) / spread) ** 2)
    if total > 0:
        at = (of_beam[:, :, None] * slopes).sum((0, 1)) / total
        var = (of_beam * ((slopes - at) ** 2).sum(2)).sum() / total / 2
        part = min(total / node.sum(), _MOST_BEAM)
        beam = np.array([part, *at, max(np.sqrt(var), _NARROWEST)])
    return replace(tracks, beam=beam, prior=prior / prior.sum()), new, value


def _narrow(slopes: Floats, beam: Floats, isotropic: float) -> Floats:
    """Return by how much likelier directions are in a beam than in an isotropic flux."""
    apart2 = ((slopes - beam[1:3]) ** 2).sum(-1)
    density = np.exp(-apart2 / (2 * beam[3] ** 2)) / (2 * np.pi * beam[3] ** 2)
    return np.asarray(density * (1 + (slopes**2).sum(-1)) ** 2 * isotropic)


def _begin(
    terms: Floats, slopes: Floats, of: Ints, tracks: Tracks, entries: int
) -> tuple[Floats, float]:
    """Return the beam on a grid of directions, and the share of the entry pits, that fit best."""
    ratio = terms @ tracks.prior
    mean = (
        np.einsum("nk,nkd->nd", terms * tracks.prior, slopes) / np.maximum(ratio, 1e-300)[:, None]
    )
    best, found = -np.inf, (np.array([_MOST_BEAM, 0.0, 0.0, _GRID[2]]), _SHARES[0])
    across = np.arange(-_GRID[0], _GRID[0] + 1e-9, _GRID[1])
    for u, v in np.stack(np.meshgrid(across, across), -1).reshape(-1, 2).tolist():
        beam = np.array([_MOST_BEAM, u, v, _GRID[2]])
        inside = ratio * (1 - beam[0] + beam[0] * _narrow(mean, beam, tracks.isotropic))
        for share in _SHARES:
            value = _share_of(inside, of, share, entries)[1]
            if value > best:
                best, found = value, (beam, share)
    return found


def _share_of(ratio: Floats, of: Ints, share: float, entries: int) -> tuple[float, float]:
    """Return the next share of entry pits that are particles', and the present log likelihood."""
    total = np.bincount(of, ratio)
    likely = 1 - share + share * total
    new = float((share * total / likely).sum() / entries)
    value = float(np.log(likely).sum() + (entries - len(total)) * np.log(1 - share))
    return min(max(new, 1e-5), 0.9), value
