import json
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from etchscope.cli.app import app
from etchscope.foil import COLUMNS, flag_legend
from etchscope.ingest.scan_json import read_scan_json

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
GROUPS = typer.main.get_command(app).commands
COMMANDS = {
    " ".join([name, *sub]): command
    for name, group in GROUPS.items()
    for *sub, command in (
        [(n, c) for n, c in group.commands.items()] if hasattr(group, "commands") else [(group,)]
    )
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


SHELL = [line for block in blocks("sh") for line in block.splitlines()]
LINES = [line for line in SHELL if line.startswith("etchscope ")]


def split(line):
    """The command's name, two words in a group, and the words after it."""
    words = shlex.split(line)[1:]
    length = 1 if words[0] in COMMANDS else 2
    return " ".join(words[:length]), words[length:]


def test_the_two_commands_come_first():
    assert SHELL[:2] == ["make demo", "make test"]


def test_every_command_of_the_line_is_shown():
    shown = {split(line)[0] for line in LINES} | {"demo"}
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("line", LINES)
def test_a_command_and_its_options_are_understood(line):
    name, words = split(line)
    context = COMMANDS[name].make_context(name, words)
    assert context.command is COMMANDS[name]


def test_every_option_in_the_text_is_one_of_a_command():
    known = {o for c in COMMANDS.values() for p in c.params for o in p.opts} | {"--help"}
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known


def test_the_example_of_scan_json_is_read(tmp_path):
    (example,) = blocks("json")
    path = tmp_path / "scan.json"
    path.write_text(example, encoding="utf-8")
    scan = read_scan_json(path)
    assert scan.metadata() == {}  # no key that the format does not know
    assert [c.azimuth_deg for c in scan.channels] == [67.5, 112.5, 157.5, None]
    assert json.loads(example)["layout"] == scan.layout


def test_the_pit_table_is_the_data_dictionarys():
    table = README.split("## The pit table")[1].split("##")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert [n for row in rows for n in re.findall(r"`(\w+)`", row)] == [c.name for c in COLUMNS]
    bits = re.search(r"bits: (.*?) \|", table)
    assert [int(n) for n in re.findall(r"\b(\d+) ", bits[1])] == list(flag_legend().values())


def test_the_table_of_folders_is_what_there_is():
    package = Path(__file__).parents[1] / "src" / "etchscope"
    folders = {p.parent.name for p in package.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE)) == folders
