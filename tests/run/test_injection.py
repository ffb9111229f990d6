"""One small injected scan, made once, and all steps that must leave it out."""

import json
import shutil

import numpy as np
import pytest
from tests.conftest import labels_of

from etchscope.api import Store as ApiStore
from etchscope.background.optics_fit import FittedOptics
from etchscope.background.signal import SignalPopulation
from etchscope.cli.app import main
from etchscope.evaluation import Requirement
from etchscope.foil import BadInput, Foil, PitFlag, has_flag
from etchscope.geometry import Mask, foil_frame
from etchscope.preselect import FindSettings
from etchscope.run import find, injecting
from etchscope.run.calibrate import KnownRun, known_candidates
from etchscope.run.constants import detector_of, normalisation_of
from etchscope.run.density_maps import MapSettings, map_run
from etchscope.run.finder import SHIPPED
from etchscope.run.frames import joint_frames
from etchscope.run.injecting import make_injected_scan
from etchscope.run.injection import inject
from etchscope.run.labelled import labelled_pits
from etchscope.run.pit_lists import gather_pit_lists
from etchscope.run.results import choose_counted_run, choose_runs
from etchscope.run.stages.scoring import score
from etchscope.run.stars import search_stars
from etchscope.run.working_point import KnownScan, choose_working_point
from etchscope.simulation import Fragments, Hips, Optics, Population, SimulatedScan, Stage
from etchscope.store import Store, TilePictures
from etchscope.store.fits import Fits

FOIL = SimulatedScan(
    seed=4,
    columns=3,
    rows=2,
    population=Population(Hips(per_tile=0), Fragments(per_tile=150)),
    optics=Optics(image_size=(144, 192)),
    stage=Stage(overlap_px=(20, 15)),
)
SCAN = FOIL.scan.name
CLASSICAL = FindSettings(finder="classical")
SIGNAL = SignalPopulation(v_low=2.5, v_high=4, max_zenith_deg=10)
OPTICS = [FittedOptics({"blur_um": blur}, 1.0, 0.1) for blur in (5.0, 5.5)]


