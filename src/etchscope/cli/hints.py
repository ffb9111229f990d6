"""What to do next after an error, in the words of the command line."""

from etchscope.foil import errors

__all__ = ["hint_of"]

_HINTS: dict[type[errors.BadInput], str] = {
    errors.NotAStore: "Make a store with `etchscope init`.",
    errors.OldStore: "Migrate it with `etchscope migrate STORE`.",
    errors.NameTaken: "Choose another name with `--scan NAME`, or remove the scan first.",
    errors.ModelNameTaken: "Choose another name, or give `--replace`.",
    errors.NoTiles: "See `etchscope ls --tiles`.",
    errors.SeveralScans: "Choose with `--scan`.",
    errors.SeveralFoils: "Leave out `--foil`.",
    errors.UnknownModel: "Train one with `etchscope train`.",
    errors.NotSearched: "Start with `etchscope find`.",
    errors.NotScored: "Start with `etchscope run`.",
    errors.PartMissing: "Repeat with `--part`, then `--join`.",
    errors.NotLabelled: "Start with `etchscope label import`.",
    errors.NoLabeller: "Say who labelled with `--who NAME`.",
    errors.NoClassMap: "Give a JSON file with `--class-map`.",
    errors.NoPicture: "Add its picture with `etchscope add`.",
    errors.TwoPictures: "Choose with `--scan`.",
    errors.NoPositions: "Pixels need a description with the tiles' positions, see "
    "`etchscope align --help`.",
    errors.UnknownAlignment: "Make one with `etchscope align`.",
    errors.UnknownClass: "New classes come from a taxonomy file, see "
    "`etchscope label import --help`.",
    errors.ClassMissing: "Set it with `etchscope label import STORE --taxonomy FILE`.",
    errors.DamagedFile: "Run `etchscope check`.",
    errors.OtherNormalisation: "Write the patches anew with `etchscope label export --patches`.",
    errors.NoGpu: "Leave out `--device cuda` to compute on the processor.",
    errors.NotAFinder: "A model of experts is given by --model.",
    errors.OldFinder: "Train it anew with `etchscope train --finder`.",
}


def hint_of(error: BaseException) -> str:
    """Return the sentence that follows the text of an error; empty where there is none."""
    return _HINTS.get(type(error), "")  # type: ignore[arg-type]
