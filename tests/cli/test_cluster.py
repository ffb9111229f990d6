import json

import pytest
from distributed import LocalCluster

from etchscope.cli.app import main
from etchscope.foil import Foil
from etchscope.run.executors import cluster
from etchscope.store import TilePictures


def run(*words):
    return main([str(w) for w in words])


def test_the_workers_of_a_scheduler_do_the_work(own, capsys):
    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=":0",
    ) as local:
        address = local.scheduler_address.removeprefix("tcp://")
        given = ["--least-probability", "0.6"]
        assert run("find", own.path, *given, "--scheduler", address) == 0
        assert run("run", own.path, "--model", "first", "--scheduler", address) == 0
    assert len(own.runs.names()) == 3  # with the search that was there before
    out, err = capsys.readouterr()
    assert ("selected as" in out, "distributed" in err) == (True, False)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["127.0.0.1:9"], 1, "tcp://127.0.0.1:9: no Dask scheduler answers.\n"),
        (["nowhere"], 2, "--scheduler: expected an address such as tcp://host:8786, found 'now"),
        (["a:1", "--workers", "2"], 2, "--scheduler: expected no --executor and no --workers be"),
        (["a:1", "--executor", "inline"], 2, "no --workers beside it, found --executor"),
    ],
)
def test_what_is_no_scheduler_is_one_line(own, capsys, monkeypatch, words, status, text):
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.3)
    assert run("find", own.path, "--scheduler", *words) == status
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


def test_parts_are_done_and_joined(own, capsys):
    given = ["--least-probability", "0.6"]
    for part in ("2/2", "1/2"):
        assert run("find", own.path, *given, "--part", part) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(", of ")[0] for line in out] == [
        "simulated-front: part 2/2, 0 tiles",
        "simulated-front: part 1/2, 8 tiles",
    ]
    assert run("run", own.path, "--model", "first", "--join") == 2
    err = capsys.readouterr().err
    assert "expected parts that were done, found none. Repeat with `--part`, then `--j" in err
    pits = own.path.parent / "pits.csv"
    assert run("find", own.path, *given, "--join", "-o", pits) == 0
    assert pits.is_file()
    assert run("run", own.path, "--model", "first", "--part", "1/1", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])[0]["part"] == "1/1"
    assert run("run", own.path, "--model", "first", "--join") == 0
    assert run("run", own.path, "--model", "first", "--part", "1/1") == 0
    assert capsys.readouterr().out.endswith(", which was finished before\n")


def test_of_several_scans_none_is_joined_while_a_part_is_missing(own, learnt, capsys):
    """The scan whose part is missing comes last."""
    foil = learnt.foil
    twin = foil.scan.model_copy(update={"name": "twin-front"})
    pictures = TilePictures(foil.read_tile(1), ("a picture",) * len(twin.channels))
    own.scans.add(twin, Foil(name=twin.foil), lambda _: pictures)
    before, classical = own.runs.names(), ["--finder", "classical"]
    assert run("find", own.path, "--scan", learnt.scan, *classical, "--part", "1/1") == 0
    assert run("find", own.path, *classical, "--join") == 2
    err = capsys.readouterr().err
    assert "of scan twin-front: expected parts that were done, found none" in err
    of_model = ["--model", "first"]
    assert run("run", own.path, "--scan", learnt.scan, *of_model, "--part", "1/1") == 0
    assert run("run", own.path, *of_model, "--join") == 2
    assert "scan twin-front: expected a finished search, found none" in capsys.readouterr().err
    assert own.runs.names() == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--part", "3/2"], "--part: expected a number from 1 and how many parts there are, such"),
        (["--part", "1/2", "--join"], "--join: expected no --part beside it, found 1/2"),
        (["--part", "1/2", "-o", "a.csv"], "--part: expected no file to write beside it, found o"),
        (["--part", "1/2", "other"], "--part: expected one store, found 2 paths"),
    ],
)
@pytest.mark.parametrize("command", ["find", "run"])
def test_what_is_no_part_is_one_line(own, capsys, command, words, text, monkeypatch):
    monkeypatch.chdir(own.path.parent)
    assert run(command, own.path, *words) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


def test_pictures_have_no_parts(tmp_path, capsys):
    (tmp_path / "scan").mkdir()
    assert run("find", tmp_path / "scan", "--part", "1/2") == 2
    assert "expected a store, found no catalogue" in capsys.readouterr().err
