import json
import re
import shlex
import shutil
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer.main
from PIL import Image

from etchscope.cli.app import app, main
from etchscope.cli.run import _echo_unlike
from etchscope.cli.trained import warn_of_few_labels
from etchscope.ensemble import WorkingPoint
from etchscope.files import read_table
from etchscope.foil import Taxonomy
from etchscope.ingest.write import write_smartscope
from etchscope.learn import LOSSES, NETWORKS, Training
from etchscope.run.experts import ExpertsPlan
from etchscope.run.finder_training import FinderPlan
from etchscope.run.results import ranked_candidates
from etchscope.run.stages.scoring import ScoreReport, score
from etchscope.store import Store

NAME = "simulated-front"
QUICK = ["--network", "plain", "--epochs", "2", "--folds", "2", "--size", "16", "--rate", "0.008"]


@pytest.fixture
def scored(_scored, tmp_path):
    """A store of its own in which the scan is scored with "first"."""
    return Store.open(shutil.copytree(_scored.path, tmp_path / "scored"))


@pytest.fixture(scope="module")
def _scored(learnt, tmp_path_factory):
    store = Store.open(
        shutil.copytree(learnt.store.path, tmp_path_factory.mktemp("scored") / "store")
    )
    score(store, NAME, "first", executor="inline")
    return store


@pytest.fixture(scope="module")
def exported(learnt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "first-model"
    learnt.store.models.export("first", folder)
    return folder


@pytest.fixture(scope="module")
def directory(learnt, tmp_path_factory):
    """The scan of the learnt store as the microscope would have written it."""
    path = tmp_path_factory.mktemp("scans") / "front"
    write_smartscope(path, learnt.foil.scan, learnt.foil.read_tile)
    return path


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(
        "etchscope.run.stages.training.train_experts", lambda *_, **__: pytest.fail("trained")
    )


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


def test_every_command_has_an_example_that_is_understood(capsys):
    commands = typer.main.get_command(app).commands
    for name in ("train", "run", "candidates"):
        assert run(name, "--help") == 0
        assert f"Example: etchscope {name} " in capsys.readouterr().out
        examples = [s for s in commands[name].help.splitlines() if s.startswith("Example: ")]
        for line in examples:
            assert commands[name].make_context(name, shlex.split(line)[3:]).params
        assert examples


# train --------------------------------------------------------------------------------------


def test_train_keeps_a_model_and_tells_its_figures(own, tmp_path, capsys, beside_progress):
    words = ["--audit", tmp_path / "doubtful.csv", "--report", tmp_path / "report", "--seed", "3"]
    assert run("train", own.path, "--name", "second", *QUICK, *words) == 0
    out, err = capsys.readouterr()
    information = own.models.load("second")[1]["information"]
    count = information["labels"]
    few = ", ".join(f"{count[c]} of {c}" for c in ("hip", "top", "bottom", "misc"))
    assert max(count.values()) < 500
    assert beside_progress(err) == (
        f"few labels: {few}; a class needs about 500, and is left out if --class NAME names the "
        "others\n"
    )
    lines = out.splitlines()
    told = ", ".join(f"{count[c]} {c}" for c in ("hip", "top", "bottom", "misc"))
    assert lines[0] == f"second: {told} on 8 tiles, 2 folds"
    experts = [line.split()[0] for line in lines[1:-3]]
    assert experts == ["hip-top", "hip-bottom", "top-bottom", "pit-misc"]
    accuracy = 100 * information["experts"]["hip-top"]["balanced_accuracy"]
    assert f"balanced accuracy {accuracy:.2f} % (folds " in lines[1]
    assert lines[-3].startswith("  working point: score ")
    table = pd.read_csv(tmp_path / "doubtful.csv")
    assert lines[-2] == f"{tmp_path / 'doubtful.csv'}: {len(table)} labels are probably wrong"
    assert {"said", "likelier", "scan", "tile", "x_px", "y_px", "id"} <= set(table.columns)
    assert lines[-1] == str(tmp_path / "report" / "index.html")
    assert (tmp_path / "report" / "ternary.png").is_file()
    assert own.models.names() == ["first", "second"]
    assert information["seed"] == 3


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"hip": 26, "top": 500, "misc": 11}, "few labels: 26 of hip, 11 of misc; a class needs "),
        ({"hip": 500, "top": 501}, ""),
        ({"hip": 499, "top": 500}, "few labels: 499 of hip; a class needs about 500"),
    ],
)
def test_classes_with_fewer_labels_than_the_rule_are_named(capsys, labels, told):
    warn_of_few_labels(labels)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", bool(told))
    assert err.startswith(told)


