import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etchscope.foil import BadInput
from etchscope.geometry import Similarity, fit_similarity, mm_per

number = st.floats(-200, 200, allow_nan=False)
similarity = st.builds(
    Similarity,
    angle_rad=st.floats(-np.pi, np.pi),
    scale=st.floats(0.01, 100),
    shift_x=number,
    shift_y=number,
    mirrored=st.booleans(),
)
POINTS = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 5.0]])


@given(similarity)
def test_the_inverse_goes_back(t):
    np.testing.assert_allclose(t.inverse().apply(t.apply(POINTS)), POINTS, atol=1e-6)


@given(similarity, similarity)
def test_one_after_the_other_is_the_composition(one, other):
    both = one.then(other)
    np.testing.assert_allclose(both.apply(POINTS), other.apply(one.apply(POINTS)), atol=1e-6)
    np.testing.assert_allclose(both.matrix, other.matrix @ one.matrix, atol=1e-9)


@given(similarity)
def test_a_mirror_turns_the_sense_round(t):
    u, v = t.apply(POINTS[1:]) - t.apply(POINTS[:1])
    sense = np.sign(u[0] * v[1] - u[1] * v[0])
    assert sense == (-1 if t.mirrored else 1)


@given(similarity)
def test_the_fit_finds_what_made_the_points(t):
    found = fit_similarity(POINTS, t.apply(POINTS), mirrored=t.mirrored)
    np.testing.assert_allclose(found.matrix, t.matrix, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.shift, t.shift, atol=1e-6)


def test_the_fit_heeds_weights_and_the_fixed_scale():
    aim = 2 * POINTS + 1
    aim[2] += 50
    found = fit_similarity(POINTS, aim, [1, 1, 0])
    assert (found.scale, found.shift_x) == pytest.approx((2, 1))
    assert fit_similarity(POINTS, 2 * POINTS, fixed_scale=True).scale == 1


def test_frames_have_to_fit_together():
    pixels = Similarity(source="tile 1 px", target="stage mm")
    foil = Similarity(source="stage mm", target="foil mm")
    assert (pixels.then(foil).source, pixels.then(foil).target) == ("tile 1 px", "foil mm")
    assert foil.inverse().source == "foil mm"
    with pytest.raises(BadInput, match="expected one from foil mm, found one from tile 1 px"):
        foil.then(pixels)


def test_what_no_fit_can_use_is_refused():
    with pytest.raises(BadInput, match="two or more pairs, found 1"):
        fit_similarity([[0, 0]], [[1, 1]])
    with pytest.raises(BadInput, match="points apart from each other, found one place"):
        fit_similarity([[1, 1], [1, 1]], [[0, 0], [1, 1]])
    with pytest.raises(BadInput, match="scale: expected a number above 0"):
        Similarity(scale=0)


def test_it_is_read_back_from_json():
    t = Similarity(0.1, 2.0, 3.0, 4.0, True, "a mm", "b mm")
    assert Similarity(**t.to_dict()) == t


def test_units():
    assert (mm_per("mm"), mm_per("um"), mm_per("inch")) == (1.0, 0.001, 25.4)
    with pytest.raises(BadInput, match="unit: expected one of inch, mm, um, found 'mil'"):
        mm_per("mil")
