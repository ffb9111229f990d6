"""A layout with one folder per light: light-{step}/{tile}.png."""

from etchscope.foil import BadInput
from etchscope.ingest import Index, Problem


def index_by_light(root, channels):
    """Return the files of each tile, one per channel, and the tiles that are not complete."""
    folders = [root / f"light-{channel.step}" for channel in channels]
    tiles = {int(file.stem) for folder in folders for file in folder.glob("*.png")}
    files, problems = {}, []
    for tile in sorted(tiles):
        pictures = tuple(folder / f"{tile}.png" for folder in folders)
        missing = [file for file in pictures if not file.exists()]
        if missing:
            problems.append(Problem(tile, BadInput(missing[0], "a picture", "none")))
        else:
            files[tile] = pictures
    return Index(files, tuple(problems))
