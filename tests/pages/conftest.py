from collections.abc import Callable

import pytest
from tests.draw.scans import make_pits, make_scan, picture_of, unplaced

from etchscope.foil import Scan
from etchscope.pages import ReportContent


@pytest.fixture
def scan() -> Scan:
    return make_scan()


@pytest.fixture(scope="session")
def scan_of() -> Callable[..., Scan]:
    return make_scan


@pytest.fixture
def without_place() -> Callable[[Scan], Scan]:
    return unplaced


@pytest.fixture
def pits_of():
    return make_pits


@pytest.fixture(scope="session")
def make() -> Callable[..., ReportContent]:
    """Make a report's content: `scan`, `pits` and any further field may be given."""

    def content(**given):
        scan = given.pop("scan", None) or make_scan()
        pits = given.pop("pits", None)
        fields = {"record": {}, "thumbnails": picture_of} | given
        return ReportContent(make_pits(scan) if pits is None else pits, scan, **fields)

    return content
