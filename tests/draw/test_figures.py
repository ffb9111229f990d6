from etchscope.draw.figures import make_figure
from etchscope.draw.png import encode_figure


def test_a_notebook_shows_a_figure_as_it_would_be_written():
    figure = make_figure(2, 1, "Depth")
    assert figure.get_suptitle() == "Depth"
    assert figure._repr_png_() == encode_figure(figure)
    assert make_figure(2, 1).get_suptitle() == ""
