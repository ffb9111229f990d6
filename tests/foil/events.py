"""Labels of several people."""

from etchscope.foil import as_labels

DAY = "2026-05-0{}"


def events_of(*events, foil="F1"):
    """Events as (who, day, x_mm, class)."""
    return as_labels(
        {
            "foil": [foil] * len(events),
            "side": ["front"] * len(events),
            "x_mm": [e[2] for e in events],
            "y_mm": [0.0] * len(events),
            "class": [e[3] for e in events],
            "who": [e[0] for e in events],
            "when": [DAY.format(e[1]) for e in events],
        }
    )
