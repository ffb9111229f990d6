"""Keys begin with the scan, by which rows are found without those of other scans."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_KEYS = {
    "channel": ("place",),
    "tile": ("number",),
    "picture": ("tile", "step"),
    "left_out": ("place",),
    "fit": ("recipe",),
}


def upgrade() -> None:
    """Make the tables anew, since SQLite changes no key."""
    connection = op.get_bind()
    for name, rest in _KEYS.items():
        _make_anew(connection, name, ("scan", *rest))


def _make_anew(connection: sa.Connection, name: str, key: tuple[str, ...]) -> None:
    old = sa.Table(name, sa.MetaData(), autoload_with=connection)
    names = ["scan", *(c.name for c in old.columns if c.name != "scan")]
    columns = [sa.Column(n, old.c[n].type, nullable=old.c[n].nullable) for n in names]
    scan = sa.ForeignKeyConstraint(["scan"], ["scan.name"], ondelete="CASCADE")
    op.rename_table(name, "before")
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key), scan)
    listed = ", ".join(f'"{n}"' for n in names)
    order = ", ".join(key)
    put = f"INSERT INTO {name} ({listed}) SELECT {listed} FROM before ORDER BY {order}"
    connection.execute(sa.text(put))
    op.drop_table("before")