def test_train_says_how_many_attempts_of_an_expert_failed(own, capsys):
    words = ["--class", "hip", "--class", "top", "--rate", "1e-9", "--seed", "1"]
    assert run("train", own.path, "--name", "poor", *QUICK, *words) == 0
    out = capsys.readouterr().out
    figures = own.models.load("poor")[1]["information"]["experts"]["hip-top"]
    assert figures["failed"] > 1
    assert f"), {figures['failed']} attempts failed in 2 folds\n" in out


def test_train_tells_a_program_and_what_was_left_out(own, tmp_path, capsys):
    own.scans.exclude("tile = 2", "a fibre")
    (tmp_path / "experts.json").write_text('{"hip-single": [["hip"], ["top", "bottom"]]}')
    words = ["--class", "hip", "--class", "top", "--class", "bottom", "--method", "highest"]
    words += ["--experts", tmp_path / "experts.json", "--prior", "hip=0.1,top=0.4,bottom=0.5"]
    words += ["--efficiency", "0.9", "--lights", "lamps", "--scan", NAME]
    assert run("train", own.path, "--name", "own", *QUICK, *words, "--json") == 0
    out, err = capsys.readouterr()
    assert "few labels" not in err
    told, card = json.loads(out), own.models.load("own")[1]
    assert told["model"] == "own"
    assert told["outside"] == int((own.labels.table()["tile"] == 2).sum()) > 0
    assert told["information"] == card["information"]
    assert told["working_point"]["chosen_by"] == "efficiency 0.9 on labels"
    assert list(told["information"]["experts"]) == ["hip-single"]
    assert card["prior"] == {"hip": 0.1, "top": 0.4, "bottom": 0.5}
    training = card["experts"]["hip-single"][0]["training"]
    asked = {"network": "plain", "lights": "lamps", "epochs": 2, "rate": 0.008}
    assert {k: training[k] for k in asked} == asked
    assert (card["method"], card["experts"]["hip-single"][0]["size"]) == ("highest", 16)


def test_patches_go_out_as_arrays_and_come_back_to_train_on(own, tmp_path, capsys):
    path = tmp_path / "patches.npz"
    words = ["--patches", path, "--size", "16", "--class", "hip", "--class", "top"]
    assert run("label", "export", own.path, *words, "--foil", own.scans.get(NAME).foil) == 0
    with np.load(path, allow_pickle=False) as file:
        assert capsys.readouterr().out == f"{path}: {len(file['label'])} patches\n"
        assert set(file["label"]) == {"hip", "top"}
        assert file["patches"].shape[1:] == (13, 16, 16)
    quick = ["--network", "plain", "--epochs", "1", "--folds", "2"]
    of_store = ["--size", "16", "--class", "hip", "--class", "top"]
    assert run("train", own.path, "--name", "of-file", *quick, "--patches", path) == 0
    assert run("train", own.path, "--name", "of-store", *quick, *of_store) == 0
    one, other = (
        [p.read_bytes() for p in sorted((own.path / "models" / name).iterdir())]
        for name in ("of-file", "of-store")
    )
    assert one == other


@pytest.mark.usefixtures("no_training")
def test_a_file_of_patches_is_the_only_choice_of_labels(own, tmp_path, capsys):
    path = tmp_path / "patches.npz"
    for option, value in (("--scan", NAME), ("--who", "anna"), ("--size", "28")):
        words = ["train", own.path, "--name", "x", "--patches", path, option, value]
        told = f"Error: {option}: expected no choice of labels beside --patches, found {path}\n"
        assert refused(capsys, *words) == told
    told = refused(capsys, "train", own.path, "--name", "x", "--patches", path)
    assert told.startswith(f"Error: {path}: expected an intact .npz file of NumPy arrays, found No")


def test_what_label_export_cannot_write(own, tmp_path, capsys):
    command = ("label", "export", own.path)
    assert "-o TABLE, --patches FILE, or both, found neither" in refused(capsys, *command)
    path = tmp_path / "patches.npz"
    told = refused(capsys, *command, "--patches", path, "--all")
    assert told.startswith("Error: --all: expected no --patches beside it")
    told = refused(capsys, *command, "--patches", path, "--foil", "odd", "--side", "back")
    assert told.startswith("Error: label export: expected a scan of odd back, found none in the")
    told = refused(capsys, *command, "--patches", tmp_path / "patches.csv")
    assert told.startswith(f"Error: {tmp_path / 'patches.csv'}: expected a name that ends in .npz")
    assert list(tmp_path.glob("patches.*")) == []


