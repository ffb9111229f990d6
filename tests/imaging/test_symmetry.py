import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.foil import (
    BadInput,
    Channel,
    Scan,
    Tile,
)
from etchscope.imaging import (
    D4,
    Symmetry,
    divergence,
    find_symmetries,
    fit_harmonics,
    turn_by_steps,
)

EIGHT = 67.5 + 45 * np.arange(8)
FOUR = np.array([0, 90, 180, 270.0])

element = st.sampled_from(D4)
lamps = st.sampled_from([EIGHT, FOUR, FOUR + 45]).flatmap(
    lambda a: st.permutations(a.tolist()).map(np.array)
)


def _stack(channels, seed=1, size=(5, 7)):
    return np.random.default_rng(seed).normal(size=(channels, *size)).astype(np.float32)


def _same_everywhere(one, other, azimuths):
    """Whether two maps (pictures, points, angles) of the scene agree."""
    n = len(azimuths)
    stack, directional = _stack(n + 1), np.arange(n)
    if not np.array_equal(one[0](stack, directional), other[0](stack, directional)):
        return False
    points = np.array([0.0, 2.5, 6.0]), np.array([0.0, 1.25, 4.0])
    angles = np.array([0.0, 30, 100])
    return np.allclose(one[1](*points), other[1](*points)) and np.allclose(
        one[2](angles), other[2](angles)
    )


def _of(symmetry, azimuths, size=(5, 7)):
    return (
        lambda s, d: symmetry.pictures(s, azimuths, d),
        lambda x, y: symmetry.points(x, y, size),
        symmetry.angles,
    )


def _then(first, second, azimuths):
    size = (7, 5) if first.quarter_turns % 2 else (5, 7)
    p, q = _of(first, azimuths), _of(second, azimuths, size)
    return (
        lambda s, d: q[0](p[0](s, d), d),
        lambda x, y: q[1](*p[1](x, y)),
        lambda a: q[2](p[2](a)),
    )


@settings(deadline=None)
@given(element, element, lamps)
def test_one_after_the_other_is_one_of_the_eight(first, second, azimuths):
    both = _then(first, second, azimuths)
    same = [s for s in D4 if _same_everywhere(both, _of(s, azimuths), azimuths)]
    # Mirror M and turn R: M R = R⁻¹ M.
    turns = second.quarter_turns + (-1 if second.mirrored else 1) * first.quarter_turns
    assert same == [Symmetry(turns % 4, first.mirrored ^ second.mirrored)]


@settings(deadline=None)
@given(element, lamps)
def test_every_element_has_an_inverse(symmetry, azimuths):
    back = symmetry if symmetry.mirrored else Symmetry((4 - symmetry.quarter_turns) % 4)
    identity = _of(Symmetry(), azimuths)
    assert _same_everywhere(_then(symmetry, back, azimuths), identity, azimuths)


def test_the_identity_changes_nothing():
    stack = _stack(9)
    np.testing.assert_array_equal(Symmetry().pictures(stack, EIGHT, np.arange(8)), stack)


@pytest.mark.parametrize("turns", [-5, -1, 3, 7])
def test_turns_count_modulo_four(turns):
    same = _of(Symmetry(3), EIGHT)
    assert _same_everywhere(_of(Symmetry(turns), EIGHT), same, EIGHT)


def test_four_turns_and_two_mirrors_are_the_identity():
    stack, x, y, angle = _stack(8), np.array([1.5]), np.array([4.0]), np.array([20.0])
    for symmetry, order in ((Symmetry(1), 4), (Symmetry(mirrored=True), 2)):
        s, p, a, size = stack, (x, y), angle, (5, 7)
        for step in range(order):
            assert step == 0 or not np.array_equal(s, stack)
            s = symmetry.pictures(s, EIGHT, np.arange(8))
            p, a = symmetry.points(*p, size), symmetry.angles(a)
            size = size[::-1] if symmetry.quarter_turns else size
        np.testing.assert_array_equal(s, stack)
        np.testing.assert_allclose([*p, a], [x, y, angle])


