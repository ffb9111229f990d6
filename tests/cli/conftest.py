import re

import pytest

PROGRESS = re.compile(
    r"^[\w ,.-]+: [\d,]+( of [\d,]+)?, \S+ per second(, .* left)?\n", re.MULTILINE
)


@pytest.fixture
def beside_progress():
    """What a command wrote to stderr beside the lines that say how far it is."""
    return lambda err: PROGRESS.sub("", err)


@pytest.fixture(autouse=True)
def no_lines_of_progress(monkeypatch):
    """How fast the machine is must not decide what a command writes."""
    monkeypatch.setattr("etchscope.progress._LEAST_S", float("inf"))
    monkeypatch.setattr("etchscope.progress._PAUSE_S", float("inf"))
