"""Runs have a number that rises in the order in which they were committed, in every database."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table anew, since only its hidden numbers of rows had the order."""
    connection = op.get_bind()
    columns = "name, scan, pits, files, committed_at"
    rows = connection.execute(sa.text(f"SELECT {columns} FROM run ORDER BY rowid")).mappings().all()
    op.drop_table("run")
    op.create_table(
        "run",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column(
            "scan", sa.String, sa.ForeignKey("scan.name", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("pits", sa.Integer, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("committed_at", sa.String, nullable=False),
    )
    put = "INSERT INTO run (name, number, scan, pits, files, committed_at)"
    put += " VALUES (:name, :number, :scan, :pits, :files, :committed_at)"
    if rows:
        numbered = [{**row, "number": number} for number, row in enumerate(rows, 1)]
        connection.execute(sa.text(put), numbered)
