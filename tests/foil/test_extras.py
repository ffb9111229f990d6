"""What works without the packages of the extras, and what names the extra that is needed."""

import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from etchscope.cli.app import main
from etchscope.foil import EXTRAS, MissingExtra, name_extra, require_package
from etchscope.run.experts import SHIPPED

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
HIDE = """
import sys
from importlib.machinery import PathFinder

hidden, real = sys.argv[1].split(","), PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in hidden else real(name, path, target)

PathFinder.find_spec = find_spec
"""
"""Python of a process that finds no package of the names in its first argument."""
RUN = "from etchscope.cli.app import main; sys.exit(main(sys.argv[2:]))"


def run_without(packages, *arguments, code=RUN):
    words = [sys.executable, "-c", HIDE + code, ",".join(packages), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A scan of one small tile, and a store that has the shipped experts as a model."""
    folder = tmp_path_factory.mktemp("extras")
    size = ["--columns", "1", "--rows", "1", "--set", "optics.image_size=[144,192]"]
    assert main(["simulate", str(folder), "--seed", "1", *size]) == 0
    store = str(folder / "store")
    assert main(["init", store]) == 0
    assert main(["model", "import", store, str(SHIPPED), "--name", "shipped"]) == 0
    return folder


def test_the_extras_are_those_of_the_project():
    extras = PROJECT["optional-dependencies"]
    named = {e: {re.split(r"[\[>]", r)[0] for r in extras[e]} for e in set(EXTRAS.values())}
    distributions = {"sklearn": "scikit-learn"}
    for package, extra in EXTRAS.items():
        assert distributions.get(package, package) in named[extra]
    core = {r.split(">=")[0] for r in PROJECT["dependencies"]}
    assert not core & set().union(*named.values())
    assert extras["all"] == sorted(r for e in set(EXTRAS.values()) for r in extras[e])


def test_a_package_that_is_there_is_no_error():
    require_package("torch")


def test_only_a_missing_package_of_an_extra_becomes_a_missing_extra():
    named = name_extra(ModuleNotFoundError("none", name="torch.nn"))
    assert isinstance(named, MissingExtra)
    assert (named.where, named.extra, named.exit_status) == ("torch", "learn", 2)
    for name in (None, "numpy", "torchvision"):
        other = ModuleNotFoundError("none", name=name)
        assert name_extra(other) is other


def test_a_missing_extra_survives_a_worker():
    error = MissingExtra("torch", "learn")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_without_any_extra_the_help_is_shown():
    done = run_without(EXTRAS, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "candidates" in done.stdout


def test_without_any_extra_the_classical_finder_writes_the_same_table(work):
    scan = work / "reference-front"
    found, expected = work / "found.csv", work / "expected.csv"
    done = run_without(EXTRAS, "find", scan, "--finder", "classical", "-o", found)
    assert done.returncode == 0, done.stderr
    assert main(["find", str(scan), "--finder", "classical", "-o", str(expected)]) == 0
    assert found.read_bytes() == expected.read_bytes()
    assert len(found.read_text().splitlines()) > 3


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("torch", ["find", "reference-front", "-o", "pits.csv"]),
        ("torch", ["run", "reference-front"]),
        ("torch", ["train", "store", "--name", "own"]),
        ("sklearn", ["train", "--finder", "-o", "finder", "--work", "foils"]),
        ("uproot", ["find", "reference-front", "--finder", "classical", "-o", "pits.root"]),
        ("onnx", ["model", "export", "store", "shipped", "-o", "shipped.onnx"]),
        ("optuna", ["train", "store", "--name", "own", "--tune", "2"]),
    ],
)
def test_without_its_package_a_command_names_the_extra(work, package, arguments):
    here = [work / a if (work / a).exists() or "." in a else a for a in arguments]
    done = run_without([package], *here)
    extra = EXTRAS[package]
    assert done.stderr.splitlines()[-1] == (
        f"Error: the package {package} is missing; the extra {extra} brings it: "
        f'pip install "etchscope[{extra}]"'
    )
    assert done.returncode == 2
    assert not (work / "pits.csv").exists()


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("cleanlab", "import etchscope.run.stages.training"),
        ("uproot", "from etchscope.files.tables import read_root; read_root('pits.root')"),
    ],
)
def test_without_its_package_python_names_the_extra(package, code):
    done = run_without([package], code=code)
    assert (
        f"MissingExtra: the package {package} is missing; the extra {EXTRAS[package]} brings"
        in (done.stderr)
    )
