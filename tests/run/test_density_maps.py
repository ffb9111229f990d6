"""The maps of runs: which pits and which ground are taken from a store."""

import numpy as np
import pytest
from tests.run.conftest import SMALL, add_to

from etchscope.background.density_maps import integrate
from etchscope.background.hidden import EfficiencyCurve
from etchscope.foil import BadInput, NoPositions, NotScored
from etchscope.geometry import Mask, area_cm2
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.run.density_maps import MapSettings, map_run
from etchscope.run.seen_ground import outline_tiles
from etchscope.store import Store

CLASSICAL = FindSettings(finder="classical")
ALL = MapSettings()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A store with a scan of ten tiles with gaps between them, and its run."""
    store = Store.create(tmp_path_factory.mktemp("maps") / "store")
    add_to(store, SMALL)
    return store, find(store, SMALL.scan.name, settings=CLASSICAL, executor="inline").run


def scan_without(**changes):
    tiles = tuple(
        t.model_copy(update={"stage_x_mm": None, "stage_y_mm": None}) for t in SMALL.scan.tiles
    )
    return SMALL.scan.model_copy(update={"tiles": tiles, "datum": (), **changes})


def searched_again(tmp_path, scan=None, mask=None):
    store = Store.create(tmp_path / "store")
    add_to(store, SMALL, scan)
    if mask is not None:
        store.fits.set_mask(SMALL.scan.name, mask)
    return store, find(store, SMALL.scan.name, settings=CLASSICAL, executor="inline").run


def test_all_pits_and_the_whole_area_of_the_tiles_are_in_the_map(searched):
    store, run = searched
    done = map_run(store, run, MapSettings(by="surface"))
    one, pits = done.maps["all"], store.runs.pits(run)
    marks = (pits["class"] == "misc").sum()
    assert one.count.sum() == len(pits) - marks
    numbers = [t.number for t in SMALL.scan.tiles]
    assert one.seen.sum() == pytest.approx(100 * area_cm2(SMALL.scan, numbers), rel=1e-3)
    u, v = np.meshgrid(one.grid.x, one.grid.y)
    gap = one.seen < 0.01 * one.grid.cell_area
    assert gap.sum() > 0.2 * gap.size
    assert (one.reason[gap] == 1).all()
    assert not one.valid[gap].any()
    groups = [done.maps[n] for n in done.maps if n != "all"]
    assert sum(g.count.sum() for g in groups) == one.count.sum()
    assert {g.bandwidth for g in groups} == {one.bandwidth}
    assert (done.frame, done.units.density, u.shape) == ("foil", "pits/mm²", v.shape)


def test_pits_of_a_particle_widen_the_interval_of_their_sum(searched):
    store, run = searched
    pits = store.runs.pits(run)
    one = map_run(store, run, ALL).maps["all"]
    paired = pits["partner"].notna().mean()
    assert paired > 0.1
    assert one.variance == pytest.approx(1 + paired)
    total = integrate(one)
    assert (total.high - total.low) / total.value > 1.05 * 2 * 1.96 / np.sqrt(total.found)


def test_a_mask_and_an_excluded_tile_are_not_seen(tmp_path):
    x, y = (np.array([getattr(t, f"stage_{a}_mm") for t in SMALL.scan.tiles]) for a in "xy")
    x, y = x - x[0], y - y[0]
    middle = (x.min() + x.max()) / 2 + 0.1
    far = np.array([[-9, -9], [middle, -9], [middle, 9], [-9, 9]], float)
    store, run = searched_again(tmp_path, mask=Mask(polygons=(far,)))
    done = map_run(store, run, ALL).maps["all"]
    inside = done.grid.x < middle - 2 * done.grid.step
    assert 0 < done.seen.sum() < 0.7 * 100 * area_cm2(SMALL.scan, range(1, 11))
    assert done.seen[:, done.grid.x > middle + 2 * done.grid.step].sum() == 0
    assert done.seen[:, inside].sum() > 0.9 * done.seen.sum()
    assert done.count.sum() == len(store.runs.pits(run))
    store.scans.exclude("tile = 1", why="a fibre")
    less = map_run(store, run, ALL).maps["all"]
    left = (store.runs.pits(run)["tile"] != 1).sum()
    assert less.count.sum() == left < done.count.sum()
    height, width = (n * SMALL.scan.pixel_size_um / 1000 for n in SMALL.scan.image_size)
    assert done.seen.sum() - less.seen.sum() == pytest.approx(height * width, rel=1e-3)


def test_a_scan_compared_with_itself_is_the_same(searched):
    store, run = searched
    done = map_run(store, run, MapSettings(by="size", bandwidth_um=400), other=run)
    both = done.comparisons["all"]
    np.testing.assert_allclose(both.ratio[both.valid & (both.one.kernel > 1)], 1)
    assert abs(both.significance[both.valid]).max() < 1e-6
    assert len(done.comparisons) == len(done.maps) == 4
    assert both.one.count.sum() == pytest.approx(done.maps["all"].count.sum(), rel=0.05)


def test_a_compared_group_has_the_density_of_its_own_map(searched):
    store, run = searched
    done = map_run(store, run, MapSettings(by="size", bandwidth_um=400), other=run)
    for name, both in done.comparisons.items():
        one = done.maps[name]
        where = one.valid & both.valid & (one.found > 5)
        assert where.sum() > 50
        assert one.all_pits.factor[0][where].mean() > 1.005
        for side in (both.one, both.other):
            here, there = side.all_pits.value[where], one.all_pits.value[where]
            np.testing.assert_allclose(here, there, rtol=1e-6, err_msg=name)


def falling(density):
    """An efficiency that falls by a fifth up to some density, and little beyond it."""
    efficiency = np.array([0.9, 0.7, 0.65])
    return EfficiencyCurve(
        density * np.array([0.1, 2.0, 20.0]), efficiency, efficiency - 0.05, efficiency + 0.05
    )


@pytest.mark.parametrize("by", ["surface", "size"])
def test_a_measured_efficiency_is_that_at_the_density_of_all_pits(searched, tmp_path, by):
    store, run = searched
    area = 100 * area_cm2(SMALL.scan, [t.number for t in SMALL.scan.tiles])
    curve = falling(len(store.runs.pits(run)) / area)
    placed = MapSettings(by=by, bandwidth_um=400, efficiency=curve)
    done = map_run(store, run, placed, other=run)
    unplaced = map_run(*searched_again(tmp_path, scan_without()), MapSettings(by, efficiency=curve))
    for maps in (
        done.maps,
        {name: both.one for name, both in done.comparisons.items()},
        {name: both.other for name, both in done.comparisons.items()},
        unplaced.maps,
    ):
        whole = maps["all"]
        assert 1.1 < whole.all_pits.factor[0][whole.valid & (whole.found > 0)].mean() < 1.6
        for one in maps.values():
            np.testing.assert_array_equal(one.all_pits.factor, whole.all_pits.factor)
        assert len(maps) > 2


def test_what_cannot_be_mapped_is_refused(searched):
    store, run = searched
    with pytest.raises(NotScored, match="pits that a model has classified"):
        map_run(store, run, MapSettings(by="class"))
    with pytest.raises(BadInput, match="bandwidth_um: expected more than 0, found -3"):
        map_run(store, run, MapSettings(bandwidth_um=-3))


def test_tiles_without_positions_are_a_cell_each(tmp_path):
    store, run = searched_again(tmp_path, scan_without())
    done = map_run(store, run, ALL)
    one, pits = done.maps["all"], store.runs.pits(run)
    assert (done.frame, done.units.length, done.units.area) == ("grid of tiles", "tile", "mm2")
    counts = [(pits["tile"] == t.number).sum() for t in SMALL.scan.tiles]
    assert one.count.ravel()[:10].tolist() == counts
    assert one.valid.sum() == 10
    area = np.prod(SMALL.scan.image_size) * (SMALL.scan.pixel_size_um / 1000) ** 2
    assert done.units.per_grid == pytest.approx(area)
    assert (one.all_pits.value[one.valid] >= one.kernel[one.valid]).all()
    paired = pits["partner"].notna().mean()
    assert paired > 0.1
    assert one.variance == pytest.approx(1 + paired)
    for settings in (MapSettings(bandwidth_um=100), MapSettings(adaptive=True)):
        with pytest.raises(NoPositions, match="positions for a kernel"):
            map_run(store, run, settings)
    with pytest.raises(NoPositions, match="to compare scans"):
        map_run(store, run, ALL, other=run)


def test_without_a_scale_one_tile_is_mapped_in_pixels(tmp_path):
    one_tile = scan_without(pixel_size_um=None)
    one_tile = one_tile.model_copy(update={"tiles": one_tile.tiles[:1]})
    store, run = searched_again(tmp_path, one_tile)
    done = map_run(store, run, ALL)
    one = done.maps["all"]
    assert (one.grid.unit, done.units.density, done.frame) == ("px", "pits/megapixel", "tile")
    assert one.seen.sum() == pytest.approx(96 * 128)
    assert one.count.sum() == len(store.runs.pits(run))
    with pytest.raises(BadInput, match="bandwidth_um: expected a scan with a scale"):
        map_run(store, run, MapSettings(bandwidth_um=100))


def test_tiles_lie_on_the_foil_as_their_pits_do(searched):
    store, run = searched
    pits, scan = store.runs.pits(run), store.scans.get(SMALL.scan.name)
    tiles = outline_tiles(scan, tuple(t.number for t in scan.tiles))
    for row in pits.head(20).itertuples():
        at = tiles.affines[row.tile] @ [row.x_px, row.y_px, 1]
        np.testing.assert_allclose(at, [row.x_mm, row.y_mm], atol=1e-9)
