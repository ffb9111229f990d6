"""A place of a scan for people: its pictures are fetched, cleaned, and mapped."""

from etchscope.background.place_views import PlaceView, cut_around, view_place
from etchscope.background.residuals import pit_ground
from etchscope.foil import BadInput, Scan
from etchscope.imaging.cleaned import clean_pictures
from etchscope.run.residuals import open_tiles
from etchscope.run.results import choose_run, choose_scored_runs, ranked_candidates
from etchscope.store import Store

__all__ = ["find_candidate", "show_place"]


def find_candidate(
    store: Store, candidate: int, *, scan: str | None, run: str | None
) -> tuple[str, int, float, float]:
    """Return the run, tile and place in it (x and y, px) of a candidate, numbered from 1.

    Raises
    ------
    NotScored : the scan was not scored.
    BadInput : there is no such candidate, or several scans have some and none is named.
    """
    runs = choose_scored_runs(store, scan=scan, run=run)
    if len(runs) > 1:
        runs = [choose_run(store, scan=scan, run=run)]  # which says that several scans have runs
    table = ranked_candidates(store, runs[0])
    if not 1 <= candidate <= len(table):
        found = f"{candidate}"
        raise BadInput("candidate", f"a number from 1 to {len(table)}", found)
    row = table.iloc[candidate - 1]
    return runs[0], int(row["tile"]), float(row["x_px"]), float(row["y_px"])


def show_place(
    store: Store,
    run: str,
    tile: int,
    at: tuple[float, float],
    *,
    size_px: int = 96,
    blur_um: float | None = None,
) -> PlaceView:
    """Return the view of a place of a tile that a run has searched.

    Parameters
    ----------
    at : x and y in the tile, px.
    size_px : side of the square that is shown.
    blur_um : standard deviation of the blur of the pictures; not known unless given.

    Raises
    ------
    UnknownRun : the store has no such run.
    BadInput : no such tile, an excluded one or one that the run has not searched, a place outside
        it, or a blur without a scale.
    """
    scan = store.scans.get(store.runs.record(run).scan)
    _require_tile(scan, tile)
    cut_around(*at, size_px, scan.image_size)
    blur_px = _blur_px(scan, blur_um)
    tiles = open_tiles(store, run)
    if tile not in tiles.numbers:
        hint = "Search it, or name another run."
        raise BadInput(f"tile {tile}", f"a tile that run {run} has searched", "another", hint)
    raw, pits = store.scans.read_tile(scan.name, tile), tiles.pits_of(tile)
    keep = pit_ground(pits, scan.image_size) >= 0
    cleaned = clean_pictures(raw, tiles.normalisation, blur_px=blur_px, keep=keep)
    one = tiles.measure(tile, raw)
    missing = {}
    if blur_px is None:
        missing["deconvolution"] = "the blur of the pictures is not known (--blur-um)"
    if tiles.optics is None:
        missing["residual"] = tiles.no_optics
    score = None
    try:
        height, width = scan.image_size
        score = tiles.empty_ground().score(one.chi2, one.residual.pits, height * width)
    except BadInput as error:
        missing["anomaly"] = f"expected {error.expected}, found {error.found}"
    return view_place(
        raw,
        cleaned,
        one.residual.pictures if tiles.optics is not None else None,
        score,
        tiles.normalisation,
        scan,
        pits,
        run=run,
        tile=tile,
        at=at,
        size_px=size_px,
        not_shown=missing,
    )


def _require_tile(scan: Scan, tile: int) -> None:
    """Refuse a tile that the scan does not have, or that is excluded."""
    known = {t.number: t for t in scan.tiles}
    if tile not in known:
        numbers = f"{min(known)} to {max(known)}"
        raise BadInput(f"scan {scan.name}", "one of its tiles", f"tile {tile}; it has {numbers}")
    if known[tile].excluded:
        hint = f"Include it: etchscope include STORE --scan {scan.name} --tile {tile}"
        raise BadInput(
            f"scan {scan.name}, tile {tile}", "an included tile", "an excluded one", hint
        )


def _blur_px(scan: Scan, blur_um: float | None) -> list[float] | None:
    """Return the blur of each channel in pixels, or None where it is not known."""
    if blur_um is None:
        return None
    if not 0 < blur_um < 1000:
        raise BadInput("blur_um", "micrometres above 0", f"{blur_um!r}")
    if scan.pixel_size_um is None:
        hint = "State pixel_size_um of the scan."
        raise BadInput("blur_um", "a scan with a scale", scan.name, hint)
    return [blur_um / scan.pixel_size_um] * len(scan.channels)
