from etchscope.draw.style import COLOURS, rgb


def test_colours_are_distinct():
    assert len({rgb(name) for name in COLOURS}) == len(COLOURS) == 5
