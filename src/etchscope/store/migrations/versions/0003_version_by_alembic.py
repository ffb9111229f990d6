"""The version of the schema stands in Alembic's own table, and nowhere else."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Drop the table that had the version before Alembic did."""
    op.drop_table("schema_version")