def test_a_gpu_that_is_not_there_is_refused(own, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    told = (
        "Error: device: expected a GPU that PyTorch can compute on, found none. "
        "Leave out `--device cuda` to compute on the processor.\n"
    )
    drawn = ["-o", tmp_path / "new", "--work", tmp_path / "work"]
    for words in (
        ["find", own.path],
        ["run", own.path, "--model", "first"],
        ["train", own.path, "--name", "x"],
        ["train", "--finder", *drawn],
        ["train", "--random-foils", *drawn],
    ):
        assert run(*words, "--device", "cuda") == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith(told)
    assert not (tmp_path / "work").exists()


def test_train_says_how_many_places_conflict(own, capsys):
    labels = own.labels.table()
    three = labels[labels["class"] == "top"].head(3)
    own.labels.add(three.assign(who="another", id=None, **{"class": "misc"}))
    words = ["--class", "top", "--class", "bottom", "--signal", "bottom"]
    assert run("train", own.path, "--name", "own", *QUICK, *words) == 0
    told = "  the labels of 3 places conflict and were left out; see `etchscope label conflicts`\n"
    assert told in capsys.readouterr().out
    information = own.models.load("own")[1]["information"]
    assert information["label_conflicts"] == 3
    assert information["labels"]["top"] == (labels["class"] == "top").sum() - 3


def test_train_says_how_many_labels_were_left_out(own, capsys):
    own.scans.exclude("tile = 2", "a fibre")
    words = ["--class", "top", "--class", "bottom", "--signal", "bottom"]
    assert run("train", own.path, "--name", "own", *QUICK, *words) == 0
    n = int((own.labels.table()["tile"] == 2).sum())
    told = f"  {n} labels lie on no included tile and were left out\n"
    said = capsys.readouterr().out
    assert told in said
    assert "conflict" not in said
    assert own.models.load("own")[1]["signal"] == "bottom"


def test_train_on_a_region_and_go_on_from_a_model(own, learnt, tmp_path, capsys):
    polygon = tmp_path / "left.json"
    polygon.write_text("[[-1, -9], [2.4, -9], [2.4, 9], [-1, 9]]")
    words = ["--region", polygon, "--start", "first", "--name", "first"]
    quick = [*QUICK[:6], "--size", "20", "--lights", "all"]
    assert "--replace" in refused(capsys, "train", own.path, *words, *quick)
    assert run("train", own.path, *words, *quick, "--replace") == 0
    told = capsys.readouterr().out
    assert "on 4 tiles, 2 folds" in told
    assert f"goes on from a model that saw labels of {learnt.scan}, so these figures" in told
    assert own.models.names() == ["first"]


def test_train_can_try_other_trainings_first(own, capsys, monkeypatch):
    tried = {}

    def tune(patches, target, training, *, trials, seed, weight, device, progress):
        assert (weight == 1).all()
        tried.update(patches=len(patches), signal=int(target.sum()), trials=trials, seed=seed)
        progress(trials)
        return replace(training, width=0.5), pd.DataFrame({"width": [0.5], "loss": [0.125]})

    monkeypatch.setattr("etchscope.learn.search_training", tune)
    words = ["--class", "hip", "--class", "top", "--tune", "2", "--seed", "4"]
    assert run("train", own.path, "--name", "tuned", *QUICK, *words, "--json") == 0
    out, err = capsys.readouterr()
    count = json.loads(out)["information"]["labels"]
    assert "0.125" in err
    assert tried == {
        "patches": count["hip"] + count["top"],
        "signal": count["hip"],
        "trials": 2,
        "seed": 4,
    }
    assert own.models.load("tuned")[1]["experts"]["hip-top"][0]["training"]["width"] == 0.5


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--name", "first"], "--name: expected a name that no other model has, found 'first'"),
        (["--name", "a/b"], "--name: expected letters, digits, dot, dash, underscore, found 'a/b'"),
        (["--name", "x", "--class", "odd"], "class: expected a class of the taxonomy"),
        (["--name", "x", "--class", "hip"], "expected labels of two classes or more, found only"),
        (["--name", "x", "--scan", "F9"], "'F9'"),
        (["--name", "x", "--alignment", "a"], "one of the store's (none yet), found 'a'"),
        (["--name", "x", "--start", "odd"], "one of the store's models (first), found 'odd'"),
        (["--name", "x", "--prior", "hip"], "--prior: expected hip=0.01,top=0.4,…, found 'hip'"),
        (["--name", "x", "--prior", "hip=a"], "--prior: expected hip=0.01,top=0.4,…, found 'hip="),
        (["--name", "x", "--prior", "hip=1"], "prior: expected the shares of hip, top, bottom, mi"),
        (["--name", "x", "--efficiency", "0"], "efficiency: expected above 0, at most 1, found 0"),
        (["--name", "x", "--rate", "0"], "training: rate: expected above 0, found 0.0"),
        (["--name", "x", "--audit", "a.txt"], "a.txt: expected a name that ends in .csv"),
        (["--name", "x", "--audit", "no/a.csv"], "no/a.csv: expected an existing folder"),
        (["--name", "x", "--region", "no.json"], "no.json"),
        (["--name", "x", "--experts", "no.json"], "no.json"),
    ],
)
def test_train_refuses_before_it_trains(own, take_bytes, capsys, words, text):
    before = take_bytes(own.path)
    assert text in refused(capsys, "train", own.path, *words)
    assert take_bytes(own.path) == before


