import numpy as np
import pytest

from etchscope.preselect import find_pits
from etchscope.preselect.peaks import Finds
from etchscope.preselect.remainders import are_remainders
from etchscope.simulation import Population, SimulatedScan


def _finds(*rows):
    """From rows (x, radius, signed response)."""
    x, radius, snr = np.array(rows, float).reshape(-1, 3).T
    return Finds(x, np.zeros(len(x)), radius, snr, np.abs(snr))


def _left(*rows, covered=0.01, signed=True):
    finds = _finds(*rows)
    return are_remainders(finds, np.full(len(finds), covered), 12.0, signed=signed).tolist()


STRONG = (100, 6, 25)


@pytest.mark.parametrize(
    ("beside", "is_left"),
    [
        ((110, 6, -8), True),
        ((113, 6, -8), False),  # farther than twice the strong one's radius
        ((110, 6, -12), False),  # strong enough to be a pit
        ((110, 6, 8), False),  # the same sign reaches less far
        ((106, 6, 8), True),
        ((116, 12, 8), True),  # without a size
        ((119, 12, 8), False),
    ],
)
def test_a_faint_find_beside_a_strong_pit(beside, is_left):
    assert _left(STRONG, beside) == [False, is_left]
    assert _left(beside, STRONG) == [is_left, False]


def test_in_a_crowd_it_may_be_a_pit():
    beside = (110, 6, -8)
    assert _left(STRONG, beside, covered=0.09) == [False, True]
    assert _left(STRONG, beside, covered=0.21) == [False, False]
    assert _left(STRONG, (116, 12, 8), covered=0.5) == [False, True]


def test_without_a_sign_it_reaches_farther_and_must_be_fainter():
    assert _left(STRONG, (114, 6, 7), signed=False) == [False, True]
    assert _left(STRONG, (114, 6, 8), signed=False) == [False, False]


def test_one_find_and_none():
    assert _left(STRONG) == [False]
    assert _left() == []


def test_no_ring_of_false_finds_round_strong_pits():
    """A third of the rows of this foil were no pit's."""
    foil = SimulatedScan(seed=2026, columns=2, rows=2, population=Population.of(0, 5))
    truth = foil.truth()
    false = rows = 0
    for number in (1, 2, 3, 4):
        found = find_pits(foil.read_tile(number), azimuths_deg=foil.scan.azimuths_deg)
        true = truth.loc[truth["tile"] == number, ["x_px", "y_px"]].to_numpy()
        apart = np.hypot(*(found[["x_px", "y_px"]].to_numpy()[:, None] - true[None]).T)
        false, rows = false + int((apart.min(axis=0) > 6).sum()), rows + len(found)
    assert rows > 25
    assert false / rows < 0.2