@pytest.mark.parametrize("symmetry", D4)
def test_points_and_pictures_move_together(symmetry):
    stack = np.zeros((9, 6, 11), np.float32)
    stack[8, 1, 8] = 1  # channel 9 keeps its place in the stack
    moved = symmetry.pictures(stack, EIGHT, np.arange(8))
    x, y = symmetry.points(np.array([8]), np.array([1]), (6, 11))
    assert np.argwhere(moved).tolist() == [[8, int(y[0]), int(x[0])]]


@pytest.mark.parametrize("symmetry", D4)
def test_angles_and_pictures_move_together(symmetry):
    y, x = np.mgrid[-20:21, -20:21].astype(float)
    angle = 25.0
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    bar = (np.abs(x * s + y * c) < 2) & (np.abs(x * c - y * s) < 12)  # y down, angle y up
    stack = np.broadcast_to(bar, (9, *bar.shape)).astype(np.float32)
    moved = symmetry.pictures(stack, EIGHT, np.arange(8))[8]
    v, u = np.nonzero(moved)
    covariance = np.cov(u, -v)
    expected = symmetry.angles(np.array([angle]))[0]
    axis = np.linalg.eigh(covariance)[1][:, 1]
    found = np.rad2deg(np.arctan2(axis[1], axis[0])) % 180
    assert abs((found - expected + 90) % 180 - 90) < 1


@pytest.mark.parametrize("symmetry", D4[1:])
def test_forgetting_the_channels_breaks_the_symmetry(symmetry):
    """The divergence of the first harmonic, which tells top from bottom, must only move."""
    y, x = np.mgrid[-15:16, -15:16].astype(float)
    down, right = np.gradient(-np.clip(8 - np.hypot(x - 2, y + 3), 0, None))
    phi = np.deg2rad(EIGHT)[:, None, None]
    stack = (1 - right * np.cos(phi) + down * np.sin(phi)).astype(np.float32)

    def moved(pictures, directional):
        return symmetry.pictures(pictures, EIGHT, directional)

    def signed(pictures):
        return divergence(*fit_harmonics(pictures, EIGHT)[1:])

    right_way = signed(moved(stack, np.arange(8)))
    forgotten = stack[:, :, ::-1] if symmetry.mirrored else stack
    forgotten = signed(np.ascontiguousarray(np.rot90(forgotten, symmetry.quarter_turns, (1, 2))))
    here = signed(stack)[None]
    expected = Symmetry(symmetry.quarter_turns, symmetry.mirrored).pictures(
        np.repeat(here, 8, axis=0), EIGHT, np.arange(8)
    )[0]
    np.testing.assert_allclose(right_way, expected, atol=1e-5)
    assert np.abs(forgotten - expected).max() > 0.3


@pytest.mark.parametrize(
    ("azimuths", "symmetry"),
    [
        ([0, 120, 240], Symmetry(1)),
        ([0, 90, 180], Symmetry(1)),
        ([10, 100, 190, 280], Symmetry(mirrored=True)),
        ([0, 90, 180, 270, 0], Symmetry(1)),
    ],
)
def test_azimuths_that_are_not_mapped_onto_themselves_are_refused(azimuths, symmetry):
    with pytest.raises(BadInput, match="symmetry: expected azimuths that"):
        symmetry.channels(np.array(azimuths, float))


def test_three_lamps_have_a_mirror():
    azimuths = np.array([90, 210, 330.0])
    assert Symmetry(mirrored=True).channels(azimuths).tolist() == [0, 2, 1]


def _clockwise():
    channels = tuple(
        Channel(step=k, role="directional", azimuth_deg=22.5 + 45 * k) for k in range(8)
    )
    return Scan(
        name="s",
        foil="f",
        layout="plain",
        image_size=(8, 8),
        channels=channels,
        azimuth_sense="cw",
        tiles=(Tile(number=1),),
    )


def test_clockwise_azimuths_roll_the_other_way():
    azimuths = _clockwise().azimuths_deg
    assert Symmetry(1).channels(azimuths).tolist() == np.roll(np.arange(8), -2).tolist()
    assert Symmetry(1).channels(-azimuths).tolist() == np.roll(np.arange(8), 2).tolist()