@pytest.mark.usefixtures("no_training")
def test_train_refuses_a_report_that_is_a_file(own, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    words = ("train", own.path, "--name", "x", "--report", tmp_path / "file")
    assert "expected a folder for the report, found a file" in refused(capsys, *words)


def test_train_refuses_experts_that_know_too_little(own, tmp_path, capsys):
    path = tmp_path / "experts.json"
    path.write_text('{"hip-top": [["hip"], ["top"]]}')
    words = ("train", own.path, "--name", "x", *QUICK, "--experts", path)
    text = "experts: expected one that knows class bottom, found none"
    assert text in refused(capsys, *words)
    path.write_text('{"hip-top": [["hip"]]}')
    assert "expert hip-top: expected two or more groups" in refused(capsys, *words)
    path.write_text("[1]")
    assert str(path) in refused(capsys, *words)


def test_an_interrupted_training_leaves_the_registry_as_it_was(
    own, take_bytes, capsys, monkeypatch, beside_progress
):
    before = take_bytes(own.path)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("etchscope.ensemble.train.fit_combiner", stop)
    assert run("train", own.path, "--name", "first", "--replace", *QUICK) == 130
    out, err = capsys.readouterr()
    assert (out, beside_progress(err).count("\n")) == ("", 2)
    assert beside_progress(err).startswith("few labels: ")
    assert "interrupted" in err
    after = take_bytes(own.path)
    kept = own.models.training_folder("first")
    assert {path: after[path] for path in after if kept not in path.parents} == before
    assert len(after) == len(before) + 8  # the experts, with which a repetition goes on


@pytest.fixture
def take_bytes():
    """All files of the models and runs of a store."""

    def taken(path):
        folders = (path / "models", path / "runs")
        return {p: p.read_bytes() for f in folders for p in sorted(f.rglob("*")) if p.is_file()}

    return taken


def test_train_on_any_lights_unless_told_otherwise(own, capsys):
    words = ["--class", "hip", "--class", "top"]
    assert run("train", own.path, "--name", "own", *QUICK, *words) == 0
    card = own.models.load("own")[1]
    assert card["experts"]["hip-top"][0]["training"]["lights"] == "any"
    assert card["domain"]["scale"] == [0.5, 5.0]
    assert "own: " in capsys.readouterr().out


def test_train_on_random_foils_says_what_came_of_it(tmp_path, capsys, monkeypatch):
    asked = {}

    def trained_experts(work, output, plan, *, seed, device, progress):
        asked.update(work=work, output=output, plan=plan, seed=seed, device=device)
        progress("Drawing random foils", 32, 64)
        progress("Training", 1, 12)
        point = WorkingPoint.of_one(
            1.5, "1 false candidates a tile of random foils", "9 random foils", (0.5, 0.4, 0.6)
        ).to_record()
        information = {"labels": {"hip": 3}, "experts": {"hip-top": {"balanced_accuracy": 0.9}}}
        return {"information": information, "working_point": point}

    monkeypatch.setattr("etchscope.run.experts.trained_experts", trained_experts)
    words = ["--random-foils", "-o", tmp_path / "experts", "--work", tmp_path, "--seed", "4"]
    assert run("train", *words, "--pictures", "64", "--device", "cpu") == 0
    assert asked["device"] == "cpu"
    out = capsys.readouterr().out
    assert "hip-top        balanced accuracy 90.00 %" in out
    assert "score 1.50 at 1 false candidates a tile of random foils, efficiency 50.0 % " in out
    assert (asked["seed"], asked["plan"].pictures, asked["plan"].judged) == (4, 64, 16)
    assert (asked["work"], asked["output"]) == (tmp_path, tmp_path / "experts")


def test_train_refuses_what_is_missing(own, tmp_path, capsys):
    assert "--name: expected a name for the model" in refused(capsys, "train", own.path)
    assert "STORE: expected a store with labels" in refused(capsys, "train", "--name", "a")
    words = ["train", "--random-foils"]
    assert "-o: expected a folder, with --finder or --random-foils" in refused(capsys, *words)
    words += ["-o", tmp_path / "new"]
    assert "--work: expected a folder" in refused(capsys, *words)
    text = "expected no store with --random-foils"
    assert text in refused(capsys, "train", own.path, *words[1:], "--work", tmp_path)


# run ----------------------------------------------------------------------------------------


def test_run_on_a_store_tells_what_it_decided(own, tmp_path, capsys):
    pits, best = tmp_path / "pits.parquet", tmp_path / "best.csv"
    words = ("run", own.path, "--model", "first", "-o", pits, "--candidates", best)
    assert run(*words) == 0
    name = own.runs.latest(NAME)
    table = own.runs.pits(name)
    selected, chosen = int(table["selected"].sum()), int(pd.read_csv(best)["selected"].sum())
    assert selected > chosen > 10
    assert capsys.readouterr().out == (
        f"{NAME}: {len(table)} pits on 8 tiles, {selected} selected as {chosen} candidates, "
        f"{name}\n"
    )
    pd.testing.assert_frame_equal(read_table(pits), table)
    ranked = pd.read_csv(best)
    assert ranked["score"].is_monotonic_decreasing
    assert set(ranked["pit"]) <= set(table["pit"])
    assert selected / 3 < ranked["selected"].sum() <= selected
    assert run(*words) == 0
    assert capsys.readouterr().out.endswith(f"{name}, done before\n")


@pytest.fixture
def without_candidates(monkeypatch):
    """Let every run select nothing and expect 23 signal particles."""

    def report(self, scan, **_):
        counts = {"selected": 0, "not_valid": 0, "foreign_scan": 0}
        return ScoreReport("run-1", scan, "own", 1, 9, False, counts, (23.0, 3.7, 25.0))

    steps = "etchscope.api.searches.SearchSteps"
    monkeypatch.setattr(f"{steps}.run", report)
    monkeypatch.setattr(f"{steps}.register_model", lambda *_, **__: "own")
    monkeypatch.setattr("etchscope.api.runs.RunSteps.candidates", lambda *_, **__: [])


@pytest.mark.usefixtures("without_candidates")
def test_run_says_that_one_light_shows_no_pairs(own, tmp_path, capsys):
    picture = tmp_path / "own.png"
    Image.fromarray(np.full((80, 100), 200, np.uint8)).save(picture)
    assert run("run", picture) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": 9 pits on 1 tiles, 0 selected as 0 candidates, run-1")
    assert lines[1].endswith(
        ": without lamps from the side, these lights show no pairs of entry and exit pit, so no "
        "candidate is selected"
    )
    assert len(lines) == 2
    assert run("run", own.path) == 0
    out = capsys.readouterr().out
    assert f"{NAME}: 23 [3.7, 25] signal particles are expected among all candidates" in out
    assert "pairs" not in out


