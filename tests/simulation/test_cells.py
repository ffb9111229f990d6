import numpy as np

from etchscope.simulation.cells import list_cells


def test_the_cells_of_a_box_are_those_within_reach():
    x, y = np.array([1.0, 3.0]), np.array([-1.0, -3.0])
    assert list_cells(x, y, 0.5) == [(0, -1)]
    assert list_cells(x, y, 1.5) == [(i, j) for i in (-1, 0, 1) for j in (-2, -1, 0)]
