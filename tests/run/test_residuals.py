"""Places and anomalies of a run, from the store to the files."""

import numpy as np
import pytest
from PIL import Image

from etchscope.api import Store as ApiStore
from etchscope.background.optics_fit import FittedOptics
from etchscope.cli.app import main
from etchscope.files.tables import read_columns
from etchscope.foil import BadInput, Foil, NotScored, NotSearched, Scan
from etchscope.preselect import FindSettings
from etchscope.run import find, injecting, residuals
from etchscope.run.drawn import add_simulated
from etchscope.simulation import (
    Fragments,
    Hips,
    Marks,
    Optics,
    Population,
    SimulatedScan,
)
from etchscope.simulation.scene import MARK_CODES
from etchscope.store import Store, TilePictures

FOIL = SimulatedScan(
    seed=6,
    columns=2,
    rows=1,
    population=Population(
        Hips(per_tile=4), Fragments(per_tile=100), marks=Marks(dust_per_tile=12.0)
    ),
    optics=Optics(image_size=(240, 320)),
)
NAME = FOIL.scan.name
CLASSICAL = FindSettings(finder="classical")
FIT = FittedOptics({"blur_um": 5.0}, 1.0, 0.1)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A searched scan whose optics are known, with the excluded tile 2 of another scan."""
    store = Store.create(tmp_path_factory.mktemp("residuals") / "store")
    add_simulated(FOIL, store)
    with pytest.MonkeyPatch.context() as patch:  # the fit has tests of its own
        patch.setattr(injecting, "fit_optics", lambda *_: [FIT])
        patch.setattr(injecting, "choose_examples", lambda pits, _: pits.head(2).assign(group="a"))
        patch.setattr(injecting, "cut_examples", lambda *_: (None, None))
        patch.setattr(injecting, "group_examples", lambda *_: [])
        run = find(store, NAME, settings=CLASSICAL, executor="inline").run
        injecting.optics_of(store, store.scans.get(NAME), run)
    return ApiStore(store)


@pytest.fixture(scope="module")
def anomalies(searched):
    return searched.anomalies()


def test_most_found_pits_are_taken_out(searched):
    tiles = residuals.open_tiles(searched.kept, searched.kept.runs.latest(NAME))
    one = tiles.measure(1, searched.kept.scans.read_tile(NAME, 1))
    assert tiles.no_optics == ""
    inside = one.residual.pits
    assert len(tiles.pits_of(1)) > 10
    assert one.residual.pictures[:, inside].std() < 0.6 * one.contrasts[:, inside].std()


def test_the_best_places_are_on_dust_or_on_pits_and_on_the_foil_where_they_lie(searched, anomalies):
    places = anomalies.places
    best = places[places["score"] > 1.5]
    assert len(best) >= 4
    on_dust, on_pit = [], []
    for place in best.to_dict("records"):
        marks = FOIL.marked(place["tile"]) == MARK_CODES["dust"]
        y, x = int(place["y_px"]), int(place["x_px"])
        on_dust.append(bool(marks[max(y - 6, 0) : y + 7, max(x - 6, 0) : x + 7].any()))
        true = FOIL.openings(place["tile"])
        on_pit.append(bool((np.hypot(true["x_px"] - x, true["y_px"] - y) < 12).any()))
    assert sum(on_dust) >= 3
    assert np.mean(np.logical_or(on_dust, on_pit)) >= 0.8
    assert places["rank"].tolist() == list(range(1, len(places) + 1))
    first = places[places["tile"] == 1].iloc[0]
    size = FOIL.optics.pixel_size_um / 1000
    middle = (FOIL.optics.image_size[1] - 1) / 2, (FOIL.optics.image_size[0] - 1) / 2
    at = (first["x_px"] - middle[0]) * size, -(first["y_px"] - middle[1]) * size
    assert (first["x_mm"], first["y_mm"]) == pytest.approx(at, abs=0.01)


def test_the_map_has_the_scores_at_their_places(anomalies):
    grid, best = anomalies.grid, anomalies.places.iloc[0]
    column = int(np.argmin(np.abs(grid.x - best["x_mm"])))
    row = int(np.argmin(np.abs(grid.y - best["y_mm"])))
    near = anomalies.score[row - 1 : row + 2, column - 1 : column + 2]
    assert np.nanmax(near) == pytest.approx(best["score"], abs=1e-4)
    assert np.nanmax(anomalies.score) == pytest.approx(best["score"], abs=1e-4)


def test_a_longer_list_begins_with_the_shorter_one(searched, anomalies):
    few = searched.anomalies(most_expected=0.1).places
    assert 0 < len(few) < len(anomalies.places)
    assert (few["expected_per_tile"] <= 0.1).all()


def test_the_commands_write_their_files(searched, anomalies, tmp_path, capsys):
    store, best = str(searched.path), anomalies.places.iloc[0]
    at = f"{best['x_px']:.0f},{best['y_px']:.0f}"
    words = ["show", store, "--tile", str(best["tile"]), "--at", at, "--size", "64"]
    assert main([*words, "--blur-um", "5", "-o", str(tmp_path / "place")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert not [line for line in said if line.startswith("not shown")]
    files = {p.name for p in (tmp_path / "place").iterdir()}
    animations = {f"{n}.{k}" for n in ("lamps", "maps") for k in ("webp", "gif")}
    assert files == {"raw.png", "cleaned.png", "beside.png", *animations}
    for name, frames in (("lamps", 8), ("maps", 4)):
        with Image.open(tmp_path / "place" / f"{name}.webp") as read:
            assert read.n_frames == frames
    assert main(["anomalies", store, "-o", str(tmp_path / "list")]) == 0
    table = read_columns(tmp_path / "list" / "anomalies.csv")
    assert len(table) == len(anomalies.places)
    assert (tmp_path / "list" / "anomalies.png").is_file()
    assert (tmp_path / "list" / "anomalies.zarr" / "zarr.json").is_file()


def test_the_view_is_the_part_around_the_place(searched):
    view = searched.show(tile=1, at=(100, 50), size_px=64)
    raw = searched.kept.scans.read_tile(NAME, 1)
    assert view.raw.shape == (len(raw), 64, 64)
    assert np.corrcoef(view.raw[8].ravel(), raw[8, 18:82, 68:132].ravel())[0, 1] > 0.98
    assert view.not_shown == {"deconvolution": "the blur of the pictures is not known (--blur-um)"}
    assert view.noise_gain == 1
    sharp = searched.show(tile=1, at=(100, 50), size_px=64, blur_um=8)
    assert 1 < sharp.noise_gain <= 2.001
    assert list(view.maps) == ["divergence", "cleaned", "residual", "anomaly"]
    azimuths = [view.channels[k].azimuth_deg % 360 for k in view.lamps]
    assert azimuths == sorted(azimuths)
    assert len(azimuths) == 8


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"tile": 1, "at": (400, 10)}, "at: expected a place in the tile: x from 0 to 319"),
        ({"tile": 1, "at": (np.nan, 10)}, "at: expected a place"),
        ({"tile": 9, "at": (4, 10)}, "expected one of its tiles"),
        ({"tile": 1}, "expected a tile and a place in it, or a candidate"),
        ({"tile": 1, "at": (4, 4), "candidate": 1}, "expected a tile and a place in it"),
        ({"candidate": 1, "at": (4, 4)}, "expected a candidate alone"),
        ({"tile": 1, "at": (4, 4), "size_px": 3}, "size: expected at least 16 px"),
        ({"tile": 1, "at": (4, 4), "blur_um": -1.0}, "blur_um: expected micrometres above 0"),
    ],
)
def test_a_place_that_is_none_is_refused(searched, how, said):
    with pytest.raises(BadInput, match=said):
        searched.show(**how)


def test_a_candidate_needs_a_scored_run_and_a_place_two_numbers(searched, capsys, tmp_path):
    with pytest.raises(NotScored):
        searched.show(candidate=1)
    words = ["show", str(searched.path), "--tile", "1", "--at", "4;5", "-o", str(tmp_path / "x")]
    assert main(words) == 2
    assert "--at" in capsys.readouterr().err
    with pytest.raises(BadInput, match="expected: expected a number above 0"):
        searched.anomalies(most_expected=0.0)
    assert not (tmp_path / "x").exists()


def one_light(size=(240, 320), tiles=1):
    """A store with one backlit picture per tile, without scale and positions."""
    rng = np.random.default_rng(2)
    v, u = np.mgrid[: size[0], : size[1]]
    stacks = []
    for _ in range(tiles):
        light = 150 + rng.normal(0, 3, size)
        for x, y in rng.uniform(20, 200, (12, 2)):
            light -= 60 * (np.hypot(u - x, v - y) < 6)
        stacks.append(np.clip(light, 0, 255).astype(np.uint8)[None])
    scan = Scan(
        name="plain",
        foil="P",
        side="front",
        layout="pictures",
        image_size=size,
        channels=[{"step": 1, "role": "backlit"}],
        tiles=[{"number": n + 1} for n in range(tiles)],
    )
    return scan, stacks


def test_one_light_shows_what_it_can_and_says_what_it_cannot(tmp_path):
    scan, stacks = one_light()
    store = Store.create(tmp_path / "plain")
    store.scans.add(scan, Foil(name="P"), lambda n: TilePictures(stacks[n - 1], ("a",)))
    opened = ApiStore(store)
    with pytest.raises(NotSearched):
        opened.show("plain", tile=1, at=(50, 50))
    with pytest.raises(NotSearched):
        opened.anomalies("plain")
    find(store, "plain", settings=CLASSICAL, executor="inline")
    view = opened.show("plain", tile=1, at=(50, 50))
    assert set(view.not_shown) == {"deconvolution", "residual", "divergence", "lamps"}
    files = {p.name for p in opened.write_view(tmp_path / "place", view)}
    assert files == {"raw.png", "cleaned.png", "beside.png", "maps.webp", "maps.gif"}
    search = opened.anomalies("plain")
    assert "no pixel size" in search.not_modelled
    assert search.grid.unit == "px"
    assert search.places["x_mm"].isna().all()
    pits = opened.pits("plain")
    for x, y in search.places[["x_px", "y_px"]].to_numpy():
        assert np.hypot(pits["x_px"] - x, pits["y_px"] - y).min() > 5
    with pytest.raises(BadInput, match="a scan with a scale"):
        opened.show("plain", tile=1, at=(50, 50), blur_um=5)
    opened.exclude(scan="plain", tile=1, why="dirty")
    with pytest.raises(BadInput, match="an excluded one"):
        opened.show("plain", tile=1, at=(50, 50))
    with pytest.raises(BadInput, match="a searched tile that is included"):
        opened.anomalies("plain")
