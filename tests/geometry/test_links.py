import numpy as np
import pytest

from etchscope.geometry import Similarity, link_frames

AT = [[1.0, 2.0], [-3.0, 0.5]]


def _link(source, target, angle=0.0, shift=(0.0, 0.0), **more):
    return Similarity(angle, 1.0, *shift, source=source, target=target, **more)


def test_ways_over_other_frames_are_composed():
    a, b = _link("b", "a", 0.1, (1, 2)), _link("c", "b", -0.3, (0, 5), mirrored=True)
    for links in ([a, b], [b, a]):
        ways = link_frames("abc", links)
        assert {way.target for way in ways.values()} == {"a"}
        np.testing.assert_allclose(ways["c"].apply(AT), a.apply(b.apply(AT)))
        np.testing.assert_allclose(ways["b"].apply(AT), a.apply(AT))
    # One that was a target takes along all that it stood for.
    ways = link_frames("abcd", [b, a, _link("a", "d", 0.7, (3, 3))])
    np.testing.assert_allclose(
        ways["c"].apply(AT), _link("a", "d", 0.7, (3, 3)).apply(a.apply(b.apply(AT)))
    )


def test_links_from_one_frame_to_two_join_all_three():
    ways = link_frames("abc", [_link("c", "a", 0.2, (1, 0)), _link("c", "b", 0.0, (0, 3))])
    assert {way.target for way in ways.values()} == {"b"}
    np.testing.assert_allclose(
        ways["a"].apply(_link("c", "a", 0.2, (1, 0)).apply(AT)), np.add(AT, [0, 3])
    )


def test_the_first_of_two_links_counts():
    ways = link_frames("ab", [_link("b", "a", shift=(1, 0)), _link("a", "b", shift=(9, 9))])
    assert ways["b"].shift_x == 1
    assert ways["a"] == Similarity().named("a", "a")


def test_nothing_linked_is_nothing_moved():
    assert link_frames("ab", []) == {n: Similarity().named(n, n) for n in "ab"}
    with pytest.raises(KeyError, match="x"):
        link_frames("ab", [_link("x", "a")])
