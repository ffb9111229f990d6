import numpy as np
import pytest

from etchscope.background.signal import (
    SignalPopulation,
    draw_particles,
    list_openings,
    require_sheet,
)
from etchscope.foil import BadInput, Foil
from etchscope.physics.materials import MATERIALS, etch_ratio, restricted_energy_loss
from etchscope.simulation import Sheet

WIDE = SignalPopulation(v_low=1.6, v_high=6.0, max_zenith_deg=40.0)


def test_the_density_of_draws_is_a_density():
    # ∫ density dV dΩ over a grid is 1, and 0 beyond the limits.
    v = np.linspace(1.5, 6.2, 1200)
    cosine = np.linspace(0.5, 1, 1001)
    grid = np.meshgrid(v, cosine, indexing="ij")
    density = WIDE.density(*(g.ravel() for g in grid)).reshape(grid[0].shape)
    whole = 2 * np.pi * density.sum() * (v[1] - v[0]) * (cosine[1] - cosine[0])
    assert whole == pytest.approx(1, abs=0.01)
    assert density[v < 1.6].max() == density[v > 6].max() == 0
    assert density[:, cosine < np.cos(np.deg2rad(40)) - 1e-9].max() == 0


def test_particles_have_the_density_that_they_state():
    drawn = draw_particles(np.random.default_rng(1), WIDE, 20_000, "Makrofol DE")
    # The mean of 1 / density is the volume that was drawn from, in V and sr.
    volume = (1 / drawn["draw_density"]).mean()
    v = np.linspace(1.6, 6, 20_001)
    expected = np.trapezoid(2 * np.pi * (1 - WIDE.least_cosine(v)), v)
    assert volume == pytest.approx(expected, rel=0.02)
    assert drawn["zenith_deg"].max() <= 40
    below = drawn["v"] < 1 + np.sqrt(0.6 * 5)  # the median in ln(V - 1)
    assert below.mean() == pytest.approx(0.5, abs=0.02)
    charge = drawn["z_over_beta"].to_numpy()
    loss = restricted_energy_loss(charge * 0.9999, 0.9999, MATERIALS["makrofol"])
    np.testing.assert_allclose(etch_ratio(loss, MATERIALS["makrofol"]), drawn["v"], rtol=0.01)
    assert draw_particles(np.random.default_rng(1), WIDE, 3, "glass")["z_over_beta"].isna().all()


def test_openings_lie_where_the_track_crosses_both_surfaces():
    rng = np.random.default_rng(2)
    drawn = draw_particles(rng, SignalPopulation(v_low=3, v_high=4), 40, None)
    sheet = Sheet(thickness_um=500.0, removed_um=50.0)
    x = np.arange(40.0)
    pits = list_openings(rng, drawn, x, -x, sheet, 0.05)
    assert (pits.groupby("particle").size() == 2).all()
    front, back = (pits[pits["front"] == side].set_index("particle") for side in (True, False))
    assert len(front) == len(back) == 40
    zenith, azimuth = (np.deg2rad(drawn[c].to_numpy()) for c in ("zenith_deg", "direction_deg"))
    np.testing.assert_allclose(front["entered_x_mm"], x)
    across = 0.5 * np.tan(zenith)
    np.testing.assert_allclose(back["entered_x_mm"], x + across * np.cos(azimuth), atol=1e-9)
    np.testing.assert_allclose(back["entered_y_mm"], -x + across * np.sin(azimuth), atol=1e-9)
    # Both openings shift inwards, towards each other.
    gap = np.hypot(front["x_mm"] - back["x_mm"], front["y_mm"] - back["y_mm"])
    assert (gap < across + 1e-9).all()


def test_charges_become_etch_ratios():
    made = SignalPopulation.of_charges(70, 90, "makrofol", max_zenith_deg=20.0)
    assert 2 < made.v_low < made.v_high < 8
    assert made.max_zenith_deg == 20
    with pytest.raises(BadInput, match="one that etches a pit"):
        SignalPopulation.of_charges(10, 90, "makrofol")
    with pytest.raises(BadInput, match="response curve"):
        SignalPopulation.of_charges(70, 90, None)
    with pytest.raises(BadInput, match="more than v_low"):
        SignalPopulation(v_low=3, v_high=2)


def test_a_foil_without_thickness_or_removed_bulk_is_refused():
    etched = {"removed_um": 58.0}
    with pytest.raises(BadInput, match="thickness_um"):
        require_sheet(Foil(name="F", etch=etched))
    with pytest.raises(BadInput, match="removed_um"):
        require_sheet(Foil(name="F", thickness_um=500, etch="6 h in NaOH"))
    sheet = require_sheet(Foil(name="F", thickness_um=500, etch=etched, material="CR-39"))
    assert (sheet.material, sheet.removed_um) == ("cr39", 58)
