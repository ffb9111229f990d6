import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from etchscope.cli.app import main
from etchscope.files.tables import read_record, read_table
from etchscope.ingest.write import write_smartscope
from etchscope.simulation import Optics, Population, SimulatedScan, Stage
from etchscope.store import Store

DATA = Path(__file__).parents[3] / "shared" / "data"
TASL = DATA / "tasl" / "00000.bmp"
APATITE = DATA / "apatite"
SIZE = (96, 128)
NAME = "simulated-front"


def simulated(side="front"):
    return SimulatedScan(
        seed=5,
        columns=2,
        rows=2,
        population=Population.of(150, 40),
        optics=Optics(image_size=SIZE),
        stage=Stage(overlap_px=(-60, -60)),
        side=side,
    )


@pytest.fixture(scope="session")
def _scans(tmp_path_factory):
    root = tmp_path_factory.mktemp("scans")
    for side in ("front", "back"):
        foil = simulated(side)
        write_smartscope(root / side, foil.scan, foil.read_tile)
    return root


@pytest.fixture
def scans(_scans, tmp_path):
    """A folder with the scan directories front and back."""
    return Path(shutil.copytree(_scans, tmp_path / "scans"))


@pytest.fixture
def store(scans, tmp_path, capsys):
    path = tmp_path / "store"
    assert main(["init", str(path)]) == 0
    assert main(["add", str(path), str(scans / "front")]) == 0
    capsys.readouterr()
    return path


def run(*words):
    return main([str(w) for w in words])


def refused(capsys, *words):
    """Return the one line on stderr of a command that ends with status 2."""
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("Error: ")
    return err


# Finding ------------------------------------------------------------------------------------


def test_find_on_a_store_tells_what_it_found_and_that_it_was_done(store, capsys, beside_progress):
    assert run("find", store) == 0
    opened = Store.open(store)
    name = opened.runs.latest(NAME)
    pits = opened.runs.pits(name)
    out, err = capsys.readouterr()
    assert out.startswith(f"{NAME}: {len(pits)} pits (")
    assert out.endswith(f") on 4 tiles, {name}\n")
    top = int((pits["surface"] == "top").sum())
    assert top > 0
    assert f"{top} top" in out
    assert beside_progress(err) == ""
    assert run("find", store) == 0
    assert capsys.readouterr().out == out.replace("\n", ", done before\n")
    assert len(opened.runs.table()) == 1


def test_find_tells_a_program(store, capsys):
    assert run("find", store, "--json", "--workers", "1", "--executor", "inline") == 0
    (told,) = json.loads(capsys.readouterr().out)
    pits = Store.open(store).runs.pits(told["run"])
    assert (told["scan"], told["tiles"], told["pits"], told["was_done"]) == (
        NAME,
        4,
        len(pits),
        False,
    )
    assert told["counts"]["raw"] == len(pits) + told["counts"]["merged"]


def test_a_scan_directory_gives_the_bytes_of_its_store(store, scans, tmp_path, capsys):
    assert run("find", store) == 0
    for suffix in ("csv", "parquet"):
        direct, exported = tmp_path / f"direct.{suffix}", tmp_path / f"exported.{suffix}"
        assert run("find", scans / "front", "-o", direct) == 0
        assert run("export", store, "-o", exported) == 0
        assert direct.read_bytes() == exported.read_bytes()
    assert str(exported) in capsys.readouterr().out
    table = read_table(tmp_path / "direct.parquet")
    name = Store.open(store).runs.latest(NAME)
    assert table.equals(Store.open(store).runs.pits(name))
    assert read_record(tmp_path / "direct.parquet")["record"] == {
        "runs": [Store.open(store).runs.record(name).as_dict()]
    }
    header = (tmp_path / "direct.csv").read_text().split("\n", 1)[0]
    assert header.split(",") == table.columns.tolist()


