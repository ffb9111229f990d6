"""Figures from arrays and tables: no file is read or written here."""
