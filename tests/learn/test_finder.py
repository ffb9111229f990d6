"""The finder's network: exact symmetry, plain form, targets, loss and training."""

import numpy as np
import pytest
import torch

from etchscope.foil import BadInput
from etchscope.foil.openings import MAPS, map_index
from etchscope.imaging import D4, Lighting
from etchscope.imaging.planes import plane_representation
from etchscope.learn.finder import FinderNetwork, move_maps
from etchscope.learn.finder_loss import compute_finder_loss
from etchscope.learn.finder_samples import Sample
from etchscope.learn.finder_targets import Openings, make_targets
from etchscope.learn.finder_train import FinderTraining, train_finder
from etchscope.simulation import Population, SimulatedScan, with_parameters

SMALL = (1, 2, 2, 2, 3)


def network(seed=0):
    made = FinderNetwork.seeded(SMALL, seed)
    rng = torch.Generator().manual_seed(1)
    for norm in made.norms.values():
        norm.mean.normal_(0, 0.3, generator=rng)
        norm.variance.uniform_(0.5, 2, generator=rng)
    return made.eval()


def turned(stack, symmetry, mixing):
    stack = stack[:, :, ::-1] if symmetry.mirrored else stack
    stack = np.rot90(stack, symmetry.quarter_turns, (1, 2))
    return np.einsum("ij,jyx->iyx", mixing, stack).astype(np.float32)


@pytest.mark.parametrize("symmetry", D4, ids=str)
def test_the_maps_move_with_the_scene(symmetry):
    planes = np.random.default_rng(0).normal(size=(13, 64, 48)).astype(np.float32)
    finder = network().plain(torch.float32)
    expected = turned(finder(planes), symmetry, move_maps(symmetry))
    got = finder(turned(planes, symmetry, plane_representation(symmetry)))
    assert np.abs(got - expected).max() < 1e-5
    if symmetry.quarter_turns or symmetry.mirrored:  # forgetting the harmonics breaks it
        forgotten = finder(turned(planes, symmetry, np.eye(13)))
        assert np.abs(forgotten - expected).max() > 1e-2


def test_the_plain_form_says_the_same():
    made = network()
    planes = np.random.default_rng(0).normal(size=(13, 32, 32)).astype(np.float32)
    values = {n: (norm.mean.clone(), norm.variance.clone()) for n, norm in made.norms.items()}
    again = FinderNetwork.from_arrays(made.to_arrays(), SMALL)
    assert np.array_equal(again.plain()(planes), made.plain()(planes))
    assert all(torch.equal(again.norms[n].mean, mean) for n, (mean, _) in values.items())


def test_half_precision_says_almost_the_same():
    planes = np.random.default_rng(0).normal(size=(13, 64, 64)).astype(np.float32)
    exact, half = (network().plain(t)(planes) for t in (torch.float32, torch.bfloat16))
    spread = exact.std(axis=(1, 2), keepdims=True)
    assert 0 < np.abs((half - exact) / spread).mean() < 0.05


def test_sides_that_are_no_multiple_of_sixteen_are_filled():
    finder = network().plain()
    planes = np.random.default_rng(0).normal(size=(13, 64, 64)).astype(np.float32)
    assert finder(planes[:, :50, :37]).shape == (len(MAPS), 25, 19)


def test_a_picture_smaller_than_the_field_is_refused():
    with pytest.raises(BadInput, match="at least 32"):
        network().plain()(np.zeros((13, 20, 64), np.float32))


def test_weights_of_another_network_are_refused():
    arrays = network().to_arrays()
    with pytest.raises(BadInput, match="widths"):
        FinderNetwork.from_arrays(arrays, (2, 2, 2, 2, 2))


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((10**6,) * 5, "the weights of a finder of widths"),  # 290 TB, if they were made
        ((10**12,) * 5, "expected widths of a finder"),
        ((0,) * 5, "expected widths of a finder"),
        ((-1,) * 5, "expected widths of a finder"),
        ((2, 2), "expected widths of a finder"),
    ],
)
def test_widths_that_no_machine_holds_are_refused_before_they_are_made(widths, message):
    with pytest.raises(BadInput, match=message):
        FinderNetwork.from_arrays(network().to_arrays(), widths)


def openings(**given):
    columns = {
        "x_px": [20.0, 40.0],
        "y_px": [12.0, 44.0],
        "radius_px": [6.0, 4.0],
        "ellipticity": [0.3, 0.0],
        "angle_deg": [30.0, 0.0],
        "depth_px": [5.0, 3.0],
    } | given
    arrays = {k: np.asarray(v, float) for k, v in columns.items()}
    return Openings(**arrays, surface=np.array([0, 1])[: len(arrays["x_px"])])


