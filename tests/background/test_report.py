import json

import numpy as np
import pandas as pd
import pytest

from etchscope.background.limits import as_points, limit_points
from etchscope.background.report import InjectionReport
from etchscope.background.signal import SignalPopulation, draw_particles
from etchscope.foil import BadInput

WIDE = SignalPopulation(v_low=2, v_high=5, max_zenith_deg=30)


def report(n=3000, *, false=None, efficiency=0.8, misfit=0.2):
    rng = np.random.default_rng(1)
    drawn = draw_particles(rng, WIDE, n, "makrofol").rename(columns={"v": "drawn_v"})
    particles = drawn.assign(
        tile=np.arange(n) // 10,
        optics=np.arange(n) // 10 % 4,
        area_mm2=2.0,
        x_mm=rng.uniform(0, 100, n),
        y_mm=rng.uniform(0, 80, n),
        density_per_mm2=rng.uniform(1, 50, n),
        radius_px=6.0,
        dip_deg=90 - drawn["zenith_deg"],
    )
    reached = pd.DataFrame({"found": True, "paired": rng.random(n) < efficiency})
    chance = pd.DataFrame({"found": np.zeros(n), "paired": np.zeros(n)})
    none = pd.DataFrame({"valid": pd.Series(dtype=bool)}) if false is None else false
    return InjectionReport(
        "S", "S-injected", "r1", "r0", WIDE, particles, reached, chance, 60.0, none, misfit
    )


def test_the_effective_area_is_area_times_efficiency_times_solid_angle():
    area = report().effective_area()
    expected = 60 * 0.8 * np.pi * np.sin(np.deg2rad(30)) ** 2
    assert area["valid"]
    assert area["low"] < expected < area["high"]
    assert area["value"] == pytest.approx(expected, rel=0.05)
    written = json.loads(json.dumps(report().to_dict(), allow_nan=False))
    assert written["effective_area_cm2_sr"] == area
    narrow = SignalPopulation(v_low=3, v_high=4, max_zenith_deg=15)
    small = report().effective_area(narrow)["value"]
    assert small == pytest.approx(60 * 0.8 * np.pi * np.sin(np.deg2rad(15)) ** 2, rel=0.1)


def test_another_population_has_fewer_effective_particles():
    one = report()
    narrow = SignalPopulation(v_low=3, v_high=3.2, max_zenith_deg=10)
    assert one.efficiency(narrow).effective < 0.2 * one.efficiency().effective
    tiny = SignalPopulation(v_low=3, v_high=3.01, max_zenith_deg=3)
    assert not one.efficiency(tiny).valid
    with pytest.raises(BadInput, match="found or paired"):
        one.efficiency(stage="selected")


def test_points_are_what_a_limit_takes():
    classes = pd.DataFrame(
        {
            "scan_area_cm2": [40.0, 20.0],
            "per_cm2": [0.1, 0.5],
            "low": [0.05, 0.3],
            "high": [0.2, 0.8],
            "valid": True,
        }
    )
    points = report(false=classes).points()
    taken = as_points(points.assign(observed=0))
    assert taken["background"].tolist() == pytest.approx([14.0] * 5)
    expected = np.hypot(40 * 0.15, 20 * 0.5) / 2 / 1.96
    assert taken["background_error"].tolist() == pytest.approx([expected] * 5)
    area = 60 * 0.8 * np.pi * np.sin(np.deg2rad(30)) ** 2
    assert taken["effective_area_cm2_sr"].to_numpy() == pytest.approx(area, rel=0.1)
    assert taken["valid"].all()
    assert taken["background_is_known"].all()
    assert taken["efficiency"].to_numpy() == pytest.approx(0.8, rel=0.1)
    relative = taken["effective_area_error_cm2_sr"] / taken["effective_area_cm2_sr"]
    shares = taken["efficiency_error"] / taken["efficiency"]
    assert shares.to_numpy() == pytest.approx(relative.to_numpy())
    assert points["z_over_beta"].is_monotonic_increasing


def test_what_is_not_known_is_said():
    few = report(15).points()
    assert not few["valid"].any()
    assert few["effective_area_cm2_sr"].max() == 0
    assert few["why"].str.contains("effective particles").all()
    without = report().points()
    assert without["why"].str.contains("weakest upper limit").all()
    assert without["valid"].all()
    assert not without["background_is_known"].any()
    limits = limit_points(without.assign(observed=5), confidences=(0.9,))
    assert limits["why"].str.contains("false candidates are not known").all()
    assert not limits["low"].any()
    assert report(15).table.query("axis != 'all'")["valid"].sum() == 0


def test_optics_that_do_not_describe_the_pits_make_nothing_valid():
    one = report(misfit=2.5)
    assert not one.table["valid"].any()
    assert not one.points()["valid"].any()
    assert not one.effective_area()["valid"]
    known, doubted = report().efficiency(), one.efficiency()
    assert (known.valid, doubted.valid) == (True, False)
    assert doubted.value == known.value
    assert "χ² 2.5 per figure" in doubted.why


def test_few_particles_share_few_bins():
    assert len(report(100).edges["drawn_v"]) == 3
    assert len(report(39).edges["drawn_v"]) == 2
    assert len(report(1000).edges["drawn_v"]) == 6
