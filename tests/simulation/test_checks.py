import pytest

from etchscope.foil import BadInput
from etchscope.simulation import Hips, Optics, Population, Sheet, SimulatedScan, Stage

GIVEN = {"seed": 1, "optics": Optics(image_size=(64, 80))}


def test_signal_that_etches_no_pit_is_refused():
    hips = Hips(charge=40)
    with pytest.raises(BadInput, match=r"makrofol begins at 2700 MeV cm²/g\), found V = 1 at 17"):
        SimulatedScan(seed=1, population=Population(hips))
    silent = Population(Hips(per_tile=0, charge=40))
    assert len(SimulatedScan(seed=1, columns=1, rows=1, population=silent).truth()) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sheet": Sheet(removed_um=220)}, r"pit size in pixels .* expected 0 to 63, found 68"),
        ({"stage": Stage(overlap_px=(80, 0))}, r"tile less stage\.overlap_px.* found 0"),
        (
            {"optics": Optics(image_size=(20000, 20000), channels=Optics().channels)},
            r"optics\.image_size and optics\.channels: expected pictures that fit into",
        ),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(BadInput, match=message):
        SimulatedScan(**(GIVEN | change))
