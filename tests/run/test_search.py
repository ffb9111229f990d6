import numpy as np
import pandas as pd
import pytest

from etchscope.ensemble import measure_working_point
from etchscope.evaluation import Requirement, density_edges
from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    NotScored,
    Scan,
    Tile,
    as_pits,
)
from etchscope.geometry import tile_to_foil
from etchscope.run.search import search_of_run, tiles_by_density
from etchscope.store import FindRecord, JudgingModel, ScoreRecord, Store, TilePictures

SIZE = (480, 640)
MM = 0.01
NAME = "F1-front"
MODEL = JudgingModel(name="first", signal="hip", weights_sha256="ab")


def scan_of(centres=((0.0, 0.0), (7.0, 0.0)), **changes):
    """Tiles of 6.4 mm × 4.8 mm."""
    tiles = tuple(Tile(number=n, stage_x_mm=x, stage_y_mm=y) for n, (x, y) in enumerate(centres, 1))
    given = {
        "name": NAME,
        "foil": "F1",
        "layout": "pictures",
        "pixel_size_um": 10.0,
        "image_size": SIZE,
        "channels": (Channel(step=1, role="backlit"),),
        "tiles": tiles,
    }
    return Scan(**(given | changes))


def placed(scan, rows, /, **columns):
    tile, x, y = (np.array(v) for v in zip(*rows, strict=True))
    x_mm, y_mm = tile_to_foil(tile.astype(np.int64), x.astype(float), y.astype(float), scan)
    place = {"tile": tile, "x_px": x.astype(float), "y_px": y.astype(float)}
    return pd.DataFrame({**place, "x_mm": x_mm, "y_mm": y_mm, **columns})


CANDIDATES = [(1, 100, 100), (1, 200, 100), (1, 203, 100), (2, 300, 200), (2, 500, 400)]
SCORES = [5.0, 3.0, 4.0, 2.0, 1.0]


@pytest.fixture
def scored(tmp_path):
    """A store with one scored run, "run-1"."""

    def made(scan=None, rows=CANDIDATES, scores=SCORES, record=None, kind=ScoreRecord, **columns):
        scan = scan or scan_of()
        store = Store.create(tmp_path / "store")
        pixels = np.full((1, *SIZE), 100, np.uint8)
        store.scans.add(scan, Foil(name="F1"), lambda n: TilePictures(pixels, (f"p{n}.png",)))
        n = len(rows)
        given = {
            "pit": np.arange(n),
            "surface": ["top"] * n,
            "class": ["hip"] * n,
            "score": scores,
            "valid": [True] * n,
            "scan": [scan.name] * n,
        }
        pits = as_pits(placed(scan, rows, **(given | columns)))
        tiles = [t.number for t in scan.tiles]
        known = {"version": "0.1.0", "scan": scan.name, "tiles": tiles} | (record or {})
        judging = {"search": "find-1", "model": MODEL} if kind is ScoreRecord else {}
        stage = "score" if kind is ScoreRecord else "find"
        store.runs.commit("run-1", pits, kind(stage=stage, **known, **judging))
        return store

    return made


def truth_of(scan=None, rows=((1, 101, 101), (2, 302, 200)), **columns):
    given = {"class": ["hip"] * len(rows)}
    return placed(scan or scan_of(), list(rows), **(given | columns))


def searched(store, truth, **given):
    return search_of_run(store, "run-1", truth, signal="hip", **given)


# True and false -----------------------------------------------------------------------------


def test_candidates_are_true_false_or_of_the_same_place(scored):
    search, table = searched(scored(), truth_of())
    # The one at 200 is within a pit's radius of the better one at 203, and no candidate.
    assert search.score.tolist() == [5, 4, 2, 1]
    assert search.is_true.tolist() == [True, False, True, False]
    assert table["is_true"].tolist() == search.is_true.tolist()
    assert table["particle"].tolist() == [0, -1, 1, -1]
    assert table["x_px"].tolist() == [100, 203, 300, 500]
    assert (search.particles, search.tiles) == (2, 2)
    assert search.area_cm2 == pytest.approx(2 * 0.64 * 0.48)
    assert search.efficiency(1.5).successes == 2
    assert search.false(1.5) == 1


