"""Labels of foils, as events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table of labels."""
    op.create_table(
        "label",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("event", sa.String, nullable=False, unique=True),
        sa.Column("foil", sa.String, sa.ForeignKey("foil.name"), nullable=False, index=True),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("x_mm", sa.Double),
        sa.Column("y_mm", sa.Double),
        sa.Column("region_mm", sa.String),
        sa.Column("class", sa.String, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("when", sa.String, nullable=False),
        sa.Column("note", sa.String),
        sa.Column("scan", sa.String),
        sa.Column("tile", sa.Integer),
        sa.Column("x_px", sa.Double),
        sa.Column("y_px", sa.Double),
        sa.Column("region_px", sa.String),
    )
