from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import pytest
import typer
from pydantic import BaseModel, Field

from etchscope.cli.options import make_settings, settings_options
from etchscope.foil import BadInput
from etchscope.preselect import FindSettings


class Model(BaseModel):
    size_px: int = Field(default=7, description="Size of a patch, in px.", ge=4)
    hidden: int = 1
    how: Literal["plain", "turned"] = Field(default="plain", description="How patches are seen.")


@dataclass(frozen=True)
class Frozen:
    size_px: int = field(default=7, metadata={"description": "Size of a patch, in px."})
    hidden: int = 1
    how: Literal["plain", "turned"] = field(
        default="plain", metadata={"description": "How patches are seen."}
    )


def answer(settings, *words):
    """Return the settings that a command is given, and its options."""
    given = {}

    @settings_options("settings", settings)
    def command(
        first: int = 0,
        settings: Mapping[str, Any] = MappingProxyType({}),
        last: bool = False,
    ) -> None:
        """Do it."""
        given.update(settings, first=first, last=last)

    app = typer.Typer()
    app.command()(command)
    made = typer.main.get_command(app)
    made.main(list(words), standalone_mode=False)
    return given, {p.opts[0]: p for p in made.params}


@pytest.mark.parametrize("settings", [Model, Frozen])
def test_described_settings_are_options_in_the_place_of_the_parameter(settings):
    words = ("--first", "3", "--size-px", "5", "--last")
    given, options = answer(settings, *words)
    assert given == {"first": 3, "size_px": 5, "last": True}
    assert list(options)[:4] == ["--first", "--size-px", "--how", "--last"]
    assert options["--size-px"].help == "Size of a patch, in px [7]."
    assert answer(settings, "--how", "turned")[0]["how"] == "turned"
    with pytest.raises(Exception, match="'plain', 'turned'"):
        answer(settings, "--how", "odd")
    assert answer(settings)[0] == {"first": 0, "last": False}


def test_a_value_that_cannot_be_names_its_option():
    assert make_settings(Model, {"size_px": 5}).size_px == 5
    with pytest.raises(BadInput, match="--size-px: expected greater than or equal to 4, found 3"):
        make_settings(Model, {"size_px": 3})


def test_the_settings_of_the_search_are_options():
    _, options = answer(FindSettings)
    assert options["--binning"].help == (
        "Classical finder: pixels per side that are binned; 1 is finer [2]."
    )
    assert "--density-mm" not in options