def test_settings_reach_the_run(store, capsys):
    options = {"smallest_radius_px": 4.0, "largest_radius_px": 9.0, "threshold": 8.0}
    options["pair_reach_px"] = 11.0
    words = [w for k, v in options.items() for w in ("--" + k.replace("_", "-"), v)]
    words += ["--finder", "classical"]
    assert run("find", store, *words, "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    settings = Store.open(store).runs.record(told["run"]).settings
    assert {k: settings[k] for k in options} == options
    assert run("find", store, "--least-probability", "0.9", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert Store.open(store).runs.record(told["run"]).settings["least_probability"] == 0.9


def test_scan_chooses_among_a_store_s_scans(store, scans, capsys):
    assert run("add", store, scans / "back") == 0
    assert run("find", store, "--scan", "simulated-back") == 0
    opened = Store.open(store)
    assert (len(opened.runs.table("simulated-back")), len(opened.runs.table(NAME))) == (1, 0)
    told = refused(capsys_cleared(capsys), "find", store, "--scan", "x")
    assert "simulated-back, simulated-front" in told
    assert run("find", store) == 0
    assert (len(opened.runs.table("simulated-back")), len(opened.runs.table(NAME))) == (1, 1)


def capsys_cleared(capsys):
    capsys.readouterr()
    return capsys


def test_several_scan_directories_make_one_table(scans, tmp_path):
    output = tmp_path / "pits.csv"
    assert run("find", scans / "front", scans / "back", "-o", output) == 0
    table = read_table(output)
    assert set(table["scan"]) == {"simulated-front", "simulated-back"}
    assert table["run"].nunique() == 2


def _backlit(folder, tiles=4):
    """Write the backlit pictures of the scan as plain files; return them."""
    folder.mkdir()
    paths = [folder / f"p{n}.png" for n in range(1, tiles + 1)]
    for n, path in enumerate(paths, 1):
        Image.fromarray(simulated().read_tile(n)[8]).save(path)
    return paths


def test_plain_pictures_are_one_transmitted_light_scan(tmp_path, capsys):
    paths = _backlit(tmp_path / "F7")
    output = tmp_path / "pits.parquet"
    assert run("find", *paths, "-o", output) == 0
    table = read_table(output)
    assert set(table["surface"]) == {"unknown"}
    assert set(table["tile"]) == {1, 2, 3, 4}
    assert table["x_mm"].isna().all()
    by_folder = tmp_path / "folder.parquet"
    assert run("find", tmp_path / "F7", "-o", by_folder) == 0
    columns = ["tile", "x_px", "y_px", "radius_px"]
    assert read_table(by_folder)[columns].equals(table[columns])


def test_a_montage_is_searched_cell_by_cell(tmp_path):
    height, width = SIZE
    sheet = np.zeros((2 * height + 3, 2 * width + 3), np.uint8)
    for n in range(4):
        y, x = 1 + (n // 2) * (height + 1), 1 + (n % 2) * (width + 1)
        sheet[y : y + height, x : x + width] = simulated().read_tile(n + 1)[8]
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    words = ["--layout", "montage", "--rows", "2", "--columns", "2"]
    assert run("find", tmp_path / "sheet.png", *words, "-o", tmp_path / "pits.csv") == 0
    table = read_table(tmp_path / "pits.csv")
    assert set(table["tile"]) == {1, 2, 3, 4}
    assert table["x_px"].between(-0.5, width - 0.5).all()
    assert table["y_px"].between(-0.5, height - 0.5).all()
    truth = simulated().truth()
    hits = 0
    for pit in truth.itertuples():
        of_tile = table[table["tile"] == pit.tile]
        hits += bool((np.hypot(of_tile["x_px"] - pit.x_px, of_tile["y_px"] - pit.y_px) < 6).any())
    assert hits > 0.8 * len(truth)


@pytest.mark.real_data
@pytest.mark.skipif(not TASL.is_file(), reason=f"no {TASL}")
def test_the_real_montage_has_pits_in_every_cell(tmp_path):
    words = ["--layout", "montage", "--rows", "9", "--columns", "12"]
    assert run("find", TASL, *words, "-o", tmp_path / "pits.csv") == 0
    table = read_table(tmp_path / "pits.csv")
    assert set(table["tile"]) == set(range(1, 109))
    assert table["x_px"].between(-0.5, 62.5).all()
    assert table["y_px"].between(-0.5, 62.5).all()
    assert set(table["surface"]) == {"unknown"}
    assert table["class"].dropna().isin(["misc"]).all()


@pytest.mark.real_data
@pytest.mark.skipif(not APATITE.is_dir(), reason=f"no {APATITE}")
def test_real_micrographs_of_another_detector_are_searched(tmp_path):
    pictures = sorted(APATITE.glob("img_XY*.jpg"))[:3]
    assert run("find", *pictures, "-o", tmp_path / "pits.csv") == 0
    table = read_table(tmp_path / "pits.csv")
    assert set(table["tile"]) == {1, 2, 3}
    assert table[["x_px", "y_px"]].to_numpy().min() >= -0.5
    assert table[["x_px", "y_px"]].to_numpy().max() <= 803.5


@pytest.mark.slow
def test_a_report_is_written_beside(scans, tmp_path, capsys):
    assert run("find", *sorted(scans.iterdir()), "--report", tmp_path / "out") == 0
    told = capsys.readouterr().out
    for name in ("simulated-front", "simulated-back"):
        page = tmp_path / "out" / name / "report.html"
        assert name in page.read_text(encoding="utf-8")
        assert f"{page}\n" in told


def test_a_search_of_pictures_that_writes_nothing_says_so(scans, store, tmp_path, capsys):
    line = (
        "nothing was written: name a table with `-o FILE`, or add the scan to a store with "
        "`etchscope add`\n"
    )
    classical = ("--finder", "classical")
    assert run("find", scans / "front", *classical) == 0
    assert capsys.readouterr().err.endswith(line)
    for words in (
        (scans / "front", "--json"),
        (scans / "front", "-o", tmp_path / "pits.csv"),
        (store,),
    ):
        assert run("find", *words, *classical) == 0
        assert "nothing was written" not in capsys.readouterr().err


def test_a_report_of_one_scan_is_the_folder_itself(scans, tmp_path, monkeypatch):
    written = []
    report = lambda _store, _scan, folder, **_: written.append(folder)  # noqa: E731
    monkeypatch.setattr("etchscope.api.Store.report", report)
    assert run("find", scans / "front", "--report", tmp_path / "out") == 0
    assert written == [tmp_path / "out"]


def test_a_region_restricts_the_table(store, tmp_path, capsys):
    region = tmp_path / "region.json"
    region.write_text("[[-0.2, -0.3], [0.3, -0.3], [0.3, 0.1], [-0.2, 0.1]]")
    assert run("find", store, "--region", region, "-o", tmp_path / "pits.csv", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    table = read_table(tmp_path / "pits.csv")
    assert told["tiles"] == 1
    assert told["counts"]["outside_region"] > 0
    assert len(table) == told["pits"] > 0
    assert table["x_mm"].between(-0.2, 0.3).all()
    assert table["y_mm"].between(-0.3, 0.1).all()


# What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[[0, 0], [1, 1]]", "an array of shape (2, 2)"),
        ("[[0, 0, 0], [1, 1, 1], [1, 0, 0]]", "an array of shape (3, 3)"),
        ("[]", "an array of shape (0,)"),
        ("null", "expected [[x_mm, y_mm], …]"),
        ('{"region": []}', "expected [[x_mm, y_mm], …]"),
        ("[[0, 0], [1], [1, 0]]", "expected [[x_mm, y_mm], …]"),
        ('[["a", 0], [1, 1], [1, 0]]', "expected [[x_mm, y_mm], …]"),
        ("[[1e999, 0], [1, 1], [1, 0]]", "a corner that is no number"),
        ("[[NaN, 0], [1, 1], [1, 0]]", "found NaN"),
        ("[[0, 0], [1, 1], [1, 0]", "line 1, column 24"),
        ("", "line 1, column 1"),
    ],
)
def test_a_bad_region_file_is_named(store, tmp_path, capsys, text, found):
    region = tmp_path / "region.json"
    region.write_text(text)
    told = refused(capsys, "find", store, "--region", region)
    assert str(region) in told
    assert found in told


def test_a_region_without_a_tile_or_a_place_is_refused(store, tmp_path, capsys):
    region = tmp_path / "region.json"
    assert "region.json: expected a readable file" in refused(
        capsys, "find", store, "--region", region
    )
    region.write_text("[[500, 500], [501, 500], [501, 501]]")
    assert "choose another region" in refused(capsys, "find", store, "--region", region)
    (picture,) = _backlit(tmp_path / "F7", tiles=1)
    told = refused(capsys, "find", picture, "--region", region)
    assert "region of interest: expected a scan with positions" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("--finder", "classical", "--threshold", "-1"),
            "--threshold: expected greater than 0, found -1.0",
        ),
        (
            ("--finder", "classical", "--threshold", "nan"),
            "--threshold: expected a finite number, found nan",
        ),
        (("--threshold", "5"), "--threshold: expected --finder classical beside it"),
        (
            ("--finder", "classical", "--least-probability", "0.2"),
            "--least-probability: expected a learned finder beside it",
        ),
        (("--least-probability", "1"), "--least-probability: expected less than 1, found 1.0"),
        (("--finder", "none-such"), "learned, classical, or the folder of a finder's weights"),
        (("--smallest-radius-px", "0"), "--smallest-radius-px: expected greater than 0"),
        (
            ("--smallest-radius-px", "11.9"),
            "--largest-radius-px: expected it to exceed smallest_radius_px (11.9) by 10 % or "
            "more, found its default, 12.0",
        ),
        (
            ("--largest-radius-px", "2"),
            "--largest-radius-px: expected it to exceed smallest_radius_px (3) by 10 % or more, "
            "found 2.0",
        ),
        (("--largest-radius-px", "101"), "--largest-radius-px: expected it to not exceed 100"),
        (("--pair-reach-px", "inf"), "--pair-reach-px: expected a finite number, found inf"),
    ],
)
def test_an_option_out_of_range_is_named(store, capsys, words, told):
    assert told in refused(capsys, "find", store, *words)
    assert Store.open(store).runs.latest(NAME) is None


