import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.imaging import D4
from etchscope.learn import (
    Lights,
    Patches,
    Training,
    build_network,
    measure_features,
    read_given,
    train_expert,
)
from etchscope.learn.augment import move_batch
from etchscope.learn.given import draw_given, list_patterns, mask_planes, vary_planes

PLANES = Lights.of_planes()
ALL = np.ones((1, 5), np.float32)


@pytest.fixture
def patches(make_planes):
    return make_planes(24)[0]


def test_a_light_that_is_left_out_leaves_nothing_of_itself(patches):
    given = np.tile(np.float32([1, 0, 0, 1, 0]), (24, 1))
    out = mask_planes(patches.pixels, given)
    assert (out[:, [3, 4, 5, 7]] == 0).all()
    np.testing.assert_array_equal(out[:, [0, 1, 2, 6]], patches.pixels[:, [0, 1, 2, 6]])
    np.testing.assert_array_equal(out[:, 8:, 3, 7], given)
    assert (patches.pixels[:, 8:] == 1).all()


def test_every_set_of_lights_comes_and_none_is_empty():
    drawn = draw_given(np.random.default_rng(0), np.tile(ALL, (4000, 1)))
    assert drawn.any(1).all()
    words = {"".join(f"{int(v)}" for v in row) for row in drawn}
    assert sorted(words) == list_patterns(ALL, with_less=True)
    assert len(words) == 19
    # Without lamps there are no harmonics.
    assert not drawn[drawn[:, 0] == 0][:, 1:3].any()
    alone = np.float32([[0, 0, 0, 1, 0]])
    assert list_patterns(alone, with_less=True) == ["00010"]
    assert list_patterns(ALL, with_less=False) == ["11111"]
    np.testing.assert_array_equal(draw_given(np.random.default_rng(0), alone), alone)


def test_what_is_varied_says_of_itself_what_is_there(patches):
    rng = np.random.default_rng(1)
    told = [vary_planes(rng, patches.pixels, 0.7) for _ in range(20)]
    out = np.concatenate(told)
    given = out[:, 8:, 0, 0]
    assert (out[:, 8:] == given[:, :, None, None]).all()
    light_of = [0, 0, 0, 1, 1, 2, 3, 4]
    np.testing.assert_array_equal(out[:, :8].any((2, 3)), given[:, light_of] > 0)
    whole = vary_planes(rng, patches.pixels, 0.0)
    assert (whole[:, 8:] == 1).all()
    assert _is_shifted(whole, patches.pixels)
    gain = _norms(whole) / _norms(patches.pixels)
    assert 0.1 < np.log(gain).std() < 0.35


def _norms(pixels):
    return np.sqrt((pixels[:, :8] ** 2).sum((1, 2, 3), keepdims=True))


def _is_shifted(out, pixels):
    """Whether pictures are others moved by up to a pixel, but for contrast and the edge."""
    inside = (slice(None), slice(8), slice(2, -2), slice(2, -2))
    here = out[inside] / _norms(out[inside])
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            there = np.roll(pixels, (y, x), (2, 3))[inside]
            if np.allclose(here, there / _norms(there), atol=1e-4):
                return True
    return False


@pytest.mark.parametrize("augmentation", ["C4", "D4"])
def test_planes_are_moved_as_the_scene(patches, augmentation):
    """A batch is one of the moved ones, and all of them come."""
    pixels = patches.pixels[:3]
    training = Training(network="plain", lights="any", augmentation=augmentation, left_out=0)
    wanted = {}
    for g in D4[: 4 if augmentation == "C4" else 8]:
        mixed = np.einsum("dc,ncyx->ndyx", PLANES.mixing(g), pixels)
        mixed = mixed[..., ::-1] if g.mirrored else mixed
        wanted[g] = np.rot90(mixed, g.quarter_turns, (2, 3))
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        out = move_batch(pixels, PLANES, rng, training).numpy()
        (same,) = [g for g, w in wanted.items() if _is_shifted(out, w)]
        seen.add(same)
    assert seen == set(wanted)


def test_planes_cannot_be_turned_from_lamp_to_lamp(make_planes):
    patches, is_top = make_planes(24)
    training = Training(network="plain", lights="any", augmentation="C8")
    validation = np.arange(24) % 3 == 0
    text = "training: augmentation: expected none, C4 or D4 for planes, found 'C8'"
    with pytest.raises(BadInput, match=text):
        train_expert(patches, is_top, training, validation=validation, seed=0)