def test_run_without_a_model_takes_the_package_s_own(
    directory, exported, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("etchscope.run.experts.SHIPPED", exported)
    pits, sheet = tmp_path / "pits.csv", tmp_path / "sheet"
    assert run("run", directory, "-o", pits, "--sheet", sheet) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == str(sheet / "index.html")
    table = pd.read_csv(pits)
    candidates = int(re.search(r"selected as (\d+) candidates", out)[1])
    assert len(list(sheet.glob("candidate_*.png"))) == candidates > 10
    assert 'src="ternary.png"' in (sheet / "index.html").read_text()
    assert (sheet / "ternary.png").stat().st_size > 10_000
    assert table["score"].notna().all()


def test_run_without_a_model_where_none_came_with_the_package(own, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("etchscope.run.experts.SHIPPED", tmp_path / "none")
    text = "expected the experts that come with the package, found none. Train one with"
    assert text in refused(capsys, "run", own.path)


def test_run_tells_a_program(own, capsys):
    words = ["--prior", "hip=0.01,top=0.4,bottom=0.4,misc=0.19", "--executor", "inline", "--json"]
    assert run("run", own.path, "--model", "first", *words) == 0
    (told,) = json.loads(capsys.readouterr().out)
    record = own.runs.record(told["run"])
    assert record.prior["hip"] == 0.01
    assert (told["scan"], told["model"], told["tiles"], told["was_done"]) == (
        NAME,
        "first",
        8,
        False,
    )
    assert told["counts"] == record.counts


def test_run_warns_of_pits_and_of_scans_that_are_unlike_those_of_the_training(own, learnt, capsys):
    model = learnt.done.model
    dense = replace(model, domain=replace(model.domain, density_per_mm2=5.0))
    own.models.save("sparse", *dense.to_record())
    assert run("run", own.path, "--model", "sparse") == 0
    expected = "pits are unlike those that sparse was trained on; their scores are not valid"
    assert expected in capsys.readouterr().out
    foreign = replace(model, domain=replace(model.domain, usual=0.1))
    own.models.save("foreign", *foreign.to_record())
    assert run("run", own.path, "--model", "foreign") == 0
    expected = "the scan is unlike those that foreign was trained on, so no score is valid"
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("unlike", "is_named", "expected"),
    [
        (1, True, "1 pit is unlike those that m was trained on; its score is not valid"),
        (2, True, "2 pits are unlike those that m was trained on; their scores are not valid"),
        (1, False, "1 pit is unlike those that the experts of the package were trained on; its"),
    ],
)
def test_what_run_says_of_pits_unlike_those_of_the_training(capsys, unlike, is_named, expected):
    done = SimpleNamespace(scan="a", model="m", counts={"foreign_scan": 0, "not_valid": unlike})
    _echo_unlike(done, is_named=is_named)
    assert f"a: {expected}" in capsys.readouterr().out


def test_run_on_a_scan_directory_with_an_exported_model(
    scored, directory, exported, tmp_path, capsys
):
    pits, best = tmp_path / "pits.csv", tmp_path / "best.parquet"
    words = ("run", directory, "--model", exported, "-o", pits, "--candidates", best)
    assert run(*words) == 0
    assert f"{NAME}: " in capsys.readouterr().out
    table, there = pd.read_csv(pits), scored.runs.pits(scored.runs.latest(NAME))
    assert len(table) == len(there)
    np.testing.assert_allclose(table["score"], there["score"])
    np.testing.assert_allclose(table["p_hip"], there["p_hip"])
    assert table["selected"].tolist() == there["selected"].tolist()
    assert read_table(best)["score"].is_monotonic_decreasing


def test_run_on_a_scan_directory_with_classes_of_one_s_own(directory, learnt, tmp_path, capsys):
    arrays, card = learnt.done.model.to_record()
    text = json.dumps(card).replace('"misc"', '"odd"')
    other = Store.create(tmp_path / "other")
    other.models.save("own", arrays, json.loads(text))
    other.models.export("own", tmp_path / "own-model")
    pits = tmp_path / "pits.csv"
    assert run("run", directory, "--model", tmp_path / "own-model", "-o", pits) == 0
    table = pd.read_csv(pits)
    assert table["p_odd"].notna().all()
    assert table["p_misc"].isna().all()
    capsys.readouterr()


def test_run_takes_a_model_from_a_folder_into_the_store(
    own, exported, learnt, at_threshold, tmp_path, capsys
):
    own.models.remove("first")
    assert run("run", own.path, "--model", exported) == 0
    (name,) = own.models.names()
    assert name.startswith("imported-")
    assert own.models.load(name)[1] == learnt.store.models.load("first")[1]
    first = own.runs.latest(NAME)
    assert run("run", own.path, "--model", exported) == 0
    assert own.models.names() == [name]
    assert own.runs.latest(NAME) == first
    # The same weights with another working point are another model.
    model = learnt.done.model
    moved = at_threshold(model, 3.0)
    other = Store.create(tmp_path / "other")
    other.models.save("moved", *moved.to_record())
    other.models.export("moved", tmp_path / "moved")
    assert run("run", own.path, "--model", tmp_path / "moved") == 0
    assert len(own.models.names()) == 2
    capsys.readouterr()


def test_run_refuses_a_model_that_does_not_fit_and_keeps_none_of_it(
    own, learnt, exported, tmp_path, capsys
):
    model = learnt.done.model
    other = replace(model, domain=replace(model.domain, recipe="0123456789abcdef"))
    box = Store.create(tmp_path / "box")
    box.models.save("other", *other.to_record())
    box.models.export("other", tmp_path / "other")
    words = ("run", own.path, "--model")
    assert "the model's recipe of normalisation" in refused(capsys, *words, tmp_path / "other")
    shutil.copytree(exported, tmp_path / "damaged")
    weights = tmp_path / "damaged" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert "the weights that the card names" in refused(capsys, *words, tmp_path / "damaged")
    box.models.save("empty", {"a": np.zeros(2)}, {"classes": ["hip"]})
    box.models.export("empty", tmp_path / "empty")
    assert "a card and weights that fit each other" in refused(capsys, *words, tmp_path / "empty")
    assert own.models.names() == ["first"]
    assert len(own.runs.table()) == 1


def test_run_refuses_bad_input(own, tmp_path, capsys):
    words = ("run", own.path, "--model")
    told = refused(capsys, *words, "odd")
    assert (
        "model: expected a model of the store (first) or a folder, found 'odd'. Train one" in told
    )
    assert "'F9'" in refused(capsys, *words, "first", "--scan", "F9")
    assert "--prior: expected hip=" in refused(capsys, *words, "first", "--prior", "fail")
    assert "'.txt'" in refused(capsys, *words, "first", "-o", tmp_path / "a.txt")
    assert "'.txt'" in refused(capsys, *words, "first", "--candidates", tmp_path / "a.txt")
    empty = Store.create(tmp_path / "empty")
    text = "expected a store with scans, found an empty store. Add a scan."
    assert text in refused(capsys, "run", empty.path, "--model", "first")
    polygon = tmp_path / "far.json"
    polygon.write_text("[[90, 90], [91, 90], [91, 91]]")
    assert "choose another region" in refused(capsys, *words, "first", "--region", polygon)
    assert len(own.runs.table()) == 1


# candidates ---------------------------------------------------------------------------------


def test_candidates_lists_the_best_first(scored, tmp_path, capsys):
    output = tmp_path / "best.csv"
    assert run("candidates", scored.path, "-o", output) == 0
    name = scored.runs.latest(NAME)
    table = pd.read_csv(output)
    assert table["selected"].all()
    assert table["score"].is_monotonic_decreasing
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(table)} candidates of {name}"
    assert lines[0].split()[:6] == ["scan", "tile", "pit", "x_px", "y_px", "score"]
    assert {"p_hip", "p_top", "p_bottom", "p_misc"} <= set(lines[0].split())
    assert lines[1].split()[5] == f"{table['score'].iloc[0]:.3f}"
    assert len(lines) == len(table) + 2


