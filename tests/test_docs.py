"""README, docs and CONTRIBUTING say what is so: their commands, examples, links and figures."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer.main
from PIL import Image

import etchscope
import etchscope.api
from etchscope.candidates import EXPERT_COLUMNS, VOTE_COLUMNS
from etchscope.cli.app import app, main
from etchscope.files.tables import write_table
from etchscope.foil import COLUMNS, flag_legend
from etchscope.ingest.scan_json import read_scan_json
from etchscope.ingest.write import write_smartscope
from etchscope.run.experts import SHIPPED
from etchscope.simulation import drop_overlap_copies, preset, with_parameters
from etchscope.store import Store

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in FILES}
TEXT = "\n".join(PAGES.values())
MOST_BYTES = 6_000
TILE = "optics.image_size=[144,192]"
"""A tile of the examples as the tests run them: a tenth of a camera's."""

GROUPS = typer.main.get_command(app).commands
COMMANDS = {
    " ".join([name, *sub]): command
    for name, group in GROUPS.items()
    for *sub, command in (
        [(n, c) for n, c in group.commands.items()] if hasattr(group, "commands") else [(group,)]
    )
}


def blocks(language, text=TEXT):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shell(text):
    return [line for block in blocks("sh", text) for line in block.splitlines()]


LINES = [line for line in shell(TEXT) if line.startswith("etchscope ")]


def split(line):
    """The command's name, two words in a group, and the words after it."""
    words = shlex.split(line)[1:]
    length = 1 if words[0] in COMMANDS else 2
    return " ".join(words[:length]), words[length:]


def test_the_readme_is_short_and_its_two_commands_come_first():
    assert len(PAGES["README.md"].encode()) <= MOST_BYTES
    assert shell(PAGES["README.md"])[:2] == ["make demo", "make test"]
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(targets[1].split())


def test_every_command_of_the_line_is_shown():
    shown = {split(line)[0] for line in LINES} | {"demo"}
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("line", dict.fromkeys(LINES))
def test_a_command_and_its_options_are_understood(line):
    name, words = split(line)
    context = COMMANDS[name].make_context(name, words)
    assert context.command is COMMANDS[name]


def test_every_option_in_the_text_is_one_of_a_command():
    known = {o for c in COMMANDS.values() for p in c.params for o in p.opts} | {"--help"}
    assert set(re.findall(r"`(--[a-z0-9-]+)", TEXT)) <= known


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_options_in_a_table_are_those_of_its_command(name):
    page = {"train": "docs/labels.md", "evaluate": "docs/working-point.md"}[name]
    heading = {"train": r"\| option of `train` \|", "evaluate": r"\| option \|"}[name]
    rows = re.search(rf"^{heading}.*\n\| --- .*\n((?:\|.*\n)+)", PAGES[page], re.MULTILINE)[1]
    named = {o for row in rows.splitlines() for o in re.findall(r"--[a-z-]+", row.split("|")[1])}
    assert len(named) >= 8
    assert named <= {o for p in COMMANDS[name].params for o in p.opts}


def test_the_example_of_scan_json_is_read(tmp_path):
    (example,) = blocks("json")
    path = tmp_path / "scan.json"
    path.write_text(example, encoding="utf-8")
    scan = read_scan_json(path)
    assert scan.metadata() == {}  # no key that the format does not know
    assert [c.azimuth_deg for c in scan.channels] == [67.5, 112.5, 157.5, None]
    assert json.loads(example)["layout"] == scan.layout


def test_the_pit_table_is_the_data_dictionarys():
    table = PAGES["docs/pit-table.md"].split("## Columns")[1].split("##")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert [n for row in rows for n in re.findall(r"`(\w+)`", row)] == [c.name for c in COLUMNS]
    bits = re.search(r"bits: (.*?) \|", table)
    assert [int(n) for n in re.findall(r"\b(\d+) ", bits[1])] == list(flag_legend().values())


def test_the_table_of_python_has_every_command_and_its_functions_exist():
    table = PAGES["docs/python.md"].split("| command | in Python |")[1].split("\n\n")[0]
    rows = [row.split("|")[1:3] for row in table.splitlines()[2:]]
    assert {c for row in rows for c in re.findall("`(.*?)`", row[0])} == set(COMMANDS)
    places = {"es": etchscope, "Store": etchscope.Store, "api": etchscope.api}
    for place, name in re.findall(r"`(\w+)\.(\w+)`", "".join(row[1] for row in rows)):
        assert callable(getattr(places[place], name)), name


def test_the_columns_of_candidates_are_the_declared_ones():
    table = PAGES["docs/pit-table.md"].split("## Candidates")[1].split("##")[0]
    names = re.findall(r"^\| `(\w+)…?` \|", table, re.MULTILINE)
    assert names == [c.name for c in (*VOTE_COLUMNS, EXPERT_COLUMNS)]


def test_the_table_of_folders_and_the_places_in_it_are_what_there_is():
    package, page = ROOT / "src" / "etchscope", PAGES["docs/architecture.md"]
    folders = {p.parent.name for p in package.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE)) == folders
    places = re.findall(r"`(\w+/(?:\w+\.py)?)`", page)
    known = [p for p in places if (package / p).exists()]
    assert [p for p in places if p not in known and not (ROOT / p).exists()] == []


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


