"""Every command is a thin call of the Python API."""

import ast
from pathlib import Path

import pytest

import etchscope.cli

FOLDER = Path(etchscope.cli.__file__).parent
FILES = {str(path.relative_to(FOLDER)): path for path in sorted(FOLDER.rglob("*.py"))}
ALLOWED = {"api", "cli", "evaluation", "foil", "plot", "preselect", "progress"}
LARGEST_BODY = 40


def packages_used(tree: ast.Module) -> set[str]:
    """Return the packages of Etchscope that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            of_root = node.module == "etchscope"
            names |= {f"etchscope.{a.name}" for a in node.names} if of_root else {node.module}
    return {name.split(".")[1] for name in names if name.startswith("etchscope.")}


def body_lines(function: ast.FunctionDef) -> int:
    """Return the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", FILES)
def test_a_command_only_parses_calls_the_api_and_prints(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    too_long = {f.name: n for f in functions if (n := body_lines(f)) > LARGEST_BODY}
    assert packages_used(tree) <= ALLOWED
    assert not too_long


def test_what_is_counted():
    source = '''
from etchscope import run
import etchscope.store.rows
from etchscope.foil import BadInput
def command(
    a,
):
    """Do it."""
    if a:
        return 1

    return 2
'''
    tree = ast.parse(source)
    assert packages_used(tree) == {"run", "store", "foil"}
    assert body_lines(tree.body[-1]) == 4
