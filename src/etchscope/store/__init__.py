"""The only door to disk: pictures, tables and the catalogue."""
