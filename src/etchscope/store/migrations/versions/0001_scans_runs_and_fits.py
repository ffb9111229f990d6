"""The first schema: foils and their scans, runs and fits."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty catalogue."""
    op.create_table("schema_version", sa.Column("version", sa.Integer, primary_key=True))
    op.create_table(
        "stack",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("metadata", sa.JSON, nullable=False),
    )
    op.create_table(
        "foil",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("stack", sa.String, sa.ForeignKey("stack.name")),
        sa.Column("material", sa.String),
        sa.Column("thickness_um", sa.Double),
        sa.Column("etch", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
    )
    op.create_table(
        "scan",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("foil", sa.String, sa.ForeignKey("foil.name"), nullable=False),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("layout", sa.String, nullable=False),
        sa.Column("pixel_size_um", sa.Double),
        sa.Column("height_px", sa.Integer, nullable=False),
        sa.Column("width_px", sa.Integer, nullable=False),
        sa.Column("dtype", sa.String, nullable=False),
        sa.Column("azimuth_sense", sa.String, nullable=False),
        sa.Column("gradient_sign", sa.Integer, nullable=False),
        sa.Column("datum", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("array_sha256", sa.String, nullable=False),
        sa.Column("added_at", sa.String, nullable=False),
    )
    _make_parts_of_a_scan()
    _make_results_of_a_scan()


def _make_parts_of_a_scan() -> None:
    op.create_table(
        "channel",
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("azimuth_deg", sa.Double),
        sa.Column("focus_um", sa.Double),
        _scan(),
    )
    op.create_table(
        "tile",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("stage_x_mm", sa.Double),
        sa.Column("stage_y_mm", sa.Double),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("excluded", sa.Boolean, nullable=False),
        sa.Column("excluded_why", sa.String),
        _scan(),
    )
    op.create_table(
        "picture",
        sa.Column("tile", sa.Integer, primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        _scan(),
    )
    op.create_table(
        "left_out",
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("tile", sa.Integer, nullable=False),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        _scan(),
    )
    op.create_table(
        "erasure",
        _scan(),
        sa.Column("place", sa.Integer, primary_key=True),
    )


def _make_results_of_a_scan() -> None:
    op.create_table(
        "run",
        sa.Column("name", sa.String, primary_key=True),
        _scan(is_key=False),
        sa.Column("pits", sa.Integer, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("committed_at", sa.String, nullable=False),
    )
    op.create_table(
        "fit",
        sa.Column("recipe", sa.String, primary_key=True),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
        sa.Column("saved_at", sa.String, nullable=False),
        _scan(),
    )


def _scan(*, is_key: bool = True) -> "sa.Column[str]":
    scan = sa.ForeignKey("scan.name", ondelete="CASCADE")
    return sa.Column("scan", sa.String, scan, primary_key=is_key, nullable=False)
