import pytest

from etchscope.foil import SeveralFoils
from etchscope.run.drawn import draw_foils
from etchscope.simulation import list_parameters, preset


def test_one_foil_is_that_of_the_preset():
    (scan,) = draw_foils("reference", columns=2, rows=1, seed=4)
    (expected,) = preset("reference", seed=4, columns=2, rows=1, sides=("front",))
    assert scan == expected


def test_several_foils_are_numbered_and_have_seeds_of_their_own():
    scans = draw_foils("reference", columns=1, rows=1, sides=("front", "back"), foils=2, foil="A")
    assert [s.scan.name for s in scans] == [
        f"A-00{n}-{s}" for n in (1, 2) for s in ("front", "back")
    ]
    assert scans[0].seed == scans[1].seed != scans[2].seed


def test_parameters_change_what_was_drawn_at_random():
    (calm,) = draw_foils(columns=1, rows=1)
    (other,) = draw_foils(columns=1, rows=1, randomise=True, parameters={"optics.blur_um": 8.5})
    assert other.optics.blur_um == 8.5
    assert list_parameters(calm) != list_parameters(other)


def test_a_preset_of_several_foils_takes_no_name():
    with pytest.raises(
        SeveralFoils, match="name of the foil: expected a preset of one foil, found one of several"
    ):
        draw_foils("pb-stack", columns=1, rows=1, foil="A")