def test_closer_than_the_tolerance_is_true(scored):
    store = scored()
    truth = truth_of(rows=[(1, 105.9, 100), (2, 306.1, 200)])
    assert searched(store, truth)[0].is_true.tolist() == [True, False, False, False]
    assert searched(store, truth, tolerance_px=7.0)[0].is_true.sum() == 2


def test_a_particle_has_two_openings_and_one_true_candidate(scored):
    store = scored(rows=[(1, 100, 100), (1, 130, 100)], scores=[2.0, 3.0])
    rows = [(1, 100, 100), (1, 130, 100)]
    one = searched(store, truth_of(rows=rows, particle=[7, 7]))[0]
    assert (one.particles, one.is_true.tolist()) == (1, [True, False])
    pair = truth_of(rows=rows, pit=[40, 41], partner=pd.array([41, 40], dtype="Int64"))
    both, table = searched(store, pair)
    assert (both.particles, both.is_true.tolist()) == (1, [True, False])
    assert table["score"].tolist() == [3, 2]
    two = searched(store, truth_of(rows=rows))[0]
    assert (two.particles, two.is_true.tolist()) == (2, [True, True])


def test_a_partner_that_is_not_listed_leaves_one_particle(scored):
    truth = truth_of(pit=[4, 9], partner=pd.array([5, None], dtype="Int64"))
    assert searched(scored(), truth)[0].particles == 2


def test_a_pair_that_is_signal_is_one_candidate_at_its_entry_pit(scored):
    store = scored(
        rows=[(1, 100, 100), (1, 112, 100)],
        scores=[4.0, 4.0],
        surface=["top", "bottom"],
        partner=pd.array([1, 0], dtype="Int64"),
    )
    search, table = searched(store, truth_of(rows=[(1, 100, 100), (1, 112, 100)], particle=[0, 0]))
    assert (table["pit"].tolist(), search.is_true.tolist()) == ([0], [True])


def test_only_the_signal_counts_with_its_subclasses(scored):
    truth = truth_of(**{"class": ["hip.steep", "top"]})
    search, _ = searched(scored(), truth)
    assert (search.particles, search.is_true.tolist()) == (1, [True, False, False, False])


def test_chance_is_the_same_list_shifted_within_its_tiles(scored):
    # By 60 and 120 px in eight directions, of which the first stays in its tile in 13.
    store = scored(rows=[(1, 100, 100), (2, 300, 200)], scores=[2.0, 1.0])
    truth = truth_of(rows=[(1, 160, 100), (2, 300, 200), (1, 100, 220)])
    search, _ = searched(store, truth)
    assert search.is_true.tolist() == [False, True]
    assert search.by_chance.tolist() == pytest.approx([2 / 14, 0])
    assert search.chance(0.0).value == pytest.approx(2 / 14 / 3)
    closer, _ = searched(store, truth, tolerance_px=4.0)
    assert closer.by_chance.tolist() == [0, 0]


def test_chance_counts_shifts_within_the_region_only(scored):
    left_half = [[-3.2, -9.0], [0.0, -9.0], [0.0, 9.0], [-3.2, 9.0]]
    store = scored(
        record={"tiles": [1], "region_mm": left_half}, rows=[(1, 310, 240)], scores=[2.0]
    )
    search, _ = searched(store, truth_of(rows=[(1, 250, 240)]))
    # Of 16 shifts the 6 to the right leave it.
    assert search.by_chance.tolist() == pytest.approx([1 / 10])
    small = [[-0.2, -0.2], [0.2, -0.2], [0.2, 0.2], [-0.2, 0.2]]
    record = store.runs.record("run-1").model_copy(update={"region_mm": tuple(map(tuple, small))})
    store.runs.commit("run-2", store.runs.pits("run-1"), record)
    search, _ = search_of_run(store, "run-2", truth_of(rows=[(1, 311, 240)]), signal="hip")
    assert search.by_chance.tolist() == [0]


