import json
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest
import typer.main
from PIL import Image

from etchscope.cli.app import main
from etchscope.cli.model import app
from etchscope.draw.style import SERIES_COLOURS
from etchscope.ensemble import Model, WorkingPoint
from etchscope.evaluation import (
    Requirement,
    choose_thresholds,
    efficiency_at_rate,
    format_chi2,
    measure_by_halves,
)
from etchscope.files import read_table
from etchscope.files.tables import write_table
from etchscope.run import find
from etchscope.run.experts import SHIPPED
from etchscope.run.search import search_of_run
from etchscope.run.stages.scoring import score
from etchscope.store import Store, read_model

onnxruntime = pytest.importorskip("onnxruntime")

NAME = "simulated-front"


@pytest.fixture(scope="module")
def _scored(learnt, tmp_path_factory):
    """A store in which the scan is scored with "first", and the truth about it in a file."""
    folder = tmp_path_factory.mktemp("scored")
    store = Store.open(shutil.copytree(learnt.store.path, folder / "store"))
    score(store, NAME, "first", executor="inline")
    write_table(folder / "truth.parquet", learnt.foil.truth())
    return folder


@pytest.fixture
def scored(_scored, tmp_path):
    return Store.open(shutil.copytree(_scored / "store", tmp_path / "scored"))


@pytest.fixture
def truth(_scored):
    return _scored / "truth.parquet"


def run(*words):
    return main(["model", *map(str, words)])


def refused(capsys, *words):
    """Return the one line on stderr of a command that ends with status 2."""
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("Error: ")
    return err


def files_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_every_command_has_an_example_that_is_understood(capsys):
    commands = typer.main.get_command(app).commands
    names = ["ls", "show", "export", "import", "rm", "calibrate", "distil", "working-point"]
    assert list(commands) == names
    assert run("--help") == 0
    listed = capsys.readouterr().out
    for name, command in commands.items():
        assert f"\n  {name} " in listed
        assert run(name, "--help") == 0
        assert f"Example: etchscope model {name} " in capsys.readouterr().out
        for line in (s for s in command.help.splitlines() if s.startswith("Example: ")):
            words = shlex.split(line)[4:]
            assert command.make_context(name, words).params["store"].name.startswith("plate")


# ls, show, rm -------------------------------------------------------------------------------


