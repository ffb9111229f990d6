import numpy as np
import pandas as pd
import pytest
from tests.store.conftest import make

from etchscope.foil import BadInput
from etchscope.store import Store
from etchscope.store.injections import Injection

PITS = {"x_px": np.array([3.0, 4.5]), "surface": np.array(["top", "bottom"])}


@pytest.fixture
def both(tmp_path):
    """A store with a scan, and an injected one of its first three tiles."""
    store, made = Store.create(tmp_path / "store"), make(tiles=4)
    store.scans.add(made.scan, made.foil, made.read)
    scan = made.scan.model_copy(
        update={"name": "F1-front-injected-1", "tiles": made.scan.tiles[:3]}
    )
    store.scans.add(scan, made.foil, made.read, injection=Injection("F1-front", PITS, {"seed": 7}))
    return store


def test_an_injected_scan_says_what_it_was_made_of(both):
    assert both.injections.sources() == {"F1-front-injected-1": "F1-front"}
    assert both.injections.original_names() == ["F1-front"]
    assert both.injections.made_by("F1-front-injected-1") == {"seed": 7}
    pits = both.injections.pits("F1-front-injected-1")
    assert pits["surface"].tolist() == ["top", "bottom"]
    assert pits["x_px"].tolist() == [3.0, 4.5]
    assert both.scans.table().set_index("scan")["injected_from"].to_dict() == {
        "F1-front": pytest.approx(np.nan, nan_ok=True),
        "F1-front-injected-1": "F1-front",
    }
    assert both.check() == []
    with pytest.raises(BadInput, match="expected an injected scan"):
        both.injections.pits("F1-front")


def test_a_scan_is_marked_in_the_transaction_that_adds_it(tmp_path):
    store, made = Store.create(tmp_path / "store"), make(tiles=2)
    with pytest.raises(BadInput, match="nowhere"):
        store.scans.add(made.scan, made.foil, made.read, injection=Injection("nowhere", PITS, {}))
    assert store.scans.names() == []
    assert list((tmp_path / "store" / "images").glob("*.zarr")) == []


def test_only_real_scans_pass_where_injected_ones_are_refused(both):
    both.injections.refuse("F1-front", "training")
    with pytest.raises(BadInput, match="training: expected a scan as the microscope took it"):
        both.injections.refuse("F1-front-injected-1", "training")


def test_removing_it_leaves_the_source_as_it_was(both):
    before = both.scans.digest("F1-front"), both.scans.read_tile("F1-front", 1).tobytes()
    removal = both.scans.remove("scan = 'F1-front-injected-1' and tile = 1")
    assert removal.scans == ("F1-front-injected-1",)  # never a part, which would lose the mark
    assert both.scans.names() == ["F1-front"]
    assert both.injections.sources() == {}
    assert (both.scans.digest("F1-front"), both.scans.read_tile("F1-front", 1).tobytes()) == before
    assert both.check() == []


def test_it_goes_with_any_tile_of_its_source(both):
    removal = both.scans.remove("scan = 'F1-front' and tile = 4")
    assert removal.scans == ("F1-front-injected-1",)
    assert removal.tiles == (("F1-front", (4,)),)
    assert both.scans.names() == ["F1-front"]
    assert both.check() == []


def test_no_label_is_given_on_it(both):
    label = {"tile": 1, "x_px": 3.0, "y_px": 4.0, "class": "top", "who": "anna", "source": "person"}
    table = pd.DataFrame([{**label, "scan": "F1-front-injected-1", "when": "2026-05-01"}])
    with pytest.raises(BadInput, match="into which signal was injected"):
        both.labels.add(table)
    assert both.labels.add(table.assign(scan="F1-front")) == 1
