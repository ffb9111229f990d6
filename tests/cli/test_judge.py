import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from etchscope.cli import evaluate, report
from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    Scan,
    Tile,
    as_pits,
)
from etchscope.store import FindRecord, Store, TilePictures

TRUTH = "tile,x_px,y_px,surface\n1,10,10,top\n1,50,10,bottom\n2,10,10,top\n"
FOUND = "tile,x_px,y_px,surface\n1,12,10,top\n2,10,13,bottom\n2,40,40,top\n"


def run(*arguments):
    app = typer.Typer()
    for name, module in (("evaluate", evaluate), ("report", report)):
        app.command(name=name)(module.command)
    app([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture
def tables(tmp_path):
    truth, found = tmp_path / "truth.csv", tmp_path / "found.csv"
    truth.write_text(TRUTH)
    found.write_text(FOUND)
    return ["evaluate", "--truth", truth, "--found", found]


def test_evaluate_prints_json(tables, capsys):
    run(*tables, "--tolerance-px", "6", "--rule", "nearest", "--by", "surface", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["true_pos"], told["false_neg"], told["false_pos"]) == (2, 1, 1)
    assert (told["rule"], told["tolerance_px"], told["grouped_by"]) == ("nearest", 6, ["tile"])
    assert told["efficiency"]["value"] == pytest.approx(2 / 3)
    assert told["by"]["column"] == "surface"
    assert [r["truths"] for r in told["by"]["rows"]] == [1, 2]
    assert told["by"]["rows"][0]["agree"] is None


def test_evaluate_shifts_the_list_within_the_stated_tile(tables, tmp_path, capsys):
    (tmp_path / "truth.csv").write_text("tile,x_px,y_px\n1,72,10\n2,500,400\n")
    run(*tables, "--tolerance-px", "6", "--image-size", "480", "640", "--json")
    told = json.loads(capsys.readouterr().out)
    # Of sixteen shifts eight come from within the tile and count.
    assert (told["true_pos"], told["chance"]["true_pos"]) == (0, pytest.approx(1 / 8))
    assert told["chance"]["method"].startswith("local shifts of 10 and 20 tolerances")
    assert told["tiles"] == {"number": 2, "of": "tile", "false_chi2_ndf": pytest.approx(1 / 3)}


def test_evaluate_prints_a_table(tables, capsys):
    run(*tables, "--tolerance-px", "6", "--by", "surface")
    out = capsys.readouterr().out
    assert "one-to-one, closer than 6 px, within tile" in out
    assert re.search(r"efficiency.*66\.7 % \[9\.4, 100\.0\].*2 of 3", out)
    assert "by chance (local shifts)" in out
    told = " ".join(out.split())
    assert "2 found, 1 missed, 1 false" in told
    assert "over 2 tiles (tile), false finds per tile: χ²/ndf 1" in told
    assert re.search(r"bottom.*0\.000", out)


def test_evaluate_compares_millimetres(tmp_path, capsys):
    for name in ("a.csv", "b.csv"):
        pd.DataFrame({"x_mm": [1.0, 2], "y_mm": [0.0, 5]}).to_csv(tmp_path / name, index=False)
    tables = ["--truth", tmp_path / "a.csv", "--found", tmp_path / "b.csv"]
    run("evaluate", *tables, "--tolerance-mm", "0.1", "--json")
    assert json.loads(capsys.readouterr().out)["purity"]["value"] == 1


def test_evaluate_names_what_is_wrong(tables, tmp_path):
    with pytest.raises(BadInput, match="--tolerance-px or --tolerance-mm, found neither"):
        run(*tables)
    with pytest.raises(BadInput, match="truth table: expected a column 'size'"):
        run(*tables, "--tolerance-px", "6", "--by", "size")
    (tmp_path / "found.csv").unlink()
    with pytest.raises(BadInput, match=r"found\.csv"):
        run(*tables, "--tolerance-px", "6")


@pytest.fixture
def store(tmp_path):
    made = Store.create(tmp_path / "store")
    rng = np.random.default_rng(0)
    for name in ("F1-front", "F1-back"):
        scan = Scan(
            name=name,
            foil="F1",
            side=name[3:],
            layout="smartscope",
            pixel_size_um=10.0,
            image_size=(48, 64),
            channels=(
                Channel(step=1, role="directional", azimuth_deg=0.0),
                Channel(step=9, role="backlit"),
            ),
            tiles=tuple(Tile(number=n, stage_x_mm=0.6 * n, stage_y_mm=0.0) for n in (1, 2)),
        )
        pixels = rng.integers(90, 160, (2, 48, 64)).astype(np.uint8)
        made.scans.add(scan, Foil(name="F1"), lambda n, p=pixels: TilePictures(p, ("a", "b")))
    pits = as_pits({"tile": [1, 2], "x_px": [9.0, 20], "y_px": [9.0, 30], "surface": ["top"] * 2})
    record = FindRecord(stage="find", version="9.9", scan="F1-front", tiles=(1, 2))
    made.runs.commit("R1", pits.assign(run="R1"), record)
    made.runs.commit("R2", pits.iloc[:1].assign(run="R2"), record)
    return made


def test_report_shows_the_latest_run(store, tmp_path, capsys):
    run("report", store.path, "-o", tmp_path / "out")
    page = tmp_path / "out" / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text(encoding="utf-8")
    assert "1 pit on 2 tiles" in text
    assert "<code>R2</code>" in text
    assert "<code>9.9</code>" in text


def test_report_shows_the_run_that_is_asked_for(store, tmp_path):
    words = ("--run", "R1", "--scan", "F1-front", "--format", "svg")
    run("report", store.path, *words, "-o", tmp_path / "out")
    assert "2 pits on 2 tiles" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "density.svg").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--run", "R7"),
            "run: expected a finished run of the store, found 'R7', there is R1, R2",
        ),
        (("--scan", "F1-back"), r"scan F1-back: expected a finished run, found none"),
        (("--scan", "F1-back", "--run", "R1"), "run: expected a finished run of scan F1-back"),
        (("--scan", "F9"), "F9"),
    ],
)
def test_report_says_which_runs_there_are(store, tmp_path, options, message):
    with pytest.raises(BadInput, match=message):
        run("report", store.path, *options, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_report_asks_for_the_scan_where_several_have_runs(store, tmp_path):
    record = FindRecord(stage="find", version="9.9", scan="F1-back", tiles=(1, 2))
    store.runs.commit("R3", as_pits({}), record)
    with pytest.raises(BadInput, match="scan: expected one of F1-back, F1-front, found none given"):
        run("report", store.path, "-o", tmp_path / "out")


@pytest.fixture
def foils(tmp_path):
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 9, (60, 2))
    for name, xy in (
        ("truth", truth),
        ("one", truth[:50] + 0.001),
        ("two", np.concatenate([truth[20:] + 0.001, [[20.0, 20.0]]])),
    ):
        pd.DataFrame(xy, columns=["x_mm", "y_mm"]).to_csv(tmp_path / f"{name}.csv", index=False)
    names = ["--truth", tmp_path / "truth.csv", "--found", tmp_path / "one.csv"]
    return ["evaluate", *names, "--tolerance-mm", "0.05"]


