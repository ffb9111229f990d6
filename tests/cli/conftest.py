import re

import pytest

PROGRESS = re.compile(
    r"^[\w ,.-]+: [\d,]+( of [\d,]+)?, \S+ per second(, .* left)?\n", re.MULTILINE
)


@pytest.fixture
def beside_progress():
    """What a command wrote to stderr beside the lines that say how far it is."""
    return lambda err: PROGRESS.sub("", err)
