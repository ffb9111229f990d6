"""Write the view of a place into a folder: pictures, and animations over lamps and maps."""

from pathlib import Path

from etchscope.background.place_views import PlaceView
from etchscope.draw.places import draw_beside, draw_lamp_frames, draw_lights, draw_map_frames
from etchscope.draw.png import encode_figure, rasterise
from etchscope.files.animations import write_animation
from etchscope.pages.writing import make_page_folder, write_picture

__all__ = ["write_place"]


def write_place(view: PlaceView, directory: Path) -> list[Path]:
    """Write the view of a place into a folder, and return the files.

    They are ``raw.png`` and ``cleaned.png`` of each light, ``beside.png`` of one light, and as
    WebP and GIF the animations ``lamps``, if there are two lamps, and ``maps``.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    folder = make_page_folder(directory, what="view of a place")
    figures = {
        "raw": draw_lights(view, cleaned=False),
        "cleaned": draw_lights(view, cleaned=True),
        "beside": draw_beside(view),
    }
    out = [write_picture(encode_figure(f), folder / f"{n}.png") for n, f in figures.items()]
    animated = {"lamps": draw_lamp_frames(view), "maps": draw_map_frames(view)}
    for name, seconds in (("lamps", 0.35), ("maps", 1.2)):
        frames = [rasterise(frame) for frame in animated[name]]
        if len(frames) > 1:
            out += [
                write_animation(folder / f"{name}.{kind}", frames, seconds)
                for kind in ("webp", "gif")
            ]
    return out
