import pytest

from etchscope.foil import BadPlugin, NoPlugin
from etchscope.run.executors import choose_executor
from etchscope.run.executors.inline import run_inline
from etchscope.run.executors.processes import run_in_processes
from etchscope.run.executors.threads import run_in_threads

MODULE = """
def run_backwards(tasks, *, workers, done):
    for task in reversed(tasks):
        done(task())
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a package that registers an executor, as one that pip installed."""

    def installed(value):
        info = tmp_path / "backwards-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: backwards\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[etchscope.executors]\nbackwards = {value}\n")
        (tmp_path / "backwards_package.py").write_text(MODULE)
        monkeypatch.syspath_prepend(tmp_path)

    return installed


def test_ours_are_known():
    assert choose_executor("inline") is run_inline
    assert choose_executor("threads") is run_in_threads
    assert choose_executor("processes") is run_in_processes


def test_that_of_an_installed_package_is_known(install):
    install("backwards_package:run_backwards")
    got: list[int] = []
    tasks = [lambda i=i: i for i in range(3)]
    choose_executor("backwards")(tasks, workers=1, done=got.append)
    assert got == [2, 1, 0]


def test_an_unknown_name_is_refused_with_the_known_ones(install):
    install("backwards_package:run_backwards")
    text = "executor: expected inline or threads or processes or backwards, found 'magic'"
    with pytest.raises(NoPlugin, match=text):
        choose_executor("magic")


@pytest.mark.parametrize("value", ["backwards_package:no_such_name", "no_such_package:run"])
def test_a_package_that_cannot_be_loaded_is_named(install, value):
    install(value)
    with pytest.raises(BadPlugin, match=r"plugin 'backwards' of backwards 1\.0, .* can be loaded"):
        choose_executor("backwards")
