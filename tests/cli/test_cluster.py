import pytest
from distributed import LocalCluster

from etchscope.cli.app import main
from etchscope.run.executors import cluster


def run(*words):
    return main([str(w) for w in words])


def test_the_workers_of_a_scheduler_do_the_work(own, capsys):
    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
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