def test_stack_is_unchanged_and_contiguous():
    stack = _stack(10)
    before = stack.copy()
    moved = Symmetry(1, True).pictures(stack, EIGHT, np.array([1, 2, 3, 4, 5, 6, 7, 9]))
    np.testing.assert_array_equal(stack, before)
    assert moved.flags.c_contiguous
    np.testing.assert_array_equal(moved[8], np.rot90(stack[8, :, ::-1]))


def test_the_inverse_undoes_and_after_composes():
    stack = _stack(8, size=(6, 6))
    for g in D4:
        there = g.pictures(stack, EIGHT, np.arange(8))
        np.testing.assert_array_equal(g.inverse.pictures(there, EIGHT, np.arange(8)), stack)
        for h in D4:
            one = g.after(h).pictures(stack, EIGHT, np.arange(8))
            two = g.pictures(h.pictures(stack, EIGHT, np.arange(8)), EIGHT, np.arange(8))
            np.testing.assert_array_equal(one, two)


def test_lamps_have_the_symmetries_that_they_have():
    assert find_symmetries(EIGHT) == D4
    assert find_symmetries(np.array([22.5, 112.5, 202.5, 292.5])) == D4[:4]
    assert find_symmetries(np.array([0.0, 120.0, 240.0])) == (Symmetry(), Symmetry(2, True))
    assert find_symmetries(np.array([10.0, 130.0, 250.0])) == (Symmetry(),)
    assert find_symmetries(np.empty(0)) == D4


def _lit_pit(azimuths, x=4.0, y=3.0, size=41):
    """A smooth pit off the centre, shaded by each lamp, and a backlit disc; y up."""
    axis = np.arange(size) - (size - 1) / 2
    u, v = axis[None, :] - x, -axis[:, None] - y
    h = -np.exp(-(u**2 + v**2) / 18)
    p, q = -u / 9 * h, -v / 9 * h
    lamps = [1 - p * np.cos(f) - q * np.sin(f) for f in np.deg2rad(azimuths)]
    return np.stack([*lamps, 1 + h]).astype(np.float32)


@pytest.mark.parametrize("steps", range(-3, 12))
def test_turning_by_the_lamps_step_is_the_turned_scene(steps):
    stack = _lit_pit(EIGHT)
    turned = turn_by_steps(stack, EIGHT, np.arange(8), steps)
    a = np.deg2rad(45 * steps)
    x, y = 4 * np.cos(a) - 3 * np.sin(a), 4 * np.sin(a) + 3 * np.cos(a)
    exact = _lit_pit(EIGHT, x, y)
    assert np.abs(turned - exact)[:, 8:-8, 8:-8].max() < (1e-5 if steps % 2 == 0 else 0.03)
    if steps % 2 == 0:
        same = Symmetry(steps // 2 % 4).pictures(stack, EIGHT, np.arange(8))
        np.testing.assert_array_equal(turned, same)
    if steps % 8:  # forgetting the channels is seen
        forgotten = np.roll(turned[:8], -steps, axis=0)
        assert np.abs(forgotten - exact[:8]).max() > 0.1


def test_six_lamps_turn_by_60_degrees():
    six = 15 + 60.0 * np.arange(6)
    turned = turn_by_steps(_lit_pit(six), six, np.arange(6), 1)
    a = np.deg2rad(60)
    exact = _lit_pit(six, 4 * np.cos(a) - 3 * np.sin(a), 4 * np.sin(a) + 3 * np.cos(a))
    assert np.abs(turned - exact)[:, 8:-8, 8:-8].max() < 0.03


def test_what_does_not_turn_is_refused():
    with pytest.raises(BadInput, match="azimuths: expected two or more, evenly spaced"):
        turn_by_steps(_stack(3, size=(6, 6)), np.array([0.0, 90, 200]), np.arange(3), 1)
    with pytest.raises(BadInput, match="pictures to turn: expected as high as wide"):
        turn_by_steps(_stack(8), EIGHT, np.arange(8), 1)
