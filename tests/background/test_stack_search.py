"""Particles through drawn stacks: planted, found again, and gone once the foils are shifted."""

from dataclasses import replace

import numpy as np
import pytest

from etchscope.background.stack_candidates import search_stack
from etchscope.background.stack_model import fit_stack
from etchscope.background.stack_openings import StackOpenings, StackSurface
from etchscope.background.stack_search import StackModel, find_hypotheses
from etchscope.foil import BadInput
from etchscope.preselect.openings import Shapes

SIDE, THICK, REMOVED, GAP = 700.0, 77.5, 9.6, 15.0
PARTICLES, UNRELATED = 24, 110


def shapes_of(rng, xy):
    n = len(xy)
    ellipse = rng.normal(0, 0.03, (2, n))
    measured = {
        "log_radius": np.log(REMOVED * 0.577) + rng.normal(0, 0.1, n),
        "e_cos": ellipse[0],
        "e_sin": ellipse[1],
        "log_depth": np.full(n, np.nan),
    }
    errors = {"s_radius": 0.1, "s_ellipse": 0.05, "s_place": 0.5, "s_depth": np.nan}
    errors["measured_share"] = 0.5
    each = {name: np.full(n, value) for name, value in errors.items()}
    return Shapes(xy[:, 0], -xy[:, 1], **measured, **each)


def is_inside(place):
    return ((place >= 0) & (place <= SIDE)).all(1)


