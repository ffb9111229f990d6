import numpy as np
import pytest

from etchscope.foil.types import Floats
from etchscope.simulation import (
    Fragments,
    Hips,
    Population,
    SimulatedScan,
    Stage,
    Stars,
    drop_overlap_copies,
    list_prongs,
)


def _foil(side="front", **stars):
    population = Population(Hips(per_tile=2), Fragments(per_tile=5), Stars(per_tile=40, **stars))
    return SimulatedScan(
        4, 1, 1, population, stage=Stage(rotation_deg=1.0, offset_mm=(0.3, 0.2)), side=side
    )


@pytest.mark.parametrize("side", ["front", "back"])
def test_openings_of_a_star_lie_around_its_vertex(side):
    foil = _foil(side)
    prongs = list_prongs(foil).set_index("particle")
    truth = drop_overlap_copies(foil.truth(), foil.scan.image_size)
    of_star = truth["class"].str.endswith(".spallation")
    assert of_star.sum() > 10
    assert set(truth[of_star]["particle"]) <= set(prongs.index)
    assert not set(truth[~of_star]["particle"]) & set(prongs.index)
    own = truth[of_star]
    vertex = prongs.loc[own["particle"], ["x_mm", "y_mm"]].to_numpy()
    away: Floats = np.hypot(*(own[["x_mm", "y_mm"]].to_numpy() - vertex).T)
    assert np.median(away) < 0.06
    # Less than the length of a prong and half of its opening.
    assert (1000 * away < own["length_um"] + 12 * own["radius_px"]).all()


def test_prongs_of_a_star_share_a_vertex_and_have_their_kinds_directions():
    two = list_prongs(_foil(kinds=("back-to-back",)))
    assert (two.groupby("star").size() == 2).all()
    assert np.allclose(two.groupby("star")["zenith_deg"].sum(), 180)
    forward = list_prongs(_foil(kinds=("forward",), max_prongs=9))
    assert forward["zenith_deg"].max() < 60.001
    assert forward.groupby("star").size().max() > 6
    assert (forward.groupby("star")[["x_mm", "y_mm", "depth_um"]].nunique() == 1).all(axis=None)
    assert forward["star"].nunique() == forward.groupby(["x_mm", "y_mm"]).ngroups


def test_a_foil_without_stars_has_no_prongs():
    assert len(list_prongs(SimulatedScan(1, 1, 1, Population()))) == 0