def test_candidates_tells_a_program(scored, tmp_path, capsys):
    words = ("candidates", scored.path, "-n", "5", "--json", "--sheet", tmp_path / "sheet")
    assert run(*words) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told) == 5
    assert [row["score"] for row in told] == sorted((r["score"] for r in told), reverse=True)
    assert run("candidates", scored.path, "--json", "-n", "1000") == 0
    selected = json.loads(capsys.readouterr().out)
    assert all(row["selected"] for row in selected)
    assert run("candidates", scored.path, "--json", "--all", "-n", "1000") == 0
    every = json.loads(capsys.readouterr().out)
    assert len(every) > len(selected)
    assert not all(row["selected"] for row in every)


def test_candidates_draws_a_contact_sheet(scored, tmp_path, capsys):
    sheet = tmp_path / "sheet"
    assert run("candidates", scored.path, "-n", "3", "--sheet", sheet) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(sheet / "index.html")
    assert sorted(p.name for p in sheet.iterdir()) == [
        *(f"candidate_000{n}.png" for n in (1, 2, 3)),
        "index.html",
        "ternary.png",
    ]
    page = (sheet / "index.html").read_text()
    assert page.count('src="ternary.png"') == 1
    for expert in ("hip-top", "hip-bottom", "top-bottom", "pit-misc"):
        assert expert in page
    assert page.count("saliency over backlit") >= 3


