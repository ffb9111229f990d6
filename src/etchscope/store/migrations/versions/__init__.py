"""The versions of the schema; each module says what brings the one before it up to date."""