def test_evaluate_tells_curves_parts_and_who_finds_what(foils, tmp_path, capsys):
    run(
        *foils,
        "--other",
        tmp_path / "two.csv",
        "--curve",
        "0.0001,0.05",
        "--by",
        "region",
        "--json",
    )
    told = json.loads(capsys.readouterr().out)
    assert [row["efficiency"] for row in told["curve"]] == [0, pytest.approx(50 / 60)]
    counts = [told["other"][k] for k in ("both", "only_first", "only_second", "neither")]
    assert counts == [30, 20, 10, 0]
    assert sum(row["truths"] for row in told["by"]["rows"]) == 60
    assert told["fragments"] == {"torn": 0, "joined": 0, "fakes": 0}
    run(*foils, "--other", tmp_path / "two.csv", "--curve", "0.05", "--by", "density")
    text = capsys.readouterr().out
    assert "only the first 20, only the other 10" in text
    assert "against the tolerance in mm" in text


def test_evaluate_writes_lists_and_figures(foils, tmp_path):
    out = ["--lists", tmp_path / "lists", "--figures", tmp_path / "figures", "--curve", "0.01,0.05"]
    run(*foils, "--other", tmp_path / "two.csv", *out)
    assert len(pd.read_csv(tmp_path / "lists" / "false_negatives.csv")) == 10
    assert set(pd.read_csv(tmp_path / "lists" / "truths.csv")["found_by"]) == {
        "both",
        "only_first",
        "only_second",
    }
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {"map.png", "curve.png"}


def test_evaluate_merges_copies(foils, tmp_path, capsys):
    twice = pd.read_csv(tmp_path / "one.csv")
    pd.concat([twice, twice + 0.01]).to_csv(tmp_path / "one.csv", index=False)
    run(*foils, "--json")
    torn = json.loads(capsys.readouterr().out)
    assert (torn["false_pos"], torn["fragments"]["torn"]) == (50, 50)
    run(*foils, "--merge-mm", "0.02", "--json")
    assert json.loads(capsys.readouterr().out)["false_pos"] == 0


def test_evaluate_refuses_tolerances_that_are_none(foils):
    with pytest.raises(BadInput, match="--curve: expected tolerances in mm as 2,4,6, found '1;2'"):
        run(*foils, "--curve", "1;2")


PB = Path(__file__).parents[3] / "shared" / "data" / "moedal_pb"


@pytest.mark.real_data
@pytest.mark.skipif(not PB.is_dir(), reason=f"{PB} is absent")
def test_the_nine_published_rows_come_out(tmp_path, capsys):
    def write(name, points):
        pd.DataFrame(points, columns=["x_px", "y_px"]).to_csv(tmp_path / name, index=False)
        return tmp_path / name

    truth = write("truth.csv", json.loads((PB / "truth_foil_xy_px.json").read_text()))
    lists = json.loads((PB / "predictions_foil_xy_px.json").read_text())
    for name, row in json.loads((PB / "published_counts.json").read_text())["rows"].items():
        found = write("found.csv", lists[name])
        rule = ["--rule", "nearest", "--tolerance-px", "15", "--json"]
        run("evaluate", "--truth", truth, "--found", found, *rule)
        told = json.loads(capsys.readouterr().out)
        assert {k: told[k] for k in row} == row