def test_candidates_of_a_run_outlive_its_model(scored, capsys):
    assert run("model", "rm", scored.path, "first") == 0
    assert run("candidates", scored.path, "-n", "2", "--json") == 0
    out = capsys.readouterr().out
    assert len(json.loads(out[out.index("[") :])) == 2
    assert "found 'first'" in refused(
        capsys, "candidates", scored.path, "-n", "2", "--sheet", scored.path.parent / "sheet"
    )


def test_candidates_of_an_older_run_and_none_at_all(scored, learnt, at_threshold, tmp_path, capsys):
    first = scored.runs.latest(NAME)
    model = learnt.done.model
    strict = at_threshold(model, 1e3)
    scored.models.save("strict", *strict.to_record())
    second = score(scored, NAME, "strict", executor="inline").run
    output = tmp_path / "none.csv"
    assert run("candidates", scored.path, "-o", output, "--sheet", tmp_path / "none") == 0
    assert capsys.readouterr().out.endswith(f"0 candidates of {second}\n")
    assert len(pd.read_csv(output)) == 0
    assert (tmp_path / "none" / "ternary.png").exists()  # of the run's pits, not of candidates
    assert run("candidates", scored.path, "--run", first, "-n", "1") == 0
    told = capsys.readouterr().out.splitlines()[-1]
    total = int(ranked_candidates(scored, first)["selected"].sum())
    assert told == f"1 of {total} candidates of {first}; --count shows more"


