import re

import pytest
import typer.main

from etchscope.cli import hints
from etchscope.cli.app import app, main
from etchscope.cli.hints import hint_of
from etchscope.foil import BadInput, NotAStore, NotSearched


def test_an_error_of_a_kind_is_followed_by_what_to_do(tmp_path, capsys):
    assert main(["ls", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.endswith("no catalogue.sqlite there. Make a store with `etchscope init`.\n")


def test_the_library_says_nothing_of_the_command_line(tmp_path):
    from etchscope.store import Store

    with pytest.raises(NotAStore) as caught:
        Store.open(tmp_path / "none")
    assert "etchscope init" not in str(caught.value)


def test_only_named_errors_have_a_hint():
    assert hint_of(NotSearched("scan a", "a search", "none")) == "Start with `etchscope find`."
    assert hint_of(BadInput("a", "b", "c")) == ""
    assert hint_of(ValueError("x")) == ""


@pytest.mark.parametrize("text", hints._HINTS.values())
def test_a_hint_is_a_sentence_whose_commands_there_are(text):
    assert text[0].isupper()
    assert text.endswith(".")
    for words in re.findall(r"`etchscope ([^`]+)`", text):
        group = typer.main.get_command(app)
        for word in words.split():
            group = getattr(group, "commands", {}).get(word, group)
        assert group.name in words.split()
    assert "`" not in re.sub(r"`(etchscope |--)[^`]+`", "", text)
