"""The tables of stars: vertices to which several tracks point, and their prongs."""

from etchscope.foil.pits import PitColumn

__all__ = ["PRONG_COLUMNS", "STAR_COLUMNS", "STAR_KINDS", "UNDECIDED"]

STAR_KINDS = ("isotropic", "forward", "back-to-back")
"""Kinds of stars: prongs in all directions, only along the beam, or two opposite ones."""
UNDECIDED = "undecided"
"""The kind of a star whose openings fit two kinds about equally."""

STAR_COLUMNS: tuple[PitColumn, ...] = (
    PitColumn("star", "int64", "", "number of the star in its search, from 0, best first"),
    PitColumn("surface", "str", "", "surface on which its openings lie: top or bottom"),
    PitColumn("x_mm", "float64", "mm", "vertex in the foil frame"),
    PitColumn("y_mm", "float64", "mm", "vertex in the foil frame, y up"),
    PitColumn("x_px", "float64", "px", "vertex in pixels of the mosaic of all tiles"),
    PitColumn("y_px", "float64", "px", "vertex in the same frame, y down"),
    PitColumn("x_px_err", "float64", "px", "one standard deviation of x_px"),
    PitColumn("y_px_err", "float64", "px", "one standard deviation of y_px"),
    PitColumn("depth_um", "float64", "um", "depth of the vertex below that surface"),
    PitColumn("depth_um_err", "float64", "um", "one standard deviation of depth_um"),
    PitColumn("prongs", "int64", "", "openings that belong to the star"),
    PitColumn("score", "float64", "", "log likelihood ratio of a star against unrelated pits"),
    PitColumn("accidental", "float64", "", "accidental stars that are expected to be as good"),
    PitColumn("purity", "float64", "", "share of stars as good or better that are not accidental"),
    PitColumn("selected", "bool", "", "whether the purity is at least the one that was asked for"),
    PitColumn("kind", "str", "", "isotropic, forward, back-to-back or undecided"),
    PitColumn("p_isotropic", "float64", "", "probability of the kind at equal shares"),
    PitColumn("p_forward", "float64", "", "probability of the kind at equal shares"),
    PitColumn("p_back_to_back", "float64", "", "probability of the kind at equal shares"),
)
"""The columns of a table of stars, one row per vertex."""

PRONG_COLUMNS: tuple[PitColumn, ...] = (
    PitColumn("star", "int64", "", "number of the star"),
    PitColumn("tile", "int64", "", "number of the tile that shows the pit"),
    PitColumn("pit", "int64", "", "number of the pit in its run"),
    PitColumn("x_px", "float64", "px", "centre of the pit in the tile"),
    PitColumn("y_px", "float64", "px", "centre of the pit in the tile, y down"),
    PitColumn("class", "str", "", "subclass of the pit: top.spallation or bottom.spallation"),
    PitColumn("share", "float64", "", "probability that the pit belongs to the star"),
    PitColumn("distance_px", "float64", "px", "distance of the opening from the vertex"),
    PitColumn("azimuth_deg", "float64", "deg", "vertex to opening, ccw from +x, y up, [0, 360)"),
)
"""The columns of a table of prongs, one row per pit that belongs to a star."""