def test_candidates_refuses_bad_input(scored, learnt, tmp_path, capsys):
    words = ("candidates", scored.path)
    text = "expected a scored run, found a search. Start with `etchscope run`."
    assert text in refused(capsys, *words, "--run", learnt.search)
    assert "'run-0'" in refused(capsys, *words, "--run", "run-0")
    assert "'F9'" in refused(capsys, *words, "--scan", "F9")
    assert "'.txt'" in refused(capsys, *words, "-o", tmp_path / "a.txt")
    text = "expected a scored run, found none. Start with `etchscope run`."
    assert text in refused(capsys, "candidates", learnt.store.path)
    (tmp_path / "file").write_text("")
    assert "found a file" in refused(capsys, *words, "-n", "1", "--sheet", tmp_path / "file")


def test_another_signal_than_hip(own, learnt, capsys):
    arrays, card = learnt.done.model.to_record()
    own.labels.set_taxonomy(Taxonomy(classes={**own.labels.taxonomy().classes, "rod": ""}))
    own.models.save("rods", arrays, json.loads(json.dumps(card).replace('"hip"', '"rod"')))
    assert run("run", own.path, "--model", "rods") == 0
    capsys.readouterr()
    assert run("candidates", own.path, "-n", "2") == 0
    head = capsys.readouterr().out.splitlines()[0].split()
    assert "p_rod" in head
    assert "p_hip" not in head
    assert Path(own.path, "models", "rods").is_dir()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--finder", "--work", "w"], "-o: expected a folder"),
        (["--finder", "-o", "o"], "--work: expected a folder"),
        (["--finder", "-o", "o", "--work", "w", "--start", "none"], "the folder of a finder"),
        (["store", "--random-foils", "-o", "o", "--work", "w"], "no store with --random-foils"),
        (["--name", "first"], "a store with labels"),
    ],
)
def test_a_training_on_drawn_foils_says_what_it_lacks(capsys, options, expected):
    assert main(["train", *options]) == 2
    assert expected in capsys.readouterr().err


def test_the_help_states_the_numbers_of_random_foils(capsys):
    assert main(["train", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"[{ExpertsPlan().pictures}, for the finder {FinderPlan().pictures}]" in said


def test_the_options_of_a_training_are_those_of_the_library(capsys):
    params = {p.name: p for p in typer.main.get_command(app).commands["train"].params}
    for one in fields(Training):
        if one.name in params and one.name != "lights":  # any, since such a model takes any scan
            assert params[one.name].default == one.default
    assert main(["train", "--help"]) == 0
    said = capsys.readouterr().out
    assert f"<{'|'.join(LOSSES)}>" in said
    assert f"Kind of the network: {', '.join(NETWORKS)}, or" in " ".join(said.split())
