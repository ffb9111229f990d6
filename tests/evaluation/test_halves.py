import numpy as np

from etchscope.evaluation import (
    split_halves,
)


def test_halves_are_blocks_of_neighbours_as_on_a_chessboard():
    y, x = np.mgrid[:8, :8]
    second = split_halves(np.column_stack([4.0 * x.ravel(), 3.0 * y.ravel()])).reshape(8, 8)
    assert second.sum() == 32
    blocks = second.reshape(4, 2, 4, 2).transpose(0, 2, 1, 3).reshape(16, 4)
    assert (blocks == blocks[:, :1]).all()
    # Each half has as much of either side of the foil.
    assert second[:4].sum() == second[:, :4].sum() == 16
    # Blocks of a large foil have about eight tiles, so that most neighbours are of one half.
    y, x = np.mgrid[:25, :20]
    second = split_halves(np.column_stack([4.0 * x.ravel(), 3.0 * y.ravel()])).reshape(25, 20)
    assert abs(second.sum() - 250) <= 32
    alike = [np.mean(second[:, 1:] == second[:, :-1]), np.mean(second[1:] == second[:-1])]
    assert min(alike) > 0.6


def test_halves_do_not_depend_on_the_order_and_are_equal_on_any_foil():
    rng = np.random.default_rng(3)
    for place in (rng.uniform(0, 9, (57, 2)), np.repeat(np.arange(20.0)[:, None], 2, axis=1)):
        second, order = split_halves(place), rng.permutation(len(place))
        assert abs(second.sum() - (~second).sum()) <= 8
        np.testing.assert_array_equal(split_halves(place[order]), second[order])
    assert split_halves(np.zeros((1, 2))).tolist() == [False]
    assert split_halves(np.array([[0.0, 0], [1, 0]])).tolist() == [False, True]
    assert split_halves(np.empty((0, 2))).shape == (0,)