def test_candidates_and_particles_know_their_tile(scored):
    store = scored()
    rows = [(1, 101, 101), (2, 302, 200), (2, 10, 10)]
    by_tile, _ = searched(store, truth_of(rows=rows))
    assert by_tile.tile.tolist() == [0, 0, 1, 1]
    assert by_tile.particle_tile.tolist() == [0, 1, 1]
    assert by_tile.exposure[:2].tolist() == [1, 1]
    on_foil, _ = searched(store, truth_of(rows=rows)[["x_mm", "y_mm", "class"]])
    assert on_foil.particle_tile.tolist() == [0, 1, 1]
    beyond = truth_of(rows=rows).assign(x_mm=[-1.0, 99.0, 99.0])[["x_mm", "y_mm", "class"]]
    lost, _ = searched(store, beyond)
    assert (lost.particles, lost.particle_tile[1:].tolist()) == (3, [2, 2])
    assert lost.exposure.tolist() == [1, 1, 0]
    assert lost.efficiency(0).trials == 3


def test_a_particle_in_an_overlap_has_the_tile_of_its_candidate(scored):
    scan = scan_of(((0.0, 0.0), (6.0, 0.0)))
    store = scored(scan, rows=[(1, 620, 100)], scores=[2.0])
    search, _ = searched(store, truth_of(scan, rows=[(2, 20, 100), (2, 300, 300)]))
    assert search.is_true.tolist() == [True]
    assert search.particle_tile.tolist() == [0, 1]


def test_a_tile_that_a_region_cuts_counts_for_its_part(scored):
    region = [[-3.2, -9.0], [7.0, -9.0], [7.0, 9.0], [-3.2, 9.0]]  # half of the second tile
    store = scored(record={"region_mm": region}, rows=CANDIDATES[:1], scores=SCORES[:1])
    search, _ = searched(store, truth_of(rows=[(1, 101, 101)]))
    assert search.exposure[0] / search.exposure[1] == pytest.approx(2, rel=0.06)
    assert search.exposure.sum() == search.tiles


def test_without_a_scale_places_are_in_their_tile(scored):
    tiles = tuple(Tile(number=n) for n in (1, 2))
    scan = scan_of(pixel_size_um=None, tiles=tiles)
    store = scored(scan, rows=[(1, 100, 100), (2, 100, 100)], scores=[2.0, 1.0])
    search, _ = searched(store, truth_of(scan, rows=[(2, 101, 100), (1, 160, 100)]))
    assert search.is_true.tolist() == [False, True]
    assert search.by_chance.tolist() == pytest.approx([1 / 14, 0])
    assert np.isnan(search.area_cm2)
    told = measure_working_point(search, Requirement(0.5), chosen_by="hand", measured_on="it")
    assert np.isnan(told.false_per_cm2).all()
    assert np.isnan(search.ground.density).all()
    assert density_edges(search, 1e6) == ()


def test_candidates_where_the_model_says_nothing_are_left_out(scored):
    store = scored(valid=[False, True, True, True, True])
    search, table = searched(store, truth_of())
    assert (search.particles, search.is_true.tolist()) == (2, [False, True, False])
    assert searched(store, truth_of(), valid_only=False)[0].is_true.sum() == 2
    assert table["valid"].all()


def test_the_inputs_stay_as_they_are(scored):
    truth = truth_of()
    before = truth.copy()
    searched(scored(), truth)
    pd.testing.assert_frame_equal(truth, before)


# What was searched --------------------------------------------------------------------------


