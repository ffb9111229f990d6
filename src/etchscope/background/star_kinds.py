"""The kind of a star from its openings: isotropic, forward or back-to-back."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from etchscope.background.star_model import ProngTable
from etchscope.background.star_scan import PRONGS, Vertices, score_vertices
from etchscope.foil.stars import STAR_KINDS, UNDECIDED
from etchscope.foil.types import Floats
from etchscope.preselect.openings import Shapes

__all__ = ["add_kinds"]

_SURE = 0.75
"""Probability from which a kind is stated."""
_OPPOSITE_PRONGS = 2.0
"""Prongs of a back-to-back star."""
_IMPOSSIBLE = -50.0
"""Log likelihood ratio of an opening that no prong of a kind leaves."""


def add_kinds(
    stars: pd.DataFrame,
    vertices: Vertices,
    shapes: Shapes,
    log_background: Floats,
    tables: Mapping[str, ProngTable],
) -> pd.DataFrame:
    """Return a table of stars with the probability of each kind at equal shares, and the kind.

    The likelihood of a kind is that of the star's own openings at its vertex, averaged over the
    depth. Two prongs of a back-to-back star lie on one line through the vertex, so its likelihood
    also holds the density of the angle between their azimuths, doubled.

    Parameters
    ----------
    stars : one row for each of ``vertices``.
    vertices, shapes, log_background : of one surface, see ``star_scan``.
    tables : kind → openings of its prongs on that surface.
    """
    logs = np.empty((len(stars), len(STAR_KINDS)))
    for k, kind in enumerate(STAR_KINDS):
        table = tables[kind]
        prongs = _OPPOSITE_PRONGS if kind == "back-to-back" else PRONGS
        _, first, near, ratios = score_vertices(
            shapes, log_background, table, vertices.place, prongs=prongs
        )
        of = np.repeat(np.arange(len(stars)), np.diff(first))
        own = np.isin(of * len(shapes.x) + near, _key(vertices, shapes))
        total = np.tile(-prongs * table.seen, (len(stars), 1))
        np.add.at(total, of[own], np.maximum(ratios[own], _IMPOSSIBLE))
        logs[:, k] = logsumexp(total, axis=1, b=table.weight)
    opposite = STAR_KINDS.index("back-to-back")
    logs[:, opposite] += _opposite(vertices, shapes, len(stars))
    p = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
    best = p.argmax(1)
    sure = p[np.arange(len(p)), best] >= _SURE
    named = np.where(sure, np.array(STAR_KINDS)[best], UNDECIDED)
    columns = {f"p_{kind.replace('-', '_')}": p[:, k] for k, kind in enumerate(STAR_KINDS)}
    return stars.assign(kind=named, **columns)


def _key(vertices: Vertices, shapes: Shapes) -> Floats:
    return np.asarray(vertices.star * len(shapes.x) + vertices.opening)


def _opposite(vertices: Vertices, shapes: Shapes, n: int) -> Floats:
    """Return the log ratio of two prongs on one line against independent azimuths, (n,)."""
    out = np.full(n, -np.inf)
    count = np.bincount(vertices.star, minlength=n)
    begin = np.concatenate([[0], np.cumsum(count)[:-1]])[count == 2]
    pair = vertices.opening[begin[:, None] + [0, 1]].reshape(-1, 2)
    at = vertices.place[count == 2]
    dx, dy = shapes.x[pair] - at[:, :1], shapes.y[pair] - at[:, 1:]
    azimuth = np.arctan2(dy, dx)
    variance = (shapes.s_place[pair] ** 2 / (dx**2 + dy**2 + shapes.s_place[pair] ** 2)).sum(1)
    between = np.angle(np.exp(2j * (azimuth[:, 0] - azimuth[:, 1])))
    # A von Mises density of the doubled angle, over the uniform one.
    width = 1 / (4 * variance + 0.01)
    out[count == 2] = width * (np.cos(between) - 1) - np.log(np.i0(width)) + width
    return out