def draw_stack(seed=1, *, foils=3, offset=((0, 0),) * 6, gap=GAP, spread=0.06):
    """Return the surfaces of a stack; the first openings of each are the particles, in order."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(60, SIDE - 60, (PARTICLES, 2))
    slope = rng.normal(0, spread, (PARTICLES, 2))
    surfaces = []
    for k in range(2 * foils):
        foil, is_back = divmod(k, 2)
        depth = foil * (THICK + gap) + is_back * THICK
        inner = depth + (-1 if is_back else 1) * 0.68 * REMOVED
        true = at + slope * inner + rng.normal(0, 0.5, at.shape) + np.array(offset[k])
        xy = np.concatenate([true, rng.uniform(0, SIDE, (UNRELATED, 2))])
        side = "back" if is_back else "front"
        shapes = shapes_of(rng, xy)
        surfaces.append(StackSurface(f"f{foil}", side, depth, REMOVED, shapes, is_inside))
    return surfaces


def moved(surfaces, turn):
    """Return surfaces whose openings were moved by a function of places and shapes."""
    return [replace(s, shapes=turn(s.shapes)) for s in surfaces]


def are_particles(openings, hits):
    own = np.where(hits >= 0, openings.own[hits], -1)
    planted = (own >= 0) & (own < PARTICLES)
    most = np.array(
        [np.bincount(o[p], minlength=1).max() for o, p in zip(own, planted, strict=True)]
    )
    return most > (hits >= 0).sum(1) / 2


@pytest.fixture(scope="module")
def found():
    openings = StackOpenings.of(draw_stack())
    return openings, find_hypotheses(openings, StackModel.usual(6))


def test_planted_particles_are_found_and_ranked_before_accidental_ones(found):
    openings, hypotheses = found
    true = are_particles(openings, hypotheses.hits)
    assert true[:PARTICLES].sum() >= PARTICLES - 1
    assert (np.diff(hypotheses.score) <= 0).all()
    rows = hypotheses.hits[hypotheses.hits >= 0]
    assert len(np.unique(rows)) == len(rows)


def test_a_rigid_motion_of_the_stack_changes_no_score(found):
    openings, hypotheses = found
    angle = 0.7
    c, s = np.cos(angle), np.sin(angle)

    def turn(one):
        x, y = c * one.x + s * one.y + 300, c * one.y - s * one.x - 90  # y down
        c2, s2 = np.cos(2 * angle), np.sin(2 * angle)
        e_cos, e_sin = c2 * one.e_cos - s2 * one.e_sin, s2 * one.e_cos + c2 * one.e_sin
        return replace(one, x=x, y=y, e_cos=e_cos, e_sin=e_sin)

    turned = StackOpenings.of(moved(draw_stack(), turn))
    again = find_hypotheses(turned, StackModel.usual(6))
    best = slice(0, PARTICLES - 2)
    assert np.array_equal(turned.own[again.hits[best]], openings.own[hypotheses.hits[best]])
    assert np.allclose(again.score[best], hypotheses.score[best], atol=1e-6)
    slope = hypotheses.fit[best, 3:5] @ np.array([[c, s], [-s, c]])
    assert np.allclose(again.fit[best, 3:5], slope, atol=1e-9)


def test_a_foil_that_is_shifted_is_in_no_coincidence(found):
    openings, hypotheses = found
    by = np.zeros((6, 2))
    by[2:4], by[4:] = [60.0, 20.0], [-30.0, 70.0]
    shifted = find_hypotheses(openings.shifted(by), StackModel.usual(6))
    assert shifted.score.max() < hypotheses.score[PARTICLES - 4]
    foils = np.array([s.foil for s in openings.surfaces])
    together = [len(set(foils[h >= 0])) for h in hypotheses.hits[: PARTICLES - 1]]
    assert min(together) == 3


def test_a_surface_that_was_not_searched_is_no_loss():
    surfaces = draw_stack()
    empty = replace(surfaces[3], shapes=surfaces[3].shapes.take(np.arange(0)))
    scores = {}
    for is_seen in (True, False):
        seen = np.ones if is_seen else np.zeros
        one = replace(empty, seen=lambda xy, seen=seen: seen(len(xy), bool))
        lacking = [*surfaces[:3], one, *surfaces[4:]]
        scores[is_seen] = find_hypotheses(StackOpenings.of(lacking), StackModel.usual(6))
    best = slice(0, PARTICLES - 2)
    lost = scores[True].score[best] - scores[False].score[best]
    assert np.allclose(lost, np.log(1 - 0.8))
    assert not scores[False].seen[:, 3].any()
    assert scores[True].seen[:, 3].all()


def test_offsets_depths_and_the_beam_are_fitted():
    offset = ((0, 0), (0, 0), (3, -2), (3, -2), (-2, 1), (-2, 1))
    openings = StackOpenings.of(draw_stack(2, offset=offset, gap=0.0, spread=0.03))
    fitted, model = fit_stack(openings, StackModel.usual(6))
    shift = fitted.shift_px - fitted.shift_px[:2].mean(0)
    relative = np.diff(shift[[0, 2, 4]] + np.array(offset)[[0, 2, 4]], axis=0)
    assert np.abs(np.diff(relative, axis=0)).max() < 1.5  # what is left is a common slope
    assert model.beam[0] > 0.9
    assert model.beam[3] == pytest.approx(0.03, rel=0.4)
    assert (model.recall > 0.9).all()
    same = fit_stack(StackOpenings.of(draw_stack(2)).take(np.arange(5)), StackModel.usual(6))[1]
    assert np.array_equal(same.prior, StackModel.usual(6).prior)


def test_accidental_particles_are_counted():
    counted, expected = 0, 0.0
    for seed in (3, 4):
        search = search_stack(draw_stack(seed), shifts=3, model=StackModel.usual(6))
        false = search.found.score[~are_particles(search.openings, search.found.hits)]
        level = np.array([-11.0])
        counted += int((false >= level).sum())
        value, low, high = search.expected(level)
        assert low[0] < value[0] < high[0]
        expected += value[0]
    assert 0.6 * counted < expected < 1.6 * counted
    none, low, high = search.expected(np.array([1e3]))
    assert none[0] == low[0] == 0
    assert 0.5 * 3 < search.shifts < 0.95 * 3
    assert high[0] == pytest.approx(3.689 / search.shifts, rel=1e-3)
    strict, loose = search.threshold(0.5), search.threshold(5.0)
    assert search.expected(np.array([strict]))[0] <= 0.5 < search.expected(np.array([loose]))[0]
    assert (search.found.score >= strict).sum() >= PARTICLES - 3


def test_one_surface_is_no_stack():
    with pytest.raises(BadInput, match=r"two or more surfaces, each once.*found f0 front"):
        search_stack(draw_stack()[:1])
