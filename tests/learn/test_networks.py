import numpy as np
import pytest
import torch

from etchscope.foil import BadInput
from etchscope.imaging import D4
from etchscope.learn import NETWORKS, Lights, build_network
from etchscope.learn.networks import EquivariantNetwork

EIGHT = Lights(tuple(22.5 + 45 * k for k in range(8)), ("backlit", "halo"))
FOUR = Lights((0.0, 90.0, 180.0, 270.0))
SKEW = Lights((22.5, 112.5, 202.5, 292.5), ("backlit",))  # turns, but no mirrors


def _patches(lights, n=6, size=28, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.3, (n, lights.count, size, size)).astype(np.float32)


def _moved(symmetry, patches, lights):
    azimuths = np.asarray(lights.azimuths_deg)
    lamps = np.arange(len(azimuths))
    return np.stack([symmetry.pictures(p, azimuths, lamps) for p in patches])


def _answers(module, patches):
    with torch.inference_mode():
        return module(torch.from_numpy(np.ascontiguousarray(patches))).numpy()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("outputs", [1, 4])
def test_every_network_gives_an_answer_a_patch_the_same_alone_and_together(name, outputs):
    module = build_network(name, EIGHT, 28, outputs, seed=1).eval()
    patches = _patches(EIGHT)
    together = _answers(module, patches)
    assert together.shape == (6, outputs)
    alone = np.concatenate([_answers(module, patches[k : k + 1]) for k in range(6)])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    # The same in training and in use, but that there each lamp's picture is an example.
    trained = _answers(module.train(), patches).reshape(-1, 6, outputs)
    assert len(trained) == (8 if name == "each-lamp" else 1)
    np.testing.assert_allclose(trained.mean(0), together, atol=1e-6)
    assert together.std() > 1e-3


@pytest.mark.parametrize("symmetry", D4)
@pytest.mark.parametrize("lights", [EIGHT, FOUR, SKEW])
@pytest.mark.parametrize("size", [28, 20])
def test_the_equivariant_network_s_answer_does_not_change(symmetry, lights, size):
    if symmetry.mirrored and lights is SKEW:
        with pytest.raises(BadInput, match="maps onto themselves"):
            EquivariantNetwork(lights, size, 3, elements=D4)
        return
    module = build_network("equivariant", lights, size, 3, seed=2)
    patches = _patches(lights, size=size)
    here, there = (_answers(module, p) for p in (patches, _moved(symmetry, patches, lights)))
    np.testing.assert_allclose(there, here, atol=1e-5)


def test_forgetting_to_roll_the_channels_changes_the_answer():
    module = build_network("equivariant", EIGHT, 28, seed=2)
    patches = _patches(EIGHT)
    here = _answers(module, patches)
    forgotten = _answers(module, np.rot90(patches, 1, (2, 3)))
    assert np.abs(forgotten - here).max() > 1e-2
    wrong_way = np.rot90(np.roll(patches[:, :8], -2, axis=1), 1, (2, 3))
    wrong_way = np.concatenate([wrong_way, np.rot90(patches[:, 8:], 1, (2, 3))], axis=1)
    assert np.abs(_answers(module, wrong_way) - here).max() > 1e-2


@pytest.mark.parametrize("contrast", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize(("width", "depth"), [(1.0, 3), (0.5, 4), (2.0, 2)])
def test_neither_faint_nor_strong_pictures_break_the_symmetry(contrast, width, depth):
    """Normalisation would magnify what rounding makes of nearly flat features."""
    module = build_network("equivariant", EIGHT, 28, 2, seed=4, width=width, depth=depth)
    patches = contrast * _patches(EIGHT, n=4)
    here = _answers(module, patches)
    worst = max(np.abs(_answers(module, _moved(g, patches, EIGHT)) - here).max() for g in D4)
    assert worst < 1e-5
    forgotten = np.abs(_answers(module, np.rot90(patches, 1, (2, 3))) - here).max()
    assert contrast < 1 or forgotten > 1000 * worst


@pytest.mark.parametrize("lights", [EIGHT, FOUR, SKEW, Lights((), ("backlit", "halo"))])
def test_the_network_has_every_symmetry_that_the_lamps_have_and_no_other(lights):
    module = build_network("equivariant", lights, 16, seed=5)
    mirrors = 0 if lights is SKEW else 4
    assert len(module.elements) == 4 + mirrors
    patches = _patches(lights, size=16)
    here = _answers(module, patches)
    for g in module.elements:
        moved = _answers(module, _moved(g, patches, lights))
        np.testing.assert_allclose(moved, here, atol=1e-5)
    if lights is SKEW:
        mirrored = _answers(module, patches[..., ::-1])
        assert np.abs(mirrored - here).max() > 1e-2


def test_the_other_networks_do_not_have_the_symmetry():
    for name in ("plain", "azimuth"):
        module = build_network(name, EIGHT, 28, seed=2)
        patches = _patches(EIGHT)
        moved = _answers(module, _moved(D4[1], patches, EIGHT))
        assert np.abs(moved - _answers(module, patches)).max() > 1e-3


def test_the_azimuth_network_s_circle_is_closed_and_its_answer_knows_the_lamps():
    """Up to the head, rolled lamps are rolled features; after it, top and bottom differ."""
    lights = Lights(EIGHT.azimuths_deg)
    module = build_network("azimuth", lights, 28, seed=3)
    patches = _patches(lights)
    rolled = np.roll(patches, 4, axis=1)
    assert np.abs(_answers(module, rolled) - _answers(module, patches)).max() > 1e-3
    module.head = torch.nn.Identity()
    here, there = (_answers(module, p).reshape(6, -1, 8) for p in (patches, rolled))
    np.testing.assert_allclose(there, np.roll(here, 4, axis=2), atol=1e-5)


def test_a_seed_decides_the_weights_and_leaves_torch_s_own():
    before = torch.random.get_rng_state()
    one, again, other = (build_network("plain", EIGHT, 28, seed=s) for s in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    patches = _patches(EIGHT)
    np.testing.assert_array_equal(_answers(one, patches), _answers(again, patches))
    assert (_answers(one, patches) != _answers(other, patches)).all()


def test_what_a_network_cannot_be_is_refused():
    with pytest.raises(BadInput, match="network: expected plain or each-lamp or azimuth or equi"):
        build_network("deep", EIGHT, 28)
    with pytest.raises(BadInput, match="expected lamps that a turn by 90° or a mirror maps"):
        build_network("equivariant", Lights((0.0, 30.0, 200.0)), 28)
    with pytest.raises(BadInput, match="patch size: expected an even number of pixels, found 27"):
        build_network("equivariant", EIGHT, 27)
    with pytest.raises(BadInput, match="each-lamp network: expected lamps, found no directional"):
        build_network("each-lamp", Lights((), ("backlit",)), 28)
    with pytest.raises(BadInput, match="azimuth network: expected three lamps or more, found 2"):
        build_network("azimuth", Lights((0.0, 90.0)), 28)
    with pytest.raises(BadInput, match="patch size: expected 16 pixels or more for depth 4, found"):
        build_network("plain", EIGHT, 14, depth=4)
    for wrong in ({"depth": 1}, {"depth": 5}, {"width": 0.0}, {"width": 11.0}):
        with pytest.raises(BadInput, match=r"network: expected depth 2 to 4, width 0\.1 to 10"):
            build_network("plain", EIGHT, 28, **wrong)
