import subprocess
import sys

import pytest

import etchscope
from etchscope import api, plot
from etchscope.learn import Training
from etchscope.preselect.settings import FindSettings

HEAVY = (
    "cv2",
    "dask",
    "duckdb",
    "fastapi",
    "matplotlib",
    "pandas",
    "scipy",
    "sqlalchemy",
    "torch",
    "zarr",
)


def test_the_public_names_are_frozen():
    assert etchscope.__all__ == [
        "FindSettings",
        "Store",
        "Training",
        "__version__",
        "evaluate",
        "find_pits",
        "map_density",
        "open",
        "plot",
        "simulate",
    ]
    assert dir(etchscope) == sorted(etchscope.__all__)
    assert etchscope.FindSettings is FindSettings
    assert etchscope.Store is api.Store
    assert etchscope.Training is Training
    assert etchscope.find_pits is api.find_pits
    assert etchscope.simulate is api.simulate
    assert etchscope.evaluate is api.evaluate
    assert etchscope.plot is plot
    assert etchscope.map_density is api.map_density
    assert etchscope.open is api.open_store
    with pytest.raises(AttributeError, match="module 'etchscope' has no attribute 'finds'"):
        _ = etchscope.finds


def _loaded(statement: str) -> set[str]:
    code = f"import sys, etchscope; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if name in HEAVY}


def test_the_import_loads_nothing_heavy():
    assert _loaded("etchscope.__version__") == set()
    assert _loaded("dir(etchscope)") == set()


def test_what_works_on_pictures_is_loaded_when_it_works():
    assert _loaded("etchscope.find_pits") <= {"pandas"}
    # Zarr comes with pictures, SciPy with work on them.
    assert _loaded("etchscope.Store") == {"duckdb", "pandas", "sqlalchemy"}
