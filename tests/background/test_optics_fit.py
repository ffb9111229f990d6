import numpy as np
import pandas as pd
import pytest

from etchscope.background.examples import choose_examples, cut_examples, group_examples
from etchscope.background.optics_fit import OpticsModel, fit_optics
from etchscope.foil import BadInput, as_pits
from etchscope.imaging import Recipe, fit_normalisation
from etchscope.simulation import Fragments, Hips, Optics, Population, SimulatedScan

OPTICS = Optics(image_size=(200, 260), blur_um=9.0, elevation_deg=30.0)
FOIL = SimulatedScan(
    seed=3,
    columns=2,
    rows=2,
    population=Population(Hips(per_tile=0), Fragments(per_tile=250)),
    optics=OPTICS,
)


@pytest.fixture(scope="module")
def groups():
    truth = FOIL.truth().drop(columns=["particle", "removed_um", "length_um"])
    raws = {t.number: FOIL.read_tile(t.number) for t in FOIL.scan.tiles}
    examples = choose_examples(truth, OPTICS.image_size)
    normalisation = fit_normalisation(raws.values(), Recipe())
    return group_examples(examples, *cut_examples(examples, raws.items(), normalisation))


def test_examples_show_what_the_pits_of_each_surface_look_like(groups):
    surfaces = [g.surface for g in groups]
    assert set(surfaces) == {"top", "bottom"}
    for group in groups:
        size = group.light.shape[1]
        assert group.light[8, size // 2, size // 2] < 0.8  # dark in transmitted light
        np.testing.assert_allclose(group.light[:, 0].mean(), 1, atol=0.03)
        # The wall that faces lamp 2, at 112.5°, is bright on top and dark below; y is down.
        here, there = (
            group.light[1, size // 2 + 4, size // 2],
            group.light[1, size // 2 - 4, size // 2],
        )
        assert (here > there) == (group.surface == "top")


def test_a_fit_describes_the_pictures_better_than_the_start(groups):
    model = OpticsModel(groups, FOIL.scan, FOIL.sheet, 1.585)
    start = float((model.residuals(np.full(len(model.names), 0.5)) ** 2).sum()) / len(groups)
    few = {"starts": 1, "draws": 6, "steps": 3}
    fits = fit_optics(groups, FOIL.scan, FOIL.sheet, 1.585, **few)
    assert len(fits) == 6
    assert max(fit.cost for fit in fits) < 0.5 * start
    drawn = pd.DataFrame([fit.parameters for fit in fits])
    assert drawn["elevation_deg"].median() < 42  # of 18 to 75; true is 30
    # What decides the pictures scatters little, and what does not has its whole range.
    assert drawn["elevation_deg"].std() < 12
    assert drawn["hiding"].std() > 0.1
    optics = fits[0].optics(FOIL.scan, 40, 50)
    assert (optics.image_size, optics.vignetting) == ((40, 50), 0)


def test_too_few_pits_are_refused():
    few = as_pits(pd.DataFrame({"x_px": [50.0] * 5, "y_px": [50.0] * 5, "radius_px": 6.0}))
    with pytest.raises(BadInput, match="to learn the optics from"):
        choose_examples(few.assign(ellipticity=0.0), (100, 100))