@pytest.mark.parametrize("symmetry", D4)
@pytest.mark.parametrize("size", [28, 20])
def test_the_network_on_planes_does_not_change_under_the_symmetries(symmetry, size):
    import torch

    rng = np.random.default_rng(3)
    pixels = rng.normal(0, 0.5, (4, 13, size, size)).astype(np.float32)
    pixels[:, 8:] = rng.integers(0, 2, (4, 5, 1, 1))
    module = build_network("equivariant", PLANES, size, 2, seed=1)

    def said(values):
        with torch.inference_mode():
            return module(torch.from_numpy(np.ascontiguousarray(values, np.float32))).numpy()

    def turned(values):
        values = values[..., ::-1] if symmetry.mirrored else values
        return np.rot90(values, symmetry.quarter_turns, (2, 3))

    mixed = np.einsum("dc,ncyx->ndyx", PLANES.mixing(symmetry), pixels)
    here = said(pixels)
    assert np.abs(said(turned(mixed)) - here).max() < 1e-5
    if symmetry != D4[0]:  # forgotten to mix the harmonics
        assert np.abs(said(turned(pixels)) - here).max() > 1e-2


def test_the_network_knows_what_lights_there_are():
    import torch

    module = build_network("equivariant", PLANES, 16, seed=1)
    pixels = torch.zeros((2, 13, 16, 16))
    pixels[1, 8:] = 1
    one, other = module(pixels).tolist()
    assert one != other


@pytest.mark.parametrize("symmetry", D4)
def test_no_symmetry_changes_a_feature_of_planes(patches, symmetry):
    mixed = np.einsum("dc,ncyx->ndyx", PLANES.mixing(symmetry), patches.pixels)
    moved = mixed[..., ::-1] if symmetry.mirrored else mixed
    moved = np.rot90(moved, symmetry.quarter_turns, (2, 3)).astype(np.float32)
    there = Patches(moved, PLANES, patches.region, patches.row)
    np.testing.assert_allclose(
        measure_features(there), measure_features(patches), rtol=1e-4, atol=1e-4
    )


def test_features_of_planes_are_those_of_the_lights(make_planes):
    """The planes say of the first harmonic what the lamps do; what is not there is nan."""
    patches, is_top = make_planes(24)
    names = _names()
    inwards = measure_features(patches)[:, names.index("slope in 1")]
    assert inwards[is_top].max() < 0 < inwards[~is_top].min()
    less = mask_planes(patches.pixels, np.tile(np.float32([0, 0, 0, 1, 0]), (24, 1)))
    told = measure_features(Patches(less, PLANES, patches.region, patches.row))
    there = ~np.isnan(told[0])
    assert [n for n, t in zip(names, there, strict=True) if t] == [
        n for n in names if n.startswith("backlit") or n == "grain backlit"
    ]
    np.testing.assert_array_equal(told[:, there], measure_features(patches)[:, there])
    assert read_given(patches).all()


def _names():
    from etchscope.learn import feature_names

    return feature_names(PLANES)


def test_an_expert_on_planes_learns_under_any_lights(make_planes):
    patches, is_top = make_planes(96)
    validation = np.arange(96) % 4 == 0
    training = Training(lights="any", epochs=12, batch=16, width=0.5, depth=2, rate=1e-2)
    expert = train_expert(patches, is_top, training, validation=validation, seed=1)
    others, truth = make_planes(60, seed=5)
    assert ((expert.scores(others) > 0) == truth).mean() > 0.95
    lamps = mask_planes(others.pixels, np.tile(np.float32([1, 0, 0, 0, 0]), (60, 1)))
    said = expert.scores(Patches(lamps, PLANES, others.region, others.row))
    assert ((said > 0) == truth).mean() > 0.9


def test_lights_as_they_are_are_no_planes(patches):
    with pytest.raises(BadInput, match="patches: expected planes of any lights, found 3 lights"):
        Lights((0.0, 90.0), ("halo",)).used("any")
    with pytest.raises(BadInput, match="patches: expected directional channels, found planes"):
        PLANES.used("lamps")
    order, lights = PLANES.used("any")
    assert order.tolist() == list(range(13))
    assert lights.are_planes
