"""What a foil can tell everywhere on it: efficiency by injection, limits on flux, and stars."""
