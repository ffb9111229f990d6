"""Simulated scores whose true rates are known: false ones thin out as an exponential."""

import numpy as np
from scipy.stats import norm

from etchscope.evaluation import (
    Ground,
    Requirement,
    Search,
)

FALSE, TRUE = 30.0, 3.0
"""False candidates per tile, and particles per tile."""
FOUND = 0.95
SPARSE, DENSE = 20.0, 200.0
WHOLE = Requirement(false_per_tile=1.0)


def drawn(rng, tiles=40, dense=0):
    """A foil of which the last ``dense`` tiles have ten times as many false ones, of higher score.

    Tiles are numbered at random over a field of eight columns.
    """
    is_dense = np.arange(tiles) >= tiles - dense
    false_tile = np.repeat(np.arange(tiles), rng.poisson(FALSE * np.where(is_dense, 10, 1)))
    false = rng.exponential(1, len(false_tile)) + is_dense[false_tile]
    particle_tile = np.repeat(np.arange(tiles), rng.poisson(TRUE, tiles))
    true = rng.normal(4, 1.5, len(particle_tile)) + is_dense[particle_tile]
    found = rng.random(len(true)) < FOUND
    score, tile = np.r_[false, true[found]], np.r_[false_tile, particle_tile[found]]
    is_true = np.arange(len(score)) >= len(false)
    order = np.argsort(-score)
    density = np.where(is_dense, DENSE, SPARSE)
    place = np.column_stack(np.divmod(rng.permutation(tiles), 8)).astype(float)
    return Search(
        score[order],
        is_true[order],
        np.zeros(len(score)),
        len(true),
        tiles,
        0.1 * tiles,
        tile[order],
        particle_tile,
        np.ones(tiles),
        Ground(place, density[:, None], density[tile[order]], density[particle_tile]),
    )


def expected_false(threshold):
    """Number of false candidates per tile that pass a threshold on any such foil."""
    return FALSE * np.exp(-threshold)


def expected_efficiency(rate):
    return FOUND * norm.sf((np.log(FALSE / rate) - 4) / 1.5)


def row_of(score, is_true, tile, tiles, particles=None):
    is_true, tile = np.asarray(is_true, bool), np.asarray(tile)
    there = tile[is_true] if particles is None else np.asarray(particles)
    nothing = np.zeros(len(is_true))
    score = np.asarray(score, float)
    return Search(
        score, is_true, nothing, len(there), tiles, 1.0, tile, there, np.ones(tiles), None
    )


TEN = row_of([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [1, 1, 0, 1, 0, 0, 1, 0, 0, 0], [0] * 10, 4, [0] * 5)
