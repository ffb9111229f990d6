from etchscope.draw.shapes import draw_shapes


def test_histograms_lose_no_pit(shown):
    pits = shown.pits
    figure = draw_shapes(pits, 6.4516, "t")
    for ax in figure.axes[:3]:
        # A step outline visits each bin's height twice, between its two ends on the axis.
        assert [p.get_xy()[1:-1:2, 1].sum() for p in ax.patches] == [60, 60], ax.get_xlabel()
