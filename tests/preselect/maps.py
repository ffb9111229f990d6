"""Maps of a network that are known, and a finder that gives them."""

import numpy as np

from etchscope.foil.openings import MAPS, map_index
from etchscope.imaging import Lighting, Recipe, fit_normalisation
from etchscope.preselect import FindSettings
from etchscope.preselect.classifier import Trees
from etchscope.preselect.finder import CLASSIFIED, Finder
from etchscope.preselect.gauge import Gauge
from etchscope.preselect.learned import LearnedConstants, find_openings
from etchscope.simulation import Population, SimulatedScan, with_parameters

FOIL = with_parameters(
    SimulatedScan(seed=3, columns=1, rows=1, population=Population.of(50, 2)),
    {"optics.image_size": (128, 128)},
)
RAW = FOIL.read_tile(1)
LIGHTING = Lighting.of_scan(FOIL.scan)
NORMALISATION = fit_normalisation([RAW], Recipe())


def empty():
    maps = np.zeros((len(MAPS), 64, 64), np.float32)
    for k, name in enumerate(MAPS):
        if name.endswith("heat") or name == "mark":
            maps[k] = -9
    return maps


def put(maps, surface, y, x, heat=3.0, **values):
    maps[map_index(surface, "heat"), y, x] = heat
    given = {"log_radius": np.log(6), "log_depth": np.log(4), "s_depth": -1.0} | values
    for name, value in given.items():
        maps[map_index(surface, name), y, x] = value


def hotter_than(least):
    """Return a classifier that looks at the heat alone."""
    leaf = [[1, -1, -1], [2, -1, -1]]
    left, right = (np.array([row], np.int32) for row in leaf)
    values = np.array([[0, -9, 3]], np.float32)
    return Trees(
        np.array([[0, -1, -1]], np.int32), np.array([[least, 0.0, 0]]), left, right, values
    )


def finder(maps, **least):
    classifiers = {k: hotter_than(least.get(k, 0.0)) for k in CLASSIFIED}
    return Finder(lambda planes: maps, classifiers, least.get("mark", 0.0), Gauge.plain(), "test")


def columns(maps, scale=1.0, lighting=LIGHTING, raw=RAW):
    return find_openings(
        raw, NORMALISATION, lighting, finder(maps), LearnedConstants(scale), FindSettings()
    )