def test_every_page_is_in_the_index():
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", PAGES["docs/index.md"])) | {"index.md"}
    assert listed == {p.name for p in (ROOT / "docs").glob("*.md")}


def test_the_figures_are_those_of_their_files():
    words = [sys.executable, str(ROOT / "benchmarks" / "results.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["results.md.in", "figures.md.in"])
def test_templates_state_no_measured_percentage(name):
    """Rates that were asked for are no results: 1 and 0.1 % false positives, 95 % confidence."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    stated = set(re.findall(r"\b[\d.]+(?= %)", text))
    assert stated <= {"95", "1", "0.1"}


# The examples, run in order on a foil a tenth as large, each page in a folder of its own.

# What a line is given besides, so that it takes seconds. A later option counts, not an earlier one.
HALF = ["--set", "optics.image_size=[240,320]"]
SLOW = {
    "docs/labels.md": "trains experts",
    "docs/stack.md": "photographs six surfaces",
    "docs/working-point.md": "photographs and calibrates a twin large enough to have signal",
}
PARSED_ONLY = {
    "make ": "the tests are one of the two, the demonstration has tests of its own",
    "etchscope inject ": "so small a foil has too few pits; tests/run/test_injection.py does it",
    "etchscope model distil ": "small foils have few finds; tests/run/test_distilling.py does it",
    "etchscope run plate11 ": "scores six scans; tests/run/test_stack_candidates.py does it small",
    "etchscope train --finder ": "takes hours; tests/cli/test_learn.py does it on a few foils",
    "etchscope train plate8 --finder ": "takes hours, likewise",
}
SMALLER = {
    "etchscope simulate school ": HALF,
    "etchscope simulate unseen ": HALF,
    "etchscope simulate twins ": [*HALF, "--background", "25", "--signal", "20"],
    "etchscope simulate stack ": [*HALF, "--columns", "4", "--rows", "3"],
    "etchscope simulate ": ["--set", TILE],
    "etchscope train plate9 ": ["--epochs", "4", "--folds", "2", "--rate", "0.008"],
    "etchscope candidates ": ["--count", "5"],
    "etchscope rm ": ["--yes"],
    "etchscope runs rm ": ["--yes"],
}
A_RUN = "find-0123456789abcdef"
"""Stands for the run of the example, whose name is a digest."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What `make demo` leaves, of twelve small tiles; a montage; weights of a finder."""
    folder = tmp_path_factory.mktemp("docs")
    (drawn,) = preset("experiment", seed=7, columns=4, rows=3)
    changes = {"optics.image_size": (144, 192), "fragments.per_tile": 4, "hips.per_tile": 1}
    foil = replace(with_parameters(drawn, changes), foil="demo")
    scan = folder / "demo" / "scan"
    write_smartscope(scan, foil.scan, foil.read_tile, foil=foil.foil_record)
    assert foil.scan.name == "demo-front"
    write_table(
        folder / "demo" / "truth.csv", drop_overlap_copies(foil.truth(), foil.optics.image_size)
    )
    assert main(["find", str(scan), "-o", str(folder / "demo" / "pits.csv")]) == 0
    shutil.copytree(SHIPPED.parent / "finder", folder / "tuned-finder")
    _draw_montage(folder / "sheet.bmp", foil)
    return folder


def _draw_montage(path, foil):
    """The backlit pictures as 9 × 12 cells, separated by dark lines."""
    (light,) = (i for i, c in enumerate(foil.scan.channels) if c.role == "backlit")
    cells = [foil.read_tile(n)[light, :100, :100] for n in range(1, 13)]
    sheet = np.zeros((9 * 101 + 1, 12 * 101 + 1), np.uint8)
    for row in range(9):
        for column in range(12):
            y, x = 1 + 101 * row, 1 + 101 * column
            sheet[y : y + 100, x : x + 100] = cells[(row + column) % 12]
    Image.fromarray(sheet).save(path)


def _marked(page):
    return pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else [])


@pytest.mark.parametrize(
    "page", [_marked(p) for p in PAGES if any("etchscope " in line for line in shell(PAGES[p]))]
)
def test_the_commands_of_a_page_run_in_their_order(page, demo, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(demo, tmp_path / "here")
    monkeypatch.chdir(folder)
    for line in shell(PAGES[page]):
        if line.startswith(tuple(PARSED_ONLY)):
            continue
        if A_RUN in line:
            line = line.replace(A_RUN, Store.open("plate7").runs.latest("demo-front"))
        more = next((m for start, m in SMALLER.items() if line.startswith(start)), [])
        assert main([*shlex.split(line)[1:], *more]) == 0, (line, capsys.readouterr().err)
        capsys.readouterr()


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page in PAGES for code in blocks("python", PAGES[page])]
)
def test_python_examples_run(page, code, demo, monkeypatch, capsys):
    monkeypatch.chdir(demo)
    exec(compile(code, page, "exec"), {"__name__": "example"})
    assert capsys.readouterr().out or "print" not in code