def test_truth_on_other_tiles_and_scans_is_not_missed(scored):
    rows = [(1, 101, 101), (2, 302, 200)]
    store = scored(record={"tiles": [1]}, rows=CANDIDATES[:3], scores=SCORES[:3])
    search, _ = searched(store, truth_of(rows=rows))
    assert (search.particles, search.tiles) == (1, 1)
    assert search.area_cm2 == pytest.approx(0.64 * 0.48)
    several = pd.concat([truth_of(rows=rows, scan_name=NAME), truth_of(rows=rows, scan_name="F2")])
    several = several.rename(columns={"scan_name": "scan"})
    assert searched(store, several)[0].particles == 1
    with pytest.raises(BadInput, match="truth of scan F1-front: expected some of class hip, found"):
        searched(store, several[several["scan"] == "F2"])
    of_others = several[several["scan"] == "F2"].assign(foil="reference")
    with pytest.raises(
        BadInput, match=r"\. The table is of foil reference, the scan is of foil F1\.$"
    ):
        searched(store, of_others)
    with pytest.raises(BadInput, match=r"of class hip, found none$"):
        searched(store, of_others.assign(foil="F1"))


def test_a_run_in_a_region_is_asked_for_the_signal_there_only(scored):
    left_half = [[-3.2, -9.0], [0.0, -9.0], [0.0, 9.0], [-3.2, 9.0]]
    store = scored(
        record={"tiles": [1], "region_mm": left_half}, rows=CANDIDATES[:1], scores=SCORES[:1]
    )
    rows = [(1, 101, 101), (1, 500, 101), (2, 302, 200)]
    for truth in (truth_of(rows=rows), truth_of(rows=rows).drop(columns=["x_mm", "y_mm"])):
        search, _ = searched(store, truth)
        assert (search.particles, search.is_true.tolist()) == (1, [True])
        assert search.area_cm2 == pytest.approx(0.32 * 0.48)
        assert search.tiles == 1


def test_the_tiles_of_a_region_are_as_many_as_are_as_large(scored):
    # Half of two tiles is one.
    scan = scan_of(((0.0, 0.0), (6.4, 0.0)))
    middle = [[0.0, -9.0], [6.4, -9.0], [6.4, 9.0], [0.0, 9.0]]
    store = scored(scan, record={"region_mm": middle}, rows=[(1, 500, 100)], scores=[1.0])
    search, _ = searched(store, truth_of(scan, rows=[(1, 500, 100)]))
    assert search.area_cm2 == pytest.approx(0.64 * 0.48, rel=0.03)
    assert search.tiles == 1


# Refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"drop": ["class"]}, "truth: expected a column class, found none"),
        ({"assign": {"class": "top"}}, "truth: expected some of class hip, found none"),
        ({"assign": {"tile": 9}}, "some of class hip where run run-1 searched, found none"),
        (
            {"drop": ["x_px", "x_mm"]},
            "expected columns tile, x_px, y_px, or x_mm, y_mm if the scan",
        ),
        ({"drop": ["tile", "y_mm"]}, "the foil, found x_px, y_px, x_mm, class$"),
    ],
)
def test_a_truth_that_cannot_be_used(scored, change, text):
    truth = truth_of().drop(columns=change.get("drop", [])).assign(**change.get("assign", {}))
    with pytest.raises(BadInput, match=text):
        searched(scored(), truth)


def test_a_truth_by_tile_or_by_foil_is_enough(scored):
    store = scored()
    for columns in (["x_mm", "y_mm", "class"], ["tile", "x_px", "y_px", "class"]):
        assert searched(store, truth_of()[columns])[0].is_true.sum() == 2


def test_a_truth_by_foil_is_no_help_without_a_scale(scored):
    tiles = tuple(Tile(number=n) for n in (1, 2))
    store = scored(scan_of(pixel_size_um=None, tiles=tiles))
    with pytest.raises(BadInput, match=r"the foil, found x_mm, y_mm, class$"):
        searched(store, truth_of()[["x_mm", "y_mm", "class"]])


def test_a_run_that_was_not_scored_or_is_not_valid(scored):
    store = scored(kind=FindRecord)
    text = r"run run-1: expected a scored run, found a search"
    with pytest.raises(NotScored, match=text):
        searched(store, truth_of())
    with pytest.raises(BadInput, match="'run-2'"):
        search_of_run(store, "run-2", truth_of(), signal="hip")


def test_a_scan_of_which_nothing_is_valid(scored):
    with pytest.raises(BadInput, match="candidates where the model is valid, found none: the scan"):
        searched(scored(valid=[False] * 5), truth_of())


