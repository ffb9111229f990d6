import subprocess
import sys

import pytest

import etchscope
from etchscope.api import find_pits
from etchscope.preselect.settings import FindSettings
from etchscope.store import Store

HEAVY = (
    "cv2",
    "dask",
    "duckdb",
    "fastapi",
    "matplotlib",
    "pandas",
    "sqlalchemy",
    "torch",
    "zarr",
)


def test_the_public_names_are_frozen():
    assert etchscope.__all__ == ["FindSettings", "Store", "__version__", "find_pits"]
    assert dir(etchscope) == sorted(etchscope.__all__)
    assert etchscope.FindSettings is FindSettings
    assert etchscope.Store is Store
    assert etchscope.find_pits is find_pits
    with pytest.raises(AttributeError, match="module 'etchscope' has no attribute 'finds'"):
        _ = etchscope.finds


def _loaded(statement: str) -> set[str]:
    code = f"import sys, etchscope; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if name in HEAVY}


def test_the_import_loads_nothing_heavy():
    assert _loaded("etchscope.__version__") == set()
    assert _loaded("dir(etchscope)") == set()


def test_the_search_of_an_array_loads_the_network_and_no_figures():
    loaded = _loaded("etchscope.find_pits")
    assert "torch" in loaded
    assert not {"matplotlib", "uvicorn"} & loaded
    assert _loaded("etchscope.Store") == {"duckdb", "pandas", "sqlalchemy"}  # Zarr with pictures
