from collections.abc import Callable
from types import SimpleNamespace

import pytest
from tests.draw.scans import make_pits, make_scan, picture_of, unplaced

from etchscope.foil import Scan


@pytest.fixture
def scan() -> Scan:
    return make_scan()


@pytest.fixture
def scan_of() -> Callable[..., Scan]:
    return make_scan


@pytest.fixture
def without_place() -> Callable[[Scan], Scan]:
    return unplaced


@pytest.fixture
def pits_of():
    return make_pits


@pytest.fixture
def shown() -> SimpleNamespace:
    """A scan, its pits and its thumbnails."""
    scan = make_scan()
    return SimpleNamespace(scan=scan, pits=make_pits(scan), thumbnails=picture_of)