def tables(path):
    """The bytes of all files but the catalogue's."""
    return {p: p.read_bytes() for p in path.rglob("*") if p.is_file() and "catalogue" not in p.name}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The store, its report, and the bytes of its files before the injection."""
    store = Store.create(tmp_path_factory.mktemp("injection") / "store")
    names = tuple(f"step {c.step}" for c in FOIL.scan.channels)
    store.scans.add(FOIL.scan, FOIL.foil_record, lambda n: TilePictures(FOIL.read_tile(n), names))
    find(store, SCAN, settings=CLASSICAL, executor="inline")
    before = tables(store.path)
    with pytest.MonkeyPatch.context() as patch:  # the fit has tests of its own
        patch.setattr(injecting, "fit_optics", lambda *_: OPTICS)
        report = inject(store, SCAN, population=SIGNAL, tiles=5, seed=3, executor="inline")
    return store, report, before


def test_the_scan_and_all_that_was_there_stay_as_they_were(made):
    store, _, before = made
    after = tables(store.path)
    assert {p: after.get(p) for p in before} == before


def test_the_same_injection_again_makes_nothing_anew(made):
    store, report, _ = made
    files = tables(store.path)
    again = inject(store, SCAN, population=SIGNAL, tiles=5, seed=3, executor="inline")
    assert (again.injected, again.run) == (report.injected, report.run)
    assert tables(store.path) == files
    assert again.to_dict() == report.to_dict()


def test_the_signal_is_in_the_pictures_at_the_true_places(made):
    store, report, _ = made
    pits = ApiStore(store).injected_pits(report.injected)
    assert has_flag(pits, PitFlag.INJECTED).all()
    assert set(pits["class"]) == {"hip"}
    partner = pits.set_index("pit")["partner"]
    assert (partner.loc[partner].to_numpy() == partner.index).all()
    darker = []
    for _, pit in pits.iterrows():
        row, column = round(pit["y_px"]), round(pit["x_px"])
        if not (3 < row < 140 and 3 < column < 188):
            continue
        old, new = (store.scans.read_tile(s, pit["tile"])[8] for s in (SCAN, report.injected))
        darker.append(float(old[row, column]) - float(new[row, column]))
    assert np.mean(np.array(darker) > 10) > 0.8
    clean = [n for n in (1, 2, 3, 4, 5, 6) if n not in set(pits["tile"])]
    for number in set(clean) & {t.number for t in store.scans.get(report.injected).tiles}:
        assert (
            store.scans.read_tile(SCAN, number) == store.scans.read_tile(report.injected, number)
        ).all()


def test_it_is_searched_with_the_constants_and_in_the_frame_of_its_source(made):
    store, report, _ = made
    source, injected = store.scans.get(SCAN), store.scans.get(report.injected)
    assert foil_frame(injected) == foil_frame(source)
    assert normalisation_of(store, injected).digest == normalisation_of(store, source).digest
    records = [store.runs.record(run) for run in (report.source_run, report.run)]
    assert records[0].normalisation == records[1].normalisation
    assert records[0].calibration == records[1].calibration
    assert (
        detector_of(store, injected, CLASSICAL, SHIPPED)[1]["calibration"] == records[0].calibration
    )
    assert (
        store.fits.load(report.injected, normalisation_of(store, source).recipe.digest, object)
        is None
    )


def test_most_of_an_easy_signal_is_found(made):
    report = made[1]
    assert len(report.particles) == 10
    assert report.reached["found"].mean() > 0.8
    assert report.chance["found"].mean() < 0.4
    assert report.particles["area_mm2"].sum() / 100 == pytest.approx(report.area_cm2, rel=0.25)
    assert report.efficiency().why == "9 effective particles; 20 are needed"
    assert report.effective_area()["value"] is None
    json.dumps(report.to_dict(), allow_nan=False)


def test_files_are_written(made, tmp_path):
    from etchscope.pages.injection import write_injection

    written = json.loads(write_injection(made[1], tmp_path / "out").read_text())
    assert written["particles"] == 10
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "injection.json",
        "efficiency.csv",
        "particles.csv",
        "false.csv",
        "points.csv",
        "efficiency.png",
        "map.png",
    }


def test_injected_pits_enter_no_training_no_calibration_no_map_and_no_control(made):
    store, report, _ = made
    labels = labels_of(FOIL, store.runs.pits(report.source_run))
    if not len(store.labels.table()):
        store.labels.add(labels)
    found, _ = labelled_pits(store)
    assert [one.scan.name for one in found] == [SCAN]
    assert report.injected not in joint_frames(store).ways
    assert choose_runs(store) == [report.source_run]
    assert ApiStore(store).scan_names() == [SCAN]
    refused = "into which signal was injected"
    with pytest.raises(BadInput, match=refused):
        labelled_pits(store, scans=[report.injected])
    with pytest.raises(BadInput, match=refused):
        gather_pit_lists([report.injected], store)
    known = KnownRun(report.run, labels, "truth")
    with pytest.raises(BadInput, match=refused):
        known_candidates(store, [known], signal="hip", tolerance_px=6)
    with pytest.raises(BadInput, match=refused):
        inject(store, report.injected, population=SIGNAL)
    for run, other in ((report.run, None), (report.source_run, report.run)):
        with pytest.raises(BadInput, match=f"density map.*{refused}"):
            map_run(store, run, MapSettings(), other=other)
    with pytest.raises(BadInput, match=f"search for stars.*{refused}"):
        search_stars(store, report.run)
    with pytest.raises(BadInput, match=f"--control.*{refused}"):
        inject(store, SCAN, population=SIGNAL, control=report.injected)


def test_the_mask_of_the_search_comes_with_the_pictures(made, tmp_path, monkeypatch):
    store = Store.open(shutil.copytree(made[0].path, tmp_path / "store"))
    pits = store.runs.pits(made[1].source_run)
    x, y = pits["x_mm"], pits["y_mm"]
    left, right, low, high = x.min(), x.median(), y.min(), y.max()
    mask = Mask(polygons=(np.array([(left, low), (right, low), (right, high), (left, high)]),))
    store.fits.set_mask(SCAN, mask)
    run = find(store, SCAN, settings=CLASSICAL, executor="inline").run
    store.fits.set_mask(SCAN, None)
    monkeypatch.setattr(injecting, "optics_of", lambda *_: tuple(OPTICS))
    monkeypatch.setattr(Fits, "set_mask", lambda *_: pytest.fail("not with the pictures"))
    how = {"population": SIGNAL, "tiles": 2, "per_tile": 2, "seed": 3}
    name = make_injected_scan(store, SCAN, run, **how).name
    assert store.fits.mask(name).digest == mask.digest
    assert store.fits.mask(name, mask.digest) is not None
    inside = ApiStore(store).injected_pits(name)
    assert inside.loc[inside["surface"] == "top", "x_mm"].max() < right + 0.02


def test_a_scan_without_scale_or_a_foil_without_thickness_is_refused(tmp_path):
    store = Store.create(tmp_path / "store")
    names = tuple(f"step {c.step}" for c in FOIL.scan.channels)
    tile = FOIL.read_tile(1)
    scan = FOIL.scan.model_copy(update={"tiles": FOIL.scan.tiles[:1]})
    foil = Foil(name=scan.foil)
    for name, changes in {"unscaled": {"pixel_size_um": None}, "unknown": {}}.items():
        one = scan.model_copy(update={"name": name, **changes})
        store.scans.add(one, foil, lambda _: TilePictures(tile, names))
    how = {"settings": CLASSICAL, "executor": "inline"}
    with pytest.raises(BadInput, match="scan unscaled: expected a pixel size"):
        inject(store, "unscaled", **how)
    with pytest.raises(BadInput, match="thickness_um"):
        inject(store, "unknown", **how)
    assert store.scans.names() == ["unknown", "unscaled"]


def test_the_command_measures_and_its_options_are_checked(made, capsys, tmp_path):
    store, report, _ = made
    words = ["inject", str(store.path), "--tiles", "5", "--seed", "3", "--max-zenith-deg", "10"]
    assert main([*words, "--etch-ratio", "2.5,4", "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert f"{report.injected}: 10 particles on 5 tiles of {SCAN}" in out
    assert main(["ls", str(store.path)]) == 0
    (line,) = (x for x in capsys.readouterr().out.splitlines() if report.injected in x)
    assert SCAN in line.split()  # what it was made from
    assert main([*words, "--etch-ratio", "2.5"]) == 2
    assert "--etch-ratio: expected two numbers LOW,HIGH" in capsys.readouterr().err
    assert main([*words, "--etch-ratio", "2,4", "--z-over-beta", "60,90"]) == 2
    assert "a range of Z/β or of V" in capsys.readouterr().err
    assert main([*words, "--particles-per-tile", "4000"]) == 2
    assert "fewer openings than the foil has" in capsys.readouterr().err


def test_with_a_model_what_passes_its_working_point_is_selected(
    made, learnt, tmp_path, monkeypatch
):
    _, report, _ = made
    store = Store.open(shutil.copytree(made[0].path, tmp_path / "store"))
    store.models.save("first", *learnt.done.model.to_record())
    how = {"population": SIGNAL, "tiles": 5, "seed": 3, "executor": "inline", "model": "first"}
    scored = inject(store, SCAN, **how)
    assert scored.injected == report.injected
    assert scored.stage == "selected"
    assert (scored.reached[["found", "paired"]] == report.reached).all(axis=None)
    assert store.runs.score_record(scored.run).search == report.run
    for chosen in ({"run": scored.run}, {"scan": scored.injected}):
        with pytest.raises(BadInput, match="limit: expected a scan as the microscope took it"):
            choose_counted_run(store, **chosen)
    assert store.runs.score_record(scored.source_run).search == report.source_run
    assert not scored.false["valid"].any()  # it was counted on the scan itself
    assert scored.false["scan_area_cm2"].sum() == pytest.approx(scored.area_cm2, rel=1e-6)
    monkeypatch.setattr(injecting, "fit_optics", lambda *_: OPTICS)
    settings = CLASSICAL.model_copy(update={"merge_px": 2.0})
    later = find(store, SCAN, settings=settings, executor="inline").run
    known = inject(store, SCAN, control=SCAN, **how)
    record = store.runs.score_record(known.source_run)
    assert (record.search, record.prior) == (later, "foil")
    score(store, SCAN, "first", prior="model", executor="inline")
    again = inject(store, SCAN, control=SCAN, **how)
    assert again.source_run == known.source_run
    assert again.false.equals(known.false)
    assert known.false["valid"].all()
    rate = known.false["candidates"].sum()
    assert known.expected_false()[0] == pytest.approx(rate)
    with pytest.raises(BadInput, match="into which signal was injected"):
        choose_working_point(
            store,
            "first",
            Requirement(false_per_tile=1.0),
            KnownScan(ApiStore(store).injected_pits(report.injected), "truth", report.injected),
        )
