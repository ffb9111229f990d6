"""White space of a scan can be compressed; then its tiles have a second identity."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables of what is compressed."""
    op.create_table(
        "compression",
        _scan(),
        sa.Column("run", sa.String, nullable=False),
        sa.Column("margin_px", sa.Double, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("bytes_before", _WHOLE, nullable=False),
        sa.Column("bytes_after", _WHOLE, nullable=False),
        sa.Column("kept_px", _WHOLE, nullable=False),
    )
    op.create_table(
        "compressed_tile",
        _scan(),
        sa.Column("tile", _WHOLE, primary_key=True),
        sa.Column("sha256", sa.String, nullable=False),
    )


def _scan() -> "sa.Column[str]":
    scan = sa.ForeignKey("scan.name", ondelete="CASCADE")
    return sa.Column("scan", sa.String, scan, primary_key=True, nullable=False)