def test_ls_lists_models_with_their_labels(own, learnt, capsys):
    assert run("ls", own.path) == 0
    count = learnt.done.model.information["labels"]
    told = ", ".join(f"{count[c]} {c}" for c in ("hip", "top", "bottom", "misc"))
    line = f"{'first':<20} {told}; stacked; efficiency 0.99 on labels\n"
    assert capsys.readouterr().out == line
    assert run("ls", own.path, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {
        "name": "first",
        "classes": ["hip", "top", "bottom", "misc"],
        "method": "stacked",
        "labels": count,
        "chosen_by": "efficiency 0.99 on labels",
        "weights_sha256": own.models.load("first")[1]["weights_sha256"],
    }


def test_rm_removes_a_model_and_what_it_scored_stays(scored, capsys):
    assert run("rm", scored.path, "first") == 0
    assert capsys.readouterr().out == "first removed\n"
    assert scored.models.names() == []
    assert len(scored.runs.table(NAME)) == 2
    assert run("ls", scored.path) == 0
    assert capsys.readouterr().out == "no models; train one with `etchscope train`\n"
    assert "(none yet), found 'first'" in refused(capsys, "rm", scored.path, "first")


def test_show_prints_the_card(own, capsys):
    assert run("show", own.path, "first") == 0
    told, card = json.loads(capsys.readouterr().out), own.models.load("first")[1]
    for key in ("classes", "signal", "prior", "domain", "working_point", "information"):
        assert told[key] == card[key]
    assert [e["history"] for e in told["experts"]["hip-top"]] == ["6 epochs"] * 2
    assert "found 'odd'" in refused(capsys, "show", own.path, "odd")


# export and import --------------------------------------------------------------------------


def test_a_model_handed_on_to_another_store_gives_the_same_scores(
    scored, learnt, add_foil, tmp_path, capsys
):
    folder = tmp_path / "first-model"
    assert run("export", scored.path, "first", "-o", folder) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert files_of(folder) == files_of(scored.path / "models" / "first")
    other = add_foil(Store.create(tmp_path / "other"), learnt.foil)
    find(other, NAME, executor="inline")
    assert run("import", other.path, folder) == 0
    assert capsys.readouterr().out == "first-model\n"
    assert run("import", other.path, folder, "--name", "first") == 0
    capsys.readouterr()
    assert files_of(other.path / "models" / "first") == files_of(folder)
    assert other.models.names() == ["first", "first-model"]
    report = score(other, NAME, "first", executor="inline")
    there = scored.runs.pits(scored.runs.latest(NAME))
    pd.testing.assert_frame_equal(
        other.runs.pits(report.run).drop(columns="run"), there.drop(columns="run")
    )


def test_onnx_gives_the_same_scores(own, learnt, tmp_path, capsys):
    path = tmp_path / "first.onnx"
    assert run("export", own.path, "first", "-o", path) == 0
    assert capsys.readouterr().out == f"{path}\n"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    patches = learnt.gathered.context
    p, scores = session.run(None, {"patches": patches.pixels})
    told = learnt.done.model.score_patches(patches)
    np.testing.assert_allclose(scores, told["score"], atol=1e-4)
    log_p = told[[f"log_p_{c}" for c in learnt.done.model.classes]]
    np.testing.assert_allclose(p, np.exp(log_p), atol=1e-4)


def test_export_refuses_what_it_cannot_write(own, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    words = ("export", own.path, "first", "-o")
    told = refused(capsys, *words, tmp_path / "full")
    assert "expected a new or empty folder for the model, found something else there" in told
    assert "expected an existing folder, found no" in refused(
        capsys, *words, tmp_path / "no" / "first.onnx"
    )
    (tmp_path / "folder.onnx").mkdir()
    assert "folder.onnx" in refused(capsys, *words, tmp_path / "folder.onnx")
    assert "found 'odd'" in refused(capsys, "export", own.path, "odd", "-o", tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.onnx", "full", "own"]


def test_import_without_a_folder_takes_the_experts_of_the_package(own, capsys):
    assert run("import", own.path, "--name", "mine") == 0
    assert capsys.readouterr().out == "mine\n"
    assert own.models.load("mine")[1] == read_model(SHIPPED)[1]


def test_import_refuses_what_is_no_model(own, learnt, tmp_path, capsys):
    before = files_of(own.path / "models" / "first")
    folder = tmp_path / "handed-on"
    own.models.export("first", folder)
    words = ("import", own.path, folder)
    assert "card.json" in refused(capsys, "import", own.path, tmp_path)
    card, weights = folder / "card.json", folder / "weights.safetensors"
    whole, text = weights.read_bytes(), card.read_text()
    weights.write_bytes(whole[:-4] + b"\0\0\0\0")
    assert "expected the weights that the card names" in refused(capsys, *words)
    weights.write_bytes(whole)
    card.write_text(text.replace('"signal": "hip"', '"signal": "odd"'))
    assert "model: signal: expected hip or top or" in refused(capsys, *words)
    card.write_text(text.replace('"kinds"', '"sorts"'))
    assert "expected a card and weights that fit each other" in refused(capsys, *words)
    card.write_text(text.replace("etchscope-model", "another-model"))
    assert 'a card with "format": "etchscope-model", found another' in refused(capsys, *words)
    card.write_text(text[:100])
    assert "expected the card of a model, JSON" in refused(capsys, *words)
    card.write_text(text.replace("efficiency 0.99", "efficiency 0.98"))
    text = "name of a model: expected a name that no other model has, found 'first'"
    assert text in refused(capsys, *words, "--name", "first")
    assert own.models.names() == ["first"]
    assert files_of(own.path / "models" / "first") == before
    assert read_model(folder)[1] != own.models.load("first")[1]
    assert learnt.store.models.names() == ["first"]


# calibrate ----------------------------------------------------------------------------------


def test_a_calibrated_model_says_how_much_signal_a_scan_holds(
    scored, truth, simulated_foil, add_foil, capsys
):
    arrays, before = scored.models.load("first")
    run_name, judged = scored.runs.latest(NAME), scored.runs.judged(scored.runs.latest(NAME))
    search, _ = search_of_run(scored, run_name, read_table(truth), signal="hip", valid_only=False)
    assert run("calibrate", scored.path, "first", "--truth", truth) == 0
    lines = capsys.readouterr().out.splitlines()
    after, card = scored.models.load("first")
    told = card["calibration"]
    true, count = int(search.is_true.sum()), len(search.score)
    assert told["fitted_on"] == f"{count} candidates, {true} of them hip, {run_name}"
    assert lines[0].startswith(f"first calibrated on {told['fitted_on']}. Weight of each measure ")
    assert {line.split()[0]: line.split()[1:] for line in lines[1:-1]} == {
        name: [f"{weight:+.3f}", f"{told['slopes'][name]:+.3f}"]
        for name, weight in told["weights"].items()
    }
    assert lines[-1].startswith(f"Next: `etchscope run {scored.path} --model first`, then ")
    assert card["working_point"]["chosen_by"] == "even odds"
    same = {k: v for k, v in card.items() if k not in ("calibration", "working_point")}
    assert same == {k: before[k] for k in same}
    assert all(np.array_equal(after[k], v) for k, v in arrays.items())
    # A run decides anew, without the pictures.
    report = score(scored, NAME, "first", executor="inline")
    assert report.run != run_name
    pd.testing.assert_frame_equal(scored.runs.judged(report.run), judged)
    _, low, high = report.expected
    assert low <= true <= high
    assert scored.runs.record(report.run).signal_expected == pytest.approx(
        report.expected, abs=1e-3
    )
    assert score(scored, NAME, "first", executor="inline").expected == pytest.approx(
        report.expected, abs=1e-3
    )
    new, _ = search_of_run(scored, report.run, read_table(truth), signal="hip", valid_only=False)
    assert efficiency_at_rate(new, 1.0)[0] >= efficiency_at_rate(search, 1.0)[0] - 0.02
    # On another foil of this kind, of fewer particles, that is so too.
    foil = simulated_foil(seed=12, columns=2, rows=2, foil="second")
    add_foil(scored, foil)
    there = score(scored, "second-front", "first", executor="inline")
    other, _ = search_of_run(scored, there.run, foil.truth(), signal="hip", valid_only=False)
    _, low, high = there.expected
    assert low <= other.is_true.sum() <= high
    pits = scored.runs.pits(there.run)
    np.testing.assert_allclose(pits[[c for c in pits if c.startswith("p_")]].sum(axis=1), 1)


def test_each_table_of_signal_has_its_scan(scored, truth, capsys):
    before = scored.models.load("first")[1]
    words = ("calibrate", scored.path, "first", "--truth", truth)
    assert "--scan: expected one for each of 2 --truth, found 1" in refused(
        capsys, *words, "--truth", truth, "--scan", NAME
    )
    assert "found 'odd'" in refused(capsys, "calibrate", scored.path, "odd", "--truth", truth)
    assert scored.models.load("first")[1] == before


# working-point ------------------------------------------------------------------------------


def percent(figure):
    value, low, high = (100 * v for v in figure)
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def rate(figure):
    value, low, high = figure
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def test_a_working_point_by_false_candidates(scored, truth, capsys):
    run_name = scored.runs.latest(NAME)
    search, _ = search_of_run(scored, run_name, read_table(truth), signal="hip")
    words = ("working-point", scored.path, "first", "--truth", truth)
    assert run(*words, "--false-per-tile", "0.5") == 0
    lines = capsys.readouterr().out.splitlines()
    point = scored.models.load("first")[1]["working_point"]
    asked = Requirement(false_per_tile=0.5)
    # The line in use is that of all tiles; the figures are those of half of them on the other.
    (threshold,) = choose_thresholds(search, asked)
    whole, _ = measure_by_halves(search, asked)
    at_rate = efficiency_at_rate(search, 0.5)
    (only,) = point["classes"]
    assert (only["from_per_mm2"], only["threshold"]) == (0, threshold)
    assert point["efficiency"] == only["efficiency"] == list(whole.efficiency)
    assert point["false_per_tile"] == only["false_per_tile"] == list(whole.false_per_tile)
    assert point["efficiency_at_rate"] == list(at_rate)
    assert point["purity"] == list(whole.purity)
    assert point["measured_on"] == (
        f"{search.particles} true hip on 8 tiles, {run_name}, chosen on one half of the tiles and "
        "measured on the other"
    )
    gathered = format_chi2(search.false_chi2_ndf(threshold))
    assert lines == [
        "chosen by 0.5 false candidates a tile",
        f"at all densities: score {threshold:.3f}, efficiency {percent(whole.efficiency)}, false "
        f"candidates per tile {rate(whole.false_per_tile)}",
        f"efficiency {percent(whole.efficiency)}",
        f"efficiency at exactly that rate {percent(at_rate)}",
        f"by chance (local shifts) {search.chance(threshold)}; purity {percent(whole.purity)}",
        f"false candidates per tile: {rate(whole.false_per_tile)}",
        f"false candidates per cm²: {rate(point['false_per_cm2'])}",
        f"intervals over tiles; false candidates per tile: {gathered}",
        f"measured on {point['measured_on']}",
    ]


def test_a_working_point_has_a_line_for_each_density(scored, truth, capsys):
    words = ("working-point", scored.path, "first", "--truth", truth, "--false-per-tile", "8")
    assert run(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    classes = scored.models.load("first")[1]["working_point"]["classes"]
    starts = [f"{c['from_per_mm2']:.3g}" for c in classes]
    assert len(classes) > 1
    assert lines[1].startswith(
        f"0 to {starts[1]} pits per mm²: score {classes[0]['threshold']:.3f}"
    )
    last = f"from {starts[-1]} pits per mm² on: score {classes[-1]['threshold']:.3f}, efficiency "
    assert lines[len(classes)].startswith(last)
    assert lines[len(classes) + 1].startswith("efficiency ")
    pits = scored.runs.pits(score(scored, NAME, "first", executor="inline").run)
    assert pits["selected"].any()
    assert not pits["selected"].all()


def test_a_working_point_is_measured_on_another_scan(
    scored, truth, simulated_foil, add_foil, tmp_path, capsys
):
    foil = simulated_foil(seed=12, columns=2, rows=1, foil="second")
    add_foil(scored, foil)
    there = score(scored, "second-front", "first", executor="inline").run
    write_table(tmp_path / "second.parquet", foil.truth())
    words = ("working-point", scored.path, "first", "--truth", truth, "--scan", NAME)
    words += ("--false-per-tile", "1", "--json")
    other = ("--measure-on", tmp_path / "second.parquet")
    before = scored.models.load("first")[1]
    assert "truth to measure on: expected a table together with" in refused(capsys, *words, *other)
    told = refused(capsys, *words, "--measure-on", truth, "--measure-scan", NAME)
    assert "scan to measure on: expected another scan than the one to choose on" in told
    assert scored.models.load("first")[1] == before
    assert run(*words, *other, "--measure-scan", "second-front") == 0
    told = json.loads(capsys.readouterr().out)
    search, _ = search_of_run(scored, there, read_table(tmp_path / "second.parquet"), signal="hip")
    thresholds = WorkingPoint.from_record(told).threshold_at(search.ground.candidates)
    passed = search.score >= thresholds
    assert told["false_per_tile"][0] == (passed & ~search.is_true).sum() / 2
    assert told["efficiency"][0] == (passed & search.is_true).sum() / search.particles
    assert told["measured_on"].startswith(f"{search.particles} true hip on 2 tiles, {there}; chos")
    assert told["chance"]["trials"] == search.particles


def test_a_working_point_changes_nothing_else_and_selects_anew(scored, truth, capsys):
    arrays, card = scored.models.load("first")
    words = ("working-point", scored.path, "first", "--truth", truth, "--scan", NAME)
    assert run(*words, "--efficiency", "0.5", "--tolerance-px", "5", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    after = scored.models.load("first")
    gathered = told.pop("false_chi2_ndf")
    assert gathered is None or gathered >= 0
    assert told.pop("chance")["confidence"] == 0.95
    assert after[1]["working_point"] == told
    assert {k: v for k, v in after[1].items() if k != "working_point"} == {
        k: v for k, v in card.items() if k != "working_point"
    }
    assert all(np.array_equal(after[0][k], v) for k, v in arrays.items())
    assert told["chosen_by"] == "efficiency 0.5"
    assert told["efficiency"][1] < 0.5 < told["efficiency"][2]
    assert told["efficiency_at_rate"] == [None, None, None]
    first = scored.runs.latest(NAME)
    report = score(scored, NAME, "first", executor="inline")
    assert report.run != first
    strict, before = scored.runs.pits(report.run), scored.runs.pits(first)
    assert 0 < strict["selected"].sum() < before["selected"].sum()
    assert (
        strict.loc[strict["selected"].astype(bool), "score"].min()
        >= told["classes"][0]["threshold"]
    )


def test_a_working_point_is_drawn_by_density(scored, truth, tmp_path, capsys):
    words = ("working-point", scored.path, "first", "--truth", truth, "--false-per-tile", "0.5")
    before = scored.models.load("first")[1]
    for name, told in (("froc.pdf", "ends in .png"), ("none/froc.png", "an existing folder")):
        assert told in refused(capsys, *words, "--figure", tmp_path / name)
    assert scored.models.load("first")[1] == before
    path = tmp_path / "froc.png"
    assert run(*words, "--figure", path) == 0
    drawn = np.asarray(Image.open(path).convert("RGB"))
    shown = {tuple(c) for c in drawn.reshape(-1, 3)}
    curves = [tuple(bytes.fromhex(c[1:])) for c in SERIES_COLOURS[:4]]
    assert set(curves) <= shown  # all tiles, and three groups of them


def test_a_working_point_stays_where_it_is_after_an_error(scored, truth, tmp_path, capsys):
    before = scored.models.load("first")[1]
    words = ("working-point", scored.path, "first", "--truth")
    one = ("--efficiency", "0.9")
    assert "an efficiency or false candidates per tile" in refused(capsys, *words, truth)
    both = (*one, "--false-per-tile", "1")
    assert "an efficiency or false candidates per tile" in refused(capsys, *words, truth, *both)
    none = refused(capsys, *words, truth, "--efficiency", "2")
    assert "efficiency: expected above 0, at most 1, found 2" in none
    assert "no.csv" in refused(capsys, *words, tmp_path / "no.csv", *one)
    tops = tmp_path / "tops.csv"
    tops.write_text("tile,x_px,y_px,class\n1,5,5,top\n")
    told = refused(capsys, *words, tops, *one)
    assert told == f"Error: {tops}: expected some of class hip, found none\n"
    assert "'F9'" in refused(capsys, *words, truth, *one, "--scan", "F9")
    assert scored.models.load("first")[1] == before


def test_a_working_point_needs_a_scan_that_this_model_scored(own, learnt, truth, capsys):
    words = ("working-point", own.path, "first", "--truth", truth, "--efficiency", "0.9")
    text = "Error: scan: expected a scan that was scored with first, found none. Start with `etch"
    assert text in refused(capsys, *words)
    assert len(Model.from_record(*own.models.load("first")).experts) == 4


def test_a_working_point_of_one_scan_among_several(scored, truth, simulated_foil, add_foil, capsys):
    add_foil(scored, simulated_foil(seed=12, columns=2, rows=1, foil="second"))
    score(scored, "second-front", "first", executor="inline")
    words = ("working-point", scored.path, "first", "--truth", truth, "--efficiency", "0.9")
    told = refused(capsys, *words)
    expected = f"scan: expected one of second-front, {NAME}, found none given"
    assert f"{expected}. Choose with `--scan`." in told
    assert run(*words, "--scan", NAME) == 0
    assert "efficiency 9" in capsys.readouterr().out
    told = refused(capsys, *words, "--scan", "second-front")
    assert "of scan second-front: expected some of class hip, found none" in told
