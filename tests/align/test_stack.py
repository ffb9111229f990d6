import json

import numpy as np
import pandas as pd
import pytest

from etchscope.align import align_stack, list_pits
from etchscope.evaluation import accidental_matches, chance_matches, match_nearest
from etchscope.foil import BadInput, PitList
from etchscope.geometry import Similarity

TOLERANCE_MM = 12 * 0.0064516


def _list(name, xy, foil=None, **columns):
    pits = pd.DataFrame({"x_mm": xy[:, 0], "y_mm": xy[:, 1], **columns})
    return PitList(name, foil or name, "front", pits)


@pytest.fixture
def lists(rng, scattered):
    out = []
    for k, name in enumerate(("a", "b", "d")):
        way = Similarity(0.01 * k, shift_x=0.5 * k, shift_y=-0.3 * k)
        xy = way.apply(scattered[rng.random(400) < 0.95] + rng.normal(0, 0.004, (1, 2)))
        strangers = way.apply(rng.uniform(0, [40, 30], (3000 if name == "d" else 20, 2)))
        out.append(_list(name, np.concatenate([xy, strangers])))
    return out


def test_every_list_comes_into_the_frame_of_the_first(lists, scattered):
    stack = align_stack(lists, max_angle_rad=0.03)
    for k, member in enumerate(stack.members):
        way = Similarity(0.01 * k, shift_x=0.5 * k, shift_y=-0.3 * k)
        np.testing.assert_allclose(
            member.transform.apply(way.apply(scattered)), scattered, atol=0.03
        )
        assert (member.transform.source, member.transform.target) == (
            f"{member.source.name} mm",
            "a mm",
        )
    assert json.loads(json.dumps(stack.to_dict(), allow_nan=False))["members"][2]["against"] == "a"


def test_labels_stand_in_the_targets_frame_and_owe_it_nothing(lists, scattered):
    stack = align_stack(lists, max_angle_rad=0.03)
    labels = stack.labels_for("d", surfaces=2)
    assert "pit.d" not in labels
    way = Similarity(0.02, shift_x=1.0, shift_y=-0.6)
    near = match_nearest(labels[["x_mm", "y_mm"]].to_numpy(), way.apply(scattered), 0.03)
    assert near.true_pos == len(labels)
    assert len(labels) == pytest.approx(400 * 0.95**2, rel=0.05)
    assert (labels["p_accidental"] <= 0.05).all()
    with pytest.raises(BadInput, match="2 or more lists of other foils than d, found 0"):
        align_stack([lists[2], _list("e", lists[2].pits.to_numpy(), "d")]).labels_for("d")


def test_a_list_that_does_not_match_the_first_may_match_another(rng, scattered):
    left, right = scattered[scattered[:, 0] < 22], scattered[scattered[:, 0] > 19]
    far = scattered[scattered[:, 0] > 24]
    shifted = far + np.array([2.0, 1.0])
    stack = align_stack([_list("l", left), _list("m", scattered), _list("r", shifted)])
    member = stack.member("r")
    assert member.against == "m"
    np.testing.assert_allclose(member.transform.apply(shifted), far, atol=1e-3)
    assert len(right)
    with pytest.raises(BadInput, match="stack: expected one of l, m, r, found 'q'"):
        stack.member("q")


def test_one_that_matches_none_is_refused(rng, lists):
    stranger = _list("x", rng.uniform(0, [40, 30], (400, 2)))
    with pytest.raises(BadInput, match="alignment of x with a: expected more matches than by"):
        align_stack([*lists, stranger], max_angle_rad=0.03)
    with pytest.raises(BadInput, match="two or more lists of different names, found a"):
        align_stack(lists[:1])


def test_copies_in_overlaps_count_once_and_the_one_farther_from_the_edge_stays():
    pits = pd.DataFrame(
        {
            "x_mm": [1.0, 1.01, 3.0],
            "y_mm": [1.0, 1.0, 3.0],
            "tile": [1, 2, 2],
            "x_px": [620.0, 12, 300],
            "y_px": [200.0, 200, 100],
        }
    )
    given = PitList("a", "a", "front", pits, (480, 640))
    _, xy, row = list_pits(given)
    assert row.tolist() == [0, 2]
    assert len(xy) == 2
    no_tiles = PitList("a", "a", "front", pits)
    assert list_pits(no_tiles)[2].tolist() == [0, 1, 2]  # so no copies


@pytest.mark.real_data
def test_the_real_stack(real_lists):
    stack = align_stack(list(real_lists.values()))
    one = {m.source.name: m.registration for m in stack.members if m.registration is not None}
    assert one["cr"].match().true_pos >= 2720
    assert one["c2"].match().true_pos >= 2570
    places = stack.places()
    assert (places["surfaces"] == 3).sum() >= 2460
    c1 = real_lists["c1"].pits[["x_mm", "y_mm"]].to_numpy()
    hit = np.ones(len(c1), bool)
    for name in ("cr", "c2"):
        xy = stack.member(name).transform.apply(real_lists[name].pits[["x_mm", "y_mm"]].to_numpy())
        hit &= match_nearest(c1, xy, TOLERANCE_MM).truth_hit
    assert hit.sum() == pytest.approx(2682, abs=20)  # the published number


@pytest.mark.real_data
def test_the_accidental_matches_are_those_of_the_local_densities(real_lists):
    stack = align_stack(list(real_lists.values()))
    c1, *others = (m.surface.xy_mm for m in stack.members)
    for other in others:
        counted = chance_matches(c1, other, TOLERANCE_MM, rule="nearest").truth.sum()
        expected = accidental_matches(c1, other, TOLERANCE_MM).expected
        assert expected == pytest.approx(counted, abs=1.96 * np.sqrt(counted / 16))
        uniform = len(c1) * len(other) / np.prod(np.ptp(c1, axis=0)) * np.pi * TOLERANCE_MM**2
        assert uniform < 0.85 * counted


def test_rims_of_datum_holes_are_left_out(scattered):
    pits = pd.DataFrame(scattered, columns=["x_mm", "y_mm"])
    given = PitList("a", "a", "front", pits, holes_mm=((10.0, 10.0),))
    _, xy, row = list_pits(given, hole_mm=3.0)
    assert (np.hypot(*(xy - 10).T) >= 3).all()
    near = np.hypot(*(scattered - 10).T) < 3
    assert near.any()
    assert sorted({*row, *np.flatnonzero(near)}) == list(range(400))
