"""docs/architecture.md shows the code as it is: who imports whom, and in which order."""

import re
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

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


def test_the_drawn_graph_is_that_of_the_code(folders):
    (drawn,) = re.findall(r"^```mermaid\n(.*?)^```", section("Who imports whom"), re.M | re.S)
    lines = re.findall(r"^ +(\w+) --> ([\w &]+)$", drawn, re.MULTILINE)
    needed = {a: b - reach(folders, b) for a, b in folders.items()}
    assert len(lines) == len(drawn.splitlines()) - 1
    assert {a: set(b.split(" & ")) for a, b in lines} == {a: b for a, b in needed.items() if b}


def test_a_folder_imports_only_what_its_row_allows(folders):
    rows = re.findall(r"^\| `(\w+)/` \| .* \| (.*?) \|$", PAGE, re.MULTILINE)
    names = [name for name, _ in rows]
    for place, (name, words) in enumerate(rows):
        first, _, excepted = words.partition(" but ")
        allowed = names[:place] if first == "all above" else first.split(", ")
        imported = folders[name] & set(names)
        assert imported <= set(allowed) - set(re.findall(r"\w+", excepted)), name
