"""docs/architecture.md shows the code as it is: who imports whom, and the way of one tile."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import grimp
import numpy as np
import pandas as pd
import pytest

from etchscope.cli.app import main
from etchscope.ingest.write import write_smartscope
from etchscope.simulation import preset, with_parameters

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = "etchscope"

Graph = dict[str, set[str]]
"""What each module or folder imports."""


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def modules() -> Graph:
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    return {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}


@pytest.fixture(scope="module")
def folders(modules) -> Graph:
    """What each folder of the package, or module directly in it, imports from the others."""
    graph: Graph = {}
    for module, imported in modules.items():
        if module != PACKAGE:
            name = module.split(".")[1]
            others = {m.split(".")[1] for m in imported if m != PACKAGE} - {name}
            graph.setdefault(name, set()).update(others)
    return graph


def reach(graph: Graph, names: Iterable[str]) -> set[str]:
    """What is reached from the names along one arrow or more."""
    found: set[str] = set()
    ahead = [n for name in names for n in graph[name]]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph[name]
    return found


def test_no_module_and_no_folder_imports_itself_through_others(modules, folders):
    for graph in (modules, folders):
        TopologicalSorter(graph).prepare()  # raises CycleError


def test_no_module_is_longer_than_350_lines():
    lengths = {p: len(p.read_text().splitlines()) for p in (ROOT / "src").rglob("*.py")}
    assert {p.name: n for p, n in lengths.items() if n > 350} == {}


def test_the_drawn_graph_is_that_of_the_code(folders):
    (drawn,) = re.findall(r"^```mermaid\n(.*?)^```", section("Who imports whom"), re.M | re.S)
    lines = re.findall(r"^ +(\w+) --> ([\w &]+)$", drawn, re.MULTILINE)
    needed = {a: b - reach(folders, b) for a, b in folders.items()}
    assert len(lines) == len(drawn.splitlines()) - 1
    assert {a: set(b.split(" & ")) for a, b in lines} == {a: b for a, b in needed.items() if b}


def test_a_folder_imports_only_what_its_row_allows(folders):
    table = PAGE.split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)/` \| .* \| (.*?) \|$", table, re.MULTILINE)
    names = [name for name, _ in rows]
    for place, (name, words) in enumerate(rows):
        first, _, excepted = words.partition(" but ")
        allowed = names[:place] if first == "all above" else first.split(", ")
        imported = folders[name] & set(names)
        assert imported <= set(allowed) - set(re.findall(r"\w+", excepted)), name


def code_of(name):
    """The code of a function that is named by folder, module and, if it has one, class."""
    folder, module, *attributes = name.split(".")
    found = import_module(f"{PACKAGE}.{folder}.{module}")
    for attribute in attributes:
        found = getattr(found, attribute)
    return inspect.unwrap(found).__code__


SEARCH = ["-o", "pits.csv", "--candidates", "candidates.csv", "--sheet", "best"]
INLINE = ["--executor", "inline", "--device", "cpu"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """One tile, its candidates with their page, and what was called in the order of first calls."""
    folder = tmp_path_factory.mktemp("tile")
    (drawn,) = preset("reference", seed=3, columns=1, rows=1)
    changes = {"optics.image_size": (240, 320), "fragments.per_tile": 12, "hips.per_tile": 6}
    foil = replace(with_parameters(drawn, changes), foil="F1")
    write_smartscope(folder / "scan", foil.scan, foil.read_tile, foil=foil.foil_record)
    wanted, called = {id(code_of(name)): name for name in walked()}, []

    def note(frame, event, _argument):
        if event == "call" and id(frame.f_code) in wanted:
            called.append(wanted.pop(id(frame.f_code)))

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sys.setprofile(note)
        try:
            assert main(["run", "scan", *SEARCH, *INLINE]) == 0
        finally:
            sys.setprofile(None)
    return folder, called


def walked():
    """The functions of the table, in its order."""
    return re.findall(r"`(\w+\.\w+\.[\w.]+)`", walk_table())


def walk_table():
    return "\n".join(
        re.findall(r"^\| .*", section("One tile and one pit, from picture to candidate page"), re.M)
    )


@pytest.mark.slow
def test_a_tile_passes_the_folders_in_the_order_of_the_table(searched):
    folder, called = searched
    assert called == walked()
    rows = re.findall(r"^\| `(\w+)/` \| (.*?) \|", walk_table(), re.MULTILINE)
    assert len(rows) == len({name for name, _ in rows}) >= 9
    for name, functions in rows:
        assert {f.split(".")[0] for f in re.findall(r"`([\w.]+)`", functions)} == {name}
    assert (folder / "best" / "index.html").is_file()


def test_the_ten_changes_name_two_files_at_most(folders):
    rows = re.findall(r"^\| (an? .*?) \| (.*) \|$", section("Ten changes"), re.MULTILINE)
    assert len(rows) == 10
    for _, text in rows:
        files = set(re.findall(r"`(\w+/[\w/]+\.py)`", text))
        new = len(re.findall(r"\ba file\b(?! such as)", text))
        assert 1 <= len(files) + new <= 2
        assert all((ROOT / "src" / PACKAGE / file).is_file() for file in files)


def example():
    """The diff of the change that is carried out."""
    return re.findall(r"^```diff\n(.*?)^```", section("Ten changes"), re.M | re.S)[0]


def test_the_functions_and_lines_that_the_page_names_are_there():
    assert all(code_of(name) for name in walked())
    words = ["git", "apply", "--check", "-"]
    checked = subprocess.run(words, input=example(), cwd=ROOT, text=True, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.slow
def test_the_example_of_a_change_works(searched, tmp_path):
    folder = searched[0]
    shutil.copytree(ROOT / "src" / PACKAGE, tmp_path / "src" / PACKAGE)
    patched = {"cwd": tmp_path, "check": True, "text": True}
    subprocess.run(["git", "apply", "-"], input=example(), **patched)
    start = f"import sys; from {PACKAGE}.cli.entry import main; sys.exit(main())"
    words = [sys.executable, "-c", start, "run", str(folder / "scan")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    subprocess.run([*words, *SEARCH, *INLINE], env=environment, capture_output=True, **patched)
    before, after = (pd.read_csv(f / "candidates.csv") for f in (folder, tmp_path))
    place = after[["x_mm", "y_mm"]].to_numpy()
    apart = np.hypot(*(place[:, None] - place).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    assert len(after) > 2
    np.testing.assert_allclose(after["nearest_mm"], apart.min(1), atol=2e-6)
    pd.testing.assert_frame_equal(after.drop(columns="nearest_mm"), before)
    assert (tmp_path / "best" / "index.html").is_file()
