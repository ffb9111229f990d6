import numpy as np

from etchscope.background.stack_views import find_offset, merge_views
from etchscope.preselect.openings import Shapes


def view(xy, radius):
    n = len(xy)
    known = {"x": xy[:, 0], "y": xy[:, 1], "log_radius": np.full(n, radius)}
    rest = {name: np.full(n, 0.1) for name in Shapes.__dataclass_fields__ if name not in known}
    return Shapes(**known, **rest)


def test_a_second_view_adds_what_the_first_lacks_at_its_place():
    rng = np.random.default_rng(2)
    every = rng.uniform(0, 900, (300, 2))
    near = view(every[:250], 1.0)
    seen = every[100:] + np.array([5.0, -3.0]) + rng.normal(0, 0.3, (200, 2))
    far = view(seen, 2.0)
    both, added = merge_views(near, far)
    apart = np.hypot(*(every[250:, None] - every[None, :250]).transpose(2, 0, 1)).min(1)
    assert set(added[apart[added - 150] > 8]) == set(150 + np.flatnonzero(apart > 8))
    assert len(both.x) == 250 + len(added)
    assert (both.log_radius[250:] == 2.0).all()
    expected = every[100 + added]
    found = np.column_stack([both.x, both.y])[250:]
    assert np.abs((found - expected).mean(0)).max() < 0.3


def test_unrelated_views_are_not_moved():
    one, other = np.random.default_rng(3).uniform(0, 900, (2, 300, 2))
    assert (find_offset(one, other) == 0).all()
    assert (find_offset(one, other[:0]) == 0).all()
