import numpy as np

from etchscope.imaging import Lighting
from etchscope.learn.finder_samples import draw_lights


def test_lights_are_drawn_of_all_kinds():
    eight = Lighting(np.arange(8), 45.0 * np.arange(8), 1, np.array([8]), np.array([9]))
    kinds = set()
    for seed in range(200):
        drawn = draw_lights(np.random.default_rng(seed), eight).lighting
        kinds.add((len(drawn.directional), len(drawn.dark), len(drawn.bright)))
    assert {(8, 1, 1), (8, 0, 0), (8, 1, 0), (0, 1, 0), (0, 0, 1)} <= kinds
    assert {n for n, _, _ in kinds} >= {3, 4, 5, 6, 7}