@pytest.mark.parametrize(
    "words",
    [("--workers", "0"), ("--executor", "magic"), ("--rows", "0"), ("--threshold", "much")],
)
def test_wrong_usage_names_the_option(store, capsys, words):
    assert run("find", store, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words[0].removeprefix("--") in err


def test_an_output_that_cannot_be_written_is_refused_before_the_search(
    store, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("etchscope.run.find", lambda *_, **__: pytest.fail("searched"))
    told = refused(capsys, "find", store, "-o", tmp_path / "pits.txt")
    assert "pits.txt: expected a name that ends in .csv, .parquet or .root, found '.txt'" in told
    told = refused(capsys, "find", store, "-o", tmp_path / "none" / "pits.csv")
    assert "pits.csv: expected an existing folder" in told
    (tmp_path / "folder.csv").mkdir()
    told = refused(capsys, "find", store, "-o", tmp_path / "folder.csv")
    assert "expected a file to write, found a folder" in told
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    told = refused(capsys, "find", store, "-o", tmp_path / "pits.csv")
    assert "pits.csv: expected an existing folder that can be written to" in told


def test_a_truncated_picture_is_named_and_can_be_skipped(scans, tmp_path, capsys):
    bad = next((scans / "front").glob("*_0003_*")) / "Step_5_1.tga"
    bad.write_bytes(bad.read_bytes()[:1000])
    told = refused(capsys, "find", scans / "front", "-o", tmp_path / "pits.csv")
    assert f"{bad}: expected an intact picture, found damage" in told
    assert not (tmp_path / "pits.csv").exists()
    assert run("find", scans / "front", "--skip-bad", "-o", tmp_path / "pits.csv") == 0
    out, err = capsys.readouterr()
    assert err.startswith(f"left out tile 3: {bad}: expected an intact picture")
    assert " on 3 tiles, " in out
    assert f"{NAME}: 1 tiles were left out when it was added\n" in out
    assert set(read_table(tmp_path / "pits.csv")["tile"]) == {1, 2, 4}


def test_a_missing_step_is_named(scans, capsys):
    next((scans / "front").glob("*_0002_*")).joinpath("Step_9_1.tga").unlink()
    assert "expected a picture of step 9" in refused(capsys, "find", scans / "front")


def test_two_azimuths_are_too_few(scans, tmp_path, capsys):
    path = scans / "front" / "scan.json"
    about = json.loads(path.read_text())
    about["channels"] = [about["channels"][i] for i in (0, 3, 8)]
    path.write_text(json.dumps(about))
    told = refused(capsys, "find", scans / "front")
    assert "expected at least 3 different azimuths, found 2" in told
    store = tmp_path / "store"
    assert run("init", store) == 0
    assert run("add", store, scans / "front") == 0
    capsys.readouterr()
    assert "3 different azimuths" in refused(capsys, "find", store)
    assert run("check", store) == 0
    assert capsys.readouterr().out == "sound\n"


@pytest.mark.parametrize("command", ["find", "run"])
def test_a_scan_without_a_tile_is_refused_before_another_is_searched(store, scans, capsys, command):
    assert run("add", store, scans / "back") == 0
    opened = Store.open(store)
    *_, last = opened.scans.names()
    assert run("exclude", store, "--scan", last, "--why", "dust") == 0
    capsys.readouterr()
    told = refused(capsys, command, store)
    assert f"scan {last}: expected at least one tile to search, found none" in told
    assert opened.runs.names() == []
    assert opened.models.names() == []
    assert list(store.rglob("*.npz")) == []


def test_what_is_no_scan_and_no_store_is_named(tmp_path, store, capsys):
    for command in ("find", "run"):
        told = refused(capsys, command, tmp_path / "nothing")
        assert "expected a store, a scan directory or a picture, found no such file. " in told
        assert told.endswith("Make a store with `etchscope init`.\n")
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refused(capsys, "find", tmp_path / "empty")
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png: expected a picture" in refused(capsys, "find", tmp_path / "text.png")
    told = refused(capsys, "find", store, "--layout", "montage")
    assert "expected no option about pictures, found a store" in told
    told = refused(capsys, "find", tmp_path / "text.png", tmp_path, "--scan", "one")
    assert "--scan: expected one scan to name, found 2 scans" in told
    assert run("init", tmp_path / "new") == 0
    told = refused(capsys, "find", tmp_path / "new")
    assert "expected a store with scans, found an empty store" in told


# Exporting ----------------------------------------------------------------------------------


def test_export_takes_the_latest_run_of_each_scan(store, scans, tmp_path, capsys):
    assert run("add", store, scans / "back") == 0
    assert run("find", store) == 0
    assert run("find", store, "--scan", NAME, "--finder", "classical") == 0
    opened = Store.open(store)
    first, latest = opened.runs.table(NAME)["run"]
    back = opened.runs.latest("simulated-back")
    output = tmp_path / "pits.parquet"
    assert run("export", store, "-o", output) == 0
    table = read_table(output)
    assert table["run"].unique().tolist() == [back, latest]
    whole = pd.concat([opened.runs.pits(back), opened.runs.pits(latest)], ignore_index=True)
    assert table.equals(whole)
    assert [r["scan"] for r in read_record(output)["record"]["runs"]] == ["simulated-back", NAME]
    assert run("export", store, "--scan", NAME, "-o", output) == 0
    assert set(read_table(output)["run"]) == {latest}
    assert run("export", store, "--run", first, "-o", output) == 0
    assert set(read_table(output)["run"]) == {first}
    capsys.readouterr()
    back = ("--scan", "simulated-back", "-o", output)
    told = refused(capsys, "export", store, "--run", first, *back)
    assert f"run: expected a run of scan simulated-back, found {first} of scan {NAME}" in told


def test_export_names_what_is_not_there(store, tmp_path, capsys):
    output = tmp_path / "pits.csv"
    told = refused(capsys, "export", store, "-o", output)
    assert "expected a finished run, found none. Start with `etchscope find`." in told
    assert "'F9'" in refused(capsys, "export", store, "--scan", "F9", "-o", output)
    assert "'find-0'" in refused(capsys, "export", store, "--run", "find-0", "-o", output)
    assert "expected a store" in refused(capsys, "export", tmp_path, "-o", output)
    assert run("find", store) == 0
    capsys.readouterr()
    assert "'.xls'" in refused(capsys, "export", store, "-o", tmp_path / "pits.xls")
    assert not output.exists()


def test_the_temporary_store_goes_away(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    assert run("find", scans / "front") == 0
    assert list((tmp_path / "tmp").iterdir()) == []


CORNER = [[-1, -1], [0, -1], [0, 1], [-1, 1]]


def test_a_mask_is_kept_with_the_scan_and_can_be_forgotten(store, tmp_path, capsys):
    mask = tmp_path / "mask.json"
    mask.write_text(json.dumps(CORNER))
    assert main(["find", str(store), "--mask", str(mask)]) == 0
    kept = Store.open(store).fits.mask(NAME)
    # The foil's origin is the first tile's centre: half of that tile lies inside.
    scan = Store.open(store).scans.get(NAME)
    assert kept.of_tile(scan, 1).mean() == pytest.approx(0.5, abs=0.01)
    assert main(["find", str(store)]) == 0
    assert Store.open(store).fits.mask(NAME).digest == kept.digest
    assert main(["find", str(store), "--no-mask"]) == 0
    assert Store.open(store).fits.mask(NAME) is None
    capsys.readouterr()
    assert main(["find", str(store), "--no-mask", "--mask", str(mask)]) == 2
    assert "--no-mask: expected no --mask beside it" in capsys.readouterr().err


def test_a_mask_that_fits_one_scan_only_changes_none(store, tmp_path, capsys):
    Image.fromarray(simulated().read_tile(1)[8, :64, :80]).save(tmp_path / "zz.png")
    assert main(["add", str(store), str(tmp_path / "zz.png")]) == 0
    mask = tmp_path / "mask.png"
    Image.fromarray(np.full(SIZE, 255, np.uint8)).save(mask)
    capsys.readouterr()
    assert main(["find", str(store), "--mask", str(mask)]) == 2
    error = capsys.readouterr().err
    assert f"{mask}: expected 80 × 64 pixels, the size of a tile, found 128 × 96" in error
    opened = Store.open(store)
    assert [opened.fits.mask(name) for name in opened.scans.names()] == [None, None]
    assert main(["find", str(store), "--scan", NAME, "--mask", str(mask)]) == 0
    assert opened.fits.mask("zz-front") is None
    assert opened.fits.mask(NAME) is not None


def test_plain_pictures_take_a_mask(tmp_path, capsys):
    Image.fromarray(simulated().read_tile(1)[8]).save(tmp_path / "p.png")
    white = np.zeros(SIZE, np.uint8)
    white[:, :64] = 255
    Image.fromarray(white).save(tmp_path / "mask.png")
    Image.fromarray(white[:50]).save(tmp_path / "small.png")
    picture, mask = str(tmp_path / "p.png"), str(tmp_path / "mask.png")
    assert main(["find", picture, "--mask", mask]) == 0
    capsys.readouterr()
    assert main(["find", picture, "--mask", str(tmp_path / "small.png")]) == 2
    expected = "small.png: expected 128 × 96 pixels, the size of a tile, found 128 × 50 pixels"
    assert expected in capsys.readouterr().err
