import math

import numpy as np
import pytest
from tests.evaluation.drawn_searches import (
    DENSE,
    drawn,
    row_of,
)

from etchscope.evaluation import (
    Ground,
    Requirement,
    Search,
    choose_thresholds,
    density_edges,
)


def test_classes_that_are_too_small_are_joined_to_a_neighbour():
    foil = drawn(np.random.default_rng(12), 40, dense=4)
    assert density_edges(foil, 5.0) == (DENSE,)
    assert density_edges(foil, 0.5) == ()  # two false candidates in the crowd
    assert density_edges(foil, 0.05) == ()


def test_classes_keep_their_order_and_enough_area_in_both_halves():
    rng = np.random.default_rng(13)
    foil = drawn(rng, 64)
    density = np.sort(rng.uniform(1, 100, 64))
    ground = Ground(
        foil.ground.place,
        np.repeat(density[:, None], 4, axis=1),
        density[foil.tile],
        density[foil.particle_tile],
    )
    foil = Search(**{**vars(foil), "ground": ground})
    many, few = density_edges(foil, 2.0), density_edges(foil, 0.3)
    assert len(many) == 5
    assert 0 < len(few) < 5
    assert set(few) < set(many)
    assert sorted(many) == list(many)
    for edges, rate in ((many, 2.0), (few, 0.3)):
        counts = np.histogram(density, [0, *edges, 1e9])[0]
        assert (rate * counts >= 5).all()


def test_without_a_known_density_there_is_one_class():
    foil = drawn(np.random.default_rng(14), 40, dense=20)
    g = foil.ground
    unknown = Ground(g.place, *(np.full_like(v, np.nan) for v in list(vars(g).values())[1:]))
    for ground in (None, unknown):
        assert density_edges(Search(**{**vars(foil), "ground": ground}), 1.0) == ()
    none = np.zeros(0)
    empty = Ground(g.place, g.density, none, g.particles)
    bare = {"score": none, "is_true": none > 0, "by_chance": none, "tile": none.astype(int)}
    assert density_edges(Search(**{**vars(foil), **bare, "ground": empty}), 1.0) == ()


def test_fewer_than_one_false_candidate_is_beyond_the_best_of_them():
    # The best five lie 3 above the last one on average: (5 + 4 + 3 + 2 + 1) / 5.
    foil = row_of(np.arange(6.0, 0, -1), [0] * 6, [0] * 6, 10, [0])
    (threshold,) = choose_thresholds(foil, Requirement(false_per_tile=0.05))
    assert threshold == pytest.approx(6 + 3 * math.log(2))
    one = row_of([3.0], [0], [0], 10, [0])
    (threshold,) = choose_thresholds(one, Requirement(false_per_tile=0.05))
    assert threshold == np.nextafter(3, 4)


def test_equal_scores_pass_together_or_not_at_all():
    foil = row_of([9, 8, 7, 7, 7, 5], [1, 0, 0, 0, 0, 0], [0] * 6, 1)
    (threshold,) = choose_thresholds(foil, Requirement(false_per_tile=2))
    assert 7 < threshold < 8
    assert choose_thresholds(foil, Requirement(false_per_tile=4)) == (7,)
