import json
import shlex

import pytest
import typer.main

from etchscope.cli.app import main
from etchscope.cli.runs import app
from etchscope.foil import as_pits
from etchscope.store import FindRecord, JudgingModel, ScoreRecord, Store

SCAN = "simulated-front"


@pytest.fixture
def store(simulated_foil, add_foil, tmp_path):
    return add_foil(Store.create(tmp_path / "store"), simulated_foil(columns=1, rows=1))


@pytest.fixture
def searched(store):
    """A store with a search, and a scored run that was made from it."""
    pits = as_pits({"scan": [SCAN], "tile": [1], "surface": ["top"]})
    known = {"version": "0.1.0", "scan": SCAN, "tiles": (1,)}
    store.runs.commit("found", pits.assign(run="found"), FindRecord(stage="find", **known))
    model = JudgingModel(name="first", signal="hip", weights_sha256="ab")
    record = ScoreRecord(stage="score", **known, search="found", model=model)
    store.runs.commit("judged", pits.assign(run="judged"), record)
    return store


def run(*words):
    return main(["runs", *map(str, words)])


def test_every_command_has_an_example_that_is_understood(capsys):
    commands = typer.main.get_command(app).commands
    assert list(commands) == ["ls", "rm"]
    for name, command in commands.items():
        assert run(name, "--help") == 0
        assert f"Example: etchscope runs {name} " in capsys.readouterr().out
        (line,) = [s for s in command.help.splitlines() if s.startswith("Example: ")]
        assert command.make_context(name, shlex.split(line)[4:]).command is command


def test_ls_lists_runs_with_stage_and_model(searched, capsys):
    assert run("ls", searched.path, "--scan", SCAN, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["run"], row["stage"], row["model"], row["search"]) for row in rows] == [
        ("found", "find", "", ""),
        ("judged", "score", "first", "found"),
    ]
    assert [(row["pits"], row["tiles"]) for row in rows] == [(1, 1), (1, 1)]
    assert run("ls", searched.path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["run", "scan", "pits"]
    assert [line.split()[0] for line in lines[1:]] == ["found", "judged"]


def test_ls_of_a_store_without_runs_says_what_to_do(store, capsys):
    assert run("ls", store.path) == 0
    assert capsys.readouterr().out == "no runs; start with `etchscope find`\n"
    assert run("ls", store.path, "--scan", "none") == 2


def test_rm_removes_runs_and_leaves_nothing(searched, capsys):
    assert run("rm", searched.path, "judged", "--yes") == 0
    assert capsys.readouterr().out == "run judged, 1 pits\n"
    assert searched.runs.names() == ["found"]
    assert run("rm", searched.path, "found", "--yes") == 0
    assert searched.runs.names() == []
    assert list((searched.path / "runs").iterdir()) == []
    assert searched.check() == []


def test_rm_takes_a_search_along_with_what_was_made_from_it_only(searched, capsys):
    assert run("rm", searched.path, "found", "--yes") == 2
    assert "run found: expected a run that no other one was made from" in capsys.readouterr().err
    assert searched.runs.names() == ["judged", "found"]
    assert run("rm", searched.path, "found", "judged", "--yes") == 0
    assert searched.runs.names() == []


def test_rm_asks_and_names_a_run_that_is_not_there(searched, capsys):
    assert run("rm", searched.path, "judged") == 2
    assert "`--yes`, or a terminal to ask at" in capsys.readouterr().err
    assert run("rm", searched.path, "nothing", "--yes") == 2
    assert "'nothing'" in capsys.readouterr().err
    assert len(searched.runs.names()) == 2
