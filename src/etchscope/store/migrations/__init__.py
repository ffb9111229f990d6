"""The history of the catalogue's schema, for Alembic: one file in ``versions`` per version.

A change of ``store/catalogue.py`` needs a new file here, whose ``revision`` becomes
``catalogue.VERSION``; a file that is here already never changes. Migrations run in one transaction
with foreign keys enforced. A test compares what they make with what a new store gets. Catalogues in
PostgreSQL begin with version 0005.
"""