def test_targets_say_where_and_what():
    told = make_targets(openings(), (64, 64))
    assert told.heat[0].max() == told.heat[1].max() == 1
    v, u = np.unravel_index(told.heat[0].argmax(), told.heat[0].shape)
    x = 2 * u + 0.5 + told.values[0, 0, v, u]
    y = 2 * v + 0.5 - told.values[0, 1, v, u]
    assert (x, y) == pytest.approx((20, 12), abs=1e-5)
    assert told.values[0, 2, v, u] == pytest.approx(np.log(6))
    assert told.values[0, 3, v, u] == pytest.approx(0.3 * np.cos(np.pi / 3), abs=1e-6)
    assert told.values[0, 5, v, u] == pytest.approx(np.log(5))
    assert (told.heat[2] == 1).sum() == 2


def test_an_opening_of_unknown_surface_is_asked_for_on_either_alone():
    told = make_targets(Openings(**{**vars(openings()), "surface": np.array([2, 2])}), (64, 64))
    assert (told.heat[2] == 1).sum() == 2
    assert told.heat[:2].max() == 0
    assert not told.counts[:2, 6, 10].any()  # it may be of this surface, or not
    assert told.counts[:, 30, 30].all()
    assert not told.near[:2].any()


def test_specks_and_shallow_ones_count_for_nothing():
    told = make_targets(openings(radius_px=[1.5, 4.0], depth_px=[5.0, 0.2]), (64, 64))
    assert told.heat.max() == 0
    assert told.counts[0, 6, 10] == 0
    assert told.counts[1, 22, 20] == 0
    assert told.counts[0, 30, 30] == 1


def test_what_a_speck_is_like_is_taught_even_so():
    told = make_targets(openings(radius_px=[1.5, 4.0]), (64, 64))
    assert told.near[0, 6, 10]
    assert told.values[0, 2, 6, 10] == pytest.approx(np.log(1.5))
    shallow = make_targets(openings(depth_px=[0.2, 3.0]), (64, 64))
    assert not shallow.near[0].any()


def test_an_opening_inside_a_deeper_one_is_hidden():
    both = openings(x_px=[20.0, 21.0], y_px=[20.0, 20.0], radius_px=[8.0, 3.0])
    assert both.is_hidden.tolist() == [False, False]  # of two surfaces
    same = Openings(**{**vars(both), "surface": np.array([0, 0])})
    assert same.is_hidden.tolist() == [False, True]


def test_marks_are_shares_of_cells():
    marked = np.zeros((64, 64), bool)
    marked[10:20, 10] = True
    told = make_targets(openings(), (64, 64), marked)
    assert told.mark[5:10, 5].tolist() == [0.5] * 5
    assert told.mark.sum() == pytest.approx(2.5)


def test_a_perfect_answer_loses_least():
    told = make_targets(openings(), (64, 64))
    wanted = [
        torch.from_numpy(getattr(told, k)[None])
        for k in ("heat", "counts", "values", "near", "mark", "mark_counts")
    ]
    maps = torch.zeros(1, len(MAPS), 32, 32)
    for s, name in enumerate(("top", "bottom", "unknown")):
        maps[0, map_index(name, "heat")] = torch.where(wanted[0][0, s] == 1, 9.0, -9.0)
        first = map_index(name, "dx")
        maps[0, first : first + 6] = wanted[2][0, s]
        maps[0, first + 6 : first + 10] = -3.0
    maps[0, -1] = -9
    best, parts = compute_finder_loss(maps, *wanted)
    for change in ("top.heat", "bottom.dx", "unknown.log_radius", "top.log_depth"):
        worse = maps.clone()
        worse[0, MAPS.index(change)] += 1.0 if change != "top.heat" else -14.0
        assert compute_finder_loss(worse, *wanted)[0] > best + 1e-3, change
    assert parts["heat"] < 0.01


class Drawn:
    """A few pictures of one kind of foil."""

    def __init__(self, count):
        from etchscope.run.school import openings_of

        self.samples = []
        for seed in range(count):
            foil = with_parameters(
                SimulatedScan(seed, columns=1, rows=1, population=Population.of(200, 10)),
                {"optics.image_size": (64, 64)},
            )
            told = openings_of(foil.openings(1), foil.optics.pixel_size_um)
            self.samples.append(Sample(foil.read_tile(1), Lighting.of_scan(foil.scan), told))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, place):
        return self.samples[place]


@pytest.mark.slow
def test_training_goes_on_where_it_stopped():
    samples, plan = Drawn(8), FinderTraining(epochs=6, batch=4)
    whole, states = FinderNetwork.seeded(SMALL, 0), []
    history = train_finder(whole, samples, plan, keep=states.append)
    assert history[5]["heat"] < history[0]["heat"]
    again = FinderNetwork.seeded(SMALL, 5)
    train_finder(again, samples, plan, state=states[2])
    for name, values in whole.to_arrays().items():
        assert np.allclose(again.to_arrays()[name], values, atol=1e-5), name