# By density ---------------------------------------------------------------------------------


def test_tiles_are_grouped_by_how_much_was_found_on_them(scored):
    centres = [(7.0 * n, 0.0) for n in range(5)]
    rows = [(2, 50 + 20 * n, 50) for n in range(9)] + [(4, 60, 60), (5, 60, 60), (5, 200, 60)]
    store = scored(scan_of(centres), rows=rows, scores=np.arange(12.0).tolist())
    groups = tiles_by_density(store, "run-1")
    assert groups == {
        "0 to 0 pits a tile": [1, 3],
        "1 to 2 pits a tile": [4, 5],
        "9 to 9 pits a tile": [2],
    }
    assert tiles_by_density(store, "run-1", groups=9)["0 to 0 pits a tile"] == [1, 3]


def test_a_search_of_some_tiles_counts_their_signal_and_candidates_only(scored):
    store = scored()
    whole, _ = searched(store, truth_of())
    parts = [searched(store, truth_of(), only_tiles=[n])[0] for n in (1, 2)]
    assert [p.score.tolist() for p in parts] == [[5, 4], [2, 1]]
    assert [p.is_true.tolist() for p in parts] == [[True, False], [True, False]]
    assert sum(p.particles for p in parts) == whole.particles
    assert sum(p.area_cm2 for p in parts) == pytest.approx(whole.area_cm2)
    with pytest.raises(BadInput, match="expected some of class hip where run run-1 searched"):
        searched(store, truth_of(rows=[(1, 101, 101)]), only_tiles=[2])


# Where everything is ------------------------------------------------------------------------


def test_candidates_and_particles_have_the_tile_and_the_density_of_their_place(scored):
    store = scored(density_per_mm2=[30.0, 10, 20, 5, 7])
    # The last two are missed: they have the density of their quarter.
    rows = [(1, 101, 101), (2, 302, 200), (2, 300, 100), (2, 610, 470)]
    whole = truth_of(rows=rows)
    for truth in (whole, whole.drop(columns=["x_mm", "y_mm"]), whole[["x_mm", "y_mm", "class"]]):
        search, _ = searched(store, truth)
        assert search.tile.tolist() == [0, 0, 1, 1]
        assert search.particle_tile.tolist() == [0, 1, 1, 1]
        assert search.exposure.tolist() == [1, 1, 0]
        ground = search.ground
        # Quarters in rows: (100, 100), (200, 100) and (203, 100) share the first one of tile 1.
        expected = [[20, 0, 0, 0], [5, 0, 0, 7], [0, 0, 0, 0]]
        assert ground.density.tolist() == expected
        assert ground.candidates.tolist() == [30, 20, 5, 7]
        assert ground.particles.tolist() == [30, 5, 5, 7]
        assert ground.place.tolist() == [[0, 0], [7, 0], [0, 0]]


def test_tiles_without_a_place_lie_in_a_row(scored):
    tiles = tuple(Tile(number=n) for n in (1, 2))
    scan = scan_of(pixel_size_um=None, tiles=tiles)
    store = scored(scan, rows=[(1, 100, 100), (2, 100, 100)], scores=[2.0, 1.0])
    search, _ = searched(store, truth_of(scan, rows=[(2, 101, 100)]))
    assert search.ground.place[:2].tolist() == [[0, 0], [1, 0]]
    assert search.particle_tile.tolist() == [1]


def test_the_exposure_of_a_region_s_tiles_is_what_lies_in_it(scored):
    scan = scan_of(((0.0, 0.0), (6.4, 0.0)))
    middle = [[1.6, -9.0], [9.6, -9.0], [9.6, 9.0], [1.6, 9.0]]
    store = scored(scan, record={"region_mm": middle}, rows=[(1, 500, 100)], scores=[1.0])
    search, _ = searched(store, truth_of(scan, rows=[(1, 500, 100)]))
    assert search.tiles == 1
    np.testing.assert_allclose(search.exposure, [0.2, 0.8, 0], atol=0.01)
