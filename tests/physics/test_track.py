from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.physics.cone import compute_opening
from etchscope.physics.track import FREE, Measured, fit_tracks

THICKNESS, REMOVED = 500.0, 60.0
ERRORS = {"shift": 3.0, "radius": 0.03, "ellipse": 0.03, "depth": 0.15}
SPREAD = 0.04
STATED = {"shift": 3.0, "log_radius": 0.03, "ellipse": 0.03, "log_depth": 0.15}


def drawn(rng, v, slope, errors=ERRORS, spread=SPREAD):
    """Return what is measured of particles with (n, 2) etch ratios and (n, 2) slopes."""
    n = len(v)
    tangent = np.hypot(*slope.T)
    unit = slope / np.maximum(tangent, 1e-12)[:, None]
    removed = REMOVED * np.exp(rng.normal(0, spread, (n, 2)))
    pits = [
        compute_opening(v[:, k], np.arctan2(1, tangent), removed[:, k], np.full(n, np.inf))
        for k in range(2)
    ]
    shift = THICKNESS * slope - (pits[0].shift_um + pits[1].shift_um)[:, None] * unit
    radius, depth, ellipse = (np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 2, 2)))
    for k, pit in enumerate(pits):
        radius[:, k] = 0.5 * np.log(pit.major_um * pit.minor_um) - np.log(2)
        depth[:, k] = np.log(pit.depth_um)
        e = 1 - pit.minor_um / pit.major_um
        ellipse[:, k, 0] = e * (unit[:, 0] ** 2 - unit[:, 1] ** 2)
        ellipse[:, k, 1] = e * 2 * unit[:, 0] * unit[:, 1]

    def smeared(values, name):
        error = np.full((n, 2), errors[name])
        return values + rng.normal(0, 1, values.shape) * errors[name], error

    parts = [
        smeared(*one)
        for one in (
            (shift, "shift"),
            (radius, "radius"),
            (ellipse, "ellipse"),
            (depth, "depth"),
        )
    ]
    return Measured(*(a for part in parts for a in part))


def fitted(measured):
    return fit_tracks(measured, thickness_um=THICKNESS, removed_um=REMOVED, removed_spread=SPREAD)


@settings(max_examples=50, deadline=None)
@given(
    v=st.tuples(st.floats(1.6, 5), st.floats(1.6, 5)),
    zenith=st.floats(0.5, 35),
    azimuth=st.floats(0, 360),
)
def test_what_was_measured_without_error_gives_the_track_back(v, zenith, azimuth):
    zenith = min(zenith, 0.8 * np.rad2deg(np.arccos(1 / min(v))))
    t, a = np.tan(np.deg2rad(zenith)), np.deg2rad(azimuth)
    slope = t * np.array([[np.cos(a), np.sin(a)]])
    none = dict.fromkeys(ERRORS, 0.0)
    exact = drawn(np.random.default_rng(0), np.array([v]), slope, none, spread=0.0)
    said = {f"{name}_err": np.full((1, 2), error) for name, error in STATED.items()}
    track = fitted(replace(exact, **said))
    assert track.is_found.all()
    error = np.sqrt(np.diag(track.covariance[0]))[:4]
    # What is left is the pull of what any pit looks like.
    pull = (track.free[0, :4] - [*np.log(np.array(v) - 1), *slope[0]]) / error
    assert np.abs(pull).max() < 0.25


def test_pulls_are_of_unit_width_with_no_bias():
    rng = np.random.default_rng(3)
    n = 4000
    v = 1 + 1.5 * np.exp(rng.normal(0, 0.3, (n, 2)))
    slope = rng.normal(0, 0.2, (n, 2)) + np.array([0.1, 0.0])
    opens = v.min(1) / np.sqrt(1 + (slope**2).sum(1)) > 1.1
    v, slope = v[opens], slope[opens]
    track = fitted(drawn(rng, v, slope))
    good = track.is_found
    assert good.mean() > 0.98
    truth = np.column_stack([np.log(v - 1), slope])
    error = np.sqrt(np.einsum("njj->nj", track.covariance))[:, :4]
    pull = ((track.free[:, :4] - truth) / error)[good]
    assert np.abs(np.median(pull, axis=0)) == pytest.approx(np.zeros(4), abs=0.08)
    width = np.diff(np.percentile(pull, [16, 84], axis=0), axis=0)[0] / 2
    assert width == pytest.approx(np.ones(4), abs=0.1)
    # Chi squared has its mean where the errors are right.
    assert (track.chi2 / track.degrees)[good].mean() == pytest.approx(1, abs=0.15)


def test_depth_makes_etch_ratios_better_known_and_is_not_needed():
    rng = np.random.default_rng(4)
    v, slope = np.full((300, 2), 2.5), np.full((300, 2), 0.05)
    with_depth = drawn(rng, v, slope)
    without = replace(with_depth, log_depth=np.full((300, 2), np.nan))
    errors = [np.sqrt(fitted(m).covariance[:, 0, 0]).mean() for m in (with_depth, without)]
    assert errors[0] < 0.8 * errors[1]
    assert (fitted(without).degrees == 4).all()
    assert (fitted(with_depth).degrees == 6).all()


def test_a_wrong_thickness_is_seen_in_how_well_tracks_fit():
    rng = np.random.default_rng(5)
    slope = 0.6 * np.column_stack([np.cos(a := rng.uniform(0, 6, 200)), np.sin(a)])
    measured = drawn(rng, np.full((200, 2), 2.5), slope)
    right = fitted(measured)
    wrong = fit_tracks(
        measured, thickness_um=2 * THICKNESS, removed_um=REMOVED, removed_spread=SPREAD
    )
    assert np.median(right.chi2 / right.degrees) < 1.5
    assert np.median(wrong.chi2 / wrong.degrees) > 5


def test_an_opening_as_wide_as_nothing_makes_has_no_track():
    measured = drawn(np.random.default_rng(6), np.full((2, 2), 2.0), np.full((2, 2), 0.05))
    measured.log_radius[0] = np.log(3 * REMOVED)
    measured.log_depth[:] = np.nan
    measured.log_radius_err[0] = 0.01
    track = fitted(measured)
    assert track.is_found.tolist() == [False, True]


def test_no_pairs_have_no_tracks():
    none = drawn(np.random.default_rng(7), np.empty((0, 2)), np.empty((0, 2)))
    assert fitted(none).free.shape == (0, len(FREE))
