"""The beam and the etch ratios of a foil's particles, fitted to its pairs."""

from dataclasses import replace

import numpy as np

from etchscope.foil.types import Floats, Ints
from etchscope.preselect.likelihood import likelihood_terms
from etchscope.preselect.openings import Shapes
from etchscope.preselect.track_model import LOG_RATIOS, Tracks

__all__ = ["fit_population"]

_LEAST_PAIRS = 10
"""Least number of pairs from which a population is fitted."""
_LEAST_GAIN = 15.0
"""Least gain in log likelihood for which a population with its five parameters is used; chance
gives as much on one foil in ten thousand."""
_MOST_PAIRS = 60_000
"""Largest number of pairs that are used; more do not improve the fit."""
_ROUNDS = 40
"""Iterations of the expectation maximisation."""
_SHARES = (1e-4, 0.01, 0.03, 0.1, 0.3)
"""Start values of the share of the entry pits that are those of particles."""
_GRID = (0.6, 0.1, 0.1)
"""Start values of the beam: largest tangent of its zenith angle, step of tangents, and spread."""
_LEAST_SPREAD, _NARROWEST, _MOST_BEAM = 0.15, 0.01, 0.98
"""Least spread of ln(V − 1), least spread of the tangents of a beam, and greatest share of the
particles in the beam."""


def fit_population(
    tracks: Tracks,
    shapes: Shapes,
    entry: Ints,
    exit_: Ints,
    unrelated: Floats,
    entries: int,
) -> Tracks:
    """Return tracks with the beam and the etch ratios that a foil's own pairs show.

    The mixture model is fitted by expectation maximisation. An entry pit has no partner, or one of
    its pairs is a particle of a population. The population has a beam of some direction and spread,
    and V − 1 is log-normal. The tracks stay as they are if that does not raise the log likelihood,
    over particles of any kind from everywhere, by ``_LEAST_GAIN``; so a foil without signal gets no
    population.

    Parameters
    ----------
    tracks : the openings that particles of any kind leave.
    shapes : all openings.
    entry, exit_, unrelated : (n,) pairs that may be particles, see ``log_ratios``.
    entries : number of all entry pits.
    """
    if len(entry) < _LEAST_PAIRS:
        return tracks
    known, of = np.unique(entry, return_inverse=True)
    if len(entry) > _MOST_PAIRS:  # a random part of the entry pits represents all
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
    """Return the next population and share, and the log likelihood of the current ones."""
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
    """Return the density of directions in a beam over that in an isotropic flux.

    ``slopes`` holds tangents of the zenith angle, (…, 2); the result has the shape (…).
    """
    apart2 = ((slopes - beam[1:3]) ** 2).sum(-1)
    density = np.exp(-apart2 / (2 * beam[3] ** 2)) / (2 * np.pi * beam[3] ** 2)
    return np.asarray(density * (1 + (slopes**2).sum(-1)) ** 2 * isotropic)


def _begin(
    terms: Floats, slopes: Floats, of: Ints, tracks: Tracks, entries: int
) -> tuple[Floats, float]:
    """Return the beam, on a grid of directions, and the share of the entry pits that fit best."""
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
    """Return the next share of the entry pits that are those of particles, and the log likelihood.

    The log likelihood is that of the current ``share``.
    """
    total = np.bincount(of, ratio)
    likely = 1 - share + share * total
    new = float((share * total / likely).sum() / entries)
    value = float(np.log(likely).sum() + (entries - len(total)) * np.log(1 - share))
    return min(max(new, 1e-5), 0.9), value
