"""Run by Alembic: migrate the catalogue behind the connection that ``store.migration`` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
